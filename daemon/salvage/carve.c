#include "salvage/carve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/text.h"
#include "salvage/leaf.h"
#include "salvage/names.h"

/* Columns of msg in store/schema.c; later versions add columns at the end. */
enum {
	MSG_ACCOUNT = 1,
	MSG_CONV = 2,
	MSG_MOD = 4,
	MSG_TIME = 5,
	MSG_DIRECTION = 8,
	MSG_STATE = 9,
	MSG_KIND = 10,
	MSG_SENDER = 11,
	MSG_XMPP_ID = 13,
	MSG_ORIGIN_ID = 14,
	MSG_REPLY_TO = 16,
	MSG_ENCRYPTION = 17,
	MSG_ERROR = 18,
	MSG_ERROR_TEXT = 19,
	MSG_EDIT_US = 22,
	MSG_BODY = 24,
	MSG_COLUMNS = 25,
};

static const char *const kinds[] = { "text", "retracted", "dropped" };

/* A leaf page of msg. */
struct leaf {
	int64_t first, last; /* row ids */
	uint32_t pgno;
};

/* One row of several pages that overlap. */
struct place {
	int64_t id, mod;
	uint32_t pgno;
	size_t cell;
};

struct carve {
	const struct image *im;
	struct names *names;
	struct leaf *leaves;
	size_t n_leaves, room;
	carve_fn fn;
	void *userdata;
	int64_t seen; /* the last id */
	struct carve_result *result;
};

/* The whole record, as far as its overflow pages are there: ${buf} holds ${cell}->total bytes. */
static int gather(const struct image *im, const struct leaf_cell *cell, uint8_t *buf, size_t *ret_have)
{
	uint8_t page[PAGE_SIZE];
	uint32_t next = cell->overflow;
	size_t have = cell->here, part;
	int r;

	memcpy(buf, cell->data, have);
	while (have < cell->total && next > 1) {
		r = image_read(im, next, page);
		if (r == -ENODATA)
			break;
		if (r < 0)
			return err_trace(r);
		part = cell->total - have < LEAF_OVERFLOW_BYTES ? cell->total - have : LEAF_OVERFLOW_BYTES;
		memcpy(buf + have, page + 4, part);
		have += part;
		next = leaf_u32(page);
	}
	*ret_have = have;
	return 0;
}

static bool is_int(const struct leaf_value *v)
{
	return v->type == LEAF_INT;
}

/* STRICT tables: types are as declared, and no other table is as wide. */
static bool is_message(const struct leaf_value *v, size_t n)
{
	if (n < MSG_COLUMNS || v[0].type != LEAF_NULL || v[MSG_SENDER].type != LEAF_TEXT)
		return false;
	for (size_t i = MSG_ACCOUNT; i < MSG_SENDER; i++)
		if (!is_int(v + i))
			return false;
	return v[MSG_BODY].type == LEAF_TEXT || v[MSG_BODY].type == LEAF_NULL;
}

static char *text(const struct leaf_value *v)
{
	_cleanup_(freep) char *raw = NULL;

	if (v->type != LEAF_TEXT)
		return xstrdup("");
	raw = xstrndup((const char *)v->data, v->len);
	return text_clean(raw);
}

static void note_missing(struct carve *c, int64_t from, int64_t to)
{
	struct carve_result *r = c->result;

	if (from > to)
		return;
	r->ranges = xrealloc(r->ranges, r->n_ranges + 1, sizeof(r->ranges[0]));
	r->ranges[r->n_ranges++] = (struct carve_range){ from, to };
	r->missing += (uint64_t)(to - from) + 1;
}

