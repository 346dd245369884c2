/*
 * Pages that are whole become part of the archive, with what they do to coverage (effect.h). A long page is stored in slices,
 * newest first, each with the coverage that it proves, so that a call of an app never waits for more than a slice; it is the
 * same as if the server had sent smaller pages. Pages are stored in the order they came, and the next questions have left
 * before.
 */
#include <string.h>

#include "base/log.h"
#include "store/read.h"
#include "sync/effect.h"

#define WINDOW_PAGES_MAX 20 /* pages by time above the boundary: five minutes of margin hold no 5,000 messages */
#define BARREN_PAGES_MAX 50 /* pages in a row with nothing new before a pause: re-reading 12,000 is not a loop */

static const struct message *message_of(const struct engine *e, const char *id)
{
	const struct query *lists[] = { e->whole, e->asked };

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (const struct query *q = lists[l]; q; q = q->next)
			for (size_t i = 0; i < q->n; i++)
				if (strcmp(q->items[i]->archive_id, id) == 0)
					return q->items[i];
	return NULL;
}

struct likeness {
	const struct message *m;
	bool same;
};

static int compare(void *userdata, const struct message_row *row)
{
	struct likeness *l = userdata;

	l->same = *l->m->id && (strcmp(row->xmpp_id, l->m->id) == 0 || strcmp(row->origin_id, l->m->id) == 0) &&
		  strcmp(row->body, l->m->body) == 0;
	return 0;
}

/* What is stored as ${held} is the message that the archive calls ${id} now. */
static bool is_carried_over(const struct engine *e, const char *held, const char *id)
{
	struct likeness l = { .m = message_of(e, id) };
	int64_t us, row = 0;

	return l.m && read_aid_time(e->store, e->archive, held, &us, &row) == 0 && row &&
	       read_messages(e->store, e->account.id, &row, 1, compare, &l) == 0 && l.same;
}

/*
 * Something of the page has its place in what the span holds; or it is what that ends with, under the id of an archive that was
 * carried over to another server, with its stamps (decisions/0019): a stamp alone may come twice. Of an archive that is not
 * there any more stamps are all that is known.
 */
static bool overlaps(const void *userdata, const struct cover_page *page, const struct span *s)
{
	const struct engine *e = userdata;
	int64_t last, key;

	if (cover_is_old(s->last.id) || archive_place(e->store, e->archive, s->last.id, &last) <= 0)
		return true;
	for (size_t i = 0; i < page->n; i++) {
		if (i > 0 && page->items[i].us == s->last.us && is_carried_over(e, s->last.id, page->items[i].id))
			return true;
		if (archive_place(e->store, e->archive, page->items[i].id, &key) > 0 && key <= last)
			return true;
	}
	return false;
}

static bool is_held(const void *userdata, const char *id)
{
	const struct engine *e = userdata;

	return archive_place(e->store, e->archive, id, &(int64_t){ 0 }) != 0;
}

static struct cover_page page_of(const struct engine *e, const struct query *q, size_t from, struct cover_item **ret_items)
{
	struct cover_page page = query_page(q, from, ret_items);

	page.overlaps = overlaps;
	page.is_held = is_held;
	page.userdata = e;
	return page;
}

/* A page asked for by time that lies wholly above the boundary: go on down the window. */
static bool above_boundary(const struct query *q, const struct cover_page *page)
{
	return q->by_time && !q->complete && page->n && q->above_us && page->items[0].us > q->above_us &&
	       strcmp(page->items[0].id, q->cursor) != 0;
}

/*
 * What is asked below the first message of a page that is still coming says so by that message's id. If the page turns out
 * otherwise, no span begins there, and the answer is dropped.
 */
static bool expect_rest(const struct engine *e, const struct query *q, struct cover *ret)
{
	const struct cover_item first = { q->items[0]->archive_id, q->stamps[0] };
	const struct cover_page page = { &first, 1, q->start_us, overlaps, is_held, e };
	struct effect effect;

	return effect_apply(e, q, 0, ret, &page, &effect) != ANSWER_STUCK;
}

bool pages_expected(const struct engine *e, struct cover *ret)
{
	cover_copy(ret, &e->cover);
	for (const struct query *q = e->whole; q; q = q->next) {
		_cleanup_(freep) struct cover_item *items = NULL;
		struct cover_page page = page_of(e, q, 0, &items);
		struct effect effect;
		enum answer a = q->by_time ? ANSWER_STUCK : effect_apply(e, q, 0, ret, &page, &effect);

		if (a == ANSWER_STUCK || a == ANSWER_ASIDE)
			return false;
	}
	for (const struct query *q = e->asked; q; q = q->next)
		if (asking_is_ahead(e, q) && !expect_rest(e, q, ret))
			return false;
	return true;
}

