/*
 * What others are told of their messages (XEP-0184), and what the server tells of our other devices: reading states
 * (XEP-0490) and the block list (XEP-0191). And what strangers ask: to see our presence (RFC 6121 section 3.1).
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/jid.h"
#include "sync/engine-priv.h"

#define TOLD_MAX 50000		 /* records in memory at once: a block list is stored whole, and the wire passes 2 MB of it */
#define TOLD_BYTES_MAX (8u << 20) /* of what they name: the wire's limit is a quarter of it, but a wire can be taken over */
#define RECEIPT_AGE_MAX_US (INT64_C(7) * 86400 * USEC_PER_SEC) /* an older message's sender does not wait any more */

/*
 * Of what an archive page brings, only what came while we were away: since the account was in sync last. Whatever is
 * older was here, or on another device, when it came.
 */
static bool came_while_away(const struct engine *e, const struct message *m)
{
	int64_t now = e->io->real_us(e->userdata);

	return e->session.caught_up_us && m->archive_us > e->session.caught_up_us &&
	       m->archive_us > now - RECEIPT_AGE_MAX_US;
}

static bool asks_for_receipt(const struct engine *e, const struct message *m)
{
	if (e->policy.no_receipts || !(m->asks & ASKS_RECEIPT) || !*m->id || strcmp(m->type, "chat") != 0)
		return false;
	if (m->payload != PAYLOAD_TEXT || jid_bare_equal(m->from, e->account.jid))
		return false;
	return m->via == VIA_LIVE || (m->via == VIA_ARCHIVE && came_while_away(e, m));
}

int owed_receipt(struct engine *e, const struct message *m, const struct put_outcome *out)
{
	_cleanup_(freep) char *from = NULL;
	int64_t now = e->io->real_us(e->userdata);
	int r;

	if ((out->result != PUT_NEW && !out->corrected) || !asks_for_receipt(e, m))
		return 0;
	/* A receipt says that we are online: strangers are not told (XEP-0184 section 8). */
	from = jid_bare(m->from);
	r = roster_trusts(e->store, e->account.id, from);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	if (out->corrected)
		r = outbox_owe_correction(e->store, e->account.id, out->corrected, m->id, m->from, now);
	else
		r = outbox_owe_receipt(e->store, e->account.id, out->msg, now);
	if (r < 0)
		return err_trace(r);
	e->look = true;
	return 0;
}

bool owed_answered(const struct engine *e, const struct query *q, const struct message *m)
{
	_cleanup_(freep) char *from = NULL;
	bool answered = false;

	if (!(m->asks & ASKS_RECEIPT) || !*m->id)
		return false;
	from = jid_bare(m->from);
	for (size_t i = 0; i < q->n && !answered; i++) {
		const struct message *x = q->items[i];

		answered = x->payload == PAYLOAD_RECEIPT && strcmp(x->target_id, m->id) == 0 &&
			   jid_bare_equal(x->from, e->account.jid) && jid_bare_equal(x->to, from);
	}
	return answered;
}

/* ---- what the server tells ---- */

/* One record, owned, until it is stored. */
struct told {
	enum link_kind kind; /* BLOCKED, READ or PRESENCE */
	uint32_t n;
	char *jid, *stanza_id;
	bool blocked, reset, last;
	bool asking;
};

static void drop_told(struct engine *e)
{
	for (size_t i = 0; i < e->n_told; i++) {
		free(e->told[i].jid);
		free(e->told[i].stanza_id);
	}
	e->n_told = 0;
	e->told_bytes = 0;
	e->blocked_open = false;
}

