/* vault/sidecar-text.h, the reader: what the printer would not write to the byte like this is refused. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "vault/sidecar-text.h"

/* 16 slots with the longest texts, every character escaped, and 512 bytes of fixed lines each, and the head. */
_Static_assert(VAULT_SLOTS_MAX * (2 * SIDECAR_LABEL_MAX + 2 * SIDECAR_PATH_MAX + 512) + 2048 <= SIDECAR_MAX,
	       "the printer cannot write what the parser refuses");

/* A cursor over lines. The first thing that is wrong stays; what follows is then not looked at. */
struct reader {
	const char *p, *end;
	unsigned int line; /* of the value that was read last */
	const char *bad;   /* what is wrong with it; NULL: nothing */
	bool newer;	   /* it is a word that this version does not know */
};

static void spoil(struct reader *r, const char *what)
{
	if (!r->bad)
		r->bad = what;
}

/* The next line is "${word} VALUE": the value and its length. */
static const char *value_of(struct reader *r, const char *word, size_t *ret_len)
{
	size_t word_len = strlen(word);
	const char *eol, *line = r->p;

	*ret_len = 0;
	if (r->bad)
		return "";
	r->line++;
	eol = memchr(line, '\n', (size_t)(r->end - line));
	if (!eol) {
		spoil(r, "it is cut off");
		return "";
	}
	r->p = eol + 1;
	if ((size_t)(eol - line) <= word_len || memcmp(line, word, word_len) != 0 || line[word_len] != ' ') {
		spoil(r, "another line belongs here");
		return "";
	}
	*ret_len = (size_t)(eol - line) - word_len - 1;
	return line + word_len + 1;
}

/* Decimal digits at *p, at most ${max}. */
static uint64_t digits(struct reader *r, const char **p, const char *end, uint64_t max)
{
	uint64_t n = 0;
	const char *first = *p;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		uint64_t digit = (uint64_t)(**p - '0');

		if (n > (max - digit) / 10 && (n > max / 10 || n * 10 > max - digit)) {
			spoil(r, "the number is too large");
			return 0;
		}
		n = n * 10 + digit;
	}
	if (*p == first)
		spoil(r, "a number belongs here");
	return n;
}

static uint64_t read_number(struct reader *r, const char *word, uint64_t min, uint64_t max)
{
	size_t len;
	const char *v = value_of(r, word, &len), *end = v + len;
	uint64_t n;

	if (r->bad)
		return 0;
	n = digits(r, &v, end, max);
	if (!r->bad && v != end)
		spoil(r, "there is something after the number");
	if (!r->bad && n < min)
		spoil(r, "the number is too small");
	return n;
}

static void read_hex(struct reader *r, const char *word, uint8_t *ret, size_t size)
{
	size_t len, n = 0;
	const char *v = value_of(r, word, &len);

	if (r->bad)
		return;
	if (len != 2 * size || sodium_hex2bin(ret, size, v, len, NULL, &n, NULL) < 0 || n != size)
		spoil(r, "it is not the hexadecimal number that belongs here");
}

/* A quoted text of at most ${max} bytes; owned by the caller, never NULL. */
static char *read_quoted(struct reader *r, const char *word, size_t max)
{
	size_t len, n = 0;
	const char *v = value_of(r, word, &len);
	char *s;

	if (r->bad)
		return xstrdup("");
	if (len < 2 || v[0] != '"' || v[len - 1] != '"' || len > 2 * max + 2) {
		spoil(r, "it is not a text in quotes, or too long");
		return xstrdup("");
	}
	s = xnewn(char, len);
	for (size_t i = 1; i < len - 1; i++) {
		if (v[i] == '\\' && i + 1 < len - 1)
			i++;
		s[n++] = v[i];
	}
	if (memchr(s, '\0', n) || !sidecar_text_ok(s, max))
		spoil(r, "the text is not UTF-8 without control characters, or too long");
	return s;
}

/* One of ${words} (NULL ends): its number. Another word is a newer version's. */
static unsigned int read_word(struct reader *r, const char *word, const char *const *words)
{
	size_t len;
	const char *v = value_of(r, word, &len);

	if (r->bad)
		return 0;
	for (unsigned int i = 0; words[i]; i++)
		if (strlen(words[i]) == len && memcmp(words[i], v, len) == 0)
			return i;
	spoil(r, "this version does not know the word");
	r->newer = true;
	return 0;
}

