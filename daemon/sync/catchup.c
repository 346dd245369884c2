/*
 * Catching up with the archive, stream by stream: when it is asked (asking.c) and when not, when all is here, and when it is left
 * alone for a while.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/step.h"
#include "sync/engine-priv.h"

#define PROVE_AGAIN_US USEC_PER_SEC /* a burst that is offered is let go within milliseconds */
#define VAIN_MAX 5 /* live ids in VAIN_US that the archive does not know: somebody deletes them; more is a server's nonsense */
#define VAIN_US (INT64_C(600) * USEC_PER_SEC)

/* Its stanzas have no effect, so they may be acknowledged. */
void catchup_discard(struct engine *e, struct query *q)
{
	for (size_t i = 0; i < q->n; i++)
		commit_skip(e, q->numbers[i]);
	commit_skip(e, q->fin_n);
	e->page_bytes -= q->bytes;
	query_free(q);
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

void catchup_forget(struct engine *e)
{
	asking_forget_bounds(e);
	str_set(&e->floor_id, NULL);
	str_set(&e->end_seen, NULL);
	e->metadata_known = false;
	e->meta_start_us = e->meta_end_us = 0;
	e->seen_us = 0;
	e->seen_n = 0;
}

static void note_short_stream(struct engine *e)
{
	bool within = e->aside;

	for (const struct query *q = e->asked; q; q = q->next)
		within |= q->step != PLAN_META;
	if (within && e->short_streams < SHORT_STREAMS_MAX)
		e->short_streams++;
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
	asking_forget_bounds(e);
	lanes_init(&e->lanes, most_lanes(e));
	/* What is asked first is asked together with much else: Prosody answers it when it is done with all of it. */
	lanes_small_answer(&e->lanes, round_trip_us);
	str_set(&e->floor_id, NULL);
	e->no_cuts = e->disordered = false;
	e->unacknowledged = 0;
	e->seen_us = 0;
	e->page_given = e->page_less = 0;
	e->seen_n = 0;
	e->slice = e->slice ? e->slice : SLICE_FIRST;
	e->page_max = asking_page(e);
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
	n = asking_unacknowledged(e);
	e->unacknowledged = n > e->unacknowledged ? n : e->unacknowledged;
	pages_flush(e);
	note_short_stream(e);
	catchup_drop_all(e);
	aside_stream_ends(e);
	engine_arm(e, TIMER_SYNC, -1);
}

static bool nothing_wanted(const struct engine *e, bool at_all)
{
	return e->ready && !e->asked && !e->whole && !e->sync_error &&
	       (e->session.archive == ARCHIVE_NONE || asking_is_done(e, at_all));
}

bool catchup_holds_all(const struct engine *e)
{
	return nothing_wanted(e, true);
}

bool catchup_done(const struct engine *e)
{
	return !e->resending && nothing_wanted(e, true);
}

bool catchup_idle(const struct engine *e)
{
	return nothing_wanted(e, false);
}

void catchup_waits(struct engine *e, bool waits)
{
	/* For weeks, perhaps, and meanwhile the server may have dropped what is still missing. */
	if (!waits && !catchup_done(e))
		e->metadata_known = false;
	catchup_go(e);
	e->io->event(e->userdata, HUB_SYNC);
}

void engine_set_metered(struct engine *e, bool metered)
{
	if (e->metered == metered)
		return;
	e->metered = metered;
	catchup_waits(e, metered);
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
		asking_go(e);
	aside_go(e);
	asking_arm_deadline(e);
	note_done(e);
	note_bounces(e);
	doubt_look(e);
	sending_kick(e);
	e->io->event(e->userdata, HUB_SYNC);
}

/* The archive does not answer usefully. The gap stays open and visible. */
void catchup_give_up(struct engine *e, const char *why)
{
	catchup_drop_all(e);
	asking_forget_bounds(e);
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
