/*
 * What to ask the archive, and what its answers mean. One question at a time; core/plan.h decides which, from
 * coverage alone. The next question leaves before the last answer is committed, so that the round trip and the
 * fsync overlap; should the commit fail, the question is withdrawn.
 */
#include "sync/engine-priv.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "link/link.h"

static void query_deinit(struct query *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->items[i]);
	free(q->items);
	free(q->numbers);
	free(q->above_id);
	free(q->cursor);
	*q = (struct query){ 0 };
}

/* What came of a question is not kept: its stanzas have no effect, so they may be acknowledged. */
static void skip_numbers(struct engine *e, const struct query *q)
{
	for (size_t i = 0; i < q->n; i++)
		commit_skip(e, q->numbers[i]);
}

/* Forget the question; late answers have an unknown number. */
static void query_drop(struct engine *e)
{
	skip_numbers(e, &e->query);
	query_deinit(&e->query);
	engine_arm(e, TIMER_QUERY, -1);
}

void catchup_stream_begins(struct engine *e)
{
	query_drop(e);
	e->page_max = e->policy.page_max;
	e->metadata_known = false;
	e->by_time = false;
	str_set(&e->time_cursor, NULL);
	e->stalls = 0;
	e->sync_error = false;
	e->sync_wait_us = 0;
	engine_arm(e, TIMER_SYNC, -1);
}

void catchup_stream_ends(struct engine *e)
{
	query_drop(e);
	engine_arm(e, TIMER_SYNC, -1);
}

static struct plan next_plan(const struct engine *e, const struct cover *cover)
{
	struct plan_policy policy = {
		.metadata_known = e->metadata_known,
		.by_time = e->by_time,
	};
	struct plan p;

	if (e->policy.horizon_us)
		policy.horizon_us = e->io->real_us(e->userdata) - e->policy.horizon_us;
	p = plan_next(cover, &policy);
	if (p.step == PLAN_BEFORE && e->by_time && e->time_cursor)
		p.cursor = e->time_cursor;
	return p;
}

void catchup_prove(struct engine *e)
{
	struct cover cover = { 0 };

	/* The commit may ask a question by itself; the drop must come after it. */
	if (e->paused || e->session.archive == ARCHIVE_NONE || commit_now(e) < 0)
		return;
	query_drop(e);
	e->unproven = 0;
	e->metadata_known = false;
	cover_copy(&cover, &e->cover);
	cover_session_lost(&cover);
	commit_cover(e, &cover);
	cover_deinit(&cover);
	catchup_go(e);
}

/* Send the question that ${cover} asks for. */
static void ask(struct engine *e, const struct cover *cover)
{
	struct plan p = next_plan(e, cover);
	struct link_record rec;
	int r;

	if (p.step == PLAN_DONE)
		return;
	link_record_init(&rec, p.step == PLAN_META ? LINK_META_QUERY : LINK_QUERY);
	e->query = (struct query){ .id = ++e->next_query, .step = p.step, .span = p.span, .by_time = e->by_time };
	if (p.step == PLAN_META) {
		rec.meta_query.query = e->query.id;
	} else {
		rec.query.query = e->query.id;
		rec.query.backward = true;
		rec.query.cursor = p.cursor;
		rec.query.start_us = p.start_us;
		rec.query.end_us = p.end_us;
		rec.query.max = e->page_max;
	}
	e->query.cursor = xstrdup(p.cursor);
	if (p.step == PLAN_BEFORE) {
		e->query.above_id = xstrdup(cover->spans[p.span].first.id);
		e->query.above_us = cover->spans[p.span].first.us;
		e->query.run = cover->spans[p.span].flags & SPAN_RUN;
	}
	engine_arm(e, TIMER_QUERY, QUERY_DEADLINE_US);
	r = e->io->send(e->userdata, &rec);
	if (r < 0)
		log_debug("%s: question not sent: %s", e->account.jid, strerror(-r));
}

bool catchup_done(const struct engine *e)
{
	return e->ready && !e->query.id && !e->sync_error &&
	       (e->session.archive == ARCHIVE_NONE || next_plan(e, &e->cover).step == PLAN_DONE);
}

