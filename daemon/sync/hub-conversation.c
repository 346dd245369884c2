/*
 * What a user does with conversations on this machine: reading them up to a place, which others are told of; opening,
 * pinning, muting, drafts; deleting.
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/step.h"
#include "store/account.h"
#include "store/conversation.h"
#include "sync/hub-priv.h"

#define DELETE_MAX 1000 /* messages a call: what one transaction deletes without being felt */

struct call {
	int64_t account;
	const char *conversation;
	int64_t msg;
	bool marker;
	const struct conversation_change *change;
	const int64_t *ids;
	size_t n;
	bool deletes; /* messages */
	char *id;
};

static int explain(int r, char **ret_why)
{
	if (r < 0)
		return hub_storage(r, ret_why);
	if (r == CONVERSATION_E_NO_MESSAGE)
		*ret_why = xstrdup("there is no such message in that conversation");
	else
		*ret_why = xstrdup("there is no such conversation: see varvectl ls");
	return HUB_E_NOT_FOUND;
}

/* Find account and conversation, run ${fn} in a transaction, tell. */
static int run(struct hub *h, struct call *c, int (*fn)(struct store *s, void *arg), const char *name, char **ret_why)
{
	_cleanup_(freep) char *folded = NULL;
	struct seat *seat;
	int r;

	r = hub_find_seat(h, c->account, &seat, ret_why);
	if (r == 0 && c->conversation)
		r = hub_check_conversation(c->conversation, &folded, ret_why);
	if (r != 0)
		return r;
	c->conversation = folded;
	r = hub_transaction(h->store, fn, c);
	if (r != 0)
		return explain(r, ret_why);
	step(name);
	if (c->deletes) {
		engine_recount(seat->engine);
		hub_note(h, seat, HUB_SYNC); /* MessageCount */
	}
	hub_changed(h, seat);
	return 0;
}

static int do_read(struct store *s, void *arg)
{
	struct call *c = arg;
	int64_t upto = 0;
	int r;

	r = conversation_mark_read(s, c->account, c->conversation, c->msg, &upto);
	if (r != 0 || upto == 0)
		return r;
	/* A marker says that we are here: strangers are not told (XEP-0333 section 7). */
	r = c->marker ? roster_trusts(s, c->account, c->conversation) : 0;
	if (r >= 0)
		r = outbox_owe_read(s, c->account, c->conversation, upto, r > 0, clock_real_us());
	/* That there is nobody or no room to tell is no reason not to have read it. */
	return r < 0 ? err_trace(r) : 0;
}

int hub_mark_read(struct hub *h, int64_t account, const char *conversation, int64_t msg, bool marker, char **ret_why)
{
	struct call c = {
		.account = account, .conversation = conversation, .msg = msg, .marker = marker && h->config.markers,
	};

	return run(h, &c, do_read, "conversation.read", ret_why);
}

static int do_open(struct store *s, void *arg)
{
	struct call *c = arg;

	return conversation_open(s, c->account, c->conversation, clock_real_us(), &c->id);
}

int hub_conversation_open(struct hub *h, int64_t account, const char *jid, char **ret_id, char **ret_why)
{
	struct call c = { .account = account, .conversation = jid };
	int r = run(h, &c, do_open, "conversation.open", ret_why);

	if (r == 0)
		*ret_id = c.id;
	return r;
}

static int do_set(struct store *s, void *arg)
{
	const struct call *c = arg;

	return conversation_set(s, c->account, c->conversation, c->change);
}

int hub_conversation_set(struct hub *h, int64_t account, const char *conversation, const struct conversation_change *c,
			 char **ret_why)
{
	struct call call = { .account = account, .conversation = conversation, .change = c };
	int r = 0;

	if (c->set_draft)
		r = hub_check_text(c->draft, CONVERSATION_DRAFT_MAX, "the draft", ret_why);
	if (r == 0 && c->set_muted && c->muted_until_us < 0) {
		*ret_why = xstrdup("muted until a time before 1970: give a time to come, or 0 for not muted");
		r = HUB_E_INVALID;
	}
	return r == 0 ? run(h, &call, do_set, "conversation.set", ret_why) : r;
}

static int do_delete_messages(struct store *s, void *arg)
{
	const struct call *c = arg;

	return conversation_delete_messages(s, c->account, c->ids, c->n, clock_real_us());
}

int hub_delete_messages(struct hub *h, int64_t account, const int64_t *ids, size_t n, char **ret_why)
{
	struct call c = { .account = account, .ids = ids, .n = n, .deletes = true };

	if (n > DELETE_MAX) {
		*ret_why = xasprintf("%zu messages are too many for one call: at most %d can be deleted at a time", n,
				     DELETE_MAX);
		return HUB_E_LIMIT;
	}
	return run(h, &c, do_delete_messages, "messages.delete", ret_why);
}

static int do_delete(struct store *s, void *arg)
{
	const struct call *c = arg;

	return conversation_delete(s, c->account, c->conversation, clock_real_us());
}

int hub_delete_conversation(struct hub *h, int64_t account, const char *conversation, char **ret_why)
{
	struct call c = { .account = account, .conversation = conversation, .deletes = true };

	return run(h, &c, do_delete, "conversation.delete", ret_why);
}
