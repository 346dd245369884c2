/*
 * The next question to the archive. core/plan.h decides what it is, from coverage as it will be when every page that has come
 * is stored; core/lanes.h decides how many at a time, and how far apart. So the round trip, the server's work and our fsync
 * overlap.
 */
#include <string.h>

#include "base/log.h"
#include "base/step.h"
#include "link/link.h"
#include "sync/engine-priv.h"

#define AHEAD 2 /* questions a lane: the page that comes, and the one below it */
#define AHEAD_US (INT64_C(1) * 1000000) /* where a page takes longer, what somebody waits for must not stand behind two of them */

/*
 * What part of a page has come is lost with its stream, and asked for again. Where streams never last for a whole one, asking
 * for the same again would never end, and what the server still has of the old ones fills the next stream.
 */
uint32_t asking_page(const struct engine *e)
{
	uint32_t n = e->policy.page_max >> e->short_streams;

	if (n >= PAGE_LEAST || e->short_streams == 0)
		return n;
	return e->policy.page_max < PAGE_LEAST ? e->policy.page_max : PAGE_LEAST;
}

/* What comes of so many: a server that gave fewer the last time has a limit of its own. */
static uint32_t expected(const struct engine *e, uint32_t asked)
{
	return e->page_less && e->page_less < asked ? e->page_less : asked;
}

uint32_t asking_unacknowledged(const struct engine *e)
{
	const struct query *lists[] = { e->asked, e->aside, e->whole };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next) {
			size_t due = lists[i] == e->whole ? 0 : expected(e, q->max);

			n += q->n > due ? q->n : due;
		}
	return (uint32_t)n;
}

void asking_arm_deadline(struct engine *e)
{
	const struct query *lists[] = { e->asked, e->aside };
	int64_t first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next)
			if (first == 0 || q->deadline_us < first)
				first = q->deadline_us;
	engine_arm(e, TIMER_QUERY, first ? first - e->io->boot_us(e->userdata) : -1);
}

void asking_forget_bounds(struct engine *e)
{
	str_set(&e->by_time_id, NULL);
	str_set(&e->time_cursor, NULL);
	e->window_pages = 0;
}

/* Of those on their way the ones that a lane waits for: with the first message of a page its lane goes on. */
static size_t waited_for(const struct engine *e)
{
	size_t n = 0;

	for (const struct query *q = e->asked; q; q = q->next)
		n += !asking_is_ahead(e, q);
	return n;
}

static struct plan_policy policy_of(const struct engine *e, struct plan_busy busy[LANES_MAX])
{
	struct plan_policy p = {
		.metadata_known = e->metadata_known,
		.by_time_id = e->by_time_id,
		.busy = busy,
		.lanes = e->by_time_id || e->paused ? 1 : e->lanes.n,
		.start_us = e->meta_start_us,
		.us_per_message = e->no_cuts || e->seen_n == 0 ? 0 : e->seen_us / (int64_t)e->seen_n + 1,
		.page = e->page_given ? e->page_given : e->page_max,
		.floor_id = e->floor_id,
		.floor_us = e->floor_us,
	};

	if (e->policy.horizon_us)
		p.horizon_us = e->io->real_us(e->userdata) - e->policy.horizon_us;
	if (e->metered && e->policy.metered_us)
		p.metered_us = e->io->real_us(e->userdata) - e->policy.metered_us;
	if (e->deeper_us && e->deeper_us < p.horizon_us)
		p.horizon_us = e->deeper_us;
	for (const struct query *q = e->asked; q && p.n_busy < LANES_MAX; q = q->next)
		if (!asking_is_ahead(e, q))
			busy[p.n_busy++] = (struct plan_busy){ q->step, q->step == PLAN_CUT ? q->below_id : q->above_id };
	return p;
}

bool asking_is_done(const struct engine *e, bool at_all)
{
	struct plan_busy busy[LANES_MAX];
	struct plan_policy policy = policy_of(e, busy);

	if (at_all)
		policy.metered_us = 0;
	return plan_is_done(&e->cover, &policy);
}

bool asking_is_ahead(const struct engine *e, const struct query *q)
{
	bool quick = e->lanes.takes_us && e->lanes.takes_us < AHEAD_US;

	if (!quick || e->lanes.max == 1 || e->disordered || e->short_streams || !query_shows_next(q))
		return false;
	return !e->meta_start_us || q->stamps[0] > e->meta_start_us;
}

/* Of all lanes together. A page of what somebody waits for finds its place beside them. */
static uint32_t room(const struct engine *e)
{
	uint32_t all = e->lanes.n > LANES_NARROW ? e->lanes.n * LANES_PAGE : ROOM;

	return errand_waits(e) ? all - ASIDE_PAGE : all;
}

static uint32_t messages_to_ask(const struct engine *e, const struct plan *p)
{
	/* One lane asks for the next page while this one comes, and is not stored. */
	uint32_t share = room(e) / (e->lanes.n > 1 ? e->lanes.n : 2);

	if (p->step == PLAN_META)
		return 0;
	if (p->step == PLAN_CUT)
		return 1;
	if (p->step == PLAN_NEWEST)
		return e->page_max < NEWEST_PAGE ? e->page_max : NEWEST_PAGE;
	return e->page_max < share ? e->page_max : share;
}