static void note_done(struct engine *e)
{
	if (e->stream_caught_up || !catchup_done(e))
		return;
	e->stream_caught_up = true;
	e->session.caught_up_us = e->io->real_us(e->userdata);
	commit_soon(e);
	log_info("%s: in sync, %llu messages, %zu lost gaps", LOG_JID(e->account.jid), (unsigned long long)e->messages,
		 cover_count_gaps(&e->cover, true));
}

void catchup_go(struct engine *e)
{
	if (!e->ready || e->query.id || e->paused || e->store_failing || e->sync_error ||
	    e->session.archive == ARCHIVE_NONE) {
		note_done(e);
		return;
	}
	if (e->unproven >= PROVE_EVERY && cover_count_gaps(&e->cover, false) == 0) {
		catchup_prove(e);
		return;
	}
	ask(e, &e->cover);
	note_done(e);
	e->io->event(e->userdata, HUB_SYNC);
}

/* The archive does not answer usefully: leave it alone for a while. The gap stays open and visible. */
static void give_up_for_now(struct engine *e, const char *why)
{
	query_drop(e);
	e->sync_wait_us = e->sync_wait_us ? e->sync_wait_us * 2 : SYNC_RETRY_US;
	if (e->sync_wait_us > SYNC_RETRY_CAP_US)
		e->sync_wait_us = SYNC_RETRY_CAP_US;
	e->sync_error = true;
	e->stalls = 0;
	e->by_time = false;
	str_set(&e->time_cursor, NULL);
	log_warning("%s: the server's archive does not answer (%s); next try in %lld s", LOG_JID(e->account.jid), why,
		    (long long)(e->sync_wait_us / 1000000));
	engine_set_reason(e, "Remote", why);
	engine_arm(e, TIMER_SYNC, e->sync_wait_us);
	e->io->event(e->userdata, HUB_SYNC);
}

/* A page is more than we hold in memory: ask for less at a time. */
static void too_much(struct engine *e)
{
	if (e->page_max <= PAGE_LEAST || e->query.n >= PAGE_ITEMS_MAX) {
		give_up_for_now(e, "it sends more than it was asked for");
		return;
	}
	e->page_max = e->page_max / 4 > PAGE_LEAST ? e->page_max / 4 : PAGE_LEAST;
	log_debug("%s: big messages: pages of %u from here on", e->account.jid, e->page_max);
	query_drop(e);
	catchup_go(e);
}

void catchup_item(struct engine *e, const struct message *m)
{
	struct query *q = &e->query;

	if (!q->id || m->query != q->id || q->step == PLAN_META) {
		commit_skip(e, m->n);
		return;
	}
	q->bytes += message_size(m);
	if (q->n >= PAGE_ITEMS_MAX || q->bytes > PAGE_BYTES_MAX) {
		commit_skip(e, m->n);
		too_much(e);
		return;
	}
	if (q->n == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 64;
		q->items = xrealloc(q->items, q->cap, sizeof(*q->items));
		q->numbers = xrealloc(q->numbers, q->cap, sizeof(*q->numbers));
	}
	q->items[q->n] = message_copy(m);
	q->numbers[q->n++] = e->counted ? m->n : 0;
}

/* The page as coverage sees it. Ends that had no message inside are in RSM's first and last alone. */
static struct cover_item *cover_items(const struct query *q, const struct link_fin *f, size_t *ret_n)
{
	struct cover_item *items = xnewn(struct cover_item, q->n + 2);
	size_t n = 0;

	if (*f->first && (q->n == 0 || strcmp(q->items[0]->archive_id, f->first) != 0))
		items[n++] = (struct cover_item){ f->first, q->n ? q->items[0]->archive_us : 0 };
	for (size_t i = 0; i < q->n; i++)
		items[n++] = (struct cover_item){ q->items[i]->archive_id, q->items[i]->archive_us };
	if (*f->last && (n == 0 || strcmp(items[n - 1].id, f->last) != 0))
		items[n++] = (struct cover_item){ f->last, n ? items[n - 1].us : 0 };
	*ret_n = n;
	return items;
}

/*
 * An answer that did not move anything and is not the end: ask once more by time instead of by id, then give up for a
 * while. So an archive that answers nonsense costs a few questions, never a loop (A14).
 */
