/*
 * store/archive.h, a page: what of it is here already is looked up before anything of it is stored, then each message gets its
 * place, then they are stored.
 */
#include "store/archive.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "store/aid.h"
#include "store/conv.h"
#include "store/held.h"
#include "store/identity.h"
#include "store/place.h"
#include "store/renew.h"
#include "store/row.h"

#define PART_STEP_US 1000 /* a thousand in a second, and as many places between two */

/* The row that ${it} is another copy of, if it has no place in the archive yet: where it is now. */
static int find_loose(struct put *p, struct item *it, const struct aid *aid, struct place *place)
{
	int64_t msg = aid->msg, key;
	bool placed;
	int r = 0;

	if (!aid->known && item_has_row(it->m)) {
		r = conv_find(p, it);
		if (r == 0)
			r = identity_find(p, it, &msg);
		place->unseen = msg == 0;
	}
	if (r == 0 && msg)
		r = row_key(p, msg, &key, &placed);
	if (r < 0)
		return err_trace(r);
	if (msg && !placed) {
		place->loose = true;
		place->key = key;
	}
	return 0;
}

/*
 * The stamp. In a part of an archive many of one second would stand next to each other, and what comes between them later
 * would find no room (decisions/0003): they keep a distance.
 */
static int64_t natural_place(const struct put *p, const struct message *m, const struct place *before)
{
	int64_t us = item_stamp(p, m);

	return p->part && before && us < before->us + PART_STEP_US ? before->us + PART_STEP_US : us;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Some id of the page belongs to two of its messages. */
static bool has_repeats(const struct message *const *items, size_t n)
{
	_cleanup_(freep) const char **ids = xnewn(const char *, 3 * n + 1);
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		const struct message *m = items[i];

		ids[k++] = m->archive_id;
		if (*m->id && strcmp(m->id, m->archive_id) != 0)
			ids[k++] = m->id;
		if (*m->origin_id && strcmp(m->origin_id, m->id) != 0 && strcmp(m->origin_id, m->archive_id) != 0)
			ids[k++] = m->origin_id;
	}
	qsort(ids, k, sizeof(*ids), by_text);
	for (size_t i = 1; i < k; i++)
		if (strcmp(ids[i - 1], ids[i]) == 0)
			return true;
	return false;
}

/* Two messages of the page have one archive id, and it is known as neither: the second is another. True if there are such. */
static bool mark_twins(const struct message *const *items, size_t n, struct put_outcome *out)
{
	bool any = false;

	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i && !out[i].twin && !out[i].same && !out[i].another; k++)
			out[i].twin = !out[k].another && strcmp(items[i]->archive_id, items[k]->archive_id) == 0 &&
				      renew_are_two(items[i], items[k]);
	for (size_t i = 0; i < n; i++)
		any |= out[i].twin;
	return any;
}

static int look_up(struct put *p, const struct message *const *items, size_t n, struct item *list, struct place *places,
		   struct put_outcome *ret)
{
	bool another = false;
	struct aid aid;
	int r;

	for (size_t i = 0; i < n; i++) {
		r = aid_get(p, items[i]->archive_id, &aid);
		if (r == 0)
			r = renew_judge(p, items[i], &aid, &ret[i]);
		if (r < 0)
			return err_trace(r);
		another |= ret[i].another;
		places[i] = (struct place){
			.id = items[i]->archive_id,
			.us = natural_place(p, items[i], i ? &places[i - 1] : NULL),
			.known = aid.known,
			.placed = aid.known && aid.placed,
			.key = aid.key,
		};
		r = places[i].placed ? 0 : find_loose(p, &list[i], &aid, &places[i]);
		if (r < 0)
			return err_trace(r);
	}
	if (!p->fresh)
		another |= mark_twins(items, n, ret);
	return another ? ARCHIVE_E_ANOTHER : 0;
}

static int put_page_item(struct put *p, struct item *it, const struct place *place, struct put_outcome *ret)
{
	const struct message *m = it->m;
	struct aid aid = { 0 };
	bool final;
	int r = 0;

	/* Asked again: a server that sends one id twice in a page has made it known meanwhile. */
	if (!p->fresh || !place->unseen)
		r = aid_get(p, m->archive_id, &aid);
	if (r < 0)
		return err_trace(r);
	it->key = place->key;
	it->unseen = p->fresh && place->unseen;
	final = aid.known ? place->known && (place->placed ? place->moved : !p->part) : !p->part;
	r = put_item(p, it, &aid, final, ret);
	/* What changes a row that was here before may make another copy of a message of what was none. */
	if (r == 0 && ret->result != PUT_NEW)
		p->fresh = false;
	if (r == 0 && aid.known && p->compare) {
		ret->moved = place->placed && place->moved;
		r = aid.msg && item_has_row(m) ? row_differs(p, it, aid.msg, &ret->different) : 0;
	}
	return r < 0 ? err_trace(r) : 0;
}

static int note_held(struct put *p, const struct archive_page *page, const struct put_outcome *out)
{
	int64_t conv = 0, from = page->to_start ? HELD_TO_START : 0, to = page->held_to;
	bool room, inside = false;
	int r;

	for (size_t i = 0; i < page->n; i++)
		inside = inside || (to && out[i].msg == to);
	if (page->held_inside && !inside)
		return 0;

	for (size_t i = page->n; i-- > 0 && to == 0;)
		to = out[i].msg;

	/* The oldest that has a row; what has none cannot be missed in between. */
	for (size_t i = 0; i < page->n && from == 0; i++)
		from = out[i].msg;
	r = from && to ? conv_look_up(p, page->with, &conv, &room) : 0;
	if (r == 0 && conv)
		r = held_note(p, conv, from, to);
	return r < 0 ? err_trace(r) : 0;
}

int archive_put(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct archive_page *page,
		int64_t now_us, struct put_outcome *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = own_bare, .now_us = now_us,
			 .ahead_us = page->ahead_us, .part = page->part, .compare = page->compare, .keeps = true };
	_cleanup_(freep) struct place *places = xnewn(struct place, page->n + 1);
	_cleanup_(freep) struct item *items = xnewn(struct item, page->n + 1);
	int r;

	if (page->n > ARCHIVE_PAGE_MAX)
		return err_origin(-E2BIG);
	for (size_t i = 0; i < page->n; i++)
		ret[i] = (struct put_outcome){ 0 };
	p.late = has_repeats(page->items, page->n);
	p.fresh = !p.late;
	for (size_t i = 0; i < page->n; i++)
		item_init(&items[i], &p, page->items[i]);
	r = put_begin(&p);
	if (r == 0)
		r = look_up(&p, page->items, page->n, items, places, ret);
	if (r == 0)
		r = place_page(&p, places, page);
	for (size_t i = 0; i < page->n && r == 0; i++)
		r = put_page_item(&p, &items[i], &places[i], &ret[i]);
	for (size_t i = page->n; p.late && i-- > 0 && r == 0;)
		r = ret[i].result == PUT_NEW ? row_welcome(&p, &items[i], ret[i].msg) : 0;
	if (r == 0 && page->with)
		r = note_held(&p, page, ret);
	r = put_end(&p, r);
	for (size_t i = 0; i < page->n; i++)
		item_deinit(&items[i]);
	return r < 0 ? err_trace(r) : r;
}
