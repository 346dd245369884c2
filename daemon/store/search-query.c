#include "store/search-query.h"

#include <string.h>

#include "base/err.h"

/* Tokens of one word or phrase of the query. */
struct collect {
	struct term *term;
	enum token_kind last;
	size_t last_end, pair_end;
	bool full;
};

static int on_query_token(void *userdata, const struct token *t)
{
	struct collect *c = userdata;

	if (c->term->n == SEARCH_TOKENS_MAX) {
		c->full = true;
		return 1;
	}
	c->term->tokens[c->term->n++] = (struct term_token){ xstrndup(t->text, t->len), t->len };
	if (t->kind == TOKEN_PAIR)
		c->pair_end = t->end;
	c->last = t->kind;
	c->last_end = t->end;
	return 0;
}

static struct term *term_free(struct term *term)
{
	if (!term)
		return NULL;
	for (size_t i = 0; i < term->n; i++)
		free(term->tokens[i].text);
	free(term);
	return NULL;
}
DEFINE_CLEANUP(struct term *, term_free);

/*
 * A run at the end of a term may go on in the text. So its last character is no token: the pair before it says enough;
 * and a character alone may begin any pair.
 */
static void open_end(struct collect *c, bool quoted)
{
	struct term *term = c->term;

	term->prefix = c->last == TOKEN_LAST || !quoted;
	if (c->last != TOKEN_LAST || c->pair_end != c->last_end)
		return;
	free(term->tokens[--term->n].text);
	term->prefix = false;
}

static int add_term(struct tokenizer *t, struct query_terms *q, const char *text, size_t len, bool quoted, bool exclude)
{
	_cleanup_(term_freep) struct term *term = xnew(struct term);
	struct collect c = { .term = term };
	int r;

	r = tokenizer_run(t, text, len, on_query_token, &c);
	if (r < 0)
		return err_trace(r);
	if (term->n == 0)
		return 0;
	if (c.full || q->n == SEARCH_TERMS_MAX)
		return SEARCH_E_LIMIT;
	open_end(&c, quoted);
	term->exclude = exclude;
	q->n_wanted += !exclude;
	q->terms[q->n++] = TAKE_PTR(term);
	return 0;
}

/* What ends a word of the query; a space that is not known here makes a phrase of two words, no more. */
static bool is_space(const char *s, size_t *ret_len)
{
	static const char *const wide[] = { "\xc2\xa0", "\xe3\x80\x80" };

	*ret_len = 1;
	if (strchr(" \t\r\n\f\v", *s))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++) {
		*ret_len = strlen(wide[i]);
		if (strncmp(s, wide[i], *ret_len) == 0)
			return true;
	}
	return false;
}

/* The end of the word that begins at ${s}: a space or a quote. */
static const char *word_end(const char *s)
{
	size_t n;

	while (*s && *s != '"' && !is_space(s, &n))
		s++;
	return s;
}

int query_parse(struct tokenizer *t, const char *text, struct query_terms *ret)
{
	size_t n;
	int r = 0;

	*ret = (struct query_terms){ 0 };
	if (strlen(text) > SEARCH_QUERY_MAX)
		return SEARCH_E_LIMIT;
	while (*text && r == 0) {
		bool exclude, quoted;
		const char *end;

		if (is_space(text, &n)) {
			text += n;
			continue;
		}
		exclude = *text == '-';
		text += exclude;
		quoted = *text == '"';
		text += quoted;
		/* A quote that is not closed goes on to the end. */
		end = quoted ? strchr(text, '"') : word_end(text);
		if (!end)
			end = text + strlen(text);
		r = add_term(t, ret, text, (size_t)(end - text), quoted, exclude);
		text = quoted && *end ? end + 1 : end;
	}
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	return ret->n_wanted ? 0 : SEARCH_E_EMPTY;
}

void query_deinit(struct query_terms *q)
{
	for (size_t i = 0; i < q->n; i++)
		term_free(q->terms[i]);
	*q = (struct query_terms){ 0 };
}

/* Ranges before they are sorted and joined: a few more than are handed out, because some overlap. */
enum { SPANS_MAX = 4 * SEARCH_RANGES_MAX };

struct span {
	size_t start, end; /* bytes */
};

/*
 * Every phrase at once, token by token: bit j of alive says that the last j + 1 tokens of the text are the first j + 1
 * of the phrase.
 */
struct match {
	const struct query_terms *q;
	uint64_t alive[SEARCH_TERMS_MAX];
	bool found[SEARCH_TERMS_MAX];
	size_t n_found;
	bool excluded;
	bool has_excludes;
	size_t starts[SEARCH_TOKENS_MAX]; /* of the last tokens, a ring */
	size_t at;
	struct span *spans; /* NULL: not wanted */
	size_t n_spans;
};

enum { MATCH_DECIDED = 1 };

