#include "salvage/root.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "salvage/leaf.h"

enum {
	TABLE_INTERIOR = 5,
	TABLE_LEAF = 13,
	AT_CHANGES = 24,
	AT_SCHEMA_COOKIE = 40,
	AT_SCHEMA_FORMAT = 44,
	AT_ENCODING = 56,
	AT_APPLICATION_ID = 68,
	ROOT_LEAVES_MAX = 128, /* the schema fills three; this many fit as children of page 1 */
};

static const uint8_t application_id[] = { 'v', 'a', 'r', 'v' }; /* store/schema.h */

/* A leaf of sqlite_schema. */
struct part {
	uint32_t pgno;
	int64_t first, last;
};

static bool is_word(const struct leaf_value *v, const char *word)
{
	return v->type == LEAF_TEXT && v->len == strlen(word) && memcmp(v->data, word, v->len) == 0;
}

/* type, name, tbl_name, rootpage, sql */
static bool is_schema_row(const struct leaf_value *v, size_t n)
{
	return n == 5 && (is_word(v, "table") || is_word(v, "index") || is_word(v, "trigger") || is_word(v, "view")) &&
	       v[1].type == LEAF_TEXT && v[2].type == LEAF_TEXT && v[3].type == LEAF_INT &&
	       (v[4].type == LEAF_TEXT || v[4].type == LEAF_NULL);
}

static bool is_part(const uint8_t page[PAGE_SIZE], uint32_t pgno, struct part *ret)
{
	struct leaf_value v[LEAF_COLUMNS_MAX];
	size_t n = leaf_count(page, pgno);
	struct leaf_cell c;

	for (size_t i = 0; i < n; i++) {
		if (!leaf_cell(page, pgno, i, &c) || !is_schema_row(v, leaf_record(c.data, c.here, c.total, v)))
			return false;
		if (i == 0)
			ret->first = c.rowid;
		ret->last = c.rowid;
	}
	ret->pgno = pgno;
	return n > 0;
}

static int by_rowid(const void *x, const void *y)
{
	const struct part *a = x, *b = y;

	return (a->first > b->first) - (a->first < b->first);
}

static void put_u16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, v >> 16);
	put_u16(p + 2, v & 0xffff);
}

/* Rowids of sqlite_schema are small: two bytes are enough for a key of the root. */
static bool key_fits(const struct part *p)
{
	return p->last >= 0 && p->last < 1 << 14;
}

/* The root as an interior page above ${parts}; an empty leaf if there are none. */
static void put_tree(uint8_t page[PAGE_SIZE], const struct part *parts, size_t n)
{
	uint8_t *head = page + DB_HEADER;
	size_t at = PAGE_BODY;

	head[0] = n > 0 ? TABLE_INTERIOR : TABLE_LEAF;
	for (size_t i = 0; i + 1 < n; i++) {
		at -= 6;
		put_u32(page + at, parts[i].pgno);
		page[at + 4] = (uint8_t)(0x80 | parts[i].last >> 7);
		page[at + 5] = (uint8_t)(parts[i].last & 0x7f);
		put_u16(head + 12 + 2 * i, at);
	}
	put_u16(head + 3, n > 0 ? n - 1 : 0);
	put_u16(head + 5, at);
	if (n > 0)
		put_u32(head + 8, parts[n - 1].pgno);
}

int root_make(const struct image *im, uint8_t page[PAGE_SIZE])
{
	struct part parts[ROOT_LEAVES_MAX], p;
	uint8_t other[PAGE_SIZE];
	size_t n = 0;
	int r;

	for (uint32_t pgno = 2; pgno <= image_counts(im).pages && n < ROOT_LEAVES_MAX; pgno++) {
		r = image_read(im, pgno, other);
		if (r == -ENODATA)
			continue;
		if (r < 0)
			return err_trace(r);
		if (is_part(other, pgno, &p) && key_fits(&p))
			parts[n++] = p;
	}
	qsort(parts, n, sizeof(parts[0]), by_rowid);
	memset(page, 0, PAGE_SIZE);
	page_header_synthesize(page);
	put_u32(page + AT_CHANGES, 1);
	put_u32(page + AT_SCHEMA_COOKIE, 1);
	put_u32(page + AT_SCHEMA_FORMAT, 4);
	put_u32(page + AT_ENCODING, 1); /* UTF-8 */
	memcpy(page + AT_APPLICATION_ID, application_id, sizeof(application_id));
	put_tree(page, parts, n);
	return 0;
}
