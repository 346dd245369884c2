/*
 * What became of messages whose session was lost without a count? The archive knows, once it is held from their anchor to
 * its end (docs/decisions/0008). core/flight.h says when that is; here is where the anchor lies.
 */

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "sync/engine-priv.h"

/* The archive has given nothing for so long, over whatever streams, that it is as if there were none. */
#define DOUBT_PATIENCE_US (SYNC_RETRY_US * 16)

/*
 * A server that was asked for a new session may still be working off what came by the old stream: its process for the
 * old session has to end first, on a busy ejabberd seconds later (a soak of 5,000 sends found four such). So the
 * archive's word counts when it was asked this long after the new stream began, and again this long after a copy
 * turned up that was not there before.
 */
#define DOUBT_QUIET_US (INT64_C(15) * 1000000)
#define DOUBT_AGAIN_US (INT64_C(1) * 1000000)

void doubt_stream_begins(struct engine *e)
{
	e->doubt_wait_us = e->io->boot_us(e->userdata) + DOUBT_QUIET_US;
	e->doubt_asked = false;
	e->doubt_left = UINT32_MAX;
}

/* The archive was asked late enough. */
static bool asked_late_enough(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);
	struct outbox_counts counts;

	if (now < e->doubt_wait_us) {
		engine_arm(e, TIMER_DOUBT, e->doubt_wait_us - now);
		return false;
	}
	if (e->doubt_asked)
		return true;
	if (outbox_count(e->store, e->account.id, &counts) < 0)
		return false;
	e->doubt_left = counts.doubt;
	e->doubt_asked = true;
	catchup_prove(e);
	/* It was put off: something is about to leave. */
	if (e->metadata_known) {
		e->doubt_asked = false;
		engine_arm(e, TIMER_DOUBT, DOUBT_AGAIN_US);
	}
	return false;
}

/* The first span that has ${key} below it. */
static int span_above(struct engine *e, int64_t key, size_t *ret)
{
	size_t i = e->cover.n;
	int64_t first;
	int r;

	for (; i > 0; i--) {
		r = archive_place(e->store, e->archive, e->cover.spans[i - 1].first.id, &first);
		if (r < 0)
			return err_trace(r);
		/* One without a place is looked at as if it were above: its gap has to be closed too. */
		if (r > 0 && first <= key)
			break;
	}
	*ret = i;
	return 0;
}

/* Whether everything from ${anchor} to now is held. */
static bool held_from(struct engine *e, const char *anchor)
{
	size_t from = 0;
	int64_t key;
	int r;

	if (!cover_is_live(&e->cover))
		return false;
	/* An anchor that is not known here (any more) says nothing: then all that is kept has to be held. */
	r = archive_place(e->store, e->archive, anchor, &key);
	if (r > 0)
		r = span_above(e, key, &from);
	return r >= 0 && doubt_is_over(&e->cover, from);
}

/*
 * Never for ever: without an archive at once; with one when it holds nothing more that could be asked for; and when it
 * refuses for long. It is asked even while the user has paused the rest (catchup.c, is_held()).
 */
static bool doubt_ended(struct engine *e)
{
	_cleanup_(freep) char *anchor = NULL;
	struct outbox_counts counts;
	int64_t written_us;
	int r;

	r = outbox_oldest_doubt(e->store, e->account.id, &anchor, &written_us);
	if (r <= 0) {
		e->doubt = r < 0;
		return false;
	}
	if (e->session.archive == ARCHIVE_NONE)
		return true;
	if (e->sync_error && e->io->boot_us(e->userdata) - e->barren_us >= DOUBT_PATIENCE_US) {
		log_warning("%s: the archive cannot say whether messages arrived; they are sent again",
			    LOG_JID(e->account.jid));
		return true;
	}
	if (!asked_late_enough(e) || !(catchup_done(e) || held_from(e, anchor)))
		return false;
	if (outbox_count(e->store, e->account.id, &counts) < 0)
		return false;
	if (counts.doubt == e->doubt_left)
		return true;
	doubt_stream_begins(e);
	asked_late_enough(e);
	return false;
}

void doubt_look(struct engine *e)
{
	size_t n = 0;
	int r;

	if (!e->doubt || !e->wire || !e->ready || e->store_failing)
		return;
	if (!doubt_ended(e))
		return;
	e->doubt = false;
	r = store_begin(e->store);
	if (r >= 0)
		r = outbox_doubt_over(e->store, e->account.id, &n);
	if (r >= 0)
		r = commit_finish(e, &e->line, NULL);
	if (r < 0) {
		e->doubt = true;
		commit_failed(e, r);
		return;
	}
	step("outbox.doubt");
	log_info("%s: %zu messages had not arrived; they are sent again", LOG_JID(e->account.jid), n);
	sending_items_changed(e);
	engine_send(e);
}
