/*
 * What others are told of their messages (XEP-0184), and what the server tells of our other devices: reading states
 * (XEP-0490) and the block list (XEP-0191).
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/jid.h"
#include "sync/engine-priv.h"

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

int owed_receipt(struct engine *e, const struct message *m, int64_t msg)
{
	_cleanup_(freep) char *from = NULL;
	int r;

	if (!asks_for_receipt(e, m))
		return 0;
	/* A receipt says that we are online: strangers are not told (XEP-0184 section 8). */
	from = jid_bare(m->from);
	r = roster_trusts(e->store, e->account.id, from);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	r = outbox_owe_receipt(e->store, e->account.id, msg, e->io->real_us(e->userdata));
	if (r < 0)
		return err_trace(r);
	e->look = true;
	return 0;
}

void owed_blocked(struct engine *e, const struct link_blocked *b)
{
	commit_skip(e, b->n);
}

void owed_read(struct engine *e, const struct link_read *r)
{
	commit_skip(e, r->n);
}
