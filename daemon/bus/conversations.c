/* org.varve.Varve1.Conversations: the list and single ones; what changes one is in conversation-set.c. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/conversation-set.h"
#include "bus/errors.h"
#include "bus/lease.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "store/read.h"
#include "sync/hub-send.h"

/* What the answer of GetTyping weighs: some thirty people, of whom nobody measures the addresses. */
#define TYPING_BYTES 4096

struct list {
	sd_bus_message *reply;
	size_t bytes;
};

static void list_deinit(struct list *l)
{
	sd_bus_message_unref(l->reply);
}

static int add_row(void *userdata, const struct conversation_row *row)
{
	struct list *l = userdata;

	l->bytes += rows_conversation_size(row);
	return rows_conversation(l->reply, row);
}

static int add_asked_row(void *userdata, const struct conversation_row *row)
{
	struct list *l = userdata;

	if (l->bytes > 0 && l->bytes + rows_conversation_size(row) > READ_BYTES_MAX)
		return -EMSGSIZE;
	return add_row(userdata, row);
}

static int begin(sd_bus_message *call, struct list *l)
{
	int r;

	if ((r = sd_bus_message_new_method_return(call, &l->reply)) < 0 ||
	    (r = sd_bus_message_open_container(l->reply, 'a', VARVE_SIG_CONVERSATION)) < 0)
		return err_trace(r);
	return 0;
}

static int read_list(sd_bus_message *m, struct conversation_query *q, sd_bus_error *error)
{
	static const char *const kinds[] = { "direct", "room", "room-private" };
	bool archived = false, given = false;
	const struct option known[] = {
		{ "unread", OPTION_BOOL, &q->unread },
		{ "archived", OPTION_BOOL, &archived, &given },
		{ "kind", OPTION_TEXT, &q->kind },
		{ "query", OPTION_TEXT, &q->query },
	};
	size_t i = 0;
	int r;

	r = sd_bus_message_read(m, "su", &q->cursor, &q->limit);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	while (q->kind && i < ARRAY_SIZE(kinds) && strcmp(kinds[i], q->kind) != 0)
		i++;
	if (i == ARRAY_SIZE(kinds))
		return error_invalid(error, "there is no kind '%s': it is one of direct, room, room-private", q->kind);
	if (given)
		q->archived = archived ? ARCHIVED_ONLY : ARCHIVED_NOT;
	if (q->limit == 0 || q->limit > READ_ROWS_MAX)
		q->limit = READ_ROWS_MAX;
	return 0;
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(list_deinit) struct list l = { 0 };
	_cleanup_(freep) char *next = NULL;
	struct conversation_query q = { .account = tree_call_account(m) };
	struct conn *c = userdata;
	uint64_t seq = 0;
	int r;

	if (conn_defer(c, m, on_list))
		return 1;
	if ((r = read_list(m, &q, error)) < 0 || (r = begin(m, &l)) < 0)
		return r;
	r = read_conversations(hub_store(conn_hub(c)), &q, add_row, &l, &next, &seq);
	if (r > 0)
		return error_invalid(error, "the cursor is not one of ours: begin with \"\"");
	if (r < 0)
		return error_from_store(error, r);
	if ((r = sd_bus_message_close_container(l.reply)) < 0 ||
	    (r = rows_text(l.reply, next)) < 0 ||
	    (r = sd_bus_message_append(l.reply, "t", seq)) < 0)
		return err_trace(r);
	return conn_reply(c, l.reply, l.bytes);
}

/* The ids asked for, at most READ_ROWS_MAX. */
static int append_asked(sd_bus_message *m, struct list *l, struct store *s, sd_bus_error *error)
{
	const char *id;
	int r, n = 0;

	while ((r = sd_bus_message_read(m, "s", &id)) > 0) {
		if (++n > READ_ROWS_MAX)
			return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "at most %d ids a call", READ_ROWS_MAX);
		r = read_conversation(s, tree_call_account(m), id, add_asked_row, l);
		if (r == -EMSGSIZE)
			return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED,
					 "these rows are more than %d bytes: ask for fewer at once", READ_BYTES_MAX);
		if (r < 0)
			return error_from_store(error, r);
	}
	return r < 0 ? error_from_read(error, r) : 0;
}

