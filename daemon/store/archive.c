#include "store/archive.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "core/jid.h"
#include "store/aid.h"
#include "store/conv.h"
#include "store/gone.h"
#include "store/held.h"
#include "store/identity.h"
#include "store/known.h"
#include "store/outbox-priv.h"
#include "store/pending.h"
#include "store/place.h"
#include "store/renew.h"
#include "store/row.h"

#define PART_STEP_US 1000 /* a thousand in a second, and as many places between two */

static int find_archive(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_GET);

	put_i(&q, account);
	put_t(&q, jid);
	return db_int(&q, 0, ret);
}

static int add_archive(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_ADD);

	put_i(&q, account);
	put_t(&q, jid);
	return db_insert(&q, ret);
}

int archive_id(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	int r;

	if (!*jid && s->own_account == account) {
		*ret = s->own_archive;
		return 0;
	}
	r = find_archive(s, account, jid, ret);
	if (r == 0 && !*ret)
		r = add_archive(s, account, jid, ret);
	if (r < 0)
		return err_trace(r);
	if (!*jid) {
		s->own_account = account;
		s->own_archive = *ret;
	}
	return 0;
}

/* Does the payload make, or find, a row of its own? */
static bool has_row(const struct message *m)
{
	return (m->payload == PAYLOAD_TEXT && !*m->replace_id) || m->payload == PAYLOAD_DROPPED;
}

/* XEP-0424 section 4: an archive may keep a tombstone in the place of a retracted message, under its id. */
static bool is_tombstone(const struct message *m)
{
	return m->payload == PAYLOAD_RETRACTION && m->via == VIA_ARCHIVE &&
	       (!*m->target_id || (*m->id && strcmp(m->target_id, m->id) == 0));
}

/* Nothing to keep but the place in the archive. */
static int put_place(struct put *p, const struct item *it, bool placed, struct put_outcome *ret)
{
	const char *id = it->m->archive_id;
	int r = *id ? aid_add(p, id, it->key, placed, 0) : 0;

	if (r < 0)
		return err_trace(r);
	*ret = (struct put_outcome){ .result = PUT_NOTHING, .aid_is_new = *id };
	return 0;
}

/* A new message, or another copy of one. ${placed}: it->key is final for its archive id, which is not known yet. */
static int put_row(struct put *p, struct item *it, bool placed, struct put_outcome *ret)
{
	const char *id = it->m->archive_id;
	int64_t msg = 0;
	int r = 0;

	if (!it->unseen)
		r = conv_find(p, it);
	if (r == 0 && !it->unseen)
		r = identity_find(p, it, &msg);
	if (r < 0)
		return err_trace(r);
	if (msg == 0) {
		r = gone_is(p, it);
		if (r > 0)
			return put_place(p, it, placed, ret);
		if (r == 0)
			r = row_add(p, it, placed, &msg);
		if (r < 0)
			return err_trace(r);
		*ret = (struct put_outcome){ .result = PUT_NEW, .msg = msg, .aid_is_new = *id };
		return 0;
	}
	r = *id ? aid_add(p, id, it->key, placed, msg) : 0;
	if (r == 0)
		r = row_seen_again(p, it, msg);
	if (r == 0)
		r = row_rekey(p, msg);
	if (r == 0 && it->m->payload == PAYLOAD_RETRACTION)
		r = refs_retract(p, msg);
	if (r < 0)
		return err_trace(r);
	*ret = (struct put_outcome){ .result = PUT_KNOWN, .msg = msg, .aid_is_new = *id };
	return 0;
}

/* What makes no row: it acts on another message, or is only a place in the archive. */
static int put_other(struct put *p, struct item *it, bool placed, struct put_outcome *ret)
{
	const char *id = it->m->archive_id;
	int r;

	r = refs_put(p, it);
	if (r < 0)
		return err_trace(r);
	*ret = (struct put_outcome){ .result = r > 0 ? PUT_APPLIED : PUT_NOTHING, .aid_is_new = *id };
	r = *id ? aid_add(p, id, it->key, placed, 0) : 0;
	return r < 0 ? err_trace(r) : 0;
}

static int put_new(struct put *p, struct item *it, bool placed, struct put_outcome *ret)
{
	int r;

	/* Under the id of what it names, and new here: a client that took that one for its retraction. */
	if (has_row(it->m) || (is_tombstone(it->m) && !*it->m->target_id))
		r = put_row(p, it, placed, ret);
	else
		r = put_other(p, it, placed, ret);
	return r < 0 ? err_trace(r) : 0;
}

