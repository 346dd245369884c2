/*
 * What becomes durable, and when. The order that promise 1 asks for is in one function, commit_finish(): effects, coverage
 * and the session row in one transaction, then its commit, then the wire hears the committed count.
 */
#include "sync/engine-priv.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "link/link.h"

#define AHEAD_MAX ACKLINE_WINDOW

static void drop_pending(struct engine *e)
{
	for (size_t i = 0; i < e->n_pending; i++)
		free(e->pending[i]);
	e->n_pending = 0;
	e->pending_bytes = 0;
}

int commit_init(struct engine *e)
{
	int r;

	r = session_load(e->store, e->account.id, &e->session);
	if (r < 0)
		return err_trace(r);
	ackline_load(&e->line, e->session.h_in, e->session.ahead, e->session.n_ahead);
	r = archive_id(e->store, e->account.id, "", &e->archive);
	if (r < 0)
		return err_trace(r);
	r = cover_read(e->store, e->archive, &e->cover);
	if (r < 0)
		return err_trace(r);
	r = recheck_begin(e);
	if (r < 0)
		return err_trace(r);
	return archive_count(e->store, e->account.id, &e->messages);
}

void commit_deinit(struct engine *e)
{
	drop_pending(e);
	commit_roster_drop(e);
	free(e->pending);
	free(e->roster);
	session_deinit(&e->session);
	cover_deinit(&e->cover);
}

void commit_arm(struct engine *e, int urgency)
{
	if (e->commit_armed >= urgency)
		return;
	e->commit_armed = urgency;
	engine_arm(e, TIMER_COMMIT, e->store_failing ? STORE_RETRY_US : urgency > 1 ? COMMIT_DELAY_US : LAZY_COMMIT_US);
}

bool commit_repeated(struct engine *e, uint32_t n)
{
	bool bad = false, repeated;

	if (!e->counted || n == 0)
		return false;
	repeated = ackline_seen(&e->line, n, &bad);
	if (bad) {
		log_warning("%s: the wire counted an impossible stanza number", LOG_JID(e->account.jid));
		engine_drop_wire(e);
	}
	return repeated;
}

void commit_skip(struct engine *e, uint32_t n)
{
	if (!e->counted || n == 0)
		return;
	ackline_done(&e->line, n);
	e->dirty = true;
	if (++e->skipped >= LAZY_BATCH)
		commit_arm(e, 2);
	else
		commit_arm(e, 1);
}

void commit_soon(struct engine *e)
{
	e->dirty = true;
	commit_arm(e, 2);
}

void commit_message(struct engine *e, const struct message *m)
{
	e->pending_bytes += message_size(m);
	e->bounces += m->payload == PAYLOAD_ERROR;
	if (e->n_pending >= PENDING_MAX || e->pending_bytes > PENDING_BYTES_MAX) {
		/* The store has refused for long and the wire did not stop: give up the stream, the server keeps it. */
		engine_drop_wire(e);
		return;
	}
	if (e->n_pending == e->cap_pending) {
		e->cap_pending = e->cap_pending ? e->cap_pending * 2 : 64;
		e->pending = xrealloc(e->pending, e->cap_pending, sizeof(*e->pending));
	}
	e->pending[e->n_pending++] = message_copy(m);
	if (e->n_pending >= COMMIT_BATCH && !e->store_failing)
		commit_now(e);
	else
		commit_arm(e, 2);
}

/*
 * May coverage grow by this message? Only if the archive's own id came with it, verified by the wire, and it is not
 * an old one delivered late: offline storage says nothing about its neighbours in the archive.
 */
static bool extends_coverage(const struct engine *e, const struct message *m)
{
	return *m->archive_id && e->session.archive != ARCHIVE_NONE && !(m->delay_us && m->delay_trusted);
}

static int put_pending(struct engine *e, struct cover *cover, struct ackline *line, uint64_t *new_messages,
		       bool *cover_changed)
{
	int64_t now = e->io->real_us(e->userdata);
	int r;

	for (size_t i = 0; i < e->n_pending; i++) {
		const struct message *m = e->pending[i];
		bool extends = extends_coverage(e, m);
		struct put_outcome out = { 0 };

		r = archive_put_live(e->store, e->account.id, e->archive, e->account.jid, m, now, extends, &out);
		if (r < 0)
			return err_trace(r);
		r = owed_receipt(e, m, &out);
		if (r < 0)
			return err_trace(r);
		if (extends && out.aid_is_new) {
			cover_live(cover, m->archive_id);
			e->unproven++;
			*cover_changed = true;
		}
		*new_messages += out.result == PUT_NEW;
		/* Which of the two it is, an id that was given twice or another archive, the archive's newest page says. */
		if (out.another) {
			e->unproven = PROVE_EVERY;
			*cover_changed = true;
		}
		if (e->counted && m->n)
			ackline_done(line, m->n);
	}
	return 0;
}

