#include "store/tokenizer.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/script.h"

struct tokenizer {
	fts5_tokenizer words; /* unicode61 */
	Fts5Tokenizer *instance;
};

/* One run over a text. */
struct run {
	struct tokenizer *t;
	const char *text;
	size_t len;
	size_t base; /* where the piece that unicode61 sees begins */
	token_fn fn;
	void *userdata;
	int r; /* first failure, or what ${fn} returned */
};

static int emit(struct run *run, enum token_kind kind, const char *text, size_t len, size_t start, size_t end)
{
	const struct token token = { kind, text, len, start, end };

	run->r = run->fn(run->userdata, &token);
	return run->r;
}

/* Bytes of ${s} up to TOKEN_MAX that do not cut a character. */
static size_t cut(const char *s, size_t len)
{
	if (len <= TOKEN_MAX)
		return len;
	len = TOKEN_MAX;
	while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
		len--;
	return len;
}

/* Characters that script_is_optional() may know lead with one of these bytes. */
static bool has_optional(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c >= 0xd6 && c <= 0xdb) || c == 0xe0 || c >= 0xef)
			return true;
	}
	return false;
}

static size_t drop_optional(const char *s, size_t len, char out[TOKEN_MAX])
{
	size_t n = 0;
	uint32_t c;

	for (size_t at = 0, step; at < len; at += step) {
		step = script_decode(s + at, len - at, &c);
		if (script_is_optional(c))
			continue;
		memcpy(out + n, s + at, step);
		n += step;
	}
	return n;
}

/* A word of unicode61: its callback. */
static int on_word(void *ctx, _unused_ int flags, const char *text, int n, int start, int end)
{
	struct run *run = ctx;
	size_t len = cut(text, (size_t)n);
	char buf[TOKEN_MAX];

	if (has_optional(text, len)) {
		len = drop_optional(text, len, buf);
		text = buf;
	}
	if (len == 0)
		return SQLITE_OK;
	/* The value matters to nobody but unicode61, which stops. */
	return emit(run, TOKEN_WORD, text, len, run->base + (size_t)start, run->base + (size_t)end) == 0 ? SQLITE_OK :
													   SQLITE_DONE;
}

static int words(struct run *run, size_t from, size_t to)
{
	int code;

	if (from == to)
		return 0;
	run->base = from;
	code = run->t->words.xTokenize(run->t->instance, run, 0, run->text + from, (int)(to - from), on_word);
	if (run->r == 0 && code != SQLITE_OK)
		run->r = err_origin(-ENOMEM);
	return run->r;
}

static enum script peek(const struct run *run, size_t at, uint32_t *ret_c, size_t *ret_n)
{
	*ret_c = UINT32_MAX;
	*ret_n = 0;
	if (at >= run->len)
		return SCRIPT_BAD;
	*ret_n = script_decode(run->text + at, run->len - at, ret_c);
	return script_of(*ret_c);
}

/* A run of characters without spaces from ${at} on; *ret_end: what follows it. */
static int pairs(struct run *run, size_t at, size_t *ret_end)
{
	char pair[8];
	size_t prev = at, prev_n = 0, n;
	uint32_t c;

	for (;; at += n) {
		enum script script = peek(run, at, &c, &n);

		if (script == SCRIPT_BLANK)
			continue;
		if (script != SCRIPT_RUN)
			break;
		if (prev_n) {
			memcpy(pair, run->text + prev, prev_n);
			memcpy(pair + prev_n, run->text + at, n);
			if (emit(run, TOKEN_PAIR, pair, prev_n + n, prev, at + n) != 0)
				return run->r;
		}
		prev = at;
		prev_n = n;
	}
	*ret_end = at;
	return emit(run, TOKEN_LAST, run->text + prev, prev_n, prev, prev + prev_n);
}

static bool is_between(uint32_t c, uint32_t first, uint32_t last)
{
	return c >= first && c <= last;
}

struct picture {
	char text[TOKEN_MAX];
	size_t len;
};

/* What does not fit is left out: no emoji has that many parts. */
static void picture_add(struct picture *p, const char *s, size_t n)
{
	if (p->len + n > sizeof(p->text))
		return;
	memcpy(p->text + p->len, s, n);
	p->len += n;
}

/* Selectors and skin tones after a picture; tags belong to it. */
static size_t skip_style(const struct run *run, size_t at, struct picture *p)
{
	uint32_t c;
	size_t n;

	for (;; at += n) {
		enum script script = peek(run, at, &c, &n);

		if (is_between(c, CHAR_TAG_FIRST, CHAR_TAG_LAST))
			picture_add(p, run->text + at, n);
		else if (!is_between(c, CHAR_TONE_FIRST, CHAR_TONE_LAST) && (script != SCRIPT_BLANK || c == CHAR_ZWJ))
			return at;
	}
}

