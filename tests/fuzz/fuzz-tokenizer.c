/*
 * Any bytes are words, or none: every token is short, stands for a stretch of the input that begins where its order
 * says, and FTS5 takes it. The same text gives the same tokens twice.
 */
#include <sqlite3.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "store/tokenizer.h"

struct count {
	size_t size, tokens, last_start, sum;
};

static int take(void *userdata, const struct token *t)
{
	struct count *c = userdata;

	must(t->len >= 1 && t->len <= TOKEN_MAX, "length of a token");
	must(t->start < t->end && t->end <= c->size, "a token stands for nothing");
	must(t->start >= c->last_start, "tokens go back");
	must(memchr(t->text, '\0', t->len) == NULL, "NUL in a token");
	must(t->kind == TOKEN_WORD || t->kind == TOKEN_PAIR || t->kind == TOKEN_LAST || t->kind == TOKEN_EMOJI, "kind");
	c->last_start = t->start;
	c->tokens++;
	for (size_t i = 0; i < t->len; i++)
		c->sum = c->sum * 31 + (uint8_t)t->text[i];
	return 0;
}

static struct count run(struct tokenizer *t, const uint8_t *data, size_t size)
{
	/* Of its own size, so that a byte too many is seen. */
	_cleanup_(freep) char *copy = xcalloc(size ? size : 1, 1);
	struct count c = { .size = size };

	memcpy(copy, data, size);
	must(tokenizer_run(t, copy, size, take, &c) == 0, "not tokenized");
	return c;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static struct tokenizer *t;
	static sqlite3 *db;
	struct count once, again;

	if (!t) {
		must(sqlite3_open(":memory:", &db) == SQLITE_OK, "no database");
		must(tokenizer_new(db, &t) == 0, "no tokenizer");
	}
	once = run(t, data, size);
	again = run(t, data, size);
	must(once.tokens == again.tokens && once.sum == again.sum, "tokens depend on what was before");
}