static int save_session(struct engine *e, const struct ackline *line)
{
	uint8_t ahead[AHEAD_MAX * 4];
	struct session row = e->session;

	row.h_in = line->h;
	/* Reserved before it is used: after a crash the server's h may be anything up to here (D8). */
	row.grant = e->grant_due ? e->grant_next : row.grant;
	row.ahead = ahead;
	row.n_ahead = ackline_save(line, ahead, AHEAD_MAX);
	return session_save(e->store, e->account.id, &row);
}

void commit_tell_grant(struct engine *e)
{
	struct link_record rec;

	link_record_init(&rec, LINK_GRANT);
	rec.grant.n = e->session.grant;
	e->io->send(e->userdata, &rec);
}

int commit_finish(struct engine *e, const struct ackline *line, struct cover *cover)
{
	struct link_record rec = { .kind = LINK_COMMITTED };
	uint32_t old_h = e->session.h_in;
	int r;

	if (cover) {
		r = cover_write(e->store, e->archive, cover);
		if (r < 0)
			return err_trace(r);
	}
	r = save_session(e, line);
	if (r < 0)
		return err_trace(r);
	r = store_commit(e->store);
	if (r < 0)
		return err_trace(r);
	e->line = *line;
	e->session.h_in = line->h;
	if (cover) {
		cover_deinit(&e->cover);
		e->cover = *cover;
		cover_init(cover);
	}
	e->dirty = false;
	e->skipped = 0;
	/* Any message may be the copy of one in doubt, which held others back. */
	e->look = e->look || e->doubt;
	if (e->wire && e->counted && old_h != line->h) {
		rec.committed.n = line->h;
		e->io->send(e->userdata, &rec);
	}
	/* Whichever commit it is: the one that was made for it may have failed. */
	if (e->grant_due) {
		e->session.grant = e->grant_next;
		e->grant_due = false;
		if (e->wire)
			commit_tell_grant(e);
	}
	return 0;
}

int commit_failed(struct engine *e, int r)
{
	_cleanup_(freep) char *text = NULL;

	store_rollback(e->store);
	if (!e->store_failing) {
		log_error("%s: cannot write the archive: %s; keeping messages unacknowledged and trying again",
			  LOG_JID(e->account.jid), strerror(-r));
		text = xasprintf("the archive cannot be written: %s: nothing is lost, %s", store_trouble(r), store_remedy(r));
		engine_set_reason(e, "Storage", text);
	}
	e->store_failing = true;
	/* With nothing else to write the session's row is what is tried, or nobody would see that it can be written again. */
	e->dirty = true;
	e->commit_armed = 0;
	commit_arm(e, 2);
	return err_trace(r);
}

void commit_succeeded(struct engine *e)
{
	if (!e->store_failing)
		return;
	e->store_failing = false;
	log_info("%s: the archive can be written again", LOG_JID(e->account.jid));
	engine_set_reason(e, "", "");
	engine_arm(e, TIMER_SYNC, 0);
	sending_kick(e);
}

int commit_now(struct engine *e)
{
	struct cover cover = { 0 };
	struct ackline line = e->line;
	uint64_t new_messages = 0;
	bool roster = commit_roster_due(e);
	bool cover_changed = false, feed, sending = sending_due(e), owed = owed_due(e);
	int r;

	feed = e->n_pending || roster || owed;
	engine_arm(e, TIMER_COMMIT, -1);
	e->commit_armed = 0;
	if (!e->n_pending && !roster && !e->dirty && !sending && !owed)
		return 0;
	cover_copy(&cover, &e->cover);
	r = store_begin(e->store);
	if (r >= 0)
		r = put_pending(e, &cover, &line, &new_messages, &cover_changed);
	if (r >= 0 && roster)
		r = commit_roster_put(e, &line);
	if (r >= 0 && owed)
		r = owed_put(e, &line);
	if (r >= 0 && sending)
		r = sending_put(e);
	if (r >= 0)
		r = commit_finish(e, &line, cover_changed ? &cover : NULL);
	cover_deinit(&cover);
	if (r < 0)
		return commit_failed(e, r);
	drop_pending(e);
	if (sending)
		sending_put_done(e);
	if (roster)
		commit_roster_drop(e);
	if (owed)
		owed_put_done(e);
	e->messages += new_messages;
	commit_succeeded(e);
	if (feed)
		e->io->event(e->userdata, HUB_FEED);
	if (cover_changed)
		catchup_go(e);
	/* What was received may be owed a receipt. */
	sending_kick(e);
	return 0;
}

int commit_cover(struct engine *e, struct cover *cover)
{
	int r;

	r = store_begin(e->store);
	if (r >= 0)
		r = commit_finish(e, &e->line, cover);
	return r < 0 ? commit_failed(e, r) : 0;
}

void commit_forget(struct engine *e)
{
	if (commit_now(e) < 0) {
		log_debug("%s: dropping %zu uncommitted records: the server has them", e->account.jid, e->n_pending);
		drop_pending(e);
	}
	commit_roster_drop(e);
	owed_forget(e);
	ackline_rewind(&e->line);
}
