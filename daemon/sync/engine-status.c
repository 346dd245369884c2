/*
 * What an engine looks like from outside. Reads, and changes nothing but the count of messages that others stored.
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/archive.h"
#include "sync/engine-priv.h"

const struct account *engine_account(const struct engine *e)
{
	return &e->account;
}

const struct cover *engine_cover(const struct engine *e, int64_t *ret_archive)
{
	*ret_archive = e->archive;
	return &e->cover;
}

bool engine_fetching(const struct engine *e, size_t i)
{
	return i < e->cover.n && catchup_fetching(e, &e->cover.spans[i]);
}

void engine_archive_ends(const struct engine *e, int64_t *ret_start_us, int64_t *ret_end_us)
{
	*ret_start_us = e->meta_start_us;
	/* Until the end is confirmed it may be anywhere up to now. */
	*ret_end_us = cover_is_live(&e->cover) ? e->meta_end_us : e->io->real_us(e->userdata);
}

static const char *account_state(const struct engine *e)
{
	switch (e->state) {
	case ENGINE_OFF:
		return e->account.enabled ? "offline" : "disabled";
	case ENGINE_WAIT:
		return e->retry_real_us ? "offline" : "waiting-network";
	case ENGINE_DIAL:
		return "connecting";
	case ENGINE_AUTH:
	case ENGINE_BIND:
		return "authenticating";
	case ENGINE_ONLINE:
		return "online";
	case ENGINE_REFUSED:
		return "auth-failed";
	case ENGINE_STATES:
		break;
	}
	return "offline";
}

/* The most urgent thing that is being asked: gaps come before the past. */
static const char *phase(const struct engine *e)
{
	const struct query *q = e->asked ? e->asked : e->whole;

	if (!q)
		return "";
	if (q->step == PLAN_META || q->step == PLAN_NEWEST)
		return q->step == PLAN_META ? "metadata" : "newest";
	for (size_t i = 1; i < e->cover.n; i++)
		if (engine_fetching(e, i))
			return "gap";
	return "past";
}

static void sync_status(const struct engine *e, struct account_status *ret)
{
	ret->sync_phase = "";
	ret->sync_state = "idle";
	if (e->paused) {
		ret->sync_state = "paused";
	} else if (e->sync_error || e->store_failing) {
		ret->sync_state = "error";
	} else if (e->asked || e->whole) {
		ret->sync_phase = phase(e);
		ret->sync_state = strcmp(ret->sync_phase, "past") == 0 ? "backfilling" : "catching-up";
	} else if (e->state == ENGINE_ONLINE && (!e->ready || e->resending)) {
		ret->sync_state = "catching-up";
	}
}

/* Seconds of the server archive's time, held and in all. */
static void progress(const struct engine *e, struct account_status *ret)
{
	int64_t start = e->meta_start_us, end = e->meta_end_us, held = 0;

	if (end <= start)
		return;
	for (size_t i = 0; i < e->cover.n; i++) {
		int64_t a = e->cover.spans[i].first.us, b = e->cover.spans[i].last.us;

		a = a < start ? start : a;
		b = b > end ? end : b;
		held += b > a ? b - a : 0;
	}
	ret->total = (uint64_t)((end - start) / USEC_PER_SEC);
	ret->done = ret->caught_up ? ret->total : (uint64_t)(held / USEC_PER_SEC);
}

int engine_outbox(const struct engine *e, struct outbox_status *ret)
{
	struct outbox_counts counts;
	int r;

	*ret = (struct outbox_status){ 0 };
	r = outbox_count(e->store, e->account.id, &counts);
	if (r == 0 && counts.failed > 0)
		r = outbox_failed_rows(e->store, e->account.id, ret->failed_ids, STATUS_FAILED_MAX, &ret->n_failed_ids);
	if (r < 0)
		return err_trace(r);
	ret->queued = counts.queued;
	ret->sending = counts.sending + counts.doubt;
	ret->failed = counts.failed;
	return 0;
}

void engine_sent_one(struct engine *e)
{
	e->messages++;
}

void engine_recount(struct engine *e)
{
	uint64_t n;

	if (archive_count(e->store, e->account.id, &n) == 0) /* else the number of before is as good as any */
		e->messages = n;
}

void engine_status(const struct engine *e, struct account_status *ret)
{
	const struct session *s = &e->session;

	*ret = (struct account_status){
		.state = account_state(e),
		.reason_name = e->reason_name,
		.reason_text = e->reason_text,
		.next_retry_us = e->retry_real_us,
		.resource = strchr(s->full_jid, '/') ? strchr(s->full_jid, '/') + 1 : "",
		.address = e->address,
		.mechanism = e->mechanism,
		.features = s->features,
		.resumable = *s->sm_id,
		.resumed = e->resumed,
		.resumes = s->resumes,
		.binds = s->binds,
		.flights = s->flights,
		.last_resume_us = s->last_resume_us,
		.h_in = s->h_in,
		.h_out = s->h_out,
		.unacked = (uint32_t)flight_gone(&e->flight),
		.gaps = (uint32_t)cover_count_gaps(&e->cover, false),
		.lost = (uint32_t)cover_count_gaps(&e->cover, true),
		.messages = e->messages,
		.unsettled_us = e->recheck.since_us,
		.contradicts = renew_gave_up(e),
		.oldest_us = e->cover.n && !(e->cover.spans[0].flags & SPAN_EMPTY) ? e->cover.spans[0].first.us : 0,
		.caught_up_us = e->whole_us > s->caught_up_us ? e->whole_us : s->caught_up_us,
		.caught_up = e->state == ENGINE_ONLINE && catchup_done(e) && !e->store_failing,
	};
	/* What came since the end that we know of; a server without an archive has none. */
	if (s->archive != ARCHIVE_NONE || s->binds == 0)
		ret->gaps += cover_tail(&e->cover, &(struct gap){ 0 });
	/* A past beyond the horizon is nobody's gap. */
	if (catchup_holds_all(e))
		ret->gaps = 0;
	ret->metered = e->ready && e->metered && catchup_idle(e) && !catchup_holds_all(e);
	push_status(e, ret);
	sync_status(e, ret);
	progress(e, ret);
}
