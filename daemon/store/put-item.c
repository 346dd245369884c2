/* store/put.h, one message: another copy of one that is here, a new row, or what it says about another. */
#include "store/put.h"

#include <string.h>

#include "base/err.h"
#include "store/aid.h"
#include "store/conv.h"
#include "store/gone.h"
#include "store/identity.h"
#include "store/outbox-priv.h"
#include "store/pending.h"
#include "store/refs.h"
#include "store/row.h"

/* XEP-0424 section 4: an archive may keep a tombstone in the place of a retracted message, under its id. */
static bool is_tombstone(const struct message *m)
{
	return m->payload == PAYLOAD_RETRACTION && m->via == VIA_ARCHIVE &&
	       (!*m->target_id || (*m->id && strcmp(m->target_id, m->id) == 0));
}

/* Nothing to keep but the place in the archive. */
static int put_place(struct put *p, const struct item *it, bool placed, struct put_outcome *ret)
{
	const char *id = it->m->archive_id;
	int r = *id ? aid_add(p, id, it->key, placed, 0) : 0;

	if (r < 0)
		return err_trace(r);
	*ret = (struct put_outcome){ .result = PUT_NOTHING, .aid_is_new = *id };
	return 0;
}

/* A new message, or another copy of one. ${placed}: it->key is final for its archive id, which is not known yet. */
static int put_row(struct put *p, struct item *it, bool placed, struct put_outcome *ret)
{
	const char *id = it->m->archive_id;
	int64_t msg = 0;
	int r = 0;

	if (!it->unseen)
		r = conv_find(p, it);
	if (r == 0 && !it->unseen)
		r = identity_find(p, it, &msg);
	if (r < 0)
		return err_trace(r);
	if (msg == 0) {
		r = gone_is(p, it);
		if (r > 0)
			return put_place(p, it, placed, ret);
		if (r == 0)
			r = row_add(p, it, placed, &msg);
		if (r < 0)
			return err_trace(r);
		*ret = (struct put_outcome){ .result = PUT_NEW, .msg = msg, .aid_is_new = *id };
		return 0;
	}
	r = *id ? aid_add(p, id, it->key, placed, msg) : 0;
	if (r == 0)
		r = row_seen_again(p, it, msg);
	if (r == 0)
		r = row_rekey(p, msg);
	if (r == 0 && it->m->payload == PAYLOAD_RETRACTION)
		r = refs_retract(p, msg);
	if (r < 0)
		return err_trace(r);
	*ret = (struct put_outcome){ .result = PUT_KNOWN, .msg = msg, .aid_is_new = *id };
	return 0;
}

/* What makes no row: it acts on another message, or is only a place in the archive. */
static int put_other(struct put *p, struct item *it, bool placed, struct put_outcome *ret)
{
	const char *id = it->m->archive_id;
	int r;

	r = refs_put(p, it);
	if (r < 0)
		return err_trace(r);
	*ret = (struct put_outcome){ .result = r > 0 ? PUT_APPLIED : PUT_NOTHING, .corrected = it->corrected, .aid_is_new = *id };
	r = *id ? aid_add(p, id, it->key, placed, 0) : 0;
	return r < 0 ? err_trace(r) : 0;
}

static int put_new(struct put *p, struct item *it, bool placed, struct put_outcome *ret)
{
	int r;

	/* Under the id of what it names, and new here: a client that took that one for its retraction. */
	if (item_has_row(it->m) || (is_tombstone(it->m) && !*it->m->target_id))
		r = put_row(p, it, placed, ret);
	else
		r = put_other(p, it, placed, ret);
	return r < 0 ? err_trace(r) : 0;
}

/* It stands somewhere else now: where our clock was wrong, before what seemed to have come before it. */
static int find_what_waits(struct put *p, struct item *it)
{
	int r = 0;

	if (!p->pending)
		return 0;
	if (!it->conv)
		r = conv_find(p, it);
	if (r == 0 && it->conv)
		r = pending_apply(p, it->conv, it->m->id);
	return r < 0 ? err_trace(r) : 0;
}

/* The archive id is stored already. ${moved}: its place is this one now. */
static int put_known(struct put *p, struct item *it, const struct aid *aid, bool moved, struct put_outcome *ret)
{
	int r = 0;

	*ret = (struct put_outcome){ .result = PUT_KNOWN, .msg = aid->msg };
	if (moved)
		r = aid_place(p, it->m->archive_id, it->key);
	if (r == 0 && aid->msg && is_tombstone(it->m))
		r = refs_retract(p, aid->msg);
	if (r == 0 && aid->msg)
		r = row_seen_again(p, it, aid->msg);
	if (r == 0 && aid->msg)
		r = row_rekey(p, aid->msg);
	if (r == 0 && aid->msg && moved && item_has_row(it->m))
		r = find_what_waits(p, it);
	/* A correction or reaction learns its place in the archive, which decides which one is the newest; a correction also its time. */
	if (r == 0 && !aid->msg && (moved || it->m->payload == PAYLOAD_TEXT) && !item_has_row(it->m))
		r = refs_put(p, it);
	return r < 0 ? err_trace(r) : 0;
}

/* A place came up to which another device has read. */
static int read_up_to_here(struct put *p, struct item *it)
{
	_cleanup_(freep) char *target = NULL;
	int r = 0;

	if (!p->pending || !*it->m->archive_id)
		return 0;
	if (!it->conv)
		r = conv_find(p, it);
	target = refs_read_target(it->m->archive_id);
	if (r == 0 && it->conv)
		r = pending_apply(p, it->conv, target);
	return r < 0 ? err_trace(r) : 0;
}

/* What follows from any stanza once it is stored. */
static int put_after(struct put *p, struct item *it, const struct put_outcome *out)
{
	int r = outbox_met(p, it);

	if (r == 0 && out->aid_is_new)
		r = read_up_to_here(p, it);
	return r < 0 ? err_trace(r) : 0;
}

int put_item(struct put *p, struct item *it, const struct aid *aid, bool final, struct put_outcome *ret)
{
	int r = aid->known ? put_known(p, it, aid, final, ret) : put_new(p, it, final && *it->m->archive_id, ret);

	if (r == 0)
		r = put_after(p, it, ret);
	return r < 0 ? err_trace(r) : 0;
}
