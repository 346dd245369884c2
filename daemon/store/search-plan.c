#include "store/search-plan.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/index.h"

enum { RESETS_MAX = 16 }; /* texts change faster than a plan is made: go without the index */

struct words {
	size_t n;
	size_t len[PLAN_WORDS_MAX];
	char text[PLAN_WORDS_MAX][TOKEN_MAX];
};

void search_plan_init(struct search_plan *p, const struct query_terms *terms)
{
	*p = (struct search_plan){ .terms = terms };
}

void search_plan_deinit(struct search_plan *p)
{
	buf_deinit(&p->match);
}

/* The first word of the index at or after ${from}: 1 and *ret_text, *ret_len (bytes; no more than TOKEN_MAX), or 0. */
static int next_word(struct store *s, const char *from, size_t from_len, char *ret_text, size_t *ret_len)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SEARCH_TERMS);
	int r;

	if (q.r < 0)
		return err_trace(q.r);
	/* With its length: the word after "foo" is at or after "foo\0". */
	if (sqlite3_bind_text(q.st, 1, from, (int)from_len, SQLITE_STATIC) != SQLITE_OK)
		return err_origin(db_errno(sqlite3_errcode(s->db)));
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret_len = (size_t)sqlite3_column_bytes(q.st, 0);
	if (*ret_len > TOKEN_MAX)
		*ret_len = TOKEN_MAX;
	memcpy(ret_text, col_t(&q, 0), *ret_len);
	return 1;
}

/* The words of the index that begin as the last token of ${term}; *ret_all: these are all. */
static int find_words(struct store *s, const struct term *term, struct words *ret, bool *ret_all)
{
	const struct term_token *prefix = &term->tokens[term->n - 1];
	char from[TOKEN_MAX + 1] = "", word[TOKEN_MAX];
	size_t from_len = prefix->len, len = 0;
	int r;

	memcpy(from, prefix->text, prefix->len);
	ret->n = 0;
	*ret_all = true;
	while ((r = next_word(s, from, from_len, word, &len)) > 0) {
		if (len < prefix->len || memcmp(word, prefix->text, prefix->len) != 0)
			return 0;
		if (ret->n == PLAN_WORDS_MAX) {
			*ret_all = false;
			return 0;
		}
		memcpy(ret->text[ret->n], word, len);
		ret->len[ret->n++] = len;
		memcpy(from, word, len);
		from[len] = '\0';
		from_len = len + 1;
	}
	return r < 0 ? err_trace(r) : 0;
}

static int add_term(struct search_plan *p, struct store *s, const struct term *term)
{
	_cleanup_(freep) struct words *words = xnew(struct words);
	bool all;
	int r;

	if (!term->prefix) {
		buf_adds(&p->match, p->match.len ? " AND (" : "(");
		query_phrase(term, NULL, 0, &p->match);
		buf_adds(&p->match, ")");
		return 0;
	}
	r = find_words(s, term, words, &all);
	if (r < 0)
		return err_trace(r);
	if (!all)
		return 0;
	p->nothing = p->nothing || words->n == 0;
	buf_adds(&p->match, p->match.len ? " AND (" : "(");
	for (size_t i = 0; i < words->n; i++) {
		if (i)
			buf_adds(&p->match, " OR ");
		query_phrase(term, words->text[i], words->len[i], &p->match);
	}
	buf_adds(&p->match, ")");
	return 0;
}

static int reset(struct search_plan *p, struct store *s, int64_t edits)
{
	p->resets += p->begun;
	p->begun = true;
	p->edits = edits;
	p->at = 0;
	p->nothing = false;
	p->useless = p->resets > RESETS_MAX;
	buf_reset(&p->match);
	return index_watermark(s, &p->upto);
}

int search_plan_step(struct search_plan *p, struct store *s, int64_t until_us)
{
	int64_t edits;
	int r;

	if (p->useless)
		return 0;
	r = index_edits(s, &edits);
	if (r == 0 && (!p->begun || edits != p->edits))
		r = reset(p, s, edits);
	if (r < 0)
		return err_trace(r);
	while (p->at < p->terms->n && !p->useless && !s->index.damaged) {
		const struct term *term = p->terms->terms[p->at++];

		s->index.unread = false;
		r = term->exclude ? 0 : add_term(p, s, term);
		/* It reads nothing but the index. */
		s->index.damaged = s->index.damaged || (r < 0 && s->index.unread);
		if (r < 0 && !s->index.damaged)
			return err_trace(r);
		if (p->at < p->terms->n && clock_boot_us() >= until_us)
			return 1;
	}
	p->useless = p->useless || p->match.len == 0 || s->index.damaged;
	return 0;
}
