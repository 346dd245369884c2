/*
 * What the index is asked for a query. Words are prefixes; FTS5 would put together the lists of all words that begin
 * so, whole, at each question, and a question is asked for each window of ids. So the words are looked up first, and
 * the question names them. A word that begins too many others is left out of the question: it is common, and each
 * proposed message is held against the whole query anyway. Private to store/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"
#include "store/search-query.h"

enum {
	PLAN_WORDS_MAX = 48, /* words of the index for one of the query; about 1 ms to look up */
};

struct search_plan {
	const struct query_terms *terms; /* foreign */
	size_t at;		/* terms that are done */
	int64_t upto, edits;	/* what of the index it is about */
	bool begun;
	int resets;
	bool useless;		/* the index cannot help */
	bool nothing;		/* nothing indexed can match */
	struct buf match;	/* the question */
};

/* ${terms} stay the caller's and must outlive it. Nothing is read yet. */
void search_plan_init(struct search_plan *p, const struct query_terms *terms);
void search_plan_deinit(struct search_plan *p);
/* Make the plan, or make it anew if texts changed in the index: 0 it is complete, 1 more to do after ${until_us}
 * (CLOCK_BOOTTIME), -errno. */
int search_plan_step(struct search_plan *p, struct store *s, int64_t until_us);
