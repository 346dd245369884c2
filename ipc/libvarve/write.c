/*
 * What changes something: messages, reading marks, contacts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"

/* One that varved would refuse is not sent there: beyond 2 MiB it would end the connection, and whoever tries again does so for ever. */
static int check_body(struct varve *v, const char *body)
{
	if (!body || strlen(body) <= VARVE_BODY_MAX)
		return 0;
	return varve__fail(v, -EINVAL, "org.freedesktop.DBus.Error.InvalidArgs", "the body is longer than %d bytes", VARVE_BODY_MAX);
}

static int send_new(struct varve_account *a, const char *conversation, const char *client_id, const char *body,
		    uint64_t reply_to, sd_bus_message **ret)
{
	int r = check_body(a->varve, body);

	if (r >= 0)
		r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "Send", ret);
	if (r < 0)
		return r;
	r = sd_bus_message_append(*ret, "sss", conversation, client_id, body);
	if (r >= 0 && reply_to)
		r = sd_bus_message_append(*ret, "a{sv}", 1, "reply-to", "t", reply_to);
	else if (r >= 0)
		r = sd_bus_message_append(*ret, "a{sv}", 0);
	return r < 0 ? varve__fail_args(a->varve, r) : 0;
}

int varve_send(struct varve_account *a, const char *conversation, const char *client_id, const char *body,
	       uint64_t reply_to, uint64_t *ret_id, bool *ret_existing)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	uint64_t id;
	int existing, r = send_new(a, conversation, client_id, body, reply_to, &m);

	if (r >= 0)
		r = varve_call(a->varve, m, 0, &reply);
	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "tb", &id, &existing) < 0)
		return varve__fail_reply(a->varve, "Send");
	if (ret_id)
		*ret_id = id;
	if (ret_existing)
		*ret_existing = existing;
	return 0;
}

static void sent_answer(struct varve_slot *s, int r, sd_bus_message *reply)
{
	uint64_t id = 0;
	int existing = 0;

	if (r >= 0 && sd_bus_message_read(reply, "tb", &id, &existing) < 0)
		r = varve__fail_reply(s->varve, "Send");
	((varve_sent_fn)s->user)(s->userdata, r, id, existing);
}

int varve_send_async(struct varve_account *a, const char *conversation, const char *client_id, const char *body,
		     uint64_t reply_to, varve_sent_fn fn, void *userdata, struct varve_slot **ret_slot)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = send_new(a, conversation, client_id, body, reply_to, &m);

	return r < 0 ? r : varve__call_async(a->varve, m, 0, sent_answer, (void (*)(void))fn, userdata, ret_slot);
}

int varve_edit(struct varve_account *a, uint64_t id, const char *client_id, const char *body)
{
	int r = check_body(a->varve, body);

	return r < 0 ? r : varve__account_call(a, VARVE_IFACE_ARCHIVE, "Edit", NULL, "tssa{sv}", id, client_id, body, 0);
}

int varve_retract(struct varve_account *a, uint64_t id, const char *client_id)
{
	return varve__account_call(a, VARVE_IFACE_ARCHIVE, "Retract", NULL, "tsa{sv}", id, client_id, 0);
}

/* An "as". */
static int append_strings(sd_bus_message *m, const char *const *s, size_t n)
{
	int r = sd_bus_message_open_container(m, 'a', "s");

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sd_bus_message_append_basic(m, 's', s[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int varve_react(struct varve_account *a, uint64_t id, const char *const *emoji, size_t n)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "React", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "t", id);
	if (r >= 0)
		r = append_strings(m, emoji, n);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	return r < 0 ? varve__fail_args(a->varve, r) : varve_call(a->varve, m, 0, NULL);
}

int varve_retry(struct varve_account *a, uint64_t id)
{
	return varve__account_call(a, VARVE_IFACE_ARCHIVE, "Retry", NULL, "ta{sv}", id, 0);
}

int varve_cancel(struct varve_account *a, uint64_t id)
{
	return varve__account_call(a, VARVE_IFACE_ARCHIVE, "Cancel", NULL, "t", id);
}

int varve_delete_local(struct varve_account *a, const uint64_t *ids, size_t n)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "DeleteLocal", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append_array(m, 't', ids, n * sizeof(*ids));
	return r < 0 ? varve__fail_args(a->varve, r) : varve_call(a->varve, m, 0, NULL);
}

int varve_mark_read(struct varve_account *a, const char *conversation, uint64_t up_to)
{
	return varve__account_call(a, VARVE_IFACE_CONVERSATIONS, "MarkRead", NULL, "sta{sv}", conversation, up_to, 0);
}

int varve_set_typing(struct varve_account *a, const char *conversation, const char *state)
{
	return varve__account_call(a, VARVE_IFACE_CONVERSATIONS, "SetTyping", NULL, "ss", conversation, state);
}

int varve_set_active(struct varve *v, bool active)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve_call_new(v, NULL, VARVE_IFACE_MANAGER, "SetInterest", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "a{sv}", 1, "active", "b", (int)active);
	return r < 0 ? varve__fail_args(v, r) : varve_call(v, m, 0, NULL);
}

static size_t count(const char *const *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int varve__append_strings_option(sd_bus_message *m, const char *key, const char *const *list)
{
	int r = sd_bus_message_open_container(m, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", key);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "as");
	if (r >= 0)
		r = append_strings(m, list, count(list));
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int varve_set_contact(struct varve_account *a, const char *jid, const char *name, const char *const *groups)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve__account_call_new(a, VARVE_IFACE_ROSTER, "Set", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "s", jid);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0 && name)
		r = sd_bus_message_append(m, "{sv}", "name", "s", name);
	if (r >= 0 && groups)
		r = varve__append_strings_option(m, "groups", groups);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? varve__fail_args(a->varve, r) : varve_call(a->varve, m, 0, NULL);
}

int varve_remove_contact(struct varve_account *a, const char *jid)
{
	return varve__account_call(a, VARVE_IFACE_ROSTER, "Remove", NULL, "s", jid);
}

int varve_authorize(struct varve_account *a, const char *jid, const char *action)
{
	return varve__account_call(a, VARVE_IFACE_ROSTER, "Authorize", NULL, "ss", jid, action);
}

int varve_set_blocked(struct varve_account *a, const char *jid, bool blocked)
{
	return varve__account_call(a, VARVE_IFACE_ROSTER, "SetBlocked", NULL, "sb", jid, (int)blocked);
}
