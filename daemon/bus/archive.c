/* org.varve.Varve1.Archive: messages by place, id and feed; what writes, searches and exports is handed on. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/changes.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/export.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/search.h"
#include "bus/send.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "store/read.h"

static_assert((int)VARVE_EDGE_OLDEST == (int)EDGE_OLDEST && (int)VARVE_EDGE_NEWEST == (int)EDGE_NEWEST &&
		      (int)VARVE_EDGE_GAP_OLDER == (int)EDGE_GAP_OLDER &&
		      (int)VARVE_EDGE_GAP_NEWER == (int)EDGE_GAP_NEWER && (int)VARVE_EDGE_START == (int)EDGE_START &&
		      (int)VARVE_EDGE_FETCHING == (int)EDGE_FETCHING && (int)VARVE_EDGE_CUT == (int)EDGE_CUT,
	      "the contract's bits are those of store/read.h");

/* A page being built. */
struct page {
	sd_bus_message *reply;
	size_t bytes, n;
	int64_t oldest_us, newest_us;
};

static int add_row(void *userdata, const struct message_row *row)
{
	struct page *p = userdata;

	if (p->n++ == 0)
		p->oldest_us = row->time_us;
	p->newest_us = row->time_us;
	p->bytes += rows_message_size(row);
	return rows_message(p->reply, row, false);
}

/* The same, for rows that were named one by one: cutting the page short would look as if they did not exist. */
static int add_asked_row(void *userdata, const struct message_row *row)
{
	struct page *p = userdata;

	if (p->n > 0 && p->bytes + rows_message_size(row) > READ_BYTES_MAX)
		return -EMSGSIZE;
	return add_row(userdata, row);
}

static int begin_page(sd_bus_message *call, struct page *p)
{
	int r;

	if ((r = sd_bus_message_new_method_return(call, &p->reply)) < 0 ||
	    (r = sd_bus_message_open_container(p->reply, 'a', VARVE_SIG_MESSAGE)) < 0)
		return err_trace(r);
	return 0;
}

static void page_deinit(struct page *p)
{
	sd_bus_message_unref(p->reply);
}

/* The last span that begins at or before ${us}. */
static size_t span_at(const struct cover *c, int64_t us)
{
	size_t i = c->n;

	while (i > 0 && c->spans[i - 1].first.us > us)
		i--;
	return i > 0 ? i - 1 : 0;
}

/* A gap that adjoins the page is being fetched. By stamps: a row does not say which span it is in. */
static bool is_fetching(struct hub *hub, int64_t account, const struct page *p, uint32_t edges)
{
	int64_t archive;
	const struct cover *c = hub_cover(hub, account, &archive);

	if (!c || !(edges & (EDGE_GAP_OLDER | EDGE_GAP_NEWER)))
		return false;
	for (size_t i = 0; p->n == 0 && i < c->n; i++)
		if (hub_fetching(hub, account, i))
			return true;
	return p->n && ((edges & EDGE_GAP_OLDER && hub_fetching(hub, account, span_at(c, p->oldest_us))) ||
			(edges & EDGE_GAP_NEWER && hub_fetching(hub, account, span_at(c, p->newest_us) + 1)));
}

static int read_anchor(const char *anchor, uint64_t value, struct history_query *q, sd_bus_error *error)
{
	static const char *const names[] = { [ANCHOR_NEWEST] = "newest", [ANCHOR_OLDEST] = "oldest",
					     [ANCHOR_UNREAD] = "unread", [ANCHOR_MESSAGE] = "message",
					     [ANCHOR_TIME] = "time" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], anchor) == 0) {
			q->anchor = (enum history_anchor)i;
			/* Beyond every id and time that can be. */
			q->value = value > INT64_MAX ? INT64_MAX : (int64_t)value;
			return 0;
		}
	return error_invalid(error, "there is no anchor '%s': it is one of newest, oldest, unread, message, time", anchor);
}