static int give(struct carve *c, int64_t id, const struct leaf_value *v)
{
	_cleanup_(freep) char *sender = text(v + MSG_SENDER), *xmpp_id = text(v + MSG_XMPP_ID),
			      *origin_id = text(v + MSG_ORIGIN_ID), *encryption = text(v + MSG_ENCRYPTION),
			      *error = text(v + MSG_ERROR), *error_text = text(v + MSG_ERROR_TEXT),
			      *body = text(v + MSG_BODY);
	struct carved m = {
		.id = id,
		.mod = v[MSG_MOD].i,
		.conv_id = v[MSG_CONV].i,
		.account = names_account(c->names, v[MSG_ACCOUNT].i),
		.conversation = names_conversation(c->names, v[MSG_CONV].i),
		.sender = sender,
		.xmpp_id = xmpp_id,
		.origin_id = origin_id,
		.encryption = encryption,
		.error = error,
		.error_text = error_text,
		.kind = (uint64_t)v[MSG_KIND].i < ARRAY_SIZE(kinds) ? kinds[v[MSG_KIND].i] : "event",
		.direction = v[MSG_DIRECTION].i,
		.state = v[MSG_STATE].i,
		.time_us = v[MSG_TIME].i,
		.edited_us = v[MSG_EDIT_US].i,
		.reply_to = v[MSG_REPLY_TO].i,
		.body = v[MSG_BODY].type == LEAF_TEXT ? body : NULL,
	};

	for (size_t i = 0; i < MSG_COLUMNS; i++)
		m.cut = m.cut || v[i].cut;
	note_missing(c, c->seen + 1, id - 1);
	c->seen = id;
	if (names_removed(c->names, v[MSG_ACCOUNT].i))
		return 0;
	c->result->messages++;
	c->result->cut += m.cut;
	return c->fn(c->userdata, &m);
}

static int give_cell(struct carve *c, const uint8_t page[PAGE_SIZE], uint32_t pgno, size_t i)
{
	_cleanup_(freep) uint8_t *buf = NULL;
	struct leaf_value v[LEAF_COLUMNS_MAX];
	struct leaf_cell cell;
	size_t have = 0;
	int r;

	if (!leaf_cell(page, pgno, i, &cell))
		return 0;
	buf = xcalloc(cell.total, 1);
	r = gather(c->im, &cell, buf, &have);
	if (r < 0)
		return err_trace(r);
	if (!is_message(v, leaf_record(buf, have, cell.total, v)))
		return 0;
	return give(c, cell.rowid, v);
}

static int give_leaf(struct carve *c, uint32_t pgno)
{
	uint8_t page[PAGE_SIZE];
	size_t n;
	int r;

	r = image_read(c->im, pgno, page);
	if (r < 0)
		return err_trace(r);
	n = leaf_count(page, pgno);
	for (size_t i = 0; i < n; i++) {
		r = give_cell(c, page, pgno, i);
		if (r != 0)
			return r;
	}
	return 0;
}

static int by_id_and_age(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->mod < b->mod) - (a->mod > b->mod);
}

static int find_places(struct carve *c, const struct leaf *leaf, struct place **places, size_t *n_places)
{
	struct leaf_value v[LEAF_COLUMNS_MAX];
	uint8_t page[PAGE_SIZE];
	struct leaf_cell cell;
	size_t n;
	int r;

	r = image_read(c->im, leaf->pgno, page);
	if (r < 0)
		return err_trace(r);
	n = leaf_count(page, leaf->pgno);
	*places = xrealloc(*places, *n_places + n, sizeof(struct place));
	for (size_t i = 0; i < n; i++)
		if (leaf_cell(page, leaf->pgno, i, &cell) &&
		    is_message(v, leaf_record(cell.data, cell.here, cell.total, v)))
			(*places)[(*n_places)++] = (struct place){ cell.rowid, v[MSG_MOD].i, leaf->pgno, i };
	return 0;
}

/*
 * Pages whose rows overlap: rows were moved between them, and the log frame of one is lost, so that it is older than the
 * others. Each row counts where it is newest.
 */
