/*
 * What comes of a question: messages, the end of a page, a refusal, nothing in time. Whole pages go to pages.c; what is no
 * use is asked for in another way, or less of it.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sync/engine-priv.h"

#define DENSITY_MESSAGES 2000 /* how dense the archive is: about so many of the last messages say so */
/* Of one page: stamps are a server's, and what is reckoned with it (the sum of DENSITY_MESSAGES pages, core/plan.c) stays defined. */
#define DENSITY_SPAN_US (INT64_C(20) * 365 * 86400 * USEC_PER_SEC)

/* Forget the question; late answers have an unknown number. */
static void withdraw(struct engine *e, struct query *q)
{
	catchup_discard(e, query_take(&e->asked, q->id));
	asking_arm_deadline(e);
}

static void note_whole_page(struct engine *e)
{
	bool own = e->page_max == asking_page(e);

	if (e->short_streams == 0)
		return;
	e->short_streams--;
	/* Unless it is small for another reason. */
	if (own)
		e->page_max = asking_page(e);
}

/* From here on, a part of ${by} of what was asked for; ${why} is for the log. */
static void shrink_pages(struct engine *e, uint32_t by, const char *why)
{
	e->page_max = e->page_max / by > PAGE_LEAST ? e->page_max / by : PAGE_LEAST;
	log_debug("%s: %s: pages of %u from here on", e->account.jid, why, e->page_max);
}

/* More than we hold in memory: ask for less at a time. */
static void too_much(struct engine *e, struct query *q)
{
	if (e->page_max <= PAGE_LEAST || q->n >= PAGE_ITEMS_MAX) {
		catchup_give_up(e, "it sends more than it was asked for");
		return;
	}
	shrink_pages(e, 4, "big messages");
	lanes_trouble(&e->lanes);
	if (q->use == FOR_PLAN)
		withdraw(e, q);
	else
		aside_failed(e, query_take(&e->aside, q->id), false, "it sends more than can be held");
	catchup_go(e);
}

/* So an archive that answers nonsense costs a few questions, never a loop. */
void answers_stalled(struct engine *e, struct query *q)
{
	_cleanup_(freep) char *above = xstrdup(q->above_id);
	bool run = q->run, by_time = q->by_time;

	catchup_discard(e, q);
	if (++e->stalls >= STALLS_MAX) {
		catchup_give_up(e, "its answers lead nowhere");
		return;
	}
	catchup_drop_all(e);
	if (run) {
		catchup_prove(e);
		return;
	}
	asking_forget_bounds(e);
	if (!by_time)
		str_set(&e->by_time_id, above);
	catchup_go(e);
}

void answers_failed(struct engine *e, const struct link_query_failed *f)
{
	struct query *q = query_find(e->asked, f->query), *aside = query_take(&e->aside, f->query);
	bool unknown_id = strcmp(f->condition, "item-not-found") == 0;

	commit_skip(e, f->n);
	if (!q && !aside)
		return;
	log_debug("%s: archive refused: %s", e->account.jid, f->condition);
	if (aside) {
		aside_failed(e, aside, unknown_id, *f->text ? f->text : f->condition);
		catchup_go(e);
	} else if (query_is_below_id(q) && unknown_id && q->run) {
		/* A live message that the archive does not know any more: look at its newest page instead. */
		withdraw(e, q);
		if (!catchup_run_in_vain(e))
			catchup_prove(e);
	} else if (query_is_below_id(q) && unknown_id) {
		/* The boundary has expired at the server: its stamp still says where it was (B1, B5). */
		if (!e->by_time_id)
			str_set(&e->by_time_id, q->above_id);
		withdraw(e, q);
		catchup_go(e);
	} else if (q->step == PLAN_META) {
		/* A convenience: without it what is lost is only recorded more cautiously. */
		withdraw(e, q);
		e->metadata_known = true;
		e->meta_start_us = e->meta_end_us = 0;
		catchup_go(e);
	} else if (q->step == PLAN_CUT) {
		withdraw(e, q);
		e->no_cuts = true;
		catchup_go(e);
	} else if (e->lanes.n > 1) {
		/* Perhaps only too many at a time. */
		withdraw(e, q);
		lanes_trouble(&e->lanes);
		catchup_go(e);
	} else {
		catchup_give_up(e, *f->text ? f->text : f->condition);
	}
}

/* A page that came in part by then would be late each time: the link is slow, so half of it is asked for from here on. */
static void ask_for_less(struct engine *e, const struct query *q)
{
	if (q->n > 0 && e->lanes.n == 1 && e->page_max > PAGE_LEAST)
		shrink_pages(e, 2, "pages come too slowly");
}

