#include "link/fields.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "core/text.h"

/* By their types on the bus. */
enum field_type { F_U32 = 'u', F_U64 = 't', F_I64 = 'x', F_BOOL = 'b', F_STR = 's' };

struct field {
	enum field_type type;
	size_t offset; /* within the record's struct */
	size_t max;    /* bytes; F_STR only */
};

struct entry {
	const char *name;
	enum link_side reader;
	const struct field *(*fields)(size_t *ret_n);
};

#define TO_WIRE LINK_WIRE
#define TO_KEEPER LINK_KEEPER

/* A field row needs the struct's name, which the field list does not know: a local typedef supplies it. */
#define FIELD_ROW(type, name, max) { F_##type, offsetof(RECORD, name), (max) },
#define DEFINE_FIELDS(NAME, name, tag, list, dir)                  \
	static const struct field *fields_##NAME(size_t *ret_n)    \
	{                                                          \
		typedef struct tag RECORD;                         \
		static const struct field rows[] = { list(FIELD_ROW) }; \
                                                                   \
		*ret_n = ARRAY_SIZE(rows);                         \
		return rows;                                       \
	}
LINK_VOCABULARY(DEFINE_FIELDS)

#define ENTRY(NAME, name, tag, list, dir) [LINK_##NAME] = { #NAME, dir, fields_##NAME },
static const struct entry entries[LINK_KINDS] = { LINK_VOCABULARY(ENTRY) };

const char *link_kind_name(enum link_kind kind)
{
	return kind < LINK_KINDS ? entries[kind].name : "?";
}

/* The union member starts where the struct does, whatever its kind. */
static void *body_of(struct link_record *r)
{
	return &r->start;
}

static const void *body_of_const(const struct link_record *r)
{
	return &r->start;
}

void link_record_init(struct link_record *r, enum link_kind kind)
{
	size_t n;
	const struct field *f = entries[kind].fields(&n);

	*r = (struct link_record){ .kind = kind };
	for (size_t i = 0; i < n; i++)
		if (f[i].type == F_STR)
			*(const char **)(void *)((char *)body_of(r) + f[i].offset) = "";
}

enum link_kind fields_kind(enum link_side side, const char *name)
{
	/* Nearly all of them; it stands last in the vocabulary. */
	if (side == entries[LINK_MSG].reader && strcmp(entries[LINK_MSG].name, name) == 0)
		return LINK_MSG;
	for (int k = 0; k < LINK_KINDS; k++)
		if (entries[k].reader == side && strcmp(entries[k].name, name) == 0)
			return (enum link_kind)k;
	return LINK_KINDS;
}

static bool in_range(int64_t v)
{
	return v >= -LINK_I64_MAX && v <= LINK_I64_MAX;
}

static int read_field(sd_bus_message *m, const struct field *f, void *at)
{
	const char *s;
	uint32_t b;
	int r;

	switch (f->type) {
	case F_U32:
	case F_U64:
		return sd_bus_message_read_basic(m, (char)f->type, at);
	case F_I64:
		r = sd_bus_message_read_basic(m, (char)f->type, at);
		return r > 0 && !in_range(*(int64_t *)at) ? -ERANGE : r;
	case F_BOOL:
		r = sd_bus_message_read_basic(m, (char)f->type, &b);
		if (r > 0)
			*(bool *)at = b;
		return r;
	case F_STR:
		r = sd_bus_message_read_basic(m, (char)f->type, &s);
		if (r > 0 && strlen(s) > f->max)
			return -EMSGSIZE;
		if (r > 0)
			*(const char **)at = s;
		return r;
	}
	return -EINVAL;
}

int fields_read(sd_bus_message *m, struct link_record *ret)
{
	size_t n;
	const struct field *f = entries[ret->kind].fields(&n);
	int r;

	for (size_t i = 0; i < n; i++) {
		r = read_field(m, &f[i], (char *)body_of(ret) + f[i].offset);
		if (r <= 0)
			return r < 0 ? r : -EBADMSG;
	}
	return 0;
}

