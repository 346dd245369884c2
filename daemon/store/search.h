/*
 * Full-text search over the messages of one account, newest first in archive order, in slices: a search reads for a
 * few milliseconds, gives the loop back, and goes on. What the index does not hold yet (store/index.h) is read row by
 * row with the same tokenizer, so that a message is found from the moment it is stored.
 *
 * Query: words, all of which must occur; a word matches every word that begins with it; "quoted words" stand together
 * and match exactly; -word and -"words" must not occur. Case and diacritics do not matter. Chinese, Japanese, Korean,
 * Thai ... are found at any place in a run, emoji as themselves. No other syntax: any string is a valid query or empty.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "store/read.h"

enum {
	SEARCH_HITS_MAX = 500,	    /* a page: facts/ipc.md, quotas */
	SEARCH_QUERY_MAX = 1024,    /* bytes */
	SEARCH_TERMS_MAX = 16,	    /* words and phrases of a query: each is an index look-up */
	SEARCH_TOKENS_MAX = 64,	    /* of one phrase, so that a match is a bit mask; 65 Chinese characters in a row */
	SEARCH_RANGES_MAX = 64,	    /* match ranges of one hit */
};

/* Outcomes. */
enum {
	SEARCH_E_EMPTY = 1, /* no word in the query: punctuation only, or only -words */
	SEARCH_E_LIMIT,	    /* SEARCH_QUERY_MAX, SEARCH_TERMS_MAX, SEARCH_TOKENS_MAX */
	SEARCH_E_CURSOR,    /* not a cursor that next_cursor gave */
	SEARCH_E_NO_CONVERSATION,
};

struct search_query {
	int64_t account;
	const char *text;
	const char *conversation; /* "" or NULL: all */
	const char *sender;	  /* bare JID; "" or NULL: anyone */
	int64_t since_us, until_us; /* display time, since <= t < until; 0: open */
	uint32_t limit;		  /* hits a page; 0 and above SEARCH_HITS_MAX: that many */
	const char *cursor;	  /* "" or NULL: from the newest */
};

/* Where a word of the query stands in the body: Unicode code points. */
struct search_range {
	uint32_t start, length;
};
typedef int (*search_hit_fn)(void *userdata, const struct message_row *row, const struct search_range *ranges,
			     size_t n_ranges);

struct search;
/* Check and prepare; looks only for the conversation. ${q}'s strings are copied. The search ends before the store. */
int search_new(struct store *s, const struct search_query *q, struct search **ret);
/*
 * Read for about ${budget_us}: 1 there is more to read, 0 finished, -errno. Other calls may read and write the store
 * between two steps: nothing that matches from the beginning to the end is lost and none is shown twice, however many
 * writes there are and also when sort keys of many rows move up; a message stored or changed meanwhile may be missing.
 * A damaged index is left out; -EBADMSG is a page of messages that cannot be read.
 */
int search_step(struct search *x, int64_t budget_us);
/*
 * After 0: the hits, newest first; stops when ${fn} returns non-zero (returned), at ${limit} or READ_BYTES_MAX.
 * *ret_cursor (caller frees): "" if there is nothing more. What was retracted or changed since it was found is left
 * out, so a page may be short though more follows: the cursor alone tells.
 */
int search_hits(struct search *x, search_hit_fn fn, void *userdata, char **ret_cursor);
struct search *search_free(struct search *x);
/* Whoever writes, or moves the log, first makes the search give back the statement that it holds between two steps. */
void search_let_go(struct store *s);
/* How many messages are above the index's watermark, at most (ids, of which some may be gone): cheap, for status. */
int search_behind(struct store *s, uint64_t *ret);
/* Why the index does not get on: a sentence (a literal), or NULL. Searches find everything nevertheless. */
const char *search_trouble(const struct store *s);
DEFINE_CLEANUP(struct search *, search_free);