static size_t first_char(const struct token *t)
{
	size_t n = 1;

	while (n < t->len && ((unsigned char)t->text[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void add_span(struct match *m, const struct term *term, const struct token *t)
{
	size_t start = m->starts[(m->at - term->n + 1) % SEARCH_TOKENS_MAX];
	/* A character alone begins a pair, and is all that matches of it. */
	size_t end = term->prefix && t->kind == TOKEN_PAIR ? t->start + first_char(t) : t->end;

	if (m->spans && m->n_spans < SPANS_MAX)
		m->spans[m->n_spans++] = (struct span){ start, end };
}

static bool token_is(const struct term *term, size_t j, const struct token *t)
{
	const struct term_token *want = &term->tokens[j];
	bool prefix = term->prefix && j + 1 == term->n;

	return (prefix ? want->len <= t->len : want->len == t->len) && memcmp(want->text, t->text, want->len) == 0;
}

static void advance(struct match *m, size_t i, const struct token *t)
{
	const struct term *term = m->q->terms[i];
	uint64_t may = m->alive[i] << 1 | 1, now = 0;

	for (size_t j = 0; j < term->n; j++) {
		if ((may & UINT64_C(1) << j) && token_is(term, j, t))
			now |= UINT64_C(1) << j;
	}
	m->alive[i] = now;
	if (!(now & UINT64_C(1) << (term->n - 1)))
		return;
	if (term->exclude) {
		m->excluded = true;
		return;
	}
	add_span(m, term, t);
	m->n_found += !m->found[i];
	m->found[i] = true;
}

static int on_text_token(void *userdata, const struct token *t)
{
	struct match *m = userdata;

	m->starts[m->at % SEARCH_TOKENS_MAX] = t->start;
	for (size_t i = 0; i < m->q->n; i++)
		advance(m, i, t);
	m->at++;
	if (m->excluded)
		return MATCH_DECIDED;
	return !m->spans && !m->has_excludes && m->n_found == m->q->n_wanted ? MATCH_DECIDED : 0;
}

static int match(struct tokenizer *t, struct match *m, const char *body, bool *ret)
{
	int r;

	m->has_excludes = m->q->n_wanted < m->q->n;
	r = tokenizer_run(t, body, strlen(body), on_text_token, m);
	if (r < 0)
		return err_trace(r);
	*ret = !m->excluded && m->n_found == m->q->n_wanted;
	return 0;
}

int query_match(struct tokenizer *t, const struct query_terms *q, const char *body, bool *ret)
{
	struct match m = { .q = q };

	return match(t, &m, body, ret);
}

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* Join what overlaps; what only touches stays apart. */
static size_t join(struct span *spans, size_t n)
{
	size_t out = 0;

	qsort(spans, n, sizeof(*spans), by_start);
	for (size_t i = 0; i < n; i++) {
		if (out && spans[i].start < spans[out - 1].end) {
			if (spans[i].end > spans[out - 1].end)
				spans[out - 1].end = spans[i].end;
			continue;
		}
		spans[out++] = spans[i];
	}
	return out;
}

static uint32_t code_points(const char *s, size_t from, size_t to)
{
	uint32_t n = 0;

	for (size_t i = from; i < to; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

int query_ranges(struct tokenizer *t, const struct query_terms *q, const char *body, bool *ret,
		 struct search_range ranges[SEARCH_RANGES_MAX], size_t *ret_n)
{
	_cleanup_(freep) struct span *spans = xnewn(struct span, SPANS_MAX);
	struct match m = { .q = q, .spans = spans };
	uint32_t at = 0;
	size_t from = 0, n;
	int r;

	r = match(t, &m, body, ret);
	if (r < 0)
		return err_trace(r);
	n = join(spans, m.n_spans);
	if (n > SEARCH_RANGES_MAX)
		n = SEARCH_RANGES_MAX;
	for (size_t i = 0; i < n; i++) {
		at += code_points(body, from, spans[i].start);
		ranges[i] = (struct search_range){ at, code_points(body, spans[i].start, spans[i].end) };
		from = spans[i].start;
	}
	*ret_n = n;
	return 0;
}

void query_string(const char *s, size_t len, struct buf *to)
{
	buf_adds(to, "\"");
	for (size_t i = 0; i < len; i++)
		buf_add(to, s[i] == '"' ? "\"\"" : &s[i], s[i] == '"' ? 2 : 1);
	buf_adds(to, "\"");
}

void query_phrase(const struct term *term, const char *last, size_t last_len, struct buf *to)
{
	for (size_t i = 0; i < term->n; i++) {
		bool other = last && i + 1 == term->n;

		if (i)
			buf_adds(to, " + ");
		query_string(other ? last : term->tokens[i].text, other ? last_len : term->tokens[i].len, to);
	}
}
