/*
 * A query as terms, and whether a text matches them: the one place that says what a match is. The index only proposes
 * messages; each is held against this before it is a hit. Private to store/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/search.h"
#include "store/tokenizer.h"

struct term_token {
	char *text; /* owned */
	size_t len;
};

/* Tokens that stand together. */
struct term {
	bool exclude;
	bool prefix; /* the last token only begins the last one of the text */
	size_t n;
	struct term_token tokens[SEARCH_TOKENS_MAX];
};

struct query_terms {
	size_t n;
	size_t n_wanted; /* not excluded */
	struct term *terms[SEARCH_TERMS_MAX]; /* owned */
};

/* Parse ${text}: 0, SEARCH_E_EMPTY, SEARCH_E_LIMIT or -errno. query_deinit() in any case. */
int query_parse(struct tokenizer *t, const char *text, struct query_terms *ret);
void query_deinit(struct query_terms *q);

/* Whether ${body} matches. */
int query_match(struct tokenizer *t, const struct query_terms *q, const char *body, bool *ret);
/* The same; *ret_n ranges in code points, ascending, apart from each other: the first SEARCH_RANGES_MAX. */
int query_ranges(struct tokenizer *t, const struct query_terms *q, const char *body, bool *ret,
		 struct search_range ranges[SEARCH_RANGES_MAX], size_t *ret_n);

/* A token as a string of a MATCH expression. */
void query_string(const char *s, size_t len, struct buf *to);
/*
 * A MATCH expression for the tokens as they are: "a" + "b". With ${last}, that is the last one instead of its own.
 */
void query_phrase(const struct term *term, const char *last, size_t last_len, struct buf *to);
