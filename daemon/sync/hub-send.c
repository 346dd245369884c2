/*
 * What a user sends: checked here, with words, before anything is stored; durable when a call returns 0; on its way as
 * soon as the engine can (sync/sending.c).
 */
#include "sync/hub-send.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/step.h"
#include "core/jid.h"
#include "core/text.h"
#include "store/read.h"
#include "sync/hub-priv.h"

/* ---- checks ---- */

int hub_check_text(const char *s, size_t max, const char *what, char **ret_why)
{
	const char *bad;

	if (strlen(s) > max) {
		*ret_why = xasprintf("%s is %zu bytes long: at most %zu can be sent", what, strlen(s), max);
		return HUB_E_INVALID;
	}
	if (!text_is_utf8(s)) {
		*ret_why = xasprintf("%s is not UTF-8", what);
		return HUB_E_INVALID;
	}
	bad = text_unsayable(s);
	if (bad) {
		*ret_why = xasprintf("%s has a character at byte %zu (0x%02x) that cannot be sent: it is no character of "
				     "XML, remove it", what, (size_t)(bad - s), (unsigned char)*bad);
		return HUB_E_INVALID;
	}
	return 0;
}

static int check_client_id(const struct outgoing *o, char **ret_why)
{
	if (!*o->client_id && o->kind == OUT_TEXT) {
		*ret_why = xasprintf("the client id is empty: give each message one of its own, 1 to %d bytes, so that it "
				     "can be sent again without being doubled", OUTBOX_CLIENT_ID_MAX);
		return HUB_E_INVALID;
	}
	for (const char *p = o->client_id; *p; p++) {
		if ((unsigned char)*p >= 0x20 && *p != 0x7f)
			continue;
		*ret_why = xstrdup("the client id has a control character in it");
		return HUB_E_INVALID;
	}
	return hub_check_text(o->client_id, OUTBOX_CLIENT_ID_MAX, "the client id", ret_why);
}

static int check_body(const struct outgoing *o, char **ret_why)
{
	if (o->kind != OUT_TEXT && o->kind != OUT_CORRECTION)
		return 0;
	if (!*o->body) {
		*ret_why = xstrdup("the text is empty: there is nothing to send");
		return HUB_E_INVALID;
	}
	return hub_check_text(o->body, OUTBOX_BODY_MAX, "the text", ret_why);
}

int hub_check_conversation(const char *jid, char **ret, char **ret_why)
{
	if (!jid_is_valid(jid) || *jid_resource(jid) || strchr(jid, '/')) {
		*ret_why = xasprintf("\"%.200s\" is not an address as name@server, without a resource", jid);
		return HUB_E_INVALID;
	}
	*ret = jid_bare(jid);
	return 0;
}

static int check(const struct outgoing *o, char **ret_why)
{
	int r;

	if (o->kind > OUT_REACTION) {
		*ret_why = xstrdup("that is nothing that can be sent");
		return HUB_E_INVALID;
	}
	r = check_client_id(o, ret_why);
	if (r == 0)
		r = check_body(o, ret_why);
	if (r == 0 && o->kind == OUT_REACTION)
		r = hub_check_text(o->emojis, SHORT_TEXT_MAX, "the list of reactions", ret_why);
	return r;
}

/* What the store's outcomes mean for a user. */
static int explain(int r, char **ret_why)
{
	static const struct {
		int outcome;
		const char *why;
	} rows[] = {
		[OUTBOX_E_CONFLICT] = { HUB_E_CONFLICT, "this client id was used for something else already: nothing was "
							"sent, take a new id" },
		[OUTBOX_E_NO_MESSAGE] = { HUB_E_NOT_FOUND, "there is no such message in that account or conversation" },
		[OUTBOX_E_NOT_OURS] = { HUB_E_UNSUITABLE, "only messages that were sent from this account can be corrected "
							  "or retracted" },
		[OUTBOX_E_UNSUITABLE] = { HUB_E_UNSUITABLE, "that cannot be done with this message: it was retracted, was "
							    "never sent, or has no id that others know" },
		[OUTBOX_E_FULL] = { HUB_E_LIMIT, "10000 messages wait to be sent already: connect the account, or cancel "
						 "some" },
		[OUTBOX_E_STATE] = { HUB_E_UNSUITABLE, "that does not fit what became of the message" },
	};

	if (r < 0)
		return hub_storage(r, ret_why);
	*ret_why = xstrdup(rows[r].why);
	return rows[r].outcome;
}

struct became {
	bool own, retracted, encrypted;
	uint32_t state;
};

static int keep_became(void *userdata, const struct message_row *row)
{
	*(struct became *)userdata = (struct became){
		.own = row->direction != 0,
		.retracted = strcmp(row->kind, "retracted") == 0,
		.encrypted = *row->encryption,
		.state = row->state,
	};
	return 0;
}

