/*
 * What to ask the archive, and when. core/plan.h decides what, from coverage as it will be when every page that has come
 * is stored; core/lanes.h decides how many at a time. So the round trip, the server's work and our fsync overlap.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "link/link.h"
#include "sync/engine-priv.h"

#define PROVE_AGAIN_US USEC_PER_SEC /* a burst that is offered is let go within milliseconds */
#define VAIN_MAX 5 /* live ids in VAIN_US that the archive does not know: somebody deletes them; more is a server's nonsense */
#define VAIN_US (INT64_C(600) * USEC_PER_SEC)
#define DENSITY_MESSAGES 2000 /* how dense the archive is: about so many of the last messages say so */
/* Of one page: stamps are a server's, and what is reckoned with it (the sum of DENSITY_MESSAGES pages, core/plan.c) stays defined. */
#define DENSITY_SPAN_US (INT64_C(20) * 365 * 86400 * USEC_PER_SEC)

/* Its stanzas have no effect, so they may be acknowledged. */
void catchup_discard(struct engine *e, struct query *q)
{
	for (size_t i = 0; i < q->n; i++)
		commit_skip(e, q->numbers[i]);
	commit_skip(e, q->fin_n);
	e->page_bytes -= q->bytes;
	query_free(q);
}

static void arm_deadline(struct engine *e)
{
	const struct query *lists[] = { e->asked, e->aside };
	int64_t first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next)
			if (first == 0 || q->deadline_us < first)
				first = q->deadline_us;
	engine_arm(e, TIMER_QUERY, first ? first - e->io->boot_us(e->userdata) : -1);
}

/* Forget the question; late answers have an unknown number. */
static void withdraw(struct engine *e, struct query *q)
{
	catchup_discard(e, query_take(&e->asked, q->id));
	arm_deadline(e);
}

void catchup_drop_all(struct engine *e)
{
	while (e->asked)
		catchup_discard(e, query_take(&e->asked, e->asked->id));
	while (e->whole)
		catchup_discard(e, query_take(&e->whole, e->whole->id));
	while (e->aside)
		catchup_discard(e, query_take(&e->aside, e->aside->id));
	engine_arm(e, TIMER_QUERY, -1);
	engine_arm(e, TIMER_ASK, -1);
	engine_arm(e, TIMER_STORE, -1);
}

static void forget_bounds(struct engine *e)
{
	str_set(&e->by_time_id, NULL);
	str_set(&e->time_cursor, NULL);
	e->window_pages = 0;
}

void catchup_forget(struct engine *e)
{
	forget_bounds(e);
	str_set(&e->floor_id, NULL);
	str_set(&e->end_seen, NULL);
	e->metadata_known = false;
	e->meta_start_us = e->meta_end_us = 0;
	e->seen_us = 0;
	e->seen_n = 0;
}

/*
 * What part of a page has come is lost with its stream, and asked for again. Where streams never last for a whole one, asking
 * for the same again would never end, and what the server still has of the old ones fills the next stream.
 */
static uint32_t page_for(const struct engine *e)
{
	uint32_t n = e->policy.page_max >> e->short_streams;

	if (n >= PAGE_LEAST || e->short_streams == 0)
		return n;
	return e->policy.page_max < PAGE_LEAST ? e->policy.page_max : PAGE_LEAST;
}

static void note_short_stream(struct engine *e)
{
	bool within = e->aside;

	for (const struct query *q = e->asked; q; q = q->next)
		within |= q->step != PLAN_META;
	if (within && e->short_streams < SHORT_STREAMS_MAX)
		e->short_streams++;
}

static void note_whole_page(struct engine *e)
{
	bool own = e->page_max == page_for(e);

	if (e->short_streams == 0)
		return;
	e->short_streams--;
	/* Unless it is small for another reason. */
	if (own)
		e->page_max = page_for(e);
}

/* What comes of so many: a server that gave fewer the last time has a limit of its own. */
static uint32_t expected(const struct engine *e, uint32_t asked)
{
	return e->page_less && e->page_less < asked ? e->page_less : asked;
}

/* Messages that are asked for, or have come, and are not stored. */
static uint32_t unacknowledged(const struct engine *e)
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