static int on_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(list_deinit) struct list l = { 0 };
	struct conn *c = userdata;
	int r;

	if (conn_defer(c, m, on_get))
		return 1;
	if ((r = begin(m, &l)) < 0 ||
	    (r = sd_bus_message_enter_container(m, 'a', "s")) < 0)
		return err_trace(r);
	r = append_asked(m, &l, hub_store(conn_hub(c)), error);
	if (r < 0)
		return r;
	r = sd_bus_message_close_container(l.reply);
	if (r < 0)
		return err_trace(r);
	return conn_reply(c, l.reply, l.bytes);
}

struct total {
	uint32_t unread, conversations;
};

static int add_total(void *userdata, const struct conversation_row *row)
{
	struct total *t = userdata;

	t->unread += row->unread;
	t->conversations++;
	return 0;
}

static int get_unread_total(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *cursor = xstrdup("");
	struct store *s = hub_store(conn_hub(userdata));
	struct total t = { 0 };
	uint64_t seq;
	int r;

	do {
		char *next = NULL;

		r = read_conversations(s, &(struct conversation_query){
			.account = tree_call_account(m), .cursor = cursor, .unread = true,
		}, add_total, &t, &next, &seq);
		if (r != 0)
			return error_from_store(error, r < 0 ? r : -EIO);
		free(cursor);
		cursor = next;
	} while (*str_or_empty(cursor));
	return sd_bus_reply_method_return(m, "uuu", t.unread, 0, t.conversations);
}

static int add_typing(void *userdata, const char *conversation, const char *sender, uint32_t chat_state)
{
	sd_bus_message *m = userdata;
	const char *name = typing_name(chat_state);
	int r;

	if (!name)
		return 0;
	if ((r = sd_bus_message_open_container(m, 'r', "sss")) < 0 ||
	    (r = rows_text(m, conversation)) < 0 ||
	    (r = rows_text(m, sender)) < 0 ||
	    (r = rows_text(m, name)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int get_typing(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(list_deinit) struct list l = { 0 };
	struct conn *c = userdata;
	int r;

	if (conn_defer(c, m, get_typing))
		return 1;
	if ((r = sd_bus_message_new_method_return(m, &l.reply)) < 0 ||
	    (r = sd_bus_message_open_container(l.reply, 'a', "(sss)")) < 0)
		return err_trace(r);
	r = hub_typing(conn_hub(c), tree_call_account(m), add_typing, l.reply);
	if (r != 0)
		return error_from_hub(error, r, NULL);
	r = sd_bus_message_close_container(l.reply);
	if (r < 0)
		return err_trace(r);
	return conn_reply(c, l.reply, TYPING_BYTES);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
const sd_bus_vtable conversations_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_ARGS("s", cursor, "u", limit, "a{sv}", options),
				SD_BUS_RESULT("a" VARVE_SIG_CONVERSATION, conversations, "s", next_cursor, "t", seq),
				on_list, U),
	SD_BUS_METHOD_WITH_ARGS("Get", SD_BUS_ARGS("as", ids), SD_BUS_RESULT("a" VARVE_SIG_CONVERSATION, conversations),
				on_get, U),
	SD_BUS_METHOD_WITH_ARGS("GetUnreadTotal", SD_BUS_NO_ARGS,
				SD_BUS_RESULT("u", unread, "u", mentions, "u", conversations), get_unread_total, U),
	SD_BUS_METHOD_WITH_ARGS("Open", SD_BUS_ARGS("s", jid, "a{sv}", options), SD_BUS_RESULT("s", conversation),
				conversation_open_handle, U),
	SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("s", conversation, "a{sv}", changes), SD_BUS_NO_RESULT,
				conversation_set_handle, U),
	SD_BUS_METHOD_WITH_ARGS("MarkRead", SD_BUS_ARGS("s", conversation, "t", up_to_id, "a{sv}", options),
				SD_BUS_NO_RESULT, conversation_mark_read_handle, U),
	SD_BUS_METHOD_WITH_ARGS("SetTyping", SD_BUS_ARGS("s", conversation, "s", state), SD_BUS_NO_RESULT, lease_set_typing, U),
	SD_BUS_METHOD_WITH_ARGS("GetTyping", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sss)", typing), get_typing, U),
	SD_BUS_METHOD_WITH_ARGS("Delete", SD_BUS_ARGS("s", conversation, "a{sv}", options), SD_BUS_NO_RESULT,
				conversation_delete_handle, U),
	SD_BUS_SIGNAL_WITH_ARGS("Typing", SD_BUS_ARGS("s", conversation, "s", sender, "s", state), 0),
	SD_BUS_VTABLE_END,
};
