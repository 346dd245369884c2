#include "bus/conversation-set.h"

#include "base/err.h"
#include "base/mem.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "sync/hub-send.h"

int conversation_open_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(freep) char *bare = NULL, *id = NULL, *why = NULL;
	const char *jid;
	int r;

	r = sd_bus_message_read(m, "s", &jid);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 || (r = check_bare_jid(jid, &bare, error)) < 0)
		return r;
	conn_wrote(userdata);
	r = hub_conversation_open(conn_hub(userdata), tree_call_account(m), bare, &id, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = rows_text(reply, id)) < 0 ||
	    (r = sd_bus_send(NULL, reply, NULL)) < 0)
		return err_trace(r);
	return 1;
}

/* The first argument, the id of a conversation that is there. */
static int read_conversation_id(sd_bus_message *m, struct conn *c, const char **ret, sd_bus_error *error)
{
	int r;

	r = sd_bus_message_read(m, "s", ret);
	if (r < 0)
		return error_from_read(error, r);
	return check_conversation(hub_store(conn_hub(c)), tree_call_account(m), *ret, error);
}

int conversation_set_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conversation_change change = { .draft = "" };
	const struct option known[] = {
		{ "pinned", OPTION_BOOL, &change.pinned, &change.set_pinned },
		{ "archived", OPTION_BOOL, &change.archived, &change.set_archived },
		{ "muted-until", OPTION_TIME, &change.muted_until_us, &change.set_muted },
		{ "draft", OPTION_TEXT, &change.draft, &change.set_draft },
	};
	_cleanup_(freep) char *why = NULL;
	const char *id;
	int r;

	r = sd_bus_message_read(m, "s", &id);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 ||
	    (r = check_text("the draft", change.draft, OUTBOX_BODY_MAX, true, error)) < 0)
		return r;
	if (change.muted_until_us < 0)
		return error_invalid(error, "muted-until is before 1970: 0 is not muted");
	r = check_conversation(hub_store(conn_hub(userdata)), tree_call_account(m), id, error);
	if (r < 0)
		return r;
	conn_wrote(userdata);
	r = hub_conversation_set(conn_hub(userdata), tree_call_account(m), id, &change, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

int conversation_mark_read_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	bool marker = true;
	const struct option known[] = { { "send-marker", OPTION_BOOL, &marker } };
	const char *id;
	uint64_t msg;
	int r;

	r = read_conversation_id(m, userdata, &id, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "t", &msg);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 ||
	    (msg > 0 && (r = check_message_id(msg, error)) < 0))
		return r;
	conn_wrote(userdata);
	r = hub_mark_read(conn_hub(userdata), tree_call_account(m), id, (int64_t)msg, marker, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

int conversation_delete_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	const char *id;
	int r;

	if ((r = read_conversation_id(m, userdata, &id, error)) < 0 || (r = options_read_none(m, error)) < 0)
		return r;
	conn_wrote(userdata);
	r = hub_delete_conversation(conn_hub(userdata), tree_call_account(m), id, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}
