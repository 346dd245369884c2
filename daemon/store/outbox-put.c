/* What users ask for: a new item and its effect on the messages at once; trying again. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "core/jid.h"
#include "store/conv.h"
#include "store/outbox-priv.h"
#include "store/present.h"
#include "store/read.h"
#include "store/refs.h"
#include "store/row.h"

/* One request on its way in. */
struct request {
	const struct outgoing *o;
	struct put p;
	uint64_t hash;
	char *client_id; /* owned */
	char *conv_jid;	 /* owned, folded */
	int64_t conv;	 /* 0 = made when needed */
	/* The message it is about, or which it answers. */
	int64_t target;
	char *target_id, *reply_jid; /* owned */
	bool unsent; /* the target is a text of ours that never left */
};

static void request_deinit(struct request *q)
{
	free(q->client_id);
	free(q->conv_jid);
	free(q->target_id);
	free(q->reply_jid);
}

/* What must be equal for two requests to be the same. */
static uint64_t request_hash(const struct outgoing *o, const char *conv_jid)
{
	const char *texts[] = { conv_jid, o->kind <= OUT_CORRECTION ? o->body : "",
				o->kind == OUT_REACTION ? o->emojis : "" };
	int64_t numbers[] = { o->kind, o->kind == OUT_TEXT ? o->reply_to : o->msg };
	uint64_t h = hash_bytes(HASH_BEGIN, numbers, sizeof(numbers));

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		h = hash_bytes(h, texts[i], strlen(texts[i]) + 1);
	return h;
}

static bool is_valid(const struct outgoing *o)
{
	switch (o->kind) {
	case OUT_TEXT:
		return *o->client_id && *o->body && *o->conversation && strlen(o->body) <= OUTBOX_BODY_MAX;
	case OUT_CORRECTION:
		return *o->body && strlen(o->body) <= OUTBOX_BODY_MAX;
	case OUT_RETRACTION:
		return true;
	case OUT_REACTION:
		return strlen(o->emojis) <= SHORT_TEXT_MAX;
	case OUT_RECEIPT:
	case OUT_MARKER:
	case OUT_READ:
	case OUT_KINDS:
		break;
	}
	return false;
}

/* The message as its archived copy will be. */
static struct message as_archived(const struct request *q)
{
	struct message m;

	message_init(&m);
	m.payload = PAYLOAD_TEXT;
	m.from = q->p.own_bare;
	m.to = q->conv_jid;
	m.type = "chat";
	m.id = m.origin_id = q->client_id;
	switch (q->o->kind) {
	case OUT_TEXT:
		m.body = q->o->body;
		m.reply_id = str_or_empty(q->target_id);
		break;
	case OUT_CORRECTION:
		m.body = q->o->body;
		m.replace_id = str_or_empty(q->target_id);
		break;
	case OUT_RETRACTION:
		m.payload = PAYLOAD_RETRACTION;
		m.target_id = str_or_empty(q->target_id);
		break;
	case OUT_REACTION:
		m.payload = PAYLOAD_REACTION;
		m.target_id = str_or_empty(q->target_id);
		m.text = q->o->emojis;
		break;
	default:
		break;
	}
	return m;
}

/* The same client id in messages themselves, for when the outbox has forgotten it or never knew it. */
struct earlier {
	struct request *q;
	bool hashed;
	uint64_t hash; /* of what is asked for; mostly nobody asks */
	int64_t msg;
	bool same;
};

static void see_earlier(void *userdata, const struct candidate *c)
{
	struct earlier *e = userdata;

	if (!e->hashed) {
		struct message m = as_archived(e->q);
		struct item it;

		item_init(&it, &e->q->p, &m);
		e->hash = it.hash;
		e->hashed = true;
		item_deinit(&it);
	}
	if (e->msg && (e->same || c->hash != e->hash))
		return;
	e->msg = c->id;
	e->same = c->hash == e->hash;
}

/* A text of the conversation with that client id, sent longer ago than the outbox remembers, or in an earlier life. */
static int find_earlier(struct request *q, struct earlier *e)
{
	int r;

	*e = (struct earlier){ .q = q };
	if (!q->conv)
		return 0;
	r = row_candidates(&q->p, q->conv, q->client_id, ROW_OUT, see_earlier, e);
	return r < 0 ? err_trace(r) : 0;
}

static int make_client_id(struct request *q)
{
	_cleanup_(stmt_done) struct stmt st = db_use(q->p.s, SQL_OUTBOX_MAKE_ID);
	int r = db_row(&st);

	if (r < 0)
		return err_trace(r);
	q->client_id = xstrdup(col_t(&st, 0));
	return 0;
}

/* Was it asked for before? OUTBOX_E_CONFLICT, 0 with *ret_existing. Of what is about a message the conversation is not
 * known yet: find_target() looks at its messages. */
