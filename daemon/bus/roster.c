/* org.varve.Varve1.Roster: contacts, who asks to see us, and presence as far as it is known. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/request.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "core/jid.h"
#include "core/message.h"
#include "ipc/names.h"
#include "link/vocab.h"
#include "store/read.h"
#include "sync/hub-send.h"

#define GROUPS_MAX 64	     /* of one contact */
#define GROUPS_BYTES_MAX 8192 /* of all their names; what the link carries */

struct page {
	sd_bus_message *reply;
	size_t bytes;
};

static void page_deinit(struct page *p)
{
	sd_bus_message_unref(p->reply);
}

static int add_contact(void *userdata, const struct contact_row *row)
{
	struct page *p = userdata;

	p->bytes += 128 + strlen(str_or_empty(row->jid)) + strlen(str_or_empty(row->name)) +
		    strlen(str_or_empty(row->groups));
	return rows_contact(p->reply, row);
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(page_deinit) struct page p = { 0 };
	_cleanup_(freep) char *next = NULL;
	struct conn *c = userdata;
	const char *cursor;
	uint64_t seq = 0;
	uint32_t limit;
	int r;

	if (conn_defer(c, m, on_list))
		return 1;
	r = sd_bus_message_read(m, "su", &cursor, &limit);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read_none(m, error);
	if (r < 0)
		return r;
	if ((r = sd_bus_message_new_method_return(m, &p.reply)) < 0 ||
	    (r = sd_bus_message_open_container(p.reply, 'a', VARVE_SIG_CONTACT)) < 0)
		return err_trace(r);
	r = read_contacts(hub_store(conn_hub(c)), tree_call_account(m), cursor, limit, add_contact, &p, &next, &seq);
	if (r < 0)
		return error_from_store(error, r);
	if ((r = sd_bus_message_close_container(p.reply)) < 0 ||
	    (r = rows_text(p.reply, next)) < 0 ||
	    (r = sd_bus_message_append(p.reply, "t", seq)) < 0)
		return err_trace(r);
	return conn_reply(c, p.reply, p.bytes);
}

/* ---- changes: the server decides ---- */

struct contact {
	char *name, *groups;
};

static void contact_deinit(struct contact *c)
{
	free(c->name);
	free(c->groups);
}

static int keep_contact(void *userdata, const struct contact_row *row)
{
	struct contact *c = userdata;

	str_set(&c->name, row->name);
	str_set(&c->groups, row->groups);
	return 0;
}

/* What is known of ${jid}; r > 0: nothing. */
static int find_contact(struct conn *c, sd_bus_message *m, const char *jid, struct contact *ret, sd_bus_error *error)
{
	int r = read_contact(hub_store(conn_hub(c)), tree_call_account(m), jid, keep_contact, ret);

	return r < 0 ? error_from_store(error, r) : r;
}

static int join_groups(char *const *groups, char **ret, sd_bus_error *error)
{
	_cleanup_(buf_deinit) struct buf all = { 0 };
	int r, n = 0;

	for (char *const *p = groups; *p; p++) {
		if (++n > GROUPS_MAX)
			return error_invalid(error, "a contact is in at most %d groups", GROUPS_MAX);
		if (!**p)
			return error_invalid(error, "a group has no name: leave it out");
		r = check_text("the name of a group", *p, SHORT_TEXT_MAX, false, error);
		if (r < 0)
			return r;
		buf_addf(&all, "%s%s", n > 1 ? "\n" : "", *p);
	}
	if (all.len > GROUPS_BYTES_MAX)
		return error_invalid(error, "the names of the groups are longer than %d bytes", GROUPS_BYTES_MAX);
	free(*ret);
	*ret = xstrdup(buf_str(&all));
	return 0;
}

/* The first argument of every change. */
static int read_jid(sd_bus_message *m, char **ret, sd_bus_error *error)
{
	const char *jid;
	int r;

	r = sd_bus_message_read(m, "s", &jid);
	if (r < 0)
		return error_from_read(error, r);
	return check_bare_jid(jid, ret, error);
}

static int on_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(options_free_textsp) char **groups = NULL;
	_cleanup_(contact_deinit) struct contact contact = { 0 };
	_cleanup_(freep) char *jid = NULL;
	const char *name = NULL;
	const struct option known[] = { { "name", OPTION_TEXT, &name }, { "groups", OPTION_TEXTS, &groups } };
	int r;

	if ((r = read_jid(m, &jid, error)) < 0 ||
	    (r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 ||
	    (name && (r = check_text("the name", name, SHORT_TEXT_MAX, false, error)) < 0) ||
	    (r = find_contact(userdata, m, jid, &contact, error)) < 0 ||
	    (groups && (r = join_groups(groups, &contact.groups, error)) < 0))
		return r;
	return request_start(userdata, m, REQUEST_ROSTER_SET, jid, name ? name : str_or_empty(contact.name),
			     str_or_empty(contact.groups), error);
}