static int get_history(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(page_deinit) struct page p = { 0 };
	struct conn *c = userdata;
	struct history_query q = { .account = tree_call_account(m) };
	const struct option known[] = { { "across-gaps", OPTION_BOOL, &q.across_gaps } };
	uint32_t edges = 0;
	uint64_t seq = 0, value;
	const char *anchor;
	int r;

	if (conn_defer(c, m, get_history))
		return 1;
	r = sd_bus_message_read(m, "sstuu", &q.conversation, &anchor, &value, &q.before, &q.after);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = read_anchor(anchor, value, &q, error)) < 0 ||
	    (r = options_read(m, known, ARRAY_SIZE(known), error)) < 0)
		return r;
	/* One more than a page is as good as 4 billion, and does not overflow when added up. */
	q.before = q.before > READ_ROWS_MAX ? READ_ROWS_MAX + 1 : q.before;
	q.after = q.after > READ_ROWS_MAX ? READ_ROWS_MAX + 1 : q.after;
	r = begin_page(m, &p);
	if (r < 0)
		return r;
	r = read_history(hub_store(conn_hub(c)), &q, add_row, &p, &edges, &seq);
	if (r == READ_E_NO_CONVERSATION)
		return error_set(error, VARVE_ERROR_NO_SUCH_CONVERSATION,
				 "no message with '%s' is stored; a conversation is named by an address, as name@server", q.conversation);
	if (r == READ_E_NO_MESSAGE)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no message %llu in this conversation",
				 (unsigned long long)value);
	if (r != 0)
		return error_from_store(error, r < 0 ? r : -EIO);
	if (is_fetching(conn_hub(c), q.account, &p, edges))
		edges |= EDGE_FETCHING;
	if ((r = sd_bus_message_close_container(p.reply)) < 0 ||
	    (r = sd_bus_message_append(p.reply, "ut", edges, seq)) < 0)
		return err_trace(r);
	return conn_reply(c, p.reply, p.bytes);
}

static int get_messages(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(page_deinit) struct page p = { 0 };
	struct conn *c = userdata;
	const void *ids;
	size_t size;
	int r;

	if (conn_defer(c, m, get_messages))
		return 1;
	r = sd_bus_message_read_array(m, 't', &ids, &size);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read_none(m, error);
	if (r < 0)
		return r;
	if (size / sizeof(int64_t) > READ_ROWS_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "at most %d ids a call", READ_ROWS_MAX);
	r = begin_page(m, &p);
	if (r < 0)
		return r;
	/* D-Bus aligns them for 64 bits; ids beyond INT64_MAX are negative here, and such rows do not exist. */
	if (size > 0)
		r = read_messages(hub_store(conn_hub(c)), tree_call_account(m), ids, size / sizeof(int64_t), add_asked_row, &p);
	if (r == -EMSGSIZE)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED,
				 "these messages are more than %d bytes: ask for fewer at once", READ_BYTES_MAX);
	if (r != 0)
		return error_from_store(error, r < 0 ? r : -EIO);
	r = sd_bus_message_close_container(p.reply);
	if (r < 0)
		return err_trace(r);
	return conn_reply(c, p.reply, p.bytes);
}

static int find_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *conversation, *kind, *value;
	int64_t id = 0;
	int r;

	r = sd_bus_message_read(m, "sss", &conversation, &kind, &value);
	if (r < 0)
		return error_from_read(error, r);
	if (strcmp(kind, "stanza-id") != 0 && strcmp(kind, "origin-id") != 0 && strcmp(kind, "id") != 0)
		return error_invalid(error, "there is no kind of id '%s': it is one of stanza-id, origin-id, id", kind);
	r = read_find(hub_store(conn_hub(userdata)), tree_call_account(m), conversation, kind, value, &id);
	if (r > 0)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no message with the %s '%s' in this conversation",
				 kind, value);
	if (r < 0)
		return error_from_store(error, r);
	return sd_bus_reply_method_return(m, "t", (uint64_t)id);
}