uint32_t catchup_unacknowledged(const struct engine *e)
{
	return unacknowledged(e);
}

void catchup_session_refused(struct engine *e)
{
	if (e->unacknowledged <= ROOM || e->narrow)
		return;
	log_info("%s: the server did not keep a session with %u messages unacknowledged: from here on at most %d", LOG_JID(e->account.jid),
		 e->unacknowledged, ROOM);
	e->narrow = true;
}

/* The policy says how many at most: what a session was lost by holds for it too. */
static unsigned int most_lanes(const struct engine *e)
{
	unsigned int most = e->narrow ? LANES_NARROW : LANES_MAX;

	return e->policy.lanes && e->policy.lanes < most ? e->policy.lanes : most;
}

void catchup_stream_begins(struct engine *e, int64_t round_trip_us)
{
	catchup_drop_all(e);
	forget_bounds(e);
	lanes_init(&e->lanes, most_lanes(e));
	/* What is asked first is asked together with much else: Prosody answers it when it is done with all of it. */
	lanes_small_answer(&e->lanes, round_trip_us);
	str_set(&e->floor_id, NULL);
	e->no_cuts = false;
	e->unacknowledged = 0;
	e->seen_us = 0;
	e->page_given = e->page_less = 0;
	e->seen_n = 0;
	e->slice = e->slice ? e->slice : SLICE_FIRST;
	e->page_max = page_for(e);
	e->metadata_known = false;
	e->stalls = 0;
	e->sync_error = false;
	e->sync_wait_us = 0;
	engine_arm(e, TIMER_SYNC, -1);
	recheck_stream_begins(e);
}

void catchup_stream_ends(struct engine *e)
{
	uint32_t n;

	/*
	 * A stream that never began asked for nothing, and the session is still that of the one before. What is stored from here
	 * on the server hears of only when it resumes, so after it had to keep all of it.
	 */
	n = unacknowledged(e);
	e->unacknowledged = n > e->unacknowledged ? n : e->unacknowledged;
	pages_flush(e);
	note_short_stream(e);
	catchup_drop_all(e);
	aside_stream_ends(e);
	engine_arm(e, TIMER_SYNC, -1);
}

/* ---- asking ---- */

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
		busy[p.n_busy++] = (struct plan_busy){ q->step, q->step == PLAN_CUT ? q->below_id : q->above_id };
	return p;
}

/* Of all lanes together. A page of what somebody waits for finds its place beside them. */
static uint32_t room(const struct engine *e)
{
	uint32_t all = e->lanes.n > LANES_NARROW ? e->lanes.n * LANES_PAGE : ROOM;

	return errand_waits(e) ? all - ASIDE_PAGE : all;
}

static uint32_t messages_to_ask(const struct engine *e, const struct plan *p)
{
	/* One lane asks for the next page when this one has come, and is not stored. */
	uint32_t share = room(e) / (e->lanes.n > 1 ? e->lanes.n : 2);

	if (p->step == PLAN_META)
		return 0;
	if (p->step == PLAN_CUT)
		return 1;
	if (p->step == PLAN_NEWEST)
		return e->page_max < NEWEST_PAGE ? e->page_max : NEWEST_PAGE;
	return e->page_max < share ? e->page_max : share;
}

void catchup_send(struct engine *e, struct query *q, uint32_t max)
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

	if (p.step == PLAN_DONE || unacknowledged(e) + expected(e, max) > room(e) || (p.step == PLAN_CUT && !may_cut(e, p.below_id)))
		return false;
	if (p.by_time && e->time_cursor)
		p.cursor = e->time_cursor;
	/* Where the archive ends: an answer holds what was there by now. */
	if ((p.step == PLAN_META || p.step == PLAN_NEWEST) && !cover_is_live(&e->cover))
		e->bounces_asked = e->bounces;
	q = query_new(++e->next_query, &p, cover);
	query_push(&e->asked, q);
	catchup_send(e, q, max);
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