/* Why the message ${b} cannot be sent again, or not be cancelled. */
static const char *why_not(const struct became *b, bool cancel)
{
	if (!b->own)
		return "it was received, not sent from this account";
	switch (b->state) {
	case STATE_QUEUED:
		return cancel ? "it is about to leave" : "it waits to be sent already";
	case STATE_SENDING:
		return cancel ? "it may have left already: retract it" : "it is being sent already";
	case STATE_FAILED:
		return cancel ? "it failed already, and is not sent again by itself" : "it is being sent already";
	case STATE_CANCELLED:
		return cancel ? "it is cancelled already" : "it is being sent already";
	default:
		return cancel ? "it was sent already: retract it" : "it was sent already";
	}
}

static const char *why_unsuitable(const struct became *b)
{
	if (b->retracted)
		return "this message was retracted";
	if (b->own && (b->state == STATE_FAILED || b->state == STATE_CANCELLED))
		return "this message was never sent: send it again first";
	if (b->encrypted)
		return "this message is encrypted, and cannot be sent or corrected in clear text";
	return "this message has no id that others know, or is none of this conversation's texts";
}

/* As explain(), by what became of the message. */
static int explain_row(struct hub *h, int64_t account, int64_t msg, int r, bool cancel, char **ret_why)
{
	struct became b = { 0 };
	int outcome = explain(r, ret_why);

	if ((r != OUTBOX_E_STATE && r != OUTBOX_E_UNSUITABLE) ||
	    read_messages(h->store, account, &msg, 1, keep_became, &b) != 0)
		return outcome;
	free(*ret_why);
	*ret_why = xstrdup(r == OUTBOX_E_STATE ? why_not(&b, cancel) : why_unsuitable(&b));
	return outcome;
}

/* ---- calls ---- */

void hub_changed(struct hub *h, struct seat *seat)
{
	/* No property speaks of the outbox (hub_outbox()). */
	hub_note(h, seat, HUB_FEED);
	engine_send(seat->engine);
}

struct put_call {
	int64_t account, msg;
	const char *own_bare;
	const struct outgoing *o;
	bool existing;
};

static int do_put(struct store *s, void *arg)
{
	struct put_call *c = arg;

	return outbox_put(s, c->account, c->own_bare, c->o, clock_real_us(), &c->msg, &c->existing);
}

int hub_send(struct hub *h, int64_t account, const struct outgoing *o, int64_t *ret_msg, bool *ret_existing,
	     char **ret_why)
{
	_cleanup_(freep) char *conversation = NULL;
	struct outgoing folded = *o;
	struct put_call call = { .account = account, .o = &folded };
	struct seat *seat;
	int r;

	r = hub_find_seat(h, account, &seat, ret_why);
	if (r == 0)
		r = check(o, ret_why);
	if (r == 0 && o->kind == OUT_TEXT)
		r = hub_check_conversation(o->conversation, &conversation, ret_why);
	if (r != 0)
		return r;
	folded.conversation = str_or_empty(conversation);
	call.own_bare = engine_account(seat->engine)->jid;
	r = hub_transaction(h->store, do_put, &call);
	if (r != 0)
		return o->kind == OUT_TEXT ? explain(r, ret_why) : explain_row(h, account, o->msg, r, false, ret_why);
	*ret_msg = call.msg;
	*ret_existing = call.existing;
	if (!call.existing) {
		step("outbox.put");
		if (o->kind == OUT_TEXT) {
			engine_sent_one(seat->engine);
			hub_typed_text(seat, folded.conversation);
			hub_note(h, seat, HUB_SYNC); /* MessageCount */
		}
		hub_changed(h, seat);
	}
	return 0;
}

struct row_call {
	int64_t account, msg;
};

static int do_retry(struct store *s, void *arg)
{
	const struct row_call *c = arg;

	return outbox_retry(s, c->account, c->msg, clock_real_us());
}

static int do_cancel(struct store *s, void *arg)
{
	const struct row_call *c = arg;

	return outbox_cancel(s, c->account, c->msg);
}

static int change_row(struct hub *h, int64_t account, int64_t msg, int (*fn)(struct store *s, void *arg),
		      const char *name, char **ret_why)
{
	struct row_call call = { account, msg };
	struct seat *seat;
	int r;

	r = hub_find_seat(h, account, &seat, ret_why);
	if (r != 0)
		return r;
	r = hub_transaction(h->store, fn, &call);
	if (r != 0)
		return explain_row(h, account, msg, r, fn == do_cancel, ret_why);
	step(name);
	hub_changed(h, seat);
	return 0;
}

int hub_retry(struct hub *h, int64_t account, int64_t msg, char **ret_why)
{
	return change_row(h, account, msg, do_retry, "outbox.retry", ret_why);
}

/* One that is offered to the wire can be cancelled too: when its number comes it is withdrawn (sync/sending.c). */
int hub_cancel(struct hub *h, int64_t account, int64_t msg, char **ret_why)
{
	return change_row(h, account, msg, do_cancel, "outbox.cancel", ret_why);
}