/* ---- storing ---- */

/* The archive answers usefully. */
static void note_answer(struct engine *e)
{
	e->stalls = 0;
	e->sync_wait_us = 0;
	e->barren_us = 0;
}

static void note_progress(struct engine *e, const struct query *q, const struct cover_page *page, bool in_window)
{
	note_answer(e);
	if (!q->by_time)
		return;
	e->window_pages = in_window ? e->window_pages + 1 : 0;
	str_set(&e->time_cursor, in_window ? page->items[0].id : NULL);
	if (!in_window)
		str_set(&e->by_time_id, NULL);
}

/* How many messages fit into SLICE_US, from how long the last ones took. */
static void measure(struct engine *e, size_t n, int64_t took_us)
{
	size_t fit = took_us > 0 ? (size_t)(SLICE_US * (int64_t)n / took_us) : PAGE_ITEMS_MAX;

	if (n < SLICE_LEAST)
		return;
	/* One slow fsync says little: half of the way at a time. */
	fit = (e->slice + fit) / 2;
	e->slice = fit < SLICE_LEAST ? SLICE_LEAST : fit > PAGE_ITEMS_MAX ? PAGE_ITEMS_MAX : fit;
}

/* Nobody waits for the end of a slice. */
static bool is_alone(const struct engine *e)
{
	return e->io->asked_us && e->io->asked_us(e->userdata) + SLICE_ALONE_AFTER_US < e->io->boot_us(e->userdata);
}

static size_t slice_size(const struct engine *e)
{
	return e->policy.slice ? e->policy.slice : is_alone(e) ? e->slice * SLICE_ALONE : e->slice;
}

static size_t slice_begin(const struct engine *e, const struct query *q)
{
	size_t n = slice_size(e);

	return query_is_below_id(q) && !q->run && q->n > n ? q->n - n : 0;
}

/* The place that the messages lie below: the span above, or what was last stored of the page. */
static char *id_above(const struct query *q, const struct cover *before, const struct cover *after, size_t span)
{
	if (q->step == PLAN_BEFORE)
		return xstrdup(q->by_time && *q->cursor ? q->cursor : q->above_id);
	if (q->step == PLAN_NEWEST && cover_is_live(before))
		return xstrdup(before->spans[before->n - 1].first.id);
	if (q->step == PLAN_CUT)
		return xstrdup(after->spans[span + 1].first.id);
	return xstrdup("");
}

/* The oldest page has been dealt with. */
static void finish(struct engine *e)
{
	struct query *q = query_take(&e->whole, e->whole->id);

	e->page_bytes -= q->bytes;
	query_free(q);
}

/* What is left of the oldest page is not kept: its stanzas have no effect. */
static void drop_rest(struct engine *e)
{
	struct query *q = e->whole;

	for (size_t i = 0; i < q->n; i++)
		commit_skip(e, q->numbers[i]);
	commit_skip(e, q->fin_n);
	finish(e);
}

static bool cut_is_clean(struct engine *e, const struct cover *cover, size_t i)
{
	bool clean = false;

	return archive_gap_is_clean(e->store, e->archive, i > 0 ? cover->spans[i - 1].last.id : "",
				    cover->spans[i + 1].first.id, &clean) >= 0 && clean;
}

/*
 * Live messages may lie on either side of the newest page: neither of them can be placed by the other. They were received
 * before the archive is asked again, so then it is known; and what comes live from here on is newer than this page.
 */
static bool set_run_aside(struct engine *e, const struct cover_page *page)
{
	_cleanup_(cover_deinit) struct cover cover = { 0 };

	cover_copy(&cover, &e->cover);
	cover_session_lost(&cover);
	str_set(&e->end_seen, page->items[page->n - 1].id);
	drop_rest(e);
	if (catchup_run_in_vain(e))
		return false;
	if (commit_cover(e, &cover) == 0)
		return true;
	catchup_drop_all(e);
	return false;
}

/* The middle of the gap holds nothing that could be used: look above it the next time. */
static void note_floor(struct engine *e, const struct query *q)
{
	str_set(&e->floor_id, q->below_id);
	e->floor_us = q->end_us;
}

/* The place that they lie above: the span below that of the page. */
static char *id_below(const struct cover *after, size_t span)
{
	return xstrdup(span > 0 && span < after->n ? after->spans[span - 1].last.id : "");
}

/* ${pages} (0: a cut) were stored when there were ${spans} spans. */
static void note_barren(struct engine *e, unsigned int pages, size_t new_ids, size_t spans)
{
	if (pages)
		e->barren_pages = new_ids || e->cover.n < spans ? 0 : e->barren_pages + pages;
}