static int look_back(struct request *q, int64_t *ret_msg, bool *ret_existing)
{
	struct earlier earlier;
	struct out_entry e;
	bool taken;
	int r;

	r = outbox_by_client(&q->p, q->client_id, &e);
	taken = r > 0;
	/* One that was made anew for a message (outbox_retry()) knows no request: the message does. */
	if (taken && (e.hash || e.kind != OUT_TEXT)) {
		if (e.hash != q->hash)
			return OUTBOX_E_CONFLICT;
		*ret_msg = e.msg;
		*ret_existing = true;
		return 0;
	}
	if (r >= 0)
		r = find_earlier(q, &earlier);
	if (r < 0)
		return err_trace(r);
	if (earlier.msg ? !earlier.same : taken)
		return OUTBOX_E_CONFLICT;
	if (earlier.msg) {
		*ret_msg = earlier.msg;
		*ret_existing = true;
	}
	return 0;
}

/* The id by which others know the message: XEP-0308 section 5 and XEP-0424 section 5.1 want the id attribute, XEP-0444
 * section 4.2 and XEP-0461 section 4.2 the origin-id if there is one. */
static const char *public_id(const struct present *t, enum out_kind kind)
{
	if ((kind == OUT_REACTION || kind == OUT_TEXT) && *t->origin_id)
		return t->origin_id;
	return t->xmpp_id;
}

/* The message that a text answers. */
static int find_answered(struct request *q)
{
	_cleanup_(present_deinit) struct present t = { 0 };
	const char *id;
	int r;

	if (q->o->reply_to == 0)
		return 0;
	r = present_read(&q->p, q->o->reply_to, &t);
	if (r < 0)
		return err_trace(r);
	if (r == 0 || strcmp(t.jid, q->conv_jid) != 0)
		return OUTBOX_E_NO_MESSAGE;
	id = public_id(&t, OUT_TEXT);
	if (!*id || t.room)
		return OUTBOX_E_UNSUITABLE;
	q->target = q->o->reply_to;
	q->target_id = xstrdup(id);
	q->reply_jid = TAKE_PTR(t.sender);
	return 0;
}

static bool is_unsuitable(const struct present *t, enum out_kind kind)
{
	/* No clear text after an encrypted one. */
	return t->kind != ROW_TEXT || t->room || t->state == STATE_FAILED || t->state == STATE_CANCELLED ||
	       (kind == OUT_CORRECTION && t->encrypted) || !*public_id(t, kind);
}

/* What a correction, retraction or reaction is about. */
static int find_target(struct request *q)
{
	_cleanup_(present_deinit) struct present t = { 0 };
	struct earlier earlier = { 0 };
	int r;

	r = present_read(&q->p, q->o->msg, &t);
	if (r < 0)
		return err_trace(r);
	if (r == 0)
		return OUTBOX_E_NO_MESSAGE;
	if (q->o->kind != OUT_REACTION && !t.out)
		return OUTBOX_E_NOT_OURS;
	if (is_unsuitable(&t, q->o->kind))
		return OUTBOX_E_UNSUITABLE;
	q->target = q->o->msg;
	q->target_id = xstrdup(public_id(&t, q->o->kind));
	q->conv = t.conv;
	free(q->conv_jid);
	q->conv_jid = TAKE_PTR(t.jid);
	r = t.state == STATE_QUEUED ? outbox_never_left(&q->p, t.conv, t.origin_id) : 0;
	q->unsent = r > 0;
	if (r >= 0)
		r = find_earlier(q, &earlier);
	if (r < 0)
		return err_trace(r);
	return earlier.msg ? OUTBOX_E_CONFLICT : 0;
}

/* A row of its own. */
static int put_text(struct request *q, int64_t *ret_msg)
{
	struct message m = as_archived(q);
	struct item it;
	int r;

	item_init(&it, &q->p, &m);
	it.queued = true;
	it.conv = q->conv;
	it.reply_to = q->target;
	r = put_natural_key(&q->p, &it.key);
	if (r == 0)
		r = row_add(&q->p, &it, false, ret_msg);
	q->conv = it.conv;
	item_deinit(&it);
	return r < 0 ? err_trace(r) : 0;
}

/* What its copy would do, done now; OUTBOX_E_UNSUITABLE if its id does not name the target alone. */
static int put_reference(struct request *q)
{
	struct message m = as_archived(q);
	int64_t named;
	struct item it;
	int r;

	item_init(&it, &q->p, &m);
	it.conv = q->conv;
	r = put_natural_key(&q->p, &it.key);
	if (r == 0)
		r = refs_target(&q->p, &it, &named);
	if (r == 0 && named == q->target)
		r = refs_put(&q->p, &it);
	item_deinit(&it);
	if (r < 0)
		return err_trace(r);
	return named == q->target ? 0 : OUTBOX_E_UNSUITABLE;
}