static void read_kdf(struct reader *r, struct sidecar_slot *s)
{
	static const char argon2id[] = "argon2id ";
	size_t len;
	const char *v, *end;

	if (s->type != SLOT_PASSPHRASE) {
		read_word(r, "kdf", (const char *const[]){ "blake2b", NULL });
		return;
	}
	v = value_of(r, "kdf", &len);
	end = v + len;
	if (r->bad)
		return;
	if (len < sizeof(argon2id) || memcmp(v, argon2id, sizeof(argon2id) - 1) != 0) {
		spoil(r, "this version does not know the word");
		r->newer = true;
		return;
	}
	v += sizeof(argon2id) - 1;
	s->ops = digits(r, &v, end, KDF_OPS_MAX);
	if (r->bad)
		return;
	if (v == end || *v++ != ' ') {
		spoil(r, "two numbers belong here");
		return;
	}
	s->mem = digits(r, &v, end, KDF_MEM_MAX);
	if (!r->bad && (v != end || s->ops < KDF_OPS_MIN || s->mem < KDF_MEM_MIN))
		spoil(r, "the numbers are too small, or there is something after them");
}

static bool path_ok(const struct sidecar_slot *s)
{
	switch (s->type) {
	case SLOT_KEYFILE:
		return *s->path != '\0';
	case SLOT_CREDENTIAL:
		return sidecar_name_ok(s->path);
	case SLOT_PASSPHRASE:
	case SLOT_RECOVERY:
		return *s->path == '\0';
	}
	return false;
}

static void read_slot(struct reader *r, struct sidecar *s, uint32_t after)
{
	static const enum slot_type types[] = { SLOT_KEYFILE, SLOT_PASSPHRASE, SLOT_CREDENTIAL, SLOT_RECOVERY };
	const char *names[ARRAY_SIZE(types) + 1] = { 0 };
	struct sidecar_slot *slot = &s->slots[s->n_slots++];

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		names[i] = kdf_type_name(types[i]);
	slot->id = (uint32_t)read_number(r, "slot", 1, UINT32_MAX - 1);
	if (!r->bad && (slot->id <= after || slot->id >= s->next_slot))
		spoil(r, "the number of the slot is out of order");
	slot->type = types[read_word(r, "type", names)];
	slot->created_us = (int64_t)read_number(r, "created", 0, INT64_MAX);
	slot->label = read_quoted(r, "label", SIDECAR_LABEL_MAX);
	slot->path = read_quoted(r, "path", SIDECAR_PATH_MAX);
	if (!r->bad && !path_ok(slot))
		spoil(r, "this is no path for a slot of this type");
	read_kdf(r, slot);
	read_hex(r, "salt", slot->salt, sizeof(slot->salt));
	read_hex(r, "nonce", slot->nonce, sizeof(slot->nonce));
	read_hex(r, "key", slot->wrapped, sizeof(slot->wrapped));
}

static void read_all(struct reader *r, struct sidecar *s)
{
	uint8_t check[SIDECAR_CHECK];
	uint64_t slots;

	read_hex(r, "vault", s->vault_id, sizeof(s->vault_id));
	s->database = read_quoted(r, "database", SIDECAR_DATABASE_MAX);
	if (!r->bad && !sidecar_name_ok(s->database))
		spoil(r, "it is not the name of a file beside this one");
	read_hex(r, "file", s->file_id, sizeof(s->file_id));
	s->epoch = (uint32_t)read_number(r, "epoch", 1, UINT32_MAX);
	read_number(r, "page", PAGE_SIZE, PAGE_SIZE);
	read_number(r, "reserve", PAGE_RESERVE, PAGE_RESERVE);
	read_word(r, "alg", (const char *const[]){ SIDECAR_ALG, NULL });
	s->ready = read_word(r, "state", (const char *const[]){ "creating", "ready", NULL }) == 1;
	s->next_slot = (uint32_t)read_number(r, "next-slot", 2, UINT32_MAX);
	slots = read_number(r, "slots", 1, VAULT_SLOTS_MAX);
	for (uint64_t i = 0; i < slots && !r->bad; i++)
		read_slot(r, s, i ? s->slots[i - 1].id : 0);
	read_hex(r, "mac", s->mac, sizeof(s->mac));
	read_hex(r, "check", check, sizeof(check));
	if (!r->bad && r->p != r->end) {
		r->line++;
		spoil(r, "there is something after the end");
	}
}