static int give_group(struct carve *c, const struct leaf *leaves, size_t n)
{
	_cleanup_(freep) struct place *places = NULL;
	uint8_t page[PAGE_SIZE];
	size_t n_places = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		r = find_places(c, leaves + i, &places, &n_places);
		if (r < 0)
			return err_trace(r);
	}
	if (n_places > 0)
		qsort(places, n_places, sizeof(places[0]), by_id_and_age);
	for (size_t i = 0; i < n_places; i++) {
		if (i > 0 && places[i].id == places[i - 1].id)
			continue;
		r = image_read(c->im, places[i].pgno, page);
		if (r == 0)
			r = give_cell(c, page, places[i].pgno, places[i].cell);
		if (r != 0)
			return r;
	}
	return 0;
}

static int by_first(const void *x, const void *y)
{
	const struct leaf *a = x, *b = y;

	return (a->first > b->first) - (a->first < b->first);
}

static int give_all(struct carve *c)
{
	if (c->n_leaves > 0)
		qsort(c->leaves, c->n_leaves, sizeof(c->leaves[0]), by_first);
	for (size_t i = 0, n; i < c->n_leaves; i += n) {
		int64_t last = c->leaves[i].last;
		int r;

		for (n = 1; i + n < c->n_leaves && c->leaves[i + n].first <= last; n++)
			last = c->leaves[i + n].last > last ? c->leaves[i + n].last : last;
		r = n == 1 ? give_leaf(c, c->leaves[i].pgno) : give_group(c, c->leaves + i, n);
		if (r != 0)
			return r;
	}
	note_missing(c, c->seen + 1, names_last_message(c->names));
	return 0;
}

static void add_leaf(struct carve *c, struct leaf leaf)
{
	if (c->n_leaves == c->room) {
		c->room = c->room * 2 + 256;
		c->leaves = xrealloc(c->leaves, c->room, sizeof(c->leaves[0]));
	}
	c->leaves[c->n_leaves++] = leaf;
}

/* Which table a leaf page belongs to is seen from its rows; small rows of other tables are read at once. */
static void look_at(struct carve *c, const uint8_t page[PAGE_SIZE], uint32_t pgno)
{
	struct leaf_value v[LEAF_COLUMNS_MAX];
	struct leaf leaf = { .pgno = pgno };
	size_t n = leaf_count(page, pgno), n_v, found = 0;
	struct leaf_cell cell;

	for (size_t i = 0; i < n; i++) {
		if (!leaf_cell(page, pgno, i, &cell))
			continue;
		n_v = leaf_record(cell.data, cell.here, cell.total, v);
		if (!is_message(v, n_v)) {
			names_take(c->names, cell.rowid, v, n_v);
			continue;
		}
		if (found++ == 0)
			leaf.first = leaf.last = cell.rowid;
		leaf.first = cell.rowid < leaf.first ? cell.rowid : leaf.first;
		leaf.last = cell.rowid > leaf.last ? cell.rowid : leaf.last;
	}
	if (found > 0)
		add_leaf(c, leaf);
}

int carve_messages(const struct image *im, carve_fn fn, void *userdata, struct carve_result *ret)
{
	struct carve c = { .im = im, .names = names_new(), .fn = fn, .userdata = userdata, .result = ret };
	uint8_t page[PAGE_SIZE];
	int r = 0;

	*ret = (struct carve_result){ 0 };
	for (uint32_t pgno = 1; r >= 0 && pgno <= image_counts(im).pages; pgno++) {
		r = image_read(im, pgno, page);
		if (r == 0)
			look_at(&c, page, pgno);
		else if (r == -ENODATA)
			r = 0;
	}
	names_sort(c.names);
	if (r == 0)
		r = give_all(&c);
	names_free(c.names);
	free(c.leaves);
	return r < 0 ? err_trace(r) : r;
}

void carve_result_deinit(struct carve_result *r)
{
	free(r->ranges);
	*r = (struct carve_result){ 0 };
}
