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

int fields_check(const struct link_record *rec, size_t *ret_bytes)
{
	size_t n;
	const struct field *f = entries[rec->kind].fields(&n);

	*ret_bytes = 0;
	for (size_t i = 0; i < n; i++) {
		const void *at = (const char *)body_of_const(rec) + f[i].offset;
		const char *s;
		size_t len;

		if (f[i].type == F_I64 && !in_range(*(const int64_t *)at))
			return err_origin(-EBADMSG);
		if (f[i].type != F_STR)
			continue;
		s = *(const char *const *)at;
		len = strlen(s);
		if (len > f[i].max)
			return err_origin(-EMSGSIZE);
		if (!text_is_clean(s))
			return err_origin(-EBADMSG);
		*ret_bytes += len;
	}
	return 0;
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
