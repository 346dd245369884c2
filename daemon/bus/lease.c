#include "bus/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "link/vocab.h"
#include "store/read.h"
#include "sync/hub-send.h"

struct typing {
	int64_t account;
	char *conversation;
};

struct lease {
	struct actives *actives;
	struct interest interest;
	struct typing typing[LEASE_TYPING_MAX];
	size_t n_typing;
};

static const struct {
	const char *name;
	uint32_t kind;
} kinds[] = {
	{ "message", INTEREST_MESSAGE },
	{ "conversation", INTEREST_CONVERSATION },
	{ "contact", INTEREST_CONTACT },
	{ "removed", INTEREST_REMOVED },
};

static const char *const states[CHAT_STATES] = {
	[CHAT_ACTIVE] = "active",     [CHAT_COMPOSING] = "composing", [CHAT_PAUSED] = "paused",
	[CHAT_INACTIVE] = "inactive", [CHAT_GONE] = "gone",
};

const char *typing_name(uint32_t chat_state)
{
	return chat_state < CHAT_STATES ? states[chat_state] : NULL;
}

/* ---- interest ---- */

bool interest_is_narrow(const struct interest *i)
{
	return i->conversations || i->kinds != INTEREST_ALL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool interest_has_conversation(const struct interest *i, const char *conversation)
{
	return !i->conversations ||
	       bsearch(&conversation, i->conversations, i->n_conversations, sizeof(*i->conversations), by_text);
}

struct look {
	const struct interest *const *of;
	size_t n;
	bool *hit;
};

static int meet(void *userdata, uint32_t kind, const char *conversation)
{
	struct look *l = userdata;

	for (size_t i = 0; i < l->n; i++)
		if (!l->hit[i] && l->of[i]->kinds & kind && (!conversation || interest_has_conversation(l->of[i], conversation)))
			l->hit[i] = true;
	return 0;
}

static int meet_message(void *userdata, const struct message_row *row)
{
	return meet(userdata, INTEREST_MESSAGE, row->conversation);
}

static int meet_conversation(void *userdata, const struct conversation_row *row)
{
	return meet(userdata, INTEREST_CONVERSATION, row->id);
}

static int meet_contact(void *userdata, const struct contact_row *row)
{
	return meet(userdata, INTEREST_CONTACT, row->jid);
}

/* Whose conversation a removed row was in is not known any more. */
static int meet_removed(void *userdata, _unused_ const char *kind, _unused_ const char *key)
{
	return meet(userdata, INTEREST_REMOVED, NULL);
}

void interest_look(struct store *s, int64_t account, uint64_t *since, const struct interest *const *of, size_t n,
		   bool *ret_hit)
{
	static const struct changes_fns fns = { meet_message, meet_conversation, meet_contact, meet_removed };
	struct look l = { of, n, ret_hit };
	uint64_t next = 0, seq = 0;
	bool more = true;

	if (n > 0 && read_changes(s, account, *since, 0, 0, &fns, &l, &next, &more) == 0 && !more) {
		*since = next;
		return;
	}
	memset(ret_hit, true, n * sizeof(*ret_hit));
	if (read_seq(s, account, &seq, NULL) == 0)
		*since = seq;
}

static void interest_deinit(struct interest *i)
{
	options_free_texts(i->conversations);
}

static int read_kinds(char *const *words, uint32_t *ret, sd_bus_error *error)
{
	*ret = 0;
	for (char *const *p = words; *p; p++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].name, *p) != 0)
			i++;
		if (i == ARRAY_SIZE(kinds))
			return error_invalid(error, "there is no kind '%s': it is one of message, conversation, contact, "
					     "removed", *p);
		*ret |= kinds[i].kind;
	}
	return 0;
}

static int read_interest(sd_bus_message *m, struct interest *i, sd_bus_error *error)
{
	_cleanup_(options_free_textsp) char **words = NULL;
	const struct option known[] = {
		{ "conversations", OPTION_TEXTS, &i->conversations },
		{ "kinds", OPTION_TEXTS, &words },
		{ "ephemeral", OPTION_BOOL, &i->ephemeral },
		{ "active", OPTION_BOOL, &i->active },
	};
	size_t n = 0, bytes = 0;
	int r;

	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	for (; i->conversations && i->conversations[n]; n++)
		bytes += strlen(i->conversations[n]) + 1;
	if (bytes > INTEREST_BYTES_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "conversations have at most %d bytes in all; without the option all "
				 "are meant", INTEREST_BYTES_MAX);
	if (n > INTEREST_CONVERSATIONS_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "at most %d conversations; without the option all are meant",
				 INTEREST_CONVERSATIONS_MAX);
	/* Each row of each change is held against all of them, for each connection. */
	if (n > 0)
		qsort(i->conversations, n, sizeof(*i->conversations), by_text);
	i->n_conversations = n;
	return words ? read_kinds(words, &i->kinds, error) : 0;
}