/* The last line is "check" and the sum of all before it, in any format. */
static bool check_ok(const char *text, size_t len)
{
	enum { LINE = 6 + 2 * SIDECAR_CHECK + 1 };
	uint8_t want[SIDECAR_CHECK], have[SIDECAR_CHECK];
	size_t n = 0;

	if (len <= LINE || memcmp(text + len - LINE, "check ", 6) != 0 || text[len - 1] != '\n')
		return false;
	if (sodium_hex2bin(have, sizeof(have), text + len - LINE + 6, 2 * SIDECAR_CHECK, NULL, &n, NULL) < 0 ||
	    n != sizeof(have))
		return false;
	sidecar_check_of(text, len - LINE, want);
	return memcmp(want, have, sizeof(want)) == 0;
}

static int damaged(char **ret_why, unsigned int line, const char *what)
{
	*ret_why = xasprintf("line %u: %s", line, what);
	return SIDECAR_E_DAMAGED;
}

/* Title and comment. 0, or the outcome. */
static int read_head(struct reader *r, bool intact, char **ret_why)
{
	const char *p, *eol = memchr(r->p, '\n', (size_t)(r->end - r->p));
	struct reader number = { 0 };
	uint64_t version;

	r->line = 1;
	if (!eol || (size_t)(eol - r->p) < sizeof(SIDECAR_TITLE) - 1 ||
	    memcmp(r->p, SIDECAR_TITLE, sizeof(SIDECAR_TITLE) - 1) != 0)
		return damaged(ret_why, 1, "this is no key store of varve");
	p = r->p + sizeof(SIDECAR_TITLE) - 1;
	version = digits(&number, &p, eol, UINT32_MAX);
	if (number.bad || p != eol || version == 0)
		return damaged(ret_why, 1, "a number belongs here");
	if (version != 1 && intact) {
		*ret_why = xasprintf("it has format %" PRIu64, version);
		return SIDECAR_E_NEWER;
	}
	if (version != 1)
		return damaged(ret_why, 1, "the check sum at the end does not fit");
	r->p = eol + 1;
	r->line = 2;
	if ((size_t)(r->end - r->p) < sizeof(SIDECAR_COMMENT) - 1 ||
	    memcmp(r->p, SIDECAR_COMMENT, sizeof(SIDECAR_COMMENT) - 1) != 0)
		return damaged(ret_why, 2, "another line belongs here");
	r->p += sizeof(SIDECAR_COMMENT) - 1;
	return 0;
}

/* The line in which two texts differ. */
static unsigned int first_difference(const char *a, const char *b)
{
	unsigned int line = 1;

	for (; *a && *a == *b; a++, b++)
		line += *a == '\n';
	return line;
}

int sidecar_parse(const void *bytes, size_t len, struct sidecar *ret, char **ret_why)
{
	struct reader r = { .p = bytes, .end = (const char *)bytes + len };
	_cleanup_(freep) char *text = NULL, *canon = NULL;
	struct sidecar s = { 0 };
	bool intact;
	int outcome;

	if (len > SIDECAR_MAX) {
		*ret_why = xasprintf("it is larger than %d bytes", SIDECAR_MAX);
		return SIDECAR_E_DAMAGED;
	}
	if (len == 0)
		return damaged(ret_why, 1, "it is empty");
	intact = check_ok(bytes, len);
	outcome = read_head(&r, intact, ret_why);
	if (outcome)
		return outcome;
	read_all(&r, &s);
	if (!r.bad && !intact)
		spoil(&r, "the check sum does not fit: something before it was changed");
	if (!r.bad) {
		/* One text for a struct: no leading zeros, no capital hexadecimals, no other escapes. */
		text = xstrndup(bytes, len);
		canon = sidecar_text(&s);
		if (strlen(text) != len || strcmp(text, canon) != 0) {
			r.line = first_difference(text, canon);
			spoil(&r, "varve does not write it like this");
		}
	}
	if (r.bad) {
		outcome = damaged(ret_why, r.line, r.bad);
		sidecar_deinit(&s);
		return r.newer && intact ? SIDECAR_E_NEWER : outcome;
	}
	*ret = s;
	return 0;
}

/* Length of the character at ${p} (NUL-terminated), its code in *ret; 0: not well-formed (RFC 3629 section 4). */
static size_t character(const uint8_t *p, uint32_t *ret)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	if ((p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

bool sidecar_text_ok(const char *s, size_t max)
{
	if (strlen(s) > max)
		return false;
	while (*s) {
		uint32_t c = 0;
		size_t n = character((const uint8_t *)s, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
		if ((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
			return false;
		s += n;
	}
	return true;
}

bool sidecar_name_ok(const char *s)
{
	return *s && *s != '.' && !strchr(s, '/') && sidecar_text_ok(s, SIDECAR_DATABASE_MAX);
}
