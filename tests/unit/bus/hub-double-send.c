#include "hub-double-send.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/jid.h"
#include "hub-double.h"
#include "link/vocab.h"

#define REQUESTS_MAX 64
#define CROWD_MAX 512

/* One daemon has one hub: this is all there is. */
static struct {
	int outcome;
	char *last;
	struct {
		hub_answered_fn fn;
		void *userdata;
	} requests[REQUESTS_MAX];
	size_t n_requests;
	const struct hub_ephemeral *ephemeral;
	void *ephemeral_data;
	char *typing[CROWD_MAX], *states[CROWD_MAX];
	size_t n_typing;
	char *jids[CROWD_MAX], *shows[CROWD_MAX], *words[CROWD_MAX];
	size_t n_jids;
} d;

static const struct {
	const char *name;
	int r;
} outcomes[] = {
	{ "ok", 0 },
	{ "conflict", HUB_E_CONFLICT },
	{ "unsuitable", HUB_E_UNSUITABLE },
	{ "remote", HUB_E_REMOTE },
	{ "offline", HUB_E_OFFLINE },
	{ "notfound", HUB_E_NOT_FOUND },
	{ "limit", HUB_E_LIMIT },
	{ "busy", HUB_E_BUSY },
	{ "storage", HUB_E_STORAGE },
	{ "invalid", HUB_E_INVALID },
};

static int outcome_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		if (strcmp(outcomes[i].name, name) == 0)
			return outcomes[i].r;
	abort();
}

void hub_double_outcome(const char *name)
{
	d.outcome = outcome_of(name);
}

const char *hub_double_last_send(void)
{
	return str_or_empty(d.last);
}

static void note(const char *fmt, ...) _printf_(1, 2);
static void note(const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One line, whatever it is about. */
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = '|';
	str_set(&d.last, text);
}

/* What the test wants, once. */
static int wanted(char **ret_why)
{
	int r = d.outcome;

	d.outcome = 0;
	if (r != 0)
		*ret_why = xstrdup("as the test wants");
	return r;
}

/* ---- the outbox ---- */

static int outbox_outcome(int r, char **ret_why)
{
	static const int map[] = {
		[OUTBOX_E_CONFLICT] = HUB_E_CONFLICT,	   [OUTBOX_E_NO_MESSAGE] = HUB_E_NOT_FOUND,
		[OUTBOX_E_NOT_OURS] = HUB_E_UNSUITABLE,	   [OUTBOX_E_UNSUITABLE] = HUB_E_UNSUITABLE,
		[OUTBOX_E_FULL] = HUB_E_LIMIT,		   [OUTBOX_E_STATE] = HUB_E_UNSUITABLE,
	};

	if (r <= 0)
		return r;
	*ret_why = xasprintf("the outbox says %d", r);
	return map[r];
}

static int finish(struct hub *h, int64_t account, int r, char **ret_why)
{
	if (r == 0)
		r = store_commit(hub_store(h));
	else
		store_rollback(hub_store(h));
	if (r == 0)
		hub_double_tell(h, HUB_FEED, account);
	return outbox_outcome(r, ret_why);
}

int hub_send(struct hub *h, int64_t account, const struct outgoing *o, int64_t *ret_msg, bool *ret_existing,
	     char **ret_why)
{
	int r = wanted(ret_why);

	note("send %d %s %s %s %" PRId64 " %" PRId64 " %s", o->kind, o->conversation, o->client_id, o->body, o->msg,
	     o->reply_to, o->emojis);
	if (r != 0)
		return r;
	r = store_begin(hub_store(h));
	if (r < 0)
		return r;
	r = outbox_put(hub_store(h), account, hub_account(h, account)->jid, o, clock_real_us(), ret_msg, ret_existing);
	return finish(h, account, r, ret_why);
}

int hub_retry(struct hub *h, int64_t account, int64_t msg, char **ret_why)
{
	int r = wanted(ret_why);

	note("retry %" PRId64, msg);
	if (r != 0 || (r = store_begin(hub_store(h))) < 0)
		return r;
	return finish(h, account, outbox_retry(hub_store(h), account, msg, clock_real_us()), ret_why);
}

int hub_cancel(struct hub *h, int64_t account, int64_t msg, char **ret_why)
{
	int r = wanted(ret_why);

	note("cancel %" PRId64, msg);
	if (r != 0 || (r = store_begin(hub_store(h))) < 0)
		return r;
	return finish(h, account, outbox_cancel(hub_store(h), account, msg), ret_why);
}

/* ---- conversations ---- */

int hub_mark_read(_unused_ struct hub *h, _unused_ int64_t account, const char *conversation, int64_t msg, bool marker,
		  char **ret_why)
{
	note("mark-read %s %" PRId64 " %d", conversation, msg, marker);
	return wanted(ret_why);
}

int hub_conversation_open(_unused_ struct hub *h, _unused_ int64_t account, const char *jid, char **ret_id,
			  char **ret_why)
{
	int r = wanted(ret_why);

	note("open %s", jid);
	if (r == 0)
		*ret_id = xstrdup(jid);
	return r;
}

