#include "store/refs.h"

#include <string.h>

#include "base/err.h"
#include "store/aid.h"
#include "store/conv.h"
#include "store/feed.h"
#include "store/gone.h"
#include "store/known.h"
#include "store/outbox-priv.h"
#include "store/pending.h"
#include "store/read.h"
#include "store/target.h"

/* U+0001, which XML cannot carry, stands before it. */
char *refs_read_target(const char *id)
{
	return xasprintf("\001%s", id);
}

char *refs_moderated_target(const char *stanza_id)
{
	return xasprintf("%c%s", REFS_BY_ROOM, stanza_id);
}

static int count_refs(struct put *p, int64_t msg, enum ref_kind kind, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_REF_COUNT);

	put_i(&q, msg);
	put_i(&q, kind);
	return db_int(&q, 0, ret);
}

static int write_ref(struct put *p, int64_t msg, const struct ref *ref, const char *id, const char *value)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_REF_PUT);

	put_i(&q, msg);
	put_i(&q, ref->kind);
	put_t(&q, ref->author);
	put_t(&q, id);
	put_i(&q, ref->key);
	put_t(&q, value);
	return db_run(&q);
}

static int touch(struct put *p, enum sql id, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, mod);
	put_i(&q, msg);
	return db_run(&q);
}

static int set_text(struct put *p, int64_t msg, const struct ref *ref)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_EDIT);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_n(&q, ref->value);
	put_n(&q, ref->encryption);
	put_i(&q, ref->key);
	put_n(&q, ref->id);
	put_i(&q, ref->time_us);
	put_i(&q, mod);
	put_i(&q, msg);
	return db_run(&q);
}

/* The correction that is applied came again: its place, and its time if that is another one and the archive's. */
static int set_edit_place(struct put *p, int64_t msg, const struct ref *ref, int64_t edit_us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_EDIT_KEY);
	bool moves = ref->archived && ref->time_us != edit_us;
	int64_t mod = 0;
	int r;

	r = moves ? feed_next(p->s, p->account, &mod) : 0;
	if (r < 0)
		return err_trace(r);
	put_i(&q, ref->key);
	if (moves) {
		put_i(&q, ref->time_us);
		put_i(&q, mod);
	} else {
		put_null(&q);
		put_null(&q);
	}
	put_i(&q, msg);
	return db_run(&q);
}

/* Is the present text older than the correction? *ret_same: it is this very correction; *ret_us: the present one's time. */
static int compare_edit(struct put *p, int64_t msg, const struct ref *ref, bool *ret_newer, bool *ret_same, int64_t *ret_us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_STATE);
	int r;

	put_i(&q, msg);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_newer = sqlite3_column_type(q.st, 7) == SQLITE_NULL || ref->key >= col_i(&q, 7);
	*ret_same = *ref->id && strcmp(col_t(&q, 8), ref->id) == 0 && strcmp(col_t(&q, 9), ref->value) == 0;
	*ret_us = col_i(&q, 11);
	return 0;
}

static int correct(struct put *p, int64_t msg, const struct ref *ref)
{
	bool newer = false, same = false;
	int64_t n = 0, edit_us = 0;
	int r = 0;

	if (*ref->id) {
		r = count_refs(p, msg, REF_CORRECTION, &n);
		if (r == 0 && n < REFS_CORRECTIONS_MAX)
			r = write_ref(p, msg, ref, ref->id, "");
	}
	if (r == 0)
		r = compare_edit(p, msg, ref, &newer, &same, &edit_us);
	if (r < 0)
		return err_trace(r);
	if (same)
		return set_edit_place(p, msg, ref, edit_us);
	return newer ? set_text(p, msg, ref) : 0;
}

int refs_retract(struct put *p, int64_t msg)
{
	int64_t conv;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_STATE);

		put_i(&q, msg);
		r = db_row(&q);
		if (r <= 0 || col_i(&q, 6) == ROW_RETRACTED)
			return r < 0 ? err_trace(r) : 0;
		conv = col_i(&q, 0);
	}
	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_REF_DROP);

		put_i(&q, msg);
		put_i(&q, REF_REACTION);
		r = db_run(&q);
	}
	if (r == 0)
		r = touch(p, SQL_MSG_RETRACT, msg);
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, conv);
	return 0;
}

/* What ${ref}'s author thinks of ${msg} by now, against ${ref}. */
struct opinion {
	bool known;
	bool stale; /* ${ref} is older */
	bool same;  /* it is the same set */
	bool copy;  /* and the same stanza, as far as it has an id */
};

static int read_opinion(struct put *p, int64_t msg, const struct ref *ref, struct opinion *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_REF_GET);
	int r;

	put_i(&q, msg);
	put_i(&q, REF_REACTION);
	put_t(&q, ref->author);
	r = db_row(&q);
	*ret = (struct opinion){ .known = r > 0 };
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	ret->stale = ref->key < col_i(&q, 0);
	ret->same = strcmp(col_t(&q, 1), ref->value) == 0;
	ret->copy = ret->same && (!*ref->id || !*col_t(&q, 2) || strcmp(col_t(&q, 2), ref->id) == 0);
	return 0;
}