/* Nobody has the text yet, so nobody need be told that it is taken back: neither leaves. */
static int withdraw(struct request *q)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	size_t n = 0;
	int r = outbox_of_msg(&q->p, q->target, &list, &n);

	for (size_t i = 0; i < n && r == 0; i++)
		if (list[i].state == OUT_QUEUED) {
			r = outbox_enter(&q->p, &list[i], OUT_CANCELLED, AGAIN_NOT, "", "");
			if (r == 0)
				r = outbox_empty(&q->p, list[i].id);
		}
	return r < 0 ? err_trace(r) : 0;
}

static int take_on(struct request *q, int64_t *ret_msg)
{
	const struct outgoing *o = q->o;
	bool withdrawn = o->kind == OUT_RETRACTION && q->unsent;
	int64_t msg = q->target;
	int r;

	r = o->kind == OUT_TEXT ? put_text(q, &msg) : put_reference(q);
	if (r == 0 && withdrawn)
		r = withdraw(q);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	r = outbox_add(&q->p, &(struct out_new){
		.kind = o->kind,
		.state = withdrawn ? OUT_DONE : OUT_QUEUED,
		.conv = q->conv,
		.msg = msg,
		.seq = o->kind == OUT_TEXT ? q->p.s->last_mod : 0,
		.client_id = q->client_id,
		.to = "",
		.body = o->kind <= OUT_CORRECTION ? o->body : "",
		.target_id = o->kind == OUT_TEXT ? "" : q->target_id,
		.text = o->kind == OUT_REACTION ? o->emojis : "",
		.reply_id = o->kind == OUT_TEXT ? str_or_empty(q->target_id) : "",
		.reply_jid = str_or_empty(q->reply_jid),
		.hash = q->hash,
	});
	if (r < 0)
		return err_trace(r);
	*ret_msg = msg;
	return 0;
}

/* The same request again is answered from what was done, whatever became of its target since: 1. */
static int look_back_first(struct request *q, int64_t *ret_msg, bool *ret_existing)
{
	int r;

	if (!q->client_id) {
		r = make_client_id(q);
		return r < 0 ? err_trace(r) : 0;
	}
	r = look_back(q, ret_msg, ret_existing);
	return r < 0 ? err_trace(r) : r;
}

static int run(struct request *q, int64_t *ret_msg, bool *ret_existing)
{
	const struct outgoing *o = q->o;
	bool room = false;
	int outcome = 0, r = 0;

	q->conv_jid = o->kind == OUT_TEXT ? jid_bare(o->conversation) : xstrdup("");
	q->hash = request_hash(o, q->conv_jid);
	q->client_id = *o->client_id ? xstrdup(o->client_id) : NULL;
	if (o->kind == OUT_TEXT)
		r = conv_look_up(&q->p, q->conv_jid, &q->conv, &room);
	if (r == 0 && o->kind == OUT_TEXT)
		r = outcome = find_answered(q);
	if (r >= 0)
		r = look_back_first(q, ret_msg, ret_existing);
	if (r != 0 || *ret_existing)
		return r < 0 ? err_trace(r) : r;
	if (o->kind != OUT_TEXT)
		r = outcome = find_target(q);
	if (r >= 0 && !outcome)
		r = outbox_full(&q->p, OUTBOX_WAITING_MAX);
	if (r < 0)
		return err_trace(r);
	if (outcome || room)
		return outcome ? outcome : OUTBOX_E_UNSUITABLE;
	return r > 0 ? OUTBOX_E_FULL : take_on(q, ret_msg);
}

int outbox_put(struct store *s, int64_t account, const char *own_bare, const struct outgoing *o, int64_t now_us,
	       int64_t *ret_msg, bool *ret_existing)
{
	_cleanup_(request_deinit) struct request q = {
		.o = o,
		.p = { .s = s, .account = account, .own_bare = own_bare, .now_us = now_us },
	};
	int64_t msg = 0;
	bool existing = false;
	int outcome = 0, r;

	if (!is_valid(o) || strlen(o->client_id) > OUTBOX_CLIENT_ID_MAX)
		return err_origin(-EINVAL);
	r = put_begin(&q.p);
	if (r == 0)
		r = archive_id(s, account, "", &q.p.archive);
	if (r == 0)
		r = outcome = run(&q, &msg, &existing);
	r = put_end(&q.p, r < 0 ? r : 0);
	if (r < 0)
		return err_trace(r);
	if (outcome == 0 && !existing)
		r = outbox_note_done(s, now_us);
	if (r < 0)
		return err_trace(r);
	if (outcome == 0) {
		*ret_msg = msg;
		*ret_existing = existing;
	}
	return outcome;
}
