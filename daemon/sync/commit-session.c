/*
 * The session row: bound, resumed, over. Coverage's run and live end go with the old session in the same transaction.
 */
#include "base/step.h"
#include "sync/engine-priv.h"

/* What became of the old session. */
enum fate { FATE_RESUMED, FATE_LOST, FATE_LOST_WITH_H };

/* The outbox follows: ${h} is what the server has of the old session's stanzas. */
static int put_fate(struct engine *e, enum fate fate, uint32_t h)
{
	if (fate == FATE_RESUMED)
		return outbox_resumed(e->store, e->account.id, h);
	return outbox_session_lost(e->store, e->account.id, fate == FATE_LOST_WITH_H, h);
}

/*
 * Make ${next} the session row; with a lost session the coverage's live end goes too, and the outbox learns of it, in
 * the same transaction.
 */
static int change_session(struct engine *e, const struct session *next, const struct ackline *line, enum fate fate,
			  uint32_t h)
{
	bool lost = fate != FATE_RESUMED;

	struct session old = e->session;
	struct cover cover = { 0 };
	int r;

	if (lost) {
		cover_copy(&cover, &e->cover);
		cover_session_lost(&cover);
	}
	e->session = *next;
	r = store_begin(e->store);
	if (r >= 0)
		r = put_fate(e, fate, h);
	if (r >= 0 && lost)
		r = push_put_session_lost(e);
	if (r >= 0)
		r = commit_finish(e, line, lost ? &cover : NULL);
	cover_deinit(&cover);
	if (r < 0) {
		e->session = old;
		return commit_failed(e, r);
	}
	step("session.changed");
	commit_succeeded(e);
	if (lost)
		push_put_session_lost_done(e);
	sending_session_changed(e);
	return 0;
}

int commit_session_bound(struct engine *e, const struct link_online *o)
{
	struct session old = e->session;
	struct session next = old;
	struct ackline line;
	int r;

	ackline_init(&line, o->sm_in);
	next.sm_id = xstrdup(o->sm_id);
	next.sm_location = xstrdup(o->sm_location);
	next.full_jid = xstrdup(o->jid);
	next.sm_max = o->sm_max;
	next.h_out = o->sm_out;
	next.grant = o->sm_out + LINK_FIRST_GRANT;
	next.flights = o->flights;
	next.binds++;
	/* What the old session delivered but did not get stored comes again from the archive. */
	r = change_session(e, &next, &line, FATE_LOST, 0);
	free(r < 0 ? next.sm_id : old.sm_id);
	free(r < 0 ? next.sm_location : old.sm_location);
	free(r < 0 ? next.full_jid : old.full_jid);
	return r;
}

int commit_session_resumed(struct engine *e, const struct link_online *o)
{
	struct session next = e->session;

	next.h_out = o->sm_out;
	if ((int32_t)(next.grant - o->sm_out) < GRANT_STEP / 2)
		next.grant = o->sm_out + GRANT_STEP;
	next.flights = o->flights;
	next.resumes++;
	next.last_resume_us = e->io->real_us(e->userdata);
	return change_session(e, &next, &e->line, FATE_RESUMED, o->sm_out);
}

static int give_up_session(struct engine *e, enum fate fate, uint32_t h)
{
	char *old_id = e->session.sm_id;
	struct session next = e->session;
	int r;

	next.sm_id = xstrdup("");
	r = change_session(e, &next, &e->line, fate, h);
	free(r < 0 ? next.sm_id : old_id);
	return r;
}

int commit_session_over(struct engine *e)
{
	return give_up_session(e, FATE_LOST, 0);
}

int commit_session_refused(struct engine *e, const struct link_resume_refused *f)
{
	/* A count below what it had acknowledged, or above what can have been sent, is no count (D8). */
	bool sound = f->has_h && (int32_t)(f->h - e->session.h_out) >= 0 && (int32_t)(e->session.grant - f->h) >= 0;

	return give_up_session(e, sound ? FATE_LOST_WITH_H : FATE_LOST, f->h);
}
