/*
 * The words of a message, for the search index and for the search in what is not indexed yet: one core, so that both
 * find the same. FTS5 knows it as tokenizer "chat". Private to store/.
 *
 *   words    as FTS5's unicode61 cuts and folds them (case, diacritics), with the vowel signs of Indic scripts; points
 *            of Arabic and Hebrew, tatweel and variation selectors are dropped
 *   runs     Han, Kana, Hangul, Thai, Lao, Khmer, Myanmar ... are written without spaces, or with particles that stick
 *            to words: every two neighbours are a token (TOKEN_PAIR), and the last character is one (TOKEN_LAST). So
 *            each character begins one token, and any part of a run is a phrase of pairs
 *   emoji    a token each: a ZWJ sequence, a flag or a tagged flag is one; skin tones and presentation do not count
 *
 * Any bytes are a valid input. What is not UTF-8, and NUL, is a space.
 */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Another output for the same text is another version: the index is then made anew in the background. */
#define TOKENIZER_VERSION 1

enum {
	TOKEN_MAX = 128, /* bytes; longer ones are cut: no word is that long, base64 is. An index term of no use otherwise */
};

enum token_kind { TOKEN_WORD, TOKEN_PAIR, TOKEN_LAST, TOKEN_EMOJI };

struct token {
	enum token_kind kind;
	const char *text; /* folded, not NUL-terminated; dies when the callback returns */
	size_t len;	  /* 1 ... TOKEN_MAX */
	size_t start, end; /* bytes of the input that it stands for */
};
/* A non-zero value ends the run, which returns it. */
typedef int (*token_fn)(void *userdata, const struct token *t);

struct tokenizer;
/* Needs FTS5 in ${db}, only for this call: -ENOTSUP without it. */
int tokenizer_new(sqlite3 *db, struct tokenizer **ret);
struct tokenizer *tokenizer_free(struct tokenizer *t);
DEFINE_CLEANUP(struct tokenizer *, tokenizer_free);
/* Call ${fn} for each token of ${text} in order: 0, what ${fn} returned, or -ENOMEM. */
int tokenizer_run(struct tokenizer *t, const char *text, size_t len, token_fn fn, void *userdata);

/*
 * Make "chat" known to the connection ${db}: before the schema is used. In a MATCH expression each string is one
 * token as it is: only search-query.c makes them. 0 or -errno.
 */
int tokenizer_register(sqlite3 *db);