/* One emoji from ${at} on. */
static int picture(struct run *run, size_t at, size_t *ret_end)
{
	struct picture p = { .len = 0 };
	size_t start = at, n, join_n;
	uint32_t c, next;

	(void)peek(run, at, &c, &n);
	picture_add(&p, run->text + at, n);
	at += n;
	if (is_between(c, CHAR_REGIONAL_A, CHAR_REGIONAL_Z)) {
		(void)peek(run, at, &next, &n);
		if (is_between(next, CHAR_REGIONAL_A, CHAR_REGIONAL_Z)) {
			picture_add(&p, run->text + at, n);
			at += n;
		}
	}
	at = skip_style(run, at, &p);
	for (;;) {
		(void)peek(run, at, &c, &join_n);
		if (c != CHAR_ZWJ || peek(run, at + join_n, &next, &n) != SCRIPT_EMOJI)
			break;
		picture_add(&p, run->text + at, join_n + n);
		at = skip_style(run, at + join_n + n, &p);
	}
	*ret_end = at;
	return emit(run, TOKEN_EMOJI, p.text, p.len, start, at);
}

int tokenizer_run(struct tokenizer *t, const char *text, size_t len, token_fn fn, void *userdata)
{
	struct run run = { .t = t, .text = text, .len = len, .fn = fn, .userdata = userdata };
	size_t at = 0, from = 0, n;
	uint32_t c;

	while (at < len && run.r == 0) {
		enum script script;

		if ((unsigned char)text[at] < 0x80) {
			at++;
			continue;
		}
		script = peek(&run, at, &c, &n);
		if (script == SCRIPT_WORD || script == SCRIPT_BLANK) {
			at += n;
			continue;
		}
		if (words(&run, from, at) != 0)
			return run.r;
		if (script == SCRIPT_RUN)
			pairs(&run, at, &at);
		else if (script == SCRIPT_EMOJI)
			picture(&run, at, &at);
		else
			at += n;
		from = at;
	}
	return run.r == 0 ? words(&run, from, len) : run.r;
}

static int find_fts5(sqlite3 *db, fts5_api **ret)
{
	sqlite3_stmt *st = NULL;
	int code;

	*ret = NULL;
	code = sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &st, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_pointer(st, 1, ret, "fts5_api_ptr", NULL);
	if (code == SQLITE_OK)
		(void)sqlite3_step(st);
	sqlite3_finalize(st);
	return *ret && (*ret)->iVersion >= 2 ? 0 : err_origin(-ENOTSUP);
}

static int new_tokenizer(fts5_api *api, struct tokenizer **ret)
{
	/* M*: the vowel signs of Devanagari, Tamil ... are parts of words. */
	static const char *args[] = { "remove_diacritics", "2", "categories", "L* N* Co Mn Mc" };
	_cleanup_(tokenizer_freep) struct tokenizer *t = xnew(struct tokenizer);
	void *userdata = NULL;
	int code;

	code = api->xFindTokenizer(api, "unicode61", &userdata, &t->words);
	if (code == SQLITE_OK)
		code = t->words.xCreate(userdata, args, ARRAY_SIZE(args), &t->instance);
	if (code != SQLITE_OK)
		return err_origin(code == SQLITE_NOMEM ? -ENOMEM : -ENOTSUP);
	*ret = TAKE_PTR(t);
	return 0;
}

int tokenizer_new(sqlite3 *db, struct tokenizer **ret)
{
	fts5_api *api;
	int r = find_fts5(db, &api);

	if (r == 0)
		r = new_tokenizer(api, ret);
	return r < 0 ? err_trace(r) : 0;
}

struct tokenizer *tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return NULL;
	if (t->instance)
		t->words.xDelete(t->instance);
	free(t);
	return NULL;
}

/* The side of FTS5. */

struct to_fts5 {
	void *ctx;
	int (*token)(void *ctx, int flags, const char *text, int len, int start, int end);
};

static int on_token(void *userdata, const struct token *t)
{
	struct to_fts5 *to = userdata;

	return to->token(to->ctx, 0, t->text, (int)t->len, (int)t->start, (int)t->end);
}

static int chat_create(void *api, _unused_ const char **args, int n_args, Fts5Tokenizer **ret)
{
	struct tokenizer *t;

	if (n_args != 0)
		return SQLITE_ERROR;
	if (new_tokenizer(api, &t) < 0)
		return SQLITE_ERROR;
	*ret = (Fts5Tokenizer *)t;
	return SQLITE_OK;
}

static void chat_delete(Fts5Tokenizer *t)
{
	tokenizer_free((struct tokenizer *)t);
}

static int chat_tokenize(Fts5Tokenizer *t, void *ctx, int flags, const char *text, int len,
			 int (*token)(void *, int, const char *, int, int, int))
{
	struct to_fts5 to = { ctx, token };
	int r;

	if (!text || len <= 0)
		return SQLITE_OK;
	/* A query is made of tokens already: a pair would become a pair and its last character. */
	if (flags & FTS5_TOKENIZE_QUERY)
		return token(ctx, 0, text, len, 0, len);
	r = tokenizer_run((struct tokenizer *)t, text, (size_t)len, on_token, &to);
	return r < 0 ? SQLITE_NOMEM : r;
}

int tokenizer_register(sqlite3 *db)
{
	static fts5_tokenizer chat = { chat_create, chat_delete, chat_tokenize };
	fts5_api *api;
	int r = find_fts5(db, &api);

	if (r < 0)
		return err_trace(r);
	return api->xCreateTokenizer(api, "chat", api, &chat, NULL) == SQLITE_OK ? 0 : err_origin(-ENOMEM);
}