static void set_active(struct lease *l, bool active)
{
	struct actives *a = l->actives;
	bool before = a->n > 0;

	a->n += (size_t)active - (size_t)l->interest.active;
	l->interest.active = active;
	if (before != (a->n > 0))
		hub_set_active(a->hub, a->n > 0);
}

int lease_set_interest(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(interest_deinit) struct interest i = { .kinds = INTEREST_ALL, .ephemeral = true };
	struct conn *c = userdata;
	struct lease *l = conn_lease(c);
	int r;

	r = read_interest(m, &i, error);
	if (r < 0)
		return r;
	if (i.active && conn_config(c)->role < ROLE_WRITE)
		return error_set(error, VARVE_ERROR_DENIED, "option 'active' is told to servers: it needs the role 'write'");
	set_active(l, i.active);
	options_free_texts(l->interest.conversations);
	l->interest = i;
	i.conversations = NULL;
	return sd_bus_reply_method_return(m, NULL);
}

void users_come(struct users *u)
{
	if (u->n++ == 0)
		hub_set_used(u->hub, true);
}

void users_go(struct users *u)
{
	if (--u->n == 0)
		hub_set_used(u->hub, false);
}

/* ---- typing ---- */

static struct typing *find_typing(struct lease *l, int64_t account, const char *conversation)
{
	for (size_t i = 0; i < l->n_typing; i++)
		if (l->typing[i].account == account && strcmp(l->typing[i].conversation, conversation) == 0)
			return &l->typing[i];
	return NULL;
}

static void forget_typing(struct lease *l, struct typing *t)
{
	if (!t)
		return;
	free(t->conversation);
	*t = l->typing[--l->n_typing];
}

static int read_state(const char *name, uint32_t *ret, sd_bus_error *error)
{
	for (uint32_t i = 0; i < CHAT_STATES; i++)
		if (strcmp(states[i], name) == 0) {
			*ret = i;
			return 0;
		}
	return error_invalid(error, "there is no chat state '%s': it is one of active, composing, paused, inactive, gone", name);
}

int lease_set_typing(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL, *id = NULL;
	struct conn *c = userdata;
	struct lease *l = conn_lease(c);
	int64_t account = tree_call_account(m);
	const char *jid, *name;
	uint32_t state = 0;
	int r;

	r = sd_bus_message_read(m, "ss", &jid, &name);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = check_bare_jid(jid, &id, error)) < 0 || (r = read_state(name, &state, error)) < 0)
		return r;
	if (state == CHAT_COMPOSING && !find_typing(l, account, id) && l->n_typing == LEASE_TYPING_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "this connection types in %d conversations already",
				 LEASE_TYPING_MAX);
	r = hub_set_typing(conn_hub(c), account, id, state, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	if (state != CHAT_COMPOSING)
		forget_typing(l, find_typing(l, account, id));
	else if (!find_typing(l, account, id))
		l->typing[l->n_typing++] = (struct typing){ account, TAKE_PTR(id) };
	return sd_bus_reply_method_return(m, NULL);
}

/* ---- the lease ---- */

struct lease *lease_new(struct actives *actives)
{
	struct lease *l = xnew(struct lease);

	l->actives = actives;
	l->interest = (struct interest){ .kinds = INTEREST_ALL, .ephemeral = true };
	return l;
}

struct lease *lease_free(struct lease *l)
{
	if (!l)
		return NULL;
	set_active(l, false);
	while (l->n_typing > 0) {
		_cleanup_(freep) char *why = NULL;

		/* The account may be gone: then so is the session that typed. */
		(void)hub_set_typing(l->actives->hub, l->typing[0].account, l->typing[0].conversation, CHAT_PAUSED, &why);
		forget_typing(l, &l->typing[0]);
	}
	interest_deinit(&l->interest);
	free(l);
	return NULL;
}

const struct interest *lease_interest(const struct lease *l)
{
	return &l->interest;
}
