/*
 * What the archive answered when it was not settled (core/recheck.h) is verified once it may be: a walk like the one that
 * a user asks for (aside.c), for nobody to see, down to the oldest such answer. How far that is outlives the process.
 */
#include "base/log.h"
#include "base/step.h"
#include "sync/engine-priv.h"

static void arm(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);

	if (!e->recheck.since_us || e->settling)
		engine_arm(e, TIMER_RECHECK, -1);
	else
		engine_arm(e, TIMER_RECHECK, e->recheck.due_us > now ? e->recheck.due_us - now : 0);
}

int recheck_begin(struct engine *e)
{
	int64_t since = 0;
	int r;

	r = archive_unsettled(e->store, e->archive, &since);
	if (r >= 0)
		recheck_load(&e->recheck, since, e->io->boot_us(e->userdata));
	return r;
}

void recheck_stream_begins(struct engine *e)
{
	arm(e);
}

int recheck_put(struct engine *e, const struct query *q, struct recheck *next)
{
	*next = e->recheck;
	/* Once the walk has begun. */
	if (q->unsettled_us && e->settling && *e->settling->upper)
		recheck_note_late(next, q->unsettled_us);
	if (!q->unsettled_us || !recheck_note(next, q->unsettled_us, e->io->boot_us(e->userdata)))
		return 0;
	return archive_set_unsettled(e->store, e->archive, next->since_us);
}

void recheck_put_done(struct engine *e, const struct recheck *next)
{
	if (next->since_us == e->recheck.since_us) {
		e->recheck.late_us = next->late_us;
		return;
	}
	if (!e->recheck.since_us)
		log_info("%s: the server's archive is not settled, it says; it is looked at again later", LOG_JID(e->account.jid));
	e->recheck = *next;
	arm(e);
}

void recheck_look(struct engine *e)
{
	if (!e->recheck.since_us || e->settling)
		return;
	/* What a user verifies goes first. */
	if (engine_is_verifying(e)) {
		recheck_put_off(&e->recheck, e->io->boot_us(e->userdata));
		arm(e);
		return;
	}
	e->settling = xnew(struct verify);
	verify_init(e->settling, "", e->recheck.since_us == RECHECK_ALL ? 0 : e->recheck.since_us);
	/* What came live is to be proven first. */
	if (e->state == ENGINE_ONLINE && e->ready && !e->paused)
		catchup_prove(e);
}

void recheck_forget(struct engine *e)
{
	if (!e->settling)
		return;
	verify_deinit(e->settling);
	free(e->settling);
	e->settling = NULL;
	arm(e);
}

static int store_settled(struct engine *e)
{
	int r;

	r = store_begin(e->store);
	if (r >= 0)
		r = archive_set_unsettled(e->store, e->archive, e->recheck.late_us);
	if (r >= 0)
		r = commit_finish(e, &e->line, NULL);
	if (r < 0)
		return commit_failed(e, r);
	step("archive.settled");
	return 0;
}

void recheck_ended(struct engine *e, bool settled)
{
	const struct verify_tally *t = &e->settling->tally;

	if (settled && (t->missing || t->moved))
		log_info("%s: the archive is settled: %llu messages were missing, %llu in a wrong place", LOG_JID(e->account.jid),
			 (unsigned long long)t->missing, (unsigned long long)t->moved);
	if (settled && store_settled(e) < 0)
		settled = false;
	recheck_done(&e->recheck, settled, e->io->boot_us(e->userdata));
	recheck_forget(e);
}

void recheck_renewed(struct engine *e)
{
	recheck_load(&e->recheck, 0, 0);
	recheck_forget(e);
}