static int forget_opinion(struct put *p, int64_t msg, const struct ref *ref)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_REF_FORGET);

	put_i(&q, msg);
	put_i(&q, REF_REACTION);
	put_t(&q, ref->author);
	return db_run(&q);
}

static int react(struct put *p, int64_t msg, const struct ref *ref)
{
	struct opinion was;
	int64_t n = 0;
	bool same;
	int r;

	r = read_opinion(p, msg, ref, &was);
	/* Another copy may only move: from its live place to the one in the archive. An older one of that set is none. */
	if (r < 0 || (was.stale && !was.copy))
		return r < 0 ? err_trace(r) : 0;
	same = was.same;
	r = was.known ? forget_opinion(p, msg, ref) : count_refs(p, msg, REF_REACTION, &n);
	if (r == 0 && n < REFS_REACTORS_MAX)
		r = write_ref(p, msg, ref, ref->id, ref->value);
	if (r == 0 && !same && n < REFS_REACTORS_MAX)
		r = touch(p, SQL_MSG_REACTED, msg);
	return r < 0 ? err_trace(r) : 0;
}

/*
 * Another device has read up to a place of the archive: 0 if it is not here yet. The server's word counts for the
 * conversation that it names alone (XEP-0490 section 5.1).
 */
static int read_up_to(struct put *p, const struct ref *ref)
{
	struct target t = { .ref = ref, .exact = true };
	struct aid aid;
	int r;

	r = aid_get(p, ref->target + 1, &aid);
	if (r < 0 || !aid.known)
		return r < 0 ? err_trace(r) : 0;
	r = aid.msg ? target_by_row(p, &t, aid.msg) : conv_read_to_key(p, ref->conv, aid.key);
	if (r == 0 && t.msg)
		r = conv_read_to(p, ref->conv, t.msg);
	/* What they know need not be told to them. */
	if (r == 0 && t.msg)
		r = conv_told(p, ref->conv, t.msg);
	return r < 0 ? err_trace(r) : 1;
}

/* Only forward: sending, sent, delivered, displayed. Of what never left nobody can say so who does not guess ids. */
static int advance(struct put *p, const struct target *t, uint32_t state)
{
	int r = t->state == STATE_QUEUED ? outbox_may_have_left(p, t->ref->conv, t->ref->target) : 1;

	if (r <= 0 || t->state >= state)
		return r < 0 ? err_trace(r) : 0;
	r = row_set_state(p, t->msg, state, "", "");
	if (r == 0 && t->state < STATE_SENT)
		r = outbox_arrived(p, t->ref->conv, t->ref->target);
	return r < 0 ? err_trace(r) : 0;
}

int refs_apply(struct put *p, const struct ref *ref)
{
	struct target t = { .ref = ref };
	int r;

	if (ref->kind == REF_OWN_READ)
		return read_up_to(p, ref);
	r = target_find(p, &t);
	if (r < 0)
		return err_trace(r);
	if (!t.msg)
		return 0;
	switch (ref->kind) {
	case REF_CORRECTION:
		r = t.kind == ROW_TEXT ? correct(p, t.msg, ref) : 0;
		break;
	case REF_RETRACTION:
		r = refs_retract(p, t.msg);
		break;
	case REF_REACTION:
		r = t.kind == ROW_RETRACTED ? 0 : react(p, t.msg, ref);
		break;
	case REF_RECEIPT:
		r = advance(p, &t, STATE_DELIVERED);
		break;
	case REF_MARKER:
		r = advance(p, &t, STATE_DISPLAYED);
		if (r == 0 && t.state >= STATE_SENDING && t.state <= STATE_DISPLAYED)
			r = conv_seen(p, ref->conv, t.msg);
		break;
	case REF_OWN_MARKER:
	case REF_OWN_READ:
		r = conv_read_to(p, ref->conv, t.msg);
		break;
	}
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, ref->conv);
	return 1;
}

/* Emoji as stored: separated by tabs, which a set cannot contain. */
static char *reaction_value(const char *text)
{
	char *value = xstrdup(text), *to = value;
	bool sep = false;

	for (const char *from = value; *from; from++) {
		if (*from == '\n' || *from == '\t') {
			sep = to != value;
			continue;
		}
		if (sep)
			*to++ = '\t';
		sep = false;
		*to++ = *from;
	}
	*to = '\0';
	return value;
}