static void stalled(struct engine *e)
{
	if (++e->stalls >= STALLS_MAX) {
		give_up_for_now(e, "its answers lead nowhere");
		return;
	}
	if (e->query.run) {
		query_drop(e);
		catchup_prove(e);
		return;
	}
	query_drop(e);
	e->by_time = !e->by_time;
	e->window_pages = 0;
	str_set(&e->time_cursor, NULL);
	catchup_go(e);
}

/* What the answer does to coverage. Returns false if nothing moved. */
static bool apply_page(struct engine *e, const struct query *q, struct cover *cover, const struct cover_page *page,
		       bool complete, size_t *ret_span)
{
	size_t spans = cover->n;
	size_t span;
	bool met;

	if (q->step == PLAN_NEWEST) {
		*ret_span = cover_newest(cover, page, complete, e->io->real_us(e->userdata));
		return page->n > 0 || complete;
	}
	/* "Before X" with X in it, or with the newest that we hold: the server did not read the question (A14). */
	if (!q->by_time && (cover_page_has(page, q->above_id) || cover_page_has(page, cover->spans[q->span].last.id)))
		return false;
	span = cover_before(cover, q->span, page, complete, q->by_time, &met);
	if (complete && !met) {
		spans = cover->n;
		cover_exhausted(cover, span, e->meta_start_us);
		span -= spans - cover->n;
		if (cover->spans[span].flags & SPAN_LOST)
			log_info("%s: a gap cannot be filled any more: the server has dropped it",
				 LOG_JID(e->account.jid));
	}
	*ret_span = span;
	return complete || (met && q->span > 0) || cover->n != spans || strcmp(cover->spans[span].first.id, q->above_id) != 0;
}

/* A page asked for by time that lies wholly above the boundary: go on down the window. */
static bool above_boundary(const struct query *q, const struct cover_page *page, bool complete)
{
	return q->by_time && !complete && page->n && q->above_us && page->items[0].us > q->above_us &&
	       strcmp(page->items[0].id, q->cursor) != 0;
}

/*
 * A result over a limit of the wire may have lost its stamp: it gets its neighbour's, so that its place and its time
 * are about right. Coverage has been computed without.
 */
static void fill_stamps(struct query *q)
{
	int64_t us = 0;

	for (size_t i = q->n; i-- > 0; us = q->items[i]->archive_us)
		if (q->items[i]->archive_us == 0)
			q->items[i]->archive_us = us;
	for (size_t i = 1; i < q->n; i++)
		if (q->items[i]->archive_us == 0)
			q->items[i]->archive_us = q->items[i - 1]->archive_us;
}

static void note_progress(struct engine *e, const struct cover_page *page, bool in_window)
{
	e->stalls = 0;
	e->sync_wait_us = 0;
	e->by_time = in_window;
	e->window_pages = in_window ? e->window_pages + 1 : 0;
	str_set(&e->time_cursor, in_window ? page->items[0].id : NULL);
}

/* The page is whole: store it with its coverage. The next question leaves before the fsync. */
static void store_page(struct engine *e, uint32_t fin_n, struct cover *cover, size_t span, const char *above_id)
{
	_cleanup_(freep) char *below = xstrdup(span > 0 && span < cover->n ? cover->spans[span - 1].last.id : "");
	struct query q = e->query;
	bool joined = cover->n < e->cover.n;
	size_t new_ids = 0;

	fill_stamps(&q);
	e->query = (struct query){ 0 };
	engine_arm(e, TIMER_QUERY, -1);
	if (!e->paused)
		ask(e, cover);
	if (commit_page(e, &q, fin_n, below, above_id, cover, &new_ids) < 0) {
		skip_numbers(e, &q);
		commit_skip(e, fin_n);
		query_drop(e);
	}
	e->barren_pages = new_ids || joined ? 0 : e->barren_pages + 1;
	query_deinit(&q);
}