static int on_remove(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(contact_deinit) struct contact contact = { 0 };
	_cleanup_(freep) char *jid = NULL;
	int r;

	if ((r = read_jid(m, &jid, error)) < 0 || (r = find_contact(userdata, m, jid, &contact, error)) < 0)
		return r;
	if (r > 0)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "'%s' is not a contact", jid);
	return request_start(userdata, m, REQUEST_ROSTER_REMOVE, jid, "", "", error);
}

static int on_authorize(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	static const struct {
		const char *action, *type; /* RFC 6121 section 3 */
	} actions[] = {
		{ "request", "subscribe" }, { "approve", "subscribed" },      { "deny", "unsubscribed" },
		{ "revoke", "unsubscribed" }, { "unsubscribe", "unsubscribe" },
	};
	_cleanup_(freep) char *jid = NULL;
	const char *action;
	int r;

	r = read_jid(m, &jid, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &action);
	if (r < 0)
		return error_from_read(error, r);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].action, action) == 0)
			return request_start(userdata, m, REQUEST_SUBSCRIPTION, jid, actions[i].type, "", error);
	return error_invalid(error, "there is no action '%s': it is one of request, approve, deny, revoke, unsubscribe", action);
}

/* ${feature} is one of the lines of ${features}. */
static bool has_feature(const char *features, const char *feature)
{
	size_t n = strlen(feature);

	for (const char *p = str_or_empty(features); *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, feature, n) == 0 && (p[n] == '\n' || p[n] == '\0'))
			return true;
	return false;
}

static int on_set_blocked(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *jid = NULL;
	struct hub *hub = conn_hub(userdata);
	struct account_status s = { 0 };
	int r, blocked;

	r = read_jid(m, &jid, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "b", &blocked);
	if (r < 0)
		return error_from_read(error, r);
	if (hub_status(hub, tree_call_account(m), &s) == 0 && strcmp(str_or_empty(s.state), "online") == 0 &&
	    *str_or_empty(s.features) && !has_feature(s.features, "urn:xmpp:blocking"))
		return error_set(error, VARVE_ERROR_UNSUPPORTED, "the server of this account keeps no block list (XEP-0191)");
	return request_start(userdata, m, blocked ? REQUEST_BLOCK : REQUEST_UNBLOCK, jid, "", "", error);
}

/* ---- presence ---- */

static int add_presence(void *userdata, const struct presence_row *row)
{
	struct page *p = userdata;

	p->bytes += 128 + strlen(str_or_empty(row->jid)) + strlen(str_or_empty(row->status));
	if (p->bytes > READ_BYTES_MAX)
		return -EMSGSIZE;
	return rows_presence(p->reply, row->jid, row->show, row->status, row->priority);
}

static int get_presence(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(page_deinit) struct page p = { 0 };
	struct conn *c = userdata;
	const char *jid;
	int r, n = 0;

	if (conn_defer(c, m, get_presence))
		return 1;
	if ((r = sd_bus_message_new_method_return(m, &p.reply)) < 0 ||
	    (r = sd_bus_message_open_container(p.reply, 'a', VARVE_SIG_PRESENCE)) < 0 ||
	    (r = sd_bus_message_enter_container(m, 'a', "s")) < 0)
		return err_trace(r);
	while ((r = sd_bus_message_read(m, "s", &jid)) > 0) {
		_cleanup_(freep) char *bare = jid_is_valid(jid) ? jid_bare(jid) : NULL;

		if (++n > READ_ROWS_MAX)
			return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "at most %d JIDs a call", READ_ROWS_MAX);
		r = bare ? hub_presence(conn_hub(c), tree_call_account(m), bare, add_presence, &p) : 0;
		if (r == -EMSGSIZE)
			return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED,
					 "this is more than %d bytes: ask for fewer at once", READ_BYTES_MAX);
		if (r != 0)
			return error_from_hub(error, r, NULL);
	}
	if (r < 0)
		return error_from_read(error, r);
	r = sd_bus_message_close_container(p.reply);
	if (r < 0)
		return err_trace(r);
	return conn_reply(c, p.reply, p.bytes);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
const sd_bus_vtable roster_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_ARGS("s", cursor, "u", limit, "a{sv}", options),
				SD_BUS_RESULT("a" VARVE_SIG_CONTACT, contacts, "s", next_cursor, "t", seq), on_list, U),
	SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("s", jid, "a{sv}", changes), SD_BUS_NO_RESULT, on_set, U),
	SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("s", jid), SD_BUS_NO_RESULT, on_remove, U),
	SD_BUS_METHOD_WITH_ARGS("Authorize", SD_BUS_ARGS("s", jid, "s", action), SD_BUS_NO_RESULT, on_authorize, U),
	SD_BUS_METHOD_WITH_ARGS("SetBlocked", SD_BUS_ARGS("s", jid, "b", blocked), SD_BUS_NO_RESULT, on_set_blocked, U),
	SD_BUS_METHOD_WITH_ARGS("GetPresence", SD_BUS_ARGS("as", jids), SD_BUS_RESULT("a" VARVE_SIG_PRESENCE, presence),
				get_presence, U),
	SD_BUS_SIGNAL_WITH_ARGS("Presence", SD_BUS_ARGS("s", jid, "s", show, "s", status, "a{sv}", extra), 0),
	SD_BUS_VTABLE_END,
};