static bool store_slice(struct engine *e, struct query *q, size_t from, struct cover *cover, const struct effect *f)
{
	_cleanup_(freep) char *below = id_below(cover, f->span), *above = id_above(q, &e->cover, cover, f->span);
	int64_t began = e->io->boot_us(e->userdata);
	size_t n = q->n - from, new_ids = 0, spans = e->cover.n;
	int r;

	if (f->span < cover->n && cover->spans[f->span].flags & SPAN_LOST && q->complete && from == 0)
		log_info("%s: a gap cannot be filled any more: the server has dropped it", LOG_JID(e->account.jid));
	r = commit_page(e, q, from, below, above, cover, &new_ids);
	if (r > 0 && e->another)
		renew_archive(e);
	else if (r > 0)
		engine_arm(e, TIMER_STORE, 0);
	else if (r < 0)
		catchup_drop_all(e);
	if (r != 0)
		return false;
	measure(e, n, e->io->boot_us(e->userdata) - began);
	note_barren(e, q->step != PLAN_CUT, new_ids, spans);
	return true;
}

/*
 * A page that was bounded by a stamp has holes below the span that it meets (cover.h): what lies there is not placed from
 * it, for its neighbours may be missing. The gap below that span brings it.
 */
static void drop_below_met(struct engine *e, struct query *q)
{
	size_t i = q->step == PLAN_BEFORE && q->start_us && !q->sliced ? effect_span_named(&e->cover, q->above_id) : SIZE_MAX;
	size_t k = 0;

	if (i == SIZE_MAX || i == 0)
		return;
	while (k < q->n && strcmp(q->items[k]->archive_id, e->cover.spans[i - 1].last.id) != 0)
		k++;
	if (k == q->n || !renew_meets(e, q, k))
		return;
	for (size_t n = 0; n < k; n++)
		commit_skip(e, q->numbers[n]);
	e->page_bytes -= q->bytes;
	query_drop_before(q, k);
	e->page_bytes += q->bytes;
}

/* ---- several at a time ---- */

/* What the oldest pages that are small and plain do to coverage, in a slice. */
struct together {
	struct placed_page list[TOGETHER_MAX];
	size_t n, items;
	struct cover cover;
};

static void together_deinit(struct together *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->list[i].below_id);
		free(t->list[i].above_id);
	}
	cover_deinit(&t->cover);
}

/* History between two places that are known, of which everything is to be stored. */
static bool is_plain(const struct query *q)
{
	bool says_nothing_more = !q->complete && !q->unsettled_us;

	return query_is_below_id(q) && !q->run && !q->sliced && says_nothing_more && q->n > 0;
}

/* Take ${q} in if nothing about it is for store_next() to decide. */
static bool take_in(const struct engine *e, struct together *t, struct query *q)
{
	_cleanup_(freep) struct cover_item *items = NULL;
	_cleanup_(cover_deinit) struct cover cover = { 0 };
	struct cover_page page = page_of(e, q, 0, &items);
	size_t i = effect_span_named(&t->cover, q->above_id);
	struct effect effect;

	if (i == SIZE_MAX || (q->start_us && i > 0 && cover_page_has(&page, t->cover.spans[i - 1].last.id)))
		return false;
	cover_copy(&cover, &t->cover);
	if (effect_apply(e, q, 0, &cover, &page, &effect) != ANSWER_MOVED)
		return false;
	t->list[t->n++] = (struct placed_page){
		.q = q,
		.below_id = id_below(&cover, effect.span),
		.above_id = id_above(q, &t->cover, &cover, effect.span),
	};
	t->items += q->n;
	cover_deinit(&t->cover);
	t->cover = cover;
	cover_init(&cover);
	return true;
}

static void gather(const struct engine *e, struct together *t)
{
	size_t most = slice_size(e) < PAGE_ITEMS_MAX ? slice_size(e) : PAGE_ITEMS_MAX;

	cover_copy(&t->cover, &e->cover);
	for (struct query *q = e->whole; q && t->n < TOGETHER_MAX && t->items + q->n <= most; q = q->next)
		if (!is_plain(q) || !take_in(e, t, q))
			return;
}

/*
 * Small pages that came while others were stored, of one lane or of several, in one transaction: a commit costs as much as
 * fifty messages. Whatever is wrong with one of them, they are stored one by one.
 */