/* It stands somewhere else now: where our clock was wrong, before what seemed to have come before it. */
static int find_what_waits(struct put *p, struct item *it)
{
	int r = 0;

	if (!p->pending)
		return 0;
	if (!it->conv)
		r = conv_find(p, it);
	if (r == 0 && it->conv)
		r = pending_apply(p, it->conv, it->m->id);
	return r < 0 ? err_trace(r) : 0;
}

/* The archive id is stored already. ${moved}: this page gives it its place, or another one. */
static int put_known(struct put *p, struct item *it, const struct aid *aid, bool moved, struct put_outcome *ret)
{
	int r = 0;

	*ret = (struct put_outcome){ .result = PUT_KNOWN, .msg = aid->msg };
	if (moved)
		r = aid_place(p, it->m->archive_id, it->key);
	if (r == 0 && aid->msg && is_tombstone(it->m))
		r = refs_retract(p, aid->msg);
	if (r == 0 && aid->msg)
		r = row_seen_again(p, it, aid->msg);
	if (r == 0 && aid->msg)
		r = row_rekey(p, aid->msg);
	if (r == 0 && aid->msg && moved && has_row(it->m))
		r = find_what_waits(p, it);
	/* A correction or reaction learns its place in the archive, which decides which one is the newest. */
	if (r == 0 && !aid->msg && moved && !has_row(it->m))
		r = refs_put(p, it);
	return r < 0 ? err_trace(r) : 0;
}

int put_any(struct put *p, enum put_none what, enum sql any, bool *ret)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int r;

	*ret = false;
	if (p->s->none_account == p->account && p->s->none & what)
		return 0;
	q = db_use(p->s, any);
	put_i(&q, p->account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = r > 0;
	if (p->s->none_account != p->account)
		p->s->none = 0;
	p->s->none_account = p->account;
	if (!*ret)
		p->s->none |= what;
	return 0;
}

void put_has(struct put *p, enum put_none what)
{
	if (p->s->none_account == p->account)
		p->s->none &= ~(unsigned int)what;
}

int put_begin(struct put *p)
{
	int r;

	if (!p->s->in_tx)
		return err_origin(-EPERM);
	r = pending_begin(p);
	if (r == 0)
		r = gone_begin(p);
	if (r == 0)
		r = outbox_begin(p);
	return r < 0 ? err_trace(r) : 0;
}

int put_end(struct put *p, int r)
{
	int outcome = r > 0 ? r : 0;

	if (r >= 0)
		r = conv_settle(p);
	free(p->dirty);
	known_forget(p);
	/* What was done by half must not be committed by somebody who overlooks the error. */
	if (r < 0 && p->s->in_tx && p->s->tx_error == 0)
		p->s->tx_error = r;
	return r < 0 ? err_trace(r) : outcome;
}

int put_natural_key(struct put *p, int64_t *ret)
{
	int64_t top;
	int r = row_top_key(p, &top);

	if (r < 0)
		return err_trace(r);
	*ret = p->now_us > top ? p->now_us : top + 1;
	return 0;
}

/* A place came up to which another device has read. */
static int read_up_to_here(struct put *p, struct item *it)
{
	_cleanup_(freep) char *target = NULL;
	int r = 0;

	if (!p->pending || !*it->m->archive_id)
		return 0;
	if (!it->conv)
		r = conv_find(p, it);
	target = refs_read_target(it->m->archive_id);
	if (r == 0 && it->conv)
		r = pending_apply(p, it->conv, target);
	return r < 0 ? err_trace(r) : 0;
}

/* What follows from any stanza once it is stored. */
static int put_after(struct put *p, struct item *it, const struct put_outcome *out)
{
	int r = outbox_met(p, it);

	if (r == 0 && out->aid_is_new)
		r = read_up_to_here(p, it);
	return r < 0 ? err_trace(r) : 0;
}

static int put_live(struct put *p, struct item *it, bool extends, struct put_outcome *ret)
{
	struct aid aid;
	int r;

	r = aid_get(p, it->m->archive_id, &aid);
	if (r == 0 && aid.known && (aid.placed || !extends))
		return put_known(p, it, &aid, false, ret);
	if (r == 0)
		r = put_natural_key(p, &it->key);
	/* A part of the archive brought it before the stream did: its place is where the stream puts it. */
	if (r == 0 && aid.known)
		return put_known(p, it, &aid, true, ret);
	if (r == 0)
		r = put_new(p, it, extends && *it->m->archive_id, ret);
	return r < 0 ? err_trace(r) : 0;
}