void answers_late(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);
	bool late = false;

	for (struct query *q = e->asked, *next; q; q = next) {
		next = q->next;
		if (q->deadline_us > now)
			continue;
		late = true;
		ask_for_less(e, q);
		catchup_discard(e, query_take(&e->asked, q->id));
	}
	for (struct query *q = e->aside, *next; q; q = next) {
		next = q->next;
		if (q->deadline_us > now)
			continue;
		ask_for_less(e, q);
		aside_failed(e, query_take(&e->aside, q->id), false, "no answer in time");
	}
	asking_arm_deadline(e);
	if (!late) {
		catchup_go(e);
		return;
	}
	lanes_trouble(&e->lanes);
	if (++e->stalls >= STALLS_MAX)
		catchup_give_up(e, "no answer in time");
	else
		catchup_go(e);
}

void answers_item(struct engine *e, const struct message *m)
{
	struct query *q = query_find(e->asked, m->query);
	size_t size = message_size(m);

	q = q ? q : query_find(e->aside, m->query);
	if (!q || q->step == PLAN_META) {
		commit_skip(e, m->n);
		return;
	}
	if (q->n >= PAGE_ITEMS_MAX || e->page_bytes + size > PAGE_BYTES_MAX) {
		commit_skip(e, m->n);
		too_much(e, q);
		return;
	}
	query_add(q, m, e->counted ? m->n : 0);
	e->items_came++;
	e->page_bytes += size;
	/* The server would be idle until the rest is read. */
	if (q->n == 1 && asking_is_ahead(e, q))
		catchup_go(e);
}

static void note_density(struct engine *e, const struct query *q)
{
	int64_t first = q->n ? q->stamps[0] : 0, last = q->n ? q->stamps[q->n - 1] : 0;

	if (q->step == PLAN_BEFORE && !q->complete && q->n) {
		e->page_given = (uint32_t)q->n;
		e->page_less = q->n < q->max ? (uint32_t)q->n : 0;
	}
	if (q->n < 2 || q->by_time || first <= 0 || last < first || last - first > DENSITY_SPAN_US)
		return;
	if (e->seen_n > DENSITY_MESSAGES) {
		e->seen_n /= 2;
		e->seen_us /= 2;
	}
	e->seen_us += last - first;
	e->seen_n += q->n - 1;
}

static void note_speed(struct engine *e, const struct query *q, int64_t now)
{
	unsigned int n = e->lanes.n;

	if (q->step == PLAN_CUT)
		lanes_small_answer(&e->lanes, now - q->asked_us);
	else
		lanes_page(&e->lanes, now, (unsigned int)q->n, now - q->asked_us);
	if (e->lanes.n != n)
		log_debug("%s: %u pages at a time: a round trip takes %lld ms, a page %lld ms", e->account.jid, e->lanes.n,
			  (long long)(e->lanes.rtt_us / 1000), (long long)(e->lanes.takes_us / 1000));
}

/* The page above it is not whole, so this one finds no span that it belongs to, and is asked for again. */
static void note_order(struct engine *e, const struct query *q)
{
	for (const struct query *p = e->asked; p; p = p->next)
		if (asking_is_ahead(e, p) && strcmp(p->items[0]->archive_id, q->above_id) == 0)
			e->disordered = true;
}

void answers_fin(struct engine *e, const struct link_fin *f)
{
	struct query *q = query_find(e->asked, f->query), *aside = query_find(e->aside, f->query);
	int64_t now = e->io->boot_us(e->userdata);

	if (aside) {
		note_whole_page(e);
		query_finish(aside, f);
		aside_page(e, f->query);
		return;
	}
	if (!q || q->step == PLAN_META) {
		commit_skip(e, f->n);
		return;
	}
	query_take(&e->asked, q->id);
	query_finish(q, f);
	note_order(e, q);
	note_whole_page(e);
	query_push(&e->whole, q);
	asking_arm_deadline(e);
	note_speed(e, q, now);
	note_density(e, q);
	engine_arm(e, TIMER_STORE, 0);
	catchup_go(e);
}

void answers_meta(struct engine *e, const struct link_meta *m)
{
	_cleanup_(cover_deinit) struct cover cover = { 0 };
	struct query *q = query_find(e->asked, m->query);
	bool changed = false;

	commit_skip(e, m->n);
	if (!q || q->step != PLAN_META)
		return;
	lanes_small_answer(&e->lanes, e->io->boot_us(e->userdata) - q->asked_us);
	withdraw(e, q);
	e->metadata_known = true;
	e->meta_start_us = m->empty ? 0 : m->start_us;
	e->meta_end_us = m->empty ? 0 : m->end_us;
	if (commit_now(e) < 0)
		return;
	if (!m->empty && !(e->cover.n && e->cover.spans[e->cover.n - 1].flags & SPAN_RUN))
		str_set(&e->end_seen, m->end_id);
	/* Coverage of a new session becomes live only if nothing is missing at its end. */
	cover_copy(&cover, &e->cover);
	if (!cover_is_live(&cover)) {
		if (m->empty) {
			cover_confirm_empty(&cover, e->io->real_us(e->userdata));
			changed = true;
		} else {
			changed = cover_confirm_end(&cover, m->end_id, m->end_us);
		}
	}
	if (changed && commit_cover(e, &cover) < 0)
		return;
	catchup_go(e);
}