void catchup_fin(struct engine *e, const struct link_fin *f)
{
	struct query *q = &e->query;
	_cleanup_(freep) struct cover_item *items = NULL;
	_cleanup_(freep) char *above = NULL;
	struct cover cover = { 0 };
	struct cover_page page = { 0 };
	size_t span = 0;
	bool in_window;

	if (!q->id || f->query != q->id || q->step == PLAN_META) {
		commit_skip(e, f->n);
		return;
	}
	/* Live messages that came before this answer must be in the coverage that it is joined to. */
	if (commit_now(e) < 0) {
		commit_skip(e, f->n);
		query_drop(e);
		return;
	}
	/* Coverage changed under the question (never while one is asked, as far as we know): ask anew. */
	if (q->step == PLAN_BEFORE && (q->span >= e->cover.n || strcmp(e->cover.spans[q->span].first.id, q->above_id) != 0)) {
		commit_skip(e, f->n);
		query_drop(e);
		catchup_go(e);
		return;
	}
	items = cover_items(q, f, &page.n);
	page.items = items;
	cover_copy(&cover, &e->cover);
	if (q->step == PLAN_BEFORE)
		above = xstrdup(q->by_time && *q->cursor ? q->cursor : q->above_id);
	else if (q->step == PLAN_NEWEST && cover_is_live(&cover))
		above = xstrdup(cover.spans[cover.n - 1].first.id);
	in_window = above_boundary(q, &page, f->complete);
	if ((!apply_page(e, q, &cover, &page, f->complete, &span) && !in_window) ||
	    e->window_pages > WINDOW_PAGES_MAX || e->barren_pages > BARREN_PAGES_MAX) {
		cover_deinit(&cover);
		commit_skip(e, f->n);
		e->barren_pages = 0;
		stalled(e);
		return;
	}
	note_progress(e, &page, in_window);
	store_page(e, f->n, &cover, span, str_or_empty(above));
	cover_deinit(&cover);
	note_done(e);
	e->io->event(e->userdata, HUB_SYNC);
}

void catchup_meta(struct engine *e, const struct link_meta *m)
{
	struct cover cover = { 0 };
	bool changed = false;

	commit_skip(e, m->n);
	if (!e->query.id || m->query != e->query.id || e->query.step != PLAN_META)
		return;
	query_drop(e);
	e->metadata_known = true;
	e->meta_start_us = m->empty ? 0 : m->start_us;
	e->meta_end_us = m->empty ? 0 : m->end_us;
	if (commit_now(e) < 0)
		return;
	/* Coverage of a new session becomes live only if nothing is missing at its end. */
	cover_copy(&cover, &e->cover);
	if (!cover_is_live(&cover)) {
		if (m->empty) {
			cover_confirm_empty(&cover, e->io->real_us(e->userdata));
			changed = true;
		} else {
			changed = cover_confirm_end(&cover, m->end_id);
		}
	}
	if (changed && commit_cover(e, &cover) < 0) {
		cover_deinit(&cover);
		return;
	}
	cover_deinit(&cover);
	catchup_go(e);
}

void catchup_failed(struct engine *e, const struct link_query_failed *f)
{
	bool by_id = e->query.step == PLAN_BEFORE && !e->query.by_time;

	commit_skip(e, f->n);
	if (!e->query.id || f->query != e->query.id)
		return;
	log_debug("%s: archive refused: %s", e->account.jid, f->condition);
	if (by_id && strcmp(f->condition, "item-not-found") == 0) {
		/* A live message that the archive does not know any more: look at its newest page instead. */
		if (e->query.run) {
			query_drop(e);
			catchup_prove(e);
			return;
		}
		/* The boundary has expired at the server: its stamp still says where it was (B1, B5). */
		query_drop(e);
		e->by_time = true;
		str_set(&e->time_cursor, NULL);
		catchup_go(e);
		return;
	}
	if (e->query.step == PLAN_META) {
		/* A convenience: without it what is lost is only recorded more cautiously. */
		query_drop(e);
		e->metadata_known = true;
		e->meta_start_us = e->meta_end_us = 0;
		catchup_go(e);
		return;
	}
	give_up_for_now(e, *f->text ? f->text : f->condition);
}

void catchup_timeout(struct engine *e)
{
	if (!e->query.id)
		return;
	query_drop(e);
	if (++e->stalls >= STALLS_MAX)
		give_up_for_now(e, "no answer in time");
	else
		catchup_go(e);
}