static void ask_all(struct engine *e)
{
	_cleanup_(cover_deinit) struct cover expected = { 0 };

	if (bounds_are_stale(e, &e->cover))
		forget_bounds(e);
	bound_old(e);
	/* What has come and is not stored is memory: no more than one page a lane. */
	if (query_count(e->whole) > e->lanes.n || !pages_expected(e, &expected))
		return;
	while (query_count(e->asked) < e->lanes.n) {
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

static bool nothing_wanted(const struct engine *e, bool at_all)
{
	struct plan_busy busy[LANES_MAX];
	struct plan_policy policy = policy_of(e, busy);

	if (at_all)
		policy.metered_us = 0;
	return e->ready && !e->asked && !e->whole && !e->sync_error &&
	       (e->session.archive == ARCHIVE_NONE || plan_is_done(&e->cover, &policy));
}

bool catchup_done(const struct engine *e)
{
	return nothing_wanted(e, true);
}

bool catchup_idle(const struct engine *e)
{
	return nothing_wanted(e, false);
}

void engine_set_metered(struct engine *e, bool metered)
{
	if (e->metered == metered)
		return;
	e->metered = metered;
	catchup_go(e);
	e->io->event(e->userdata, HUB_SYNC);
}

bool catchup_fetching(const struct engine *e, const struct span *s)
{
	const struct query *lists[] = { e->asked, e->whole };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next)
			if (q->step == PLAN_BEFORE && strcmp(q->above_id, s->first.id) == 0)
				return true;
	return false;
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

/* The archive is held to its end, and was asked for it after the last error: so many copies did the failed ones leave. */
static void note_bounces(struct engine *e)
{
	int r;

	if (e->bounces_asked != e->bounces || e->bounces_known == e->bounces || !catchup_done(e))
		return;
	r = store_begin(e->store);
	if (r >= 0)
		r = outbox_bounces_known(e->store, e->account.id);
	if (r >= 0)
		r = commit_finish(e, &e->line, NULL);
	if (r < 0) {
		commit_failed(e, r);
		return;
	}
	step("outbox.bounces");
	e->bounces_known = e->bounces;
}

/* A pause ends where somebody's message cannot leave without the archive's word; nothing else is asked then. */
static bool is_held(const struct engine *e)
{
	return e->paused && !e->doubt;
}

void catchup_prove(struct engine *e)
{
	_cleanup_(cover_deinit) struct cover cover = { 0 };

	/* The commit may ask a question by itself; the drop must come after it. */
	if (is_held(e) || e->session.archive == ARCHIVE_NONE || commit_now(e) < 0)
		return;
	/* What is about to leave goes before the question where the archive ends: see end_wait() in sending.c. */
	if (!flight_idle(&e->flight)) {
		e->unproven++;
		engine_arm(e, TIMER_PROVE, PROVE_AGAIN_US);
		return;
	}
	catchup_drop_all(e);
	e->end_unknown_us = e->io->boot_us(e->userdata);
	e->unproven = 0;
	e->proven_item = e->unproven_item;
	e->metadata_known = false;
	cover_copy(&cover, &e->cover);
	cover_session_lost(&cover);
	commit_cover(e, &cover);
	catchup_go(e);
}

void catchup_go(struct engine *e)
{
	if (e->paused)
		doubt_look(e);
	if (!e->ready || is_held(e) || e->store_failing || e->sync_error || e->session.archive == ARCHIVE_NONE) {
		note_done(e);
		doubt_look(e);
		sending_kick(e);
		return;
	}
	if (e->unproven >= PROVE_EVERY && catchup_idle(e)) {
		catchup_prove(e);
		return;
	}
	errand_look(e);
	/* Where the archive ends goes before them, the rest after. */
	if (!errand_first(e) || !cover_is_live(&e->cover))
		ask_all(e);
	aside_go(e);
	arm_deadline(e);
	note_done(e);
	note_bounces(e);
	doubt_look(e);
	sending_kick(e);
	e->io->event(e->userdata, HUB_SYNC);
}

/* ---- trouble ---- */

/* The archive does not answer usefully. The gap stays open and visible. */
void catchup_give_up(struct engine *e, const char *why)
{
	catchup_drop_all(e);
	forget_bounds(e);
	lanes_trouble(&e->lanes);
	e->sync_wait_us = e->sync_wait_us ? e->sync_wait_us * 2 : SYNC_RETRY_US;
	if (e->sync_wait_us > SYNC_RETRY_CAP_US)
		e->sync_wait_us = SYNC_RETRY_CAP_US;
	e->sync_error = true;
	e->stalls = 0;
	if (!e->barren_us)
		e->barren_us = e->io->boot_us(e->userdata);
	log_warning("%s: the server's archive does not answer; next try in %lld s", LOG_JID(e->account.jid),
		    (long long)(e->sync_wait_us / 1000000));
	log_debug("%s: it says: %s", e->account.jid, why); /* it may name somebody */
	engine_set_reason(e, "Remote", why);
	engine_arm(e, TIMER_SYNC, e->sync_wait_us);
	doubt_look(e);
	sending_kick(e);
	e->io->event(e->userdata, HUB_SYNC);
}

bool catchup_run_in_vain(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);

	if (e->vain == 0 || now - e->vain_us > VAIN_US) {
		e->vain = 0;
		e->vain_us = now;
	}
	if (++e->vain <= VAIN_MAX)
		return false;
	e->vain = 0;
	catchup_give_up(e, "it does not know what it delivers");
	return true;
}

/* More than we hold in memory: ask for less at a time. */
static void too_much(struct engine *e, struct query *q)
{
	if (e->page_max <= PAGE_LEAST || q->n >= PAGE_ITEMS_MAX) {
		catchup_give_up(e, "it sends more than it was asked for");
		return;
	}
	e->page_max = e->page_max / 4 > PAGE_LEAST ? e->page_max / 4 : PAGE_LEAST;
	log_debug("%s: big messages: pages of %u from here on", e->account.jid, e->page_max);
	lanes_trouble(&e->lanes);
	if (q->use == FOR_PLAN)
		withdraw(e, q);
	else
		aside_failed(e, query_take(&e->aside, q->id), false, "it sends more than can be held");
	catchup_go(e);
}

/* So an archive that answers nonsense costs a few questions, never a loop. */
void catchup_stalled(struct engine *e, struct query *q)
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
	forget_bounds(e);
	if (!by_time)
		str_set(&e->by_time_id, above);
	catchup_go(e);
}

