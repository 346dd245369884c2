/*
 * The inside of a search, shared by search.c (its phases, and the walk), search-window.c (the scan) and search-hits.c (what
 * was found, and the page of it). Nobody else includes this.
 */
#pragma once

#include "store/db.h"
#include "store/search-pace.h"
#include "store/search-plan.h"
#include "store/search-query.h"
#include "store/search.h"

/*
 * A search goes
 *
 *   WALK   through the newest rows in archive order, one by one: a common word has its page after a few dozen rows
 *   SCAN   through all ids, newest first, in windows: up to the watermark the index proposes rows, above it each row
 *          is read. A window is read in one slice, so each id is looked at once whatever the watermark does meanwhile
 *   DONE   the best limit + 1 rows by (key, id) are known
 *
 * When every word of the query begins too many words of the index ("a"), the index is of no use: WALK goes on to the
 * end. Statements are complete in each slice, because the store writes between two.
 */
enum phase { PHASE_WALK, PHASE_SCAN, PHASE_DONE };

struct position {
	int64_t key, id;
};

struct search {
	struct store *s;
	int64_t account, conv; /* conv 0: all */
	char *sender;	       /* owned; bare, NULL: anyone */
	int64_t since_us, until_us;
	size_t limit;
	struct position cursor; /* as given; id 0: none */
	struct position below;	/* hits sort below this */
	struct query_terms terms;
	struct search_plan plan;

	enum phase phase;
	struct position at;	/* WALK: everything above is done */
	int64_t walked;
	int64_t next;		/* SCAN: ids above are done */
	struct pace pace;
	/* The window's statement, held while nobody writes: what FTS5 does before the first row takes 2 ms for "ba*". */
	struct stmt held;
	int64_t held_last;
	bool bare;		/* without the guard: the smallest window was too long */
	uint32_t shifts;	/* of the store when it last looked */

	struct position found[SEARCH_HITS_MAX + 1]; /* best first */
	size_t n_found;

	int64_t budget_us, slice_end, guard_end; /* CLOCK_BOOTTIME */
};

/* ${a} is the newer one. */
static inline bool above(struct position a, struct position b)
{
	return a.key != b.key ? a.key > b.key : a.id > b.id;
}

/* search.c */
/* The slice is used up. */
bool search_over(const struct search *x);
/* What begins now may take as long as if the slice ended at ${end_us}. */
void search_guard(struct search *x, int64_t end_us);
/*
 * The next row of ${q}, ended where it takes too long: ROW_HERE, ROW_NONE, ROW_TOO_LONG or -errno, which notes damage of the
 * index. ${index}: a statement that reads nothing but the index.
 */
enum { ROW_NONE = 0, ROW_HERE = 1, ROW_TOO_LONG = 2 };
int search_next_row(struct search *x, struct stmt *q, bool index);
/* The present row of a statement of SQL_FOUND_COLUMNS: kept if it is a hit. 0 or -errno. */
int search_consider(struct search *x, struct stmt *q);

/* search-window.c */
/* PHASE_SCAN: the next window of ids, or the rest of the one that was left. 0 or -errno. */
int window_step(struct search *x);

/* search-hits.c */
/* Where the page begins: 0 or SEARCH_E_CURSOR. */
int hits_parse_cursor(const char *text, struct position *ret);
/* A row at ${p} could be on the page still. */
bool hits_may(const struct search *x, struct position p);
/* Keep it; a row that moved between two slices may come twice. */
void hits_keep(struct search *x, struct position p);
/* The page is full, and it is known that there is more. */
bool hits_full(const struct search *x);