int hub_conversation_set(_unused_ struct hub *h, _unused_ int64_t account, const char *conversation,
			 const struct conversation_change *c, char **ret_why)
{
	note("set %s %d%d %d%d %d:%" PRId64 " %d:%s", conversation, c->set_pinned, c->pinned, c->set_archived, c->archived,
	     c->set_muted, c->muted_until_us, c->set_draft, c->draft);
	return wanted(ret_why);
}

int hub_delete_messages(_unused_ struct hub *h, _unused_ int64_t account, const int64_t *ids, size_t n, char **ret_why)
{
	note("delete %zu %" PRId64, n, ids[0]);
	return wanted(ret_why);
}

int hub_delete_conversation(_unused_ struct hub *h, _unused_ int64_t account, const char *conversation, char **ret_why)
{
	note("delete-conversation %s", conversation);
	return wanted(ret_why);
}

/* ---- typing and presence ---- */

int hub_set_typing(_unused_ struct hub *h, _unused_ int64_t account, const char *conversation, uint32_t chat_state,
		   char **ret_why)
{
	note("typing %s %" PRIu32, conversation, chat_state);
	return wanted(ret_why);
}

int hub_typing(_unused_ struct hub *h, _unused_ int64_t account, typing_fn fn, void *userdata)
{
	int r = 0;

	for (size_t i = 0; i < d.n_typing && r == 0; i++) {
		_cleanup_(freep) char *bare = jid_bare(d.typing[i]);

		r = fn(userdata, bare, d.typing[i], strcmp(d.states[i], "composing") == 0 ? CHAT_COMPOSING : CHAT_PAUSED);
	}
	return r;
}

static size_t find(char **list, size_t *n, const char *jid)
{
	size_t i = 0;

	while (i < *n && strcmp(list[i], jid) != 0)
		i++;
	if (i == *n && *n < CROWD_MAX)
		list[(*n)++] = xstrdup(jid);
	return i < CROWD_MAX ? i : 0;
}

void hub_double_typing(int64_t account, const char *sender, const char *state)
{
	_cleanup_(freep) char *bare = jid_bare(sender);
	size_t i = find(d.typing, &d.n_typing, sender);

	str_set(&d.states[i], state);
	if (d.ephemeral)
		d.ephemeral->typing(d.ephemeral_data, account, bare, sender,
				    strcmp(state, "composing") == 0 ? CHAT_COMPOSING : CHAT_PAUSED);
}

int hub_presence(_unused_ struct hub *h, _unused_ int64_t account, const char *bare, presence_fn fn, void *userdata)
{
	int r = 0;

	for (size_t i = 0; i < d.n_jids && r == 0; i++) {
		const struct presence_row row = { d.jids[i], d.shows[i], d.words[i], 5 };

		if (jid_bare_equal(d.jids[i], bare) && strcmp(d.shows[i], "offline") != 0)
			r = fn(userdata, &row);
	}
	return r;
}

void hub_double_presence(int64_t account, const char *jid, const char *show, const char *status)
{
	size_t i = find(d.jids, &d.n_jids, jid);
	struct presence_row row;

	str_set(&d.shows[i], strcmp(show, "here") == 0 ? "" : show);
	str_set(&d.words[i], status);
	row = (struct presence_row){ d.jids[i], d.shows[i], d.words[i], 5 };
	if (d.ephemeral)
		d.ephemeral->presence(d.ephemeral_data, account, &row);
}

int hub_set_presence(_unused_ struct hub *h, _unused_ int64_t account, const char *show, const char *status,
		     char **ret_why)
{
	note("presence %s %s", show, status);
	return wanted(ret_why);
}

void hub_asked(_unused_ struct hub *h)
{
}

void hub_set_active(_unused_ struct hub *h, bool active)
{
	note("active %d", active);
}

void hub_observe_ephemeral(_unused_ struct hub *h, const struct hub_ephemeral *fns, void *userdata)
{
	d.ephemeral = fns;
	d.ephemeral_data = userdata;
}

/* ---- requests ---- */

int hub_request(_unused_ struct hub *h, _unused_ int64_t account, uint32_t kind, const char *jid, const char *name,
		const char *text, hub_answered_fn done, void *userdata, char **ret_why)
{
	int r = wanted(ret_why);

	note("request %" PRIu32 " %s %s %s", kind, jid, name, text);
	if (r != 0)
		return r;
	if (d.n_requests == REQUESTS_MAX)
		abort();
	d.requests[d.n_requests].fn = done;
	d.requests[d.n_requests++].userdata = userdata;
	return 0;
}

void hub_request_abandon(_unused_ struct hub *h, const void *userdata)
{
	for (size_t i = 0; i < d.n_requests; i++)
		if (d.requests[i].userdata == userdata) {
			d.requests[i] = d.requests[--d.n_requests];
			note("abandoned");
			return;
		}
}

void hub_double_answer(const char *name)
{
	size_t n = d.n_requests;

	d.n_requests = 0;
	for (size_t i = 0; i < n; i++)
		d.requests[i].fn(d.requests[i].userdata, outcome_of(name), "item-not-found: as the test wants");
}