void asking_send(struct engine *e, struct query *q, uint32_t max)
{
	struct link_record rec;
	int r;

	q->max = max;
	q->asked_us = e->io->boot_us(e->userdata);
	q->deadline_us = q->asked_us + QUERY_DEADLINE_US;
	link_record_init(&rec, q->step == PLAN_META ? LINK_META_QUERY : LINK_QUERY);
	if (q->step == PLAN_META) {
		rec.meta_query.query = q->id;
	} else {
		rec.query.query = q->id;
		rec.query.backward = true;
		rec.query.cursor = cover_shown_id(q->cursor);
		rec.query.start_us = q->start_us;
		rec.query.end_us = q->end_us;
		rec.query.with = q->with;
		rec.query.max = max;
	}
	r = e->io->send(e->userdata, &rec);
	if (r < 0)
		log_debug("%s: question not sent: %s", e->account.jid, strerror(-r));
}

/* What a lost session delivered into this gap has its place from the stream alone: the archive will say. */
static bool loosen(struct engine *e, const char *below_id, const char *above_id)
{
	bool done = false;
	int r;

	r = store_begin(e->store);
	if (r >= 0)
		r = archive_loosen(e->store, e->archive, below_id, above_id, &done);
	if (r >= 0)
		r = commit_finish(e, &e->line, NULL);
	if (r < 0) {
		commit_failed(e, r);
		return false;
	}
	step("gap.loosen");
	return done;
}

/*
 * A cut is placed by its stamp alone. Where a lost session left messages at places of its own, that could be the wrong
 * side of them: they lose these places first, or such a gap is filled from above, in one lane.
 */
static bool may_cut(struct engine *e, const char *below_id)
{
	const struct cover *c = &e->cover;
	bool clean = true;
	size_t i = 0;

	/* The gap as it is stored now; what is expected above it has no place yet. The answer is checked again. */
	while (*below_id && i < c->n && strcmp(c->spans[i].last.id, below_id) != 0)
		i++;
	if (*below_id)
		i++;
	if (i >= c->n)
		return true;
	if (archive_gap_is_clean(e->store, e->archive, below_id, c->spans[i].first.id, &clean) >= 0 && clean)
		return true;
	if (*below_id && loosen(e, below_id, c->spans[i].first.id))
		return true;
	str_set(&e->floor_id, below_id);
	e->floor_us = INT64_MAX;
	return false;
}

/* Send the next question that ${cover} asks for. False if there is none. */
static bool ask(struct engine *e, const struct cover *cover)
{
	struct plan_busy busy[LANES_MAX];
	struct plan_policy policy = policy_of(e, busy);
	struct plan p = plan_next(cover, &policy);
	uint32_t max = messages_to_ask(e, &p);
	struct query *q;

	if (p.step == PLAN_DONE || asking_unacknowledged(e) + expected(e, max) > room(e))
		return false;
	if (p.step == PLAN_CUT && !may_cut(e, p.below_id))
		return false;
	if (p.by_time && e->time_cursor)
		p.cursor = e->time_cursor;
	/* Where the archive ends: an answer holds what was there by now. */
	if ((p.step == PLAN_META || p.step == PLAN_NEWEST) && !cover_is_live(&e->cover))
		e->bounces_asked = e->bounces;
	q = query_new(++e->next_query, &p, cover);
	query_push(&e->asked, q);
	asking_send(e, q, max);
	return true;
}

/* The gap whose boundary the archive did not know is closed, or begins elsewhere. */
static bool bounds_are_stale(const struct engine *e, const struct cover *c)
{
	for (size_t i = 0; e->by_time_id && i < c->n; i++)
		if (strcmp(c->spans[i].first.id, e->by_time_id) == 0)
			return false;
	return e->by_time_id;
}

static void bound_old(struct engine *e)
{
	struct plan_busy busy[LANES_MAX];
	struct plan_policy policy = policy_of(e, busy);

	if (!e->by_time_id && !e->asked && !e->whole && cover_is_live(&e->cover))
		str_set(&e->by_time_id, plan_old_bound(&e->cover, &policy));
}

void asking_go(struct engine *e)
{
	_cleanup_(cover_deinit) struct cover expected = { 0 };

	if (bounds_are_stale(e, &e->cover))
		asking_forget_bounds(e);
	bound_old(e);
	/* What has come and is not stored is memory: no more than one page a lane. */
	if (query_count(e->whole) > e->lanes.n || !pages_expected(e, &expected))
		return;
	while (waited_for(e) < e->lanes.n && query_count(e->asked) < AHEAD * e->lanes.n) {
		int64_t now = e->io->boot_us(e->userdata), wait = lanes_wait(&e->lanes, now);

		if (wait > 0) {
			engine_arm(e, TIMER_ASK, wait);
			return;
		}
		if (!ask(e, &expected)) {
			lanes_idle(&e->lanes);
			return;
		}
		lanes_asked(&e->lanes, now);
	}
}