static int get_property(_unused_ sd_bus *bus, const char *path, _unused_ const char *interface, const char *property,
			sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct store *s = hub_store(conn_hub(userdata));
	uint64_t seq = 0, oldest = 0;
	int64_t last = 0;
	int r;

	if (strcmp(property, "Epoch") == 0)
		return rows_text(m, store_epoch(s));
	if (strcmp(property, "LastId") == 0) {
		r = read_last_id(s, &last);
		return r < 0 ? error_from_store(error, r) : sd_bus_message_append(m, "t", (uint64_t)last);
	}
	r = read_seq(s, tree_account(path), &seq, &oldest);
	if (r != 0)
		return error_from_store(error, r < 0 ? r : -EIO);
	return sd_bus_message_append(m, "t", strcmp(property, "Seq") == 0 ? seq : oldest);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
const sd_bus_vtable archive_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("GetHistory",
				SD_BUS_ARGS("s", conversation, "s", anchor, "t", anchor_value, "u", before, "u", after,
					    "a{sv}", options),
				SD_BUS_RESULT("a" VARVE_SIG_MESSAGE, messages, "u", edges, "t", seq), get_history, U),
	SD_BUS_METHOD_WITH_ARGS("GetMessages", SD_BUS_ARGS("at", ids, "a{sv}", options),
				SD_BUS_RESULT("a" VARVE_SIG_MESSAGE, messages), get_messages, U),
	SD_BUS_METHOD_WITH_ARGS("FindMessage", SD_BUS_ARGS("s", conversation, "s", id_kind, "s", xmpp_id),
				SD_BUS_RESULT("t", id), find_message, U),
	SD_BUS_METHOD_WITH_ARGS("Changes", SD_BUS_ARGS("s", epoch, "t", since, "u", limit, "a{sv}", options),
				SD_BUS_RESULT("t", next, "b", more, "a" VARVE_SIG_MESSAGE, messages,
					      "a" VARVE_SIG_CONVERSATION, conversations, "a" VARVE_SIG_CONTACT, contacts,
					      "a(ss)", removed),
				changes_handle, U),
	SD_BUS_METHOD_WITH_ARGS("Search", SD_BUS_ARGS("s", query, "s", cursor, "u", limit, "a{sv}", options),
				SD_BUS_RESULT("a" VARVE_SIG_HIT, hits, "s", next_cursor), search_handle, U),
	SD_BUS_METHOD_WITH_ARGS("Send", SD_BUS_ARGS("s", conversation, "s", client_id, "s", body, "a{sv}", options),
				SD_BUS_RESULT("t", id, "b", existing), send_handle, U),
	SD_BUS_METHOD_WITH_ARGS("Edit", SD_BUS_ARGS("t", id, "s", client_id, "s", body, "a{sv}", options), SD_BUS_NO_RESULT,
				send_edit, U),
	SD_BUS_METHOD_WITH_ARGS("Retract", SD_BUS_ARGS("t", id, "s", client_id, "a{sv}", options), SD_BUS_NO_RESULT,
				send_retract, U),
	SD_BUS_METHOD_WITH_ARGS("React", SD_BUS_ARGS("t", id, "as", emojis, "a{sv}", options), SD_BUS_NO_RESULT,
				send_react, U),
	SD_BUS_METHOD_WITH_ARGS("Retry", SD_BUS_ARGS("t", id, "a{sv}", options), SD_BUS_NO_RESULT, send_retry, U),
	SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("t", id), SD_BUS_NO_RESULT, send_cancel, U),
	SD_BUS_METHOD_WITH_ARGS("DeleteLocal", SD_BUS_ARGS("at", ids), SD_BUS_NO_RESULT, send_delete_local, U),
	SD_BUS_METHOD_WITH_ARGS("Export", SD_BUS_ARGS("h", fd, "a{sv}", options), SD_BUS_RESULT("o", job), export_handle, U),
	SD_BUS_PROPERTY("Epoch", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Seq", "t", get_property, 0, 0),
	SD_BUS_PROPERTY("OldestSeq", "t", get_property, 0, 0),
	SD_BUS_PROPERTY("LastId", "t", get_property, 0, 0),
	SD_BUS_SIGNAL_WITH_ARGS("Changed", SD_BUS_ARGS("s", epoch, "t", seq), 0),
	SD_BUS_VTABLE_END,
};
