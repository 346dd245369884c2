/*
 * What the suites of search and its index share: texts, an index that is up to date, and what a query finds, as one string or
 * as rows.
 */
#pragma once

#include "base/buf.h"
#include "fixture.h"
#include "store/index.h"
#include "store/search.h"

#define BUDGET INT64_C(1000000000) /* us: one slice, and no machine is so slow */

/* From Bob, a second later; ${id} NULL: one of its own. */
void put_text(struct fx *fx, const char *id, const char *body);
/* Index all that is there. */
void index_all(struct fx *fx);

/* For search_hits(): bodies joined by '|', with ${ranges} each followed by its ranges in [start+length]. */
struct hits {
	struct buf text;
	size_t n;
	bool ranges;
};
int on_hit(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n);
/* Bodies of all hits, newest first, joined by "|"; "!N" for outcome N. Valid until the next call. */
const char *found_with(struct fx *fx, struct search_query q, bool ranges);
const char *found(struct fx *fx, const char *text);

/* For search_hits() too: row ids, in order; fails when one comes twice. */
struct result {
	int64_t ids[READ_ROWS_MAX];
	size_t n;
};
int on_result(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n);