static struct told *add(struct engine *e, enum link_kind kind, uint32_t n, const char *jid, const char *stanza_id)
{
	e->told_bytes += strlen(jid) + strlen(stanza_id);
	if (e->n_told >= TOLD_MAX || e->told_bytes > TOLD_BYTES_MAX) {
		log_warning("%s: more than %d blocked addresses, reading states or requests wait, or %u bytes of them; the stream is "
			    "dropped",
			    LOG_JID(e->account.jid), TOLD_MAX, TOLD_BYTES_MAX);
		engine_drop_wire(e);
		return NULL;
	}
	if (e->n_told == e->cap_told) {
		e->cap_told = e->cap_told ? e->cap_told * 2 : 64;
		e->told = xrealloc(e->told, e->cap_told, sizeof(*e->told));
	}
	e->told[e->n_told] = (struct told){ .kind = kind, .n = n, .jid = xstrdup(jid), .stanza_id = xstrdup(stanza_id) };
	return &e->told[e->n_told++];
}

void owed_blocked(struct engine *e, const struct link_blocked *b)
{
	struct told *t = add(e, LINK_BLOCKED, b->n, b->jid, "");

	if (!t)
		return;
	t->blocked = b->blocked;
	t->reset = b->reset;
	t->last = b->last;
	e->blocked_open = (e->blocked_open || b->reset) && !b->last;
	if (!e->blocked_open)
		commit_soon(e);
}

void owed_read(struct engine *e, const struct link_read *r)
{
	/* One answer may hold any number of them, and each stands for itself. */
	if (e->n_told >= TOLD_AT_ONCE && owed_due(e) && !e->store_failing)
		commit_now(e);
	if (add(e, LINK_READ, r->n, r->jid, r->stanza_id))
		commit_soon(e);
}

void owed_asking(struct engine *e, const char *jid, bool asking, uint32_t n)
{
	_cleanup_(freep) char *bare = jid_bare(jid);
	struct told *t = add(e, LINK_PRESENCE, n, bare, "");

	if (!t)
		return;
	t->asking = asking;
	commit_soon(e);
}

/* A full block list is stored whole, or not at all. */
bool owed_due(const struct engine *e)
{
	return e->n_told && !e->blocked_open;
}

/* Entries [from, to) hold a full list: nobody else is blocked. */
static int keep_blocked(struct engine *e, size_t from, size_t to)
{
	_cleanup_(freep) char **jids = xnewn(char *, to - from + 1);
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		if (e->told[i].kind == LINK_BLOCKED && *e->told[i].jid)
			jids[n++] = e->told[i].jid;
	return roster_keep_blocked(e->store, e->account.id, jids, n);
}

static int put_one(struct engine *e, const struct told *t)
{
	if (t->kind == LINK_PRESENCE)
		return roster_set_asking(e->store, e->account.id, t->jid, t->asking);
	if (t->kind == LINK_READ)
		return archive_put_read(e->store, e->account.id, e->archive, t->jid, t->stanza_id,
					e->io->real_us(e->userdata));
	if (!*t->jid)
		return t->blocked ? 0 : roster_keep_blocked(e->store, e->account.id, NULL, 0);
	return roster_set_blocked(e->store, e->account.id, t->jid, t->blocked);
}

int owed_put(struct engine *e, struct ackline *line)
{
	size_t list = SIZE_MAX; /* a full list began here */
	int r = 0;

	for (size_t i = 0; i < e->n_told && r >= 0; i++) {
		const struct told *t = &e->told[i];

		if (t->kind == LINK_BLOCKED && t->reset)
			list = i;
		r = put_one(e, t);
		if (r >= 0 && list != SIZE_MAX && t->kind == LINK_BLOCKED && t->last) {
			r = keep_blocked(e, list, i + 1);
			list = SIZE_MAX;
		}
		if (e->counted && t->n)
			ackline_done(line, t->n);
	}
	return r < 0 ? err_trace(r) : 0;
}

void owed_put_done(struct engine *e)
{
	drop_told(e);
}

void owed_forget(struct engine *e)
{
	drop_told(e);
}

void owed_deinit(struct engine *e)
{
	drop_told(e);
	free(e->told);
}