/* Is the archive id of ${m}, which is known as ${aid}, known as this message? */
static int judge(struct put *p, const struct message *m, const struct aid *aid, struct put_outcome *ret)
{
	enum renew_verdict verdict = RENEW_UNCLEAR;
	int r = aid->known && aid->msg ? renew_judge(p, m, aid->msg, &verdict) : 0;

	if (r < 0)
		return err_trace(r);
	ret->another = verdict == RENEW_OTHER;
	ret->same = verdict == RENEW_SAME;
	ret->another_key = aid->key;
	return 0;
}

int archive_put_live(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct message *m,
		     int64_t now_us, bool extends, struct put_outcome *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = own_bare, .now_us = now_us };
	struct put_outcome out = { 0 };
	struct put_outcome what = { 0 };
	struct message unplaced = *m;
	struct item it;
	struct aid aid;
	int r;

	r = aid_get(&p, m->archive_id, &aid);
	if (r == 0)
		r = judge(&p, m, &aid, &what);
	if (r < 0)
		return err_trace(r);
	if (what.another) {
		unplaced.archive_id = "";
		m = &unplaced;
		extends = false;
	}
	item_init(&it, &p, m);
	r = put_begin(&p);
	if (r == 0)
		r = put_live(&p, &it, extends, &out);
	if (r == 0)
		r = put_after(&p, &it, &out);
	r = put_end(&p, r);
	item_deinit(&it);
	out.another = what.another;
	if (r < 0)
		return err_trace(r);
	*ret = out;
	return 0;
}

static int put_read(struct put *p, struct item *it, const char *stanza_id)
{
	_cleanup_(freep) char *target = refs_read_target(stanza_id);
	struct ref ref = { .kind = REF_OWN_READ, .target = target, .author = "", .id = "", .value = "",
			   .encryption = "" };
	int r;

	r = conv_get(p, it);
	ref.conv = it->conv;
	if (r == 0)
		r = pending_drop_read(p, it->conv);
	if (r == 0)
		r = refs_apply(p, &ref);
	if (r == 0)
		r = pending_add(p, &ref);
	return r < 0 ? err_trace(r) : 0;
}

int archive_put_read(struct store *s, int64_t account, int64_t archive, const char *jid, const char *stanza_id,
		     int64_t now_us)
{
	_cleanup_(freep) char *bare = jid_bare(jid);
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = "", .now_us = now_us };
	struct item it = { .conv_jid = bare };
	int r;

	r = put_begin(&p);
	if (r == 0 && *bare && *stanza_id)
		r = put_read(&p, &it, stanza_id);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

/* The row that ${it} is another copy of, if it has no place in the archive yet: where it is now. */
static int find_loose(struct put *p, struct item *it, const struct aid *aid, struct place *place)
{
	int64_t msg = aid->msg, key;
	bool placed;
	int r = 0;

	if (!aid->known && has_row(it->m)) {
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
			r = judge(p, items[i], &aid, &ret[i]);
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
	int r = 0;

	/* Asked again: a server that sends one id twice in a page has made it known meanwhile. */
	if (!p->fresh || !place->unseen)
		r = aid_get(p, m->archive_id, &aid);
	if (r < 0)
		return err_trace(r);
	it->key = place->key;
	it->unseen = p->fresh && place->unseen;
	if (aid.known)
		r = put_known(p, it, &aid, place->known && (place->placed ? place->moved : !p->part), ret);
	else
		r = put_new(p, it, *m->archive_id && !p->part, ret);
	if (r == 0)
		r = put_after(p, it, ret);
	/* What changes a row that was here before may make another copy of a message of what was none. */
	if (r == 0 && ret->result != PUT_NEW)
		p->fresh = false;
	if (r == 0 && aid.known && p->compare) {
		ret->moved = place->placed && place->moved;
		r = aid.msg && has_row(m) ? row_differs(p, it, aid.msg, &ret->different) : 0;
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

int archive_judge(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct message *const *items,
		  size_t n, int64_t now_us, struct put_outcome *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = own_bare, .now_us = now_us };
	struct aid aid;
	int r = put_begin(&p);

	for (size_t i = 0; i < n && r == 0; i++) {
		ret[i] = (struct put_outcome){ 0 };
		r = aid_get(&p, items[i]->archive_id, &aid);
		if (r == 0)
			r = judge(&p, items[i], &aid, &ret[i]);
		ret[i].aid_is_new = r == 0 && !aid.known;
	}
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

int archive_put(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct archive_page *page,
		int64_t now_us, struct put_outcome *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = own_bare, .now_us = now_us,
			 .part = page->part, .compare = page->compare };
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