static bool store_together(struct engine *e)
{
	_cleanup_(together_deinit) struct together t = { 0 };
	int64_t began = e->io->boot_us(e->userdata);
	size_t new_ids = 0, spans = e->cover.n;

	if (e->singly) {
		e->singly--;
		return false;
	}
	if (e->another || e->store_failing || e->barren_pages > BARREN_PAGES_MAX)
		return false;
	gather(e, &t);
	if (t.n < 2)
		return false;
	if (commit_pages(e, t.list, t.n, &t.cover, &new_ids) != 0) {
		e->singly = (unsigned int)t.n - 1;
		return false;
	}
	measure(e, t.items, e->io->boot_us(e->userdata) - began);
	note_answer(e);
	note_barren(e, (unsigned int)t.n, new_ids, spans);
	for (size_t i = 0; i < t.n; i++)
		finish(e);
	return true;
}

/* The next slice of the oldest page. False: nothing more can be done now. */
static bool store_next(struct engine *e)
{
	_cleanup_(freep) struct cover_item *items = NULL;
	_cleanup_(freep) struct cover_item *all = NULL;
	_cleanup_(cover_deinit) struct cover cover = { 0 };
	struct query *q = e->whole;
	struct cover_page page;
	struct effect effect;
	bool in_window, done;
	enum answer answer;
	size_t from;

	/* Live messages that came before this answer must be in the coverage that it is joined to. */
	if (commit_now(e) < 0) {
		catchup_drop_all(e);
		return false;
	}
	if (store_together(e))
		return true;
	drop_below_met(e, q);
	if (e->another) {
		renew_archive(e);
		return false;
	}
	from = slice_begin(e, q);
	/* Whether the server read the question is seen from the page as a whole. */
	page = page_of(e, q, 0, &all);
	cover_copy(&cover, &e->cover);
	in_window = above_boundary(q, &page);
	answer = effect_apply(e, q, 0, &cover, &page, &effect);
	if (from && answer == ANSWER_MOVED) {
		cover_copy(&cover, &e->cover);
		page = page_of(e, q, from, &items);
		answer = effect_apply(e, q, from, &cover, &page, &effect);
	}
	if (answer == ANSWER_MOVED && q->step == PLAN_CUT && !cut_is_clean(e, &cover, effect.span))
		answer = ANSWER_NO_CUT;
	if (answer == ANSWER_STUCK && in_window)
		answer = ANSWER_MOVED;
	if (answer == ANSWER_MOVED && (e->window_pages > WINDOW_PAGES_MAX || e->barren_pages > BARREN_PAGES_MAX))
		answer = ANSWER_STUCK;
	if (answer == ANSWER_STUCK) {
		e->barren_pages = 0;
		answers_stalled(e, query_take(&e->whole, q->id));
		return true;
	}
	if (answer == ANSWER_ASIDE)
		return set_run_aside(e, &page);
	if (answer == ANSWER_NO_CUT)
		note_floor(e, q);
	if (answer != ANSWER_MOVED) {
		drop_rest(e);
		return true;
	}
	if (from == 0)
		note_progress(e, q, &page, in_window);
	done = from == 0;
	if (!store_slice(e, q, from, &cover, &effect))
		return false;
	if (done) {
		finish(e);
		return true;
	}
	e->page_bytes -= q->bytes;
	query_cut_at(q, from);
	e->page_bytes += q->bytes;
	if (effect.joined)
		drop_rest(e);
	return true;
}

/*
 * More may have been sent to us than was read: as long as each turn of the loop brings some of it, and the slice has room for
 * one more page like the oldest.
 */
static bool put_off(struct engine *e)
{
	size_t n = e->whole->n; /* that one */

	for (const struct query *q = e->whole; q; q = q->next)
		n += q->n;
	if (!e->asked || e->items_came == e->items_seen || n > slice_size(e) || e->put_off == PUT_OFF_MAX) {
		e->put_off = 0;
		return false;
	}
	e->items_seen = e->items_came;
	e->put_off++;
	return true;
}

/* A slice without what makes room for the next ones: neither has an app wait for both. */
static void store_turn(struct engine *e)
{
	int r;

	if (put_off(e))
		return;
	r = store_log_is_long(e->store) ? store_shorten_log(e->store) : 1;

	/* The next commit that cannot write tells the user. */
	if (r < 0)
		log_debug("%s: the log stays as long as it is: %s", e->account.jid, strerror(-r));
	if (r != 0)
		store_next(e);
}

void pages_store(struct engine *e)
{
	if (e->whole)
		store_turn(e);
	engine_arm(e, TIMER_STORE, e->whole && !e->store_failing ? 0 : -1);
	catchup_go(e);
	e->io->event(e->userdata, HUB_SYNC);
}

void pages_flush(struct engine *e)
{
	for (int i = 0; i < FLUSH_SLICES_MAX && e->whole && store_next(e); i++)
		;
	engine_arm(e, TIMER_STORE, -1);
}