/* An error for a message of ours; what has arrived somewhere has not failed. */
static int put_error(struct put *p, struct item *it)
{
	const struct ref as_receipt = { .kind = REF_RECEIPT, .conv = it->conv, .target = it->m->id };
	struct target t = { .ref = &as_receipt, .exact = true };
	int r;

	r = target_by_name(p, &t, it->m->id, ROW_OUT);
	if (r == 0 && (!t.msg || t.state > STATE_SENT))
		return 0;
	if (r == 0)
		r = outbox_never_left(p, it->conv, it->m->id);
	if (r > 0)
		return 0;
	if (r == 0)
		r = outbox_bounced(p, it->conv, it->m->id);
	if (r == 0)
		r = row_set_state(p, t.msg, STATE_FAILED, it->m->error, it->m->error_text);
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, it->conv);
	return 1;
}

/* The reference in ${it}; false if it is none that matters. */
static bool classify(const struct item *it, struct ref *ref)
{
	const struct message *m = it->m;

	*ref = (struct ref){
		.conv = it->conv, .target = m->target_id, .author = it->author, .id = m->id, .value = "",
		.encryption = "", .key = it->key, .time_us = it->time_us, .room = it->room,
		.archived = it->clock == CLOCK_ARCHIVE,
	};
	switch ((enum message_payload)m->payload) {
	case PAYLOAD_TEXT:
		ref->kind = REF_CORRECTION;
		ref->target = m->replace_id;
		ref->value = m->body;
		ref->encryption = m->encryption;
		break;
	case PAYLOAD_RETRACTION:
		ref->kind = REF_RETRACTION;
		break;
	case PAYLOAD_REACTION:
		ref->kind = REF_REACTION;
		break;
	case PAYLOAD_RECEIPT:
		/* A receipt that another device of ours sent says nothing that we show. */
		if (it->out && !it->self)
			return false;
		ref->kind = REF_RECEIPT;
		break;
	case PAYLOAD_MARKER:
		ref->kind = it->out ? REF_OWN_MARKER : REF_MARKER;
		break;
	default:
		return false;
	}
	return *ref->target != '\0';
}

int refs_target(struct put *p, struct item *it, int64_t *ret_msg)
{
	struct ref ref;
	struct target t = { .ref = &ref };
	int r = 0;

	if (classify(it, &ref))
		r = target_find(p, &t);
	if (r < 0)
		return err_trace(r);
	*ret_msg = t.msg;
	return 0;
}

/* What another item of ours, sent later, replaces: its place does not matter any more. */
static int is_superseded(struct put *p, const struct item *it, const struct ref *ref)
{
	if (!it->out || (ref->kind != REF_CORRECTION && ref->kind != REF_REACTION))
		return 0;
	return outbox_superseded(p, *it->m->origin_id ? it->m->origin_id : it->m->id);
}

/* A private message of a room: everybody in it has the same bare JID. */
static void by_occupant(const struct item *it, struct ref *ref)
{
	if (!item_is_of_room(it) || !strchr(it->m->from, '/'))
		return;
	ref->author = it->m->from;
	ref->room = true;
}

/* refs_apply(), and of a correction that asks for a receipt: did it come for the first time? */
static int apply(struct put *p, struct item *it, const struct ref *ref)
{
	bool asks = ref->kind == REF_CORRECTION && *ref->id && it->m->asks & ASKS_RECEIPT;
	int64_t before = 0;
	int r = 0, applied;

	if (asks)
		r = target_corrected(p, ref->conv, ref->id, &before);
	if (r < 0)
		return err_trace(r);
	applied = refs_apply(p, ref);
	if (applied > 0 && asks && !before)
		r = target_corrected(p, ref->conv, ref->id, &it->corrected);
	return applied < 0 || r == 0 ? applied : err_trace(r);
}

int refs_put(struct put *p, struct item *it)
{
	_cleanup_(freep) char *value = NULL, *target = NULL;
	struct ref ref;
	int r;

	if (it->m->payload == PAYLOAD_ERROR) {
		r = conv_find(p, it);
		return r < 0 ? err_trace(r) : put_error(p, it);
	}
	if (!classify(it, &ref))
		return 0;
	/* From the room itself: a moderator's. */
	if (ref.kind == REF_RETRACTION && it->room && !strchr(it->author, '/'))
		ref.target = target = refs_moderated_target(ref.target);
	r = is_superseded(p, it, &ref);
	if (r != 0)
		return r < 0 ? err_trace(r) : 1;
	r = conv_get(p, it);
	if (r < 0)
		return err_trace(r);
	ref.conv = it->conv;
	by_occupant(it, &ref);
	if (ref.kind == REF_REACTION)
		ref.value = value = reaction_value(it->m->text);
	r = apply(p, it, &ref);
	if (r == 0) {
		r = gone_names(p, it->conv, ref.target);
		if (r != 0)
			return r < 0 ? err_trace(r) : 0;
		r = pending_add(p, &ref);
	} else if (r > 0 && ref.kind == REF_CORRECTION) {
		r = pending_apply(p, it->conv, ref.id);
	}
	return r < 0 ? err_trace(r) : 1;
}