void catchup_failed(struct engine *e, const struct link_query_failed *f)
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
	} else if (q->step == PLAN_BEFORE && !q->by_time && unknown_id && q->run) {
		/* A live message that the archive does not know any more: look at its newest page instead. */
		withdraw(e, q);
		if (!catchup_run_in_vain(e))
			catchup_prove(e);
	} else if (q->step == PLAN_BEFORE && !q->by_time && unknown_id) {
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
	if (q->n == 0 || e->lanes.n > 1 || e->page_max <= PAGE_LEAST)
		return;
	e->page_max = e->page_max / 2 > PAGE_LEAST ? e->page_max / 2 : PAGE_LEAST;
	log_debug("%s: pages come too slowly: %u from here on", e->account.jid, e->page_max);
}

void catchup_timeout(struct engine *e)
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
	arm_deadline(e);
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

/* ---- answers ---- */

void catchup_item(struct engine *e, const struct message *m)
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
	e->page_bytes += size;
}

static void note_density(struct engine *e, const struct query *q)
{
	int64_t first = q->n ? q->stamps[0] : 0, last = q->n ? q->stamps[q->n - 1] : 0;

	if (q->step == PLAN_BEFORE && !q->complete && q->n) {
		e->page_given = (uint32_t)q->n;
		e->page_less = q->n < q->max ? (uint32_t)q->n : 0;
	}
	if (q->n < 2 || q->by_time || first == 0 || last < first || last - first > DENSITY_SPAN_US)
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

void catchup_fin(struct engine *e, const struct link_fin *f)
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
	note_whole_page(e);
	query_push(&e->whole, q);
	arm_deadline(e);
	note_speed(e, q, now);
	note_density(e, q);
	engine_arm(e, TIMER_STORE, 0);
	catchup_go(e);
}

void catchup_meta(struct engine *e, const struct link_meta *m)
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