static int write_field(sd_bus_message *m, const struct field *f, const void *at)
{
	const char *s;
	uint32_t b;

	switch (f->type) {
	case F_U32:
	case F_U64:
		return sd_bus_message_append_basic(m, (char)f->type, at);
	case F_I64:
		return in_range(*(const int64_t *)at) ? sd_bus_message_append_basic(m, (char)f->type, at) : -EBADMSG;
	case F_BOOL:
		b = *(const bool *)at;
		return sd_bus_message_append_basic(m, (char)f->type, &b);
	case F_STR:
		s = *(const char *const *)at;
		if (strlen(s) > f->max)
			return -EMSGSIZE;
		return sd_bus_message_append_basic(m, (char)f->type, s);
	}
	return -EINVAL;
}

int fields_write(sd_bus_message *m, const struct link_record *rec)
{
	size_t n;
	const struct field *f = entries[rec->kind].fields(&n);
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = write_field(m, &f[i], (const char *)body_of_const(rec) + f[i].offset);
	return r;
}

/* ---- packed: the fields one after the other, numbers as the processor has them, strings with their NUL ---- */

/* Of F_STR 0: they end with a NUL. */
static size_t packed_size(enum field_type type)
{
	switch (type) {
	case F_U32:
		return sizeof(uint32_t);
	case F_U64:
	case F_I64:
		return sizeof(uint64_t);
	case F_BOOL:
		return sizeof(bool);
	case F_STR:
		return 0;
	}
	return 0;
}

static int pack_string(struct buf *b, const char *s, size_t max)
{
	size_t len = strlen(s);

	if (len > max)
		return err_origin(-EMSGSIZE);
	if (!text_is_clean(s))
		return err_origin(-EBADMSG);
	buf_add(b, s, len + 1);
	return 0;
}

int fields_pack(struct buf *b, const struct link_record *rec)
{
	size_t n, before = b->len;
	const struct field *f = entries[rec->kind].fields(&n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const void *at = (const char *)body_of_const(rec) + f[i].offset;

		if (f[i].type == F_STR)
			r = pack_string(b, *(const char *const *)at, f[i].max);
		else if (f[i].type == F_I64 && !in_range(*(const int64_t *)at))
			r = err_origin(-EBADMSG);
		else
			buf_add(b, at, packed_size(f[i].type));
	}
	if (r < 0)
		b->len = before;
	return r < 0 ? err_trace(r) : 0;
}

/* The string at ${p}, which ends before ${end}: 0 with its length, and clean. */
static int unpack_string(const char *p, size_t left, size_t max, size_t *ret_len)
{
	const char *nul = memchr(p, '\0', left);

	if (!nul)
		return -EBADMSG;
	*ret_len = (size_t)(nul - p);
	if (*ret_len > max)
		return -EMSGSIZE;
	return text_is_clean(p) ? 0 : -EBADMSG;
}

/* A number of ${size} bytes. What is no bool must never be read as one: it is looked at as a byte. */
static int unpack_number(const struct field *f, const char *p, size_t size, void *at)
{
	if (f->type == F_BOOL && (unsigned char)*p > 1)
		return -EBADMSG;
	memcpy(at, p, size);
	return f->type == F_I64 && !in_range(*(int64_t *)at) ? -ERANGE : 0;
}

int fields_unpack(const char **p, const char *end, struct link_record *ret)
{
	size_t n, len, left;
	const struct field *f = entries[ret->kind].fields(&n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		void *at = (char *)body_of(ret) + f[i].offset;

		left = (size_t)(end - *p);
		len = packed_size(f[i].type);
		if (len > left)
			return -EBADMSG;
		if (f[i].type == F_STR) {
			r = unpack_string(*p, left, f[i].max, &len);
			*(const char **)at = *p;
			len++;
		} else {
			r = unpack_number(&f[i], *p, len, at);
		}
		if (r == 0)
			*p += len;
	}
	return r;
}
