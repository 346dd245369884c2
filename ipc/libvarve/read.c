/*
 * Reading the archive: history, search, conversations, contacts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static int history_new(struct varve_account *a, const struct varve_history_query *q, sd_bus_message **ret)
{
	int r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "GetHistory", ret);

	if (r < 0)
		return r;
	r = sd_bus_message_append(*ret, "sstuu", or_empty(q->conversation), q->anchor ? q->anchor : "newest", q->value,
				  q->before, q->after);
	if (r >= 0 && q->across_gaps)
		r = sd_bus_message_append(*ret, "a{sv}", 1, "across-gaps", "b", 1);
	else if (r >= 0)
		r = sd_bus_message_append(*ret, "a{sv}", 0);
	return r < 0 ? varve__fail_args(a->varve, r) : 0;
}

int varve_history(struct varve_account *a, const struct varve_history_query *q, struct varve_messages **ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	int r = history_new(a, q, &m);

	if (r >= 0)
		r = varve_call(a->varve, m, 0, &reply);
	if (r < 0)
		return r;
	return varve__read_history(reply, ret) < 0 ? varve__fail_reply(a->varve, "GetHistory") : 0;
}

static int append_search(sd_bus_message *m, const struct varve_search_query *q)
{
	int r = sd_bus_message_append(m, "ssu", or_empty(q->query), or_empty(q->cursor), q->limit);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0 && q->conversation)
		r = sd_bus_message_append(m, "{sv}", "conversation", "s", q->conversation);
	if (r >= 0 && q->sender)
		r = sd_bus_message_append(m, "{sv}", "sender", "s", q->sender);
	if (r >= 0 && q->since_usec)
		r = sd_bus_message_append(m, "{sv}", "since", "x", q->since_usec);
	if (r >= 0 && q->until_usec)
		r = sd_bus_message_append(m, "{sv}", "until", "x", q->until_usec);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int search_new(struct varve_account *a, const struct varve_search_query *q, sd_bus_message **ret)
{
	int r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "Search", ret);

	if (r < 0)
		return r;
	r = append_search(*ret, q);
	return r < 0 ? varve__fail_args(a->varve, r) : 0;
}

int varve_search(struct varve_account *a, const struct varve_search_query *q, struct varve_messages **ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	int r = search_new(a, q, &m);

	if (r >= 0)
		r = varve_call(a->varve, m, 0, &reply);
	if (r < 0)
		return r;
	return varve__read_search(reply, ret) < 0 ? varve__fail_reply(a->varve, "Search") : 0;
}

/* The answer of an asynchronous one of the two. */
static void rows_answer(struct varve_slot *s, int r, sd_bus_message *reply)
{
	struct varve_messages *set = NULL;
	bool search = reply && sd_bus_message_has_signature(reply, "a" VARVE_SIG_HIT "s");

	if (r >= 0)
		r = search ? varve__read_search(reply, &set) : varve__read_history(reply, &set);
	if (r < 0 && reply)
		r = varve__fail_reply(s->varve, search ? "Search" : "GetHistory");
	((varve_messages_fn)s->user)(s->userdata, r, set);
	varve_messages_unref(set);
}

int varve_history_async(struct varve_account *a, const struct varve_history_query *q, varve_messages_fn fn,
			void *userdata, struct varve_slot **ret_slot)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = history_new(a, q, &m);

	return r < 0 ? r : varve__call_async(a->varve, m, 0, rows_answer, (void (*)(void))fn, userdata, ret_slot);
}

int varve_search_async(struct varve_account *a, const struct varve_search_query *q, varve_messages_fn fn, void *userdata,
		       struct varve_slot **ret_slot)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = search_new(a, q, &m);

	return r < 0 ? r : varve__call_async(a->varve, m, 0, rows_answer, (void (*)(void))fn, userdata, ret_slot);
}

int varve_get_messages(struct varve_account *a, const uint64_t *ids, size_t n, struct varve_messages **ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	int r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "GetMessages", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append_array(m, 't', ids, n * sizeof(*ids));
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	r = r < 0 ? varve__fail_args(a->varve, r) : varve_call(a->varve, m, 0, &reply);
	if (r < 0)
		return r;
	return varve_read_messages(reply, ret) < 0 ? varve__fail_reply(a->varve, "GetMessages") : 0;
}

int varve_list_conversations(struct varve_account *a, const char *cursor, uint32_t limit, bool unread,
			     struct varve_conversations **ret)
{
	_cleanup_(unref_message) sd_bus_message *reply = NULL;
	int r;

	if (unread)
		r = varve__account_call(a, VARVE_IFACE_CONVERSATIONS, "List", &reply, "sua{sv}", or_empty(cursor),
					limit, 1, "unread", "b", 1);
	else
		r = varve__account_call(a, VARVE_IFACE_CONVERSATIONS, "List", &reply, "sua{sv}", or_empty(cursor),
					limit, 0);
	if (r < 0)
		return r;
	return varve__read_conversation_list(reply, ret) < 0 ? varve__fail_reply(a->varve, "List") : 0;
}

int varve_list_contacts(struct varve_account *a, const char *cursor, uint32_t limit, struct varve_contacts **ret)
{
	_cleanup_(unref_message) sd_bus_message *reply = NULL;
	int r = varve__account_call(a, VARVE_IFACE_ROSTER, "List", &reply, "sua{sv}", or_empty(cursor), limit, 0);

	if (r < 0)
		return r;
	return varve__read_contact_list(reply, ret) < 0 ? varve__fail_reply(a->varve, "List") : 0;
}
