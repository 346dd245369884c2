#include "bus/send.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/tree.h"
#include "core/message.h"
#include "ipc/names.h"
#include "store/read.h"
#include "sync/hub-send.h"

#define EMOJI_MAX 60  /* bytes of one; families with skin tones have some 40 */
#define EMOJIS_MAX 16 /* so that they and their separators are not longer than SHORT_TEXT_MAX */

_Static_assert(OUTBOX_BODY_MAX == VARVE_BODY_MAX, "what clients are told");

static int put(struct conn *c, sd_bus_message *m, const struct outgoing *o, int64_t *ret_msg, bool *ret_existing,
	       sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	conn_wrote(c);
	r = hub_send(conn_hub(c), tree_call_account(m), o, ret_msg, ret_existing, &why);
	return r != 0 ? error_from_hub(error, r, why) : 0;
}

/* What is about a message answers with nothing. */
static int put_about(struct conn *c, sd_bus_message *m, const struct outgoing *o, sd_bus_error *error)
{
	int64_t msg;
	bool existing;
	int r;

	r = put(c, m, o, &msg, &existing, error);
	return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int check_body(const char *body, sd_bus_error *error)
{
	if (!*body)
		return error_invalid(error, "the body is empty");
	return check_text("the body", body, OUTBOX_BODY_MAX, true, error);
}

int send_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *to = NULL;
	struct outgoing o = { .kind = OUT_TEXT, .emojis = "" };
	const struct option known[] = { { "reply-to", OPTION_ID, &o.reply_to } };
	bool existing = false;
	const char *jid;
	int64_t msg = 0;
	int r;

	r = sd_bus_message_read(m, "sss", &jid, &o.client_id, &o.body);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 ||
	    (r = check_bare_jid(jid, &to, error)) < 0 ||
	    (r = check_client_id(o.client_id, false, error)) < 0 ||
	    (r = check_body(o.body, error)) < 0)
		return r;
	o.conversation = to;
	r = put(userdata, m, &o, &msg, &existing, error);
	if (r < 0)
		return r;
	return sd_bus_reply_method_return(m, "tb", (uint64_t)msg, existing);
}

/* The message that a call is about, its first argument. */
static int read_id(sd_bus_message *m, int64_t *ret, sd_bus_error *error)
{
	uint64_t id;
	int r;

	r = sd_bus_message_read(m, "t", &id);
	if (r < 0)
		return error_from_read(error, r);
	r = check_message_id(id, error);
	if (r < 0)
		return r;
	*ret = (int64_t)id;
	return 0;
}

int send_edit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct outgoing o = { .kind = OUT_CORRECTION, .conversation = "", .emojis = "" };
	int r;

	r = read_id(m, &o.msg, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "ss", &o.client_id, &o.body);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = check_client_id(o.client_id, true, error)) < 0 ||
	    (r = check_body(o.body, error)) < 0)
		return r;
	return put_about(userdata, m, &o, error);
}

int send_retract(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct outgoing o = { .kind = OUT_RETRACTION, .conversation = "", .body = "", .emojis = "" };
	int r;

	r = read_id(m, &o.msg, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &o.client_id);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = check_client_id(o.client_id, true, error)) < 0)
		return r;
	return put_about(userdata, m, &o, error);
}

static bool has_line(const char *lines, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = lines; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, line, len) == 0 && (p[len] == '\n' || !p[len]))
			return true;
	return false;
}

/* The array at the current position, one emoji a line, each once: XEP-0444 knows no number of a reaction. */
static int read_emojis(sd_bus_message *m, struct buf *ret, sd_bus_error *error)
{
	const char *one;
	int r, n = 0;

	r = sd_bus_message_enter_container(m, 'a', "s");
	if (r < 0)
		return err_trace(r);
	while ((r = sd_bus_message_read(m, "s", &one)) > 0) {
		if (++n > EMOJIS_MAX)
			return error_invalid(error, "at most %d reactions to a message", EMOJIS_MAX);
		if (!*one)
			return error_invalid(error, "a reaction is empty: an empty array takes all back");
		r = check_text("a reaction", one, EMOJI_MAX, false, error);
		if (r < 0)
			return r;
		if (!has_line(buf_str(ret), one))
			buf_addf(ret, "%s%s", ret->len > 0 ? "\n" : "", one);
	}
	if (r < 0)
		return error_from_read(error, r);
	r = sd_bus_message_exit_container(m);
	return r < 0 ? err_trace(r) : 0;
}

int send_react(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(buf_deinit) struct buf emojis = { 0 };
	struct outgoing o = { .kind = OUT_REACTION, .conversation = "", .client_id = "", .body = "" };
	const struct option known[] = { { "client-id", OPTION_TEXT, &o.client_id } };
	int r;

	if ((r = read_id(m, &o.msg, error)) < 0 ||
	    (r = read_emojis(m, &emojis, error)) < 0 ||
	    (r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 ||
	    (r = check_client_id(o.client_id, true, error)) < 0)
		return r;
	o.emojis = buf_str(&emojis);
	return put_about(userdata, m, &o, error);
}

typedef int (*message_fn)(struct hub *h, int64_t account, int64_t msg, char **ret_why);

static int again(sd_bus_message *m, void *userdata, int64_t msg, message_fn fn, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	conn_wrote(userdata);
	r = fn(conn_hub(userdata), tree_call_account(m), msg, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

int send_retry(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	int64_t msg = 0;
	int r;

	if ((r = read_id(m, &msg, error)) < 0 || (r = options_read_none(m, error)) < 0)
		return r;
	return again(m, userdata, msg, hub_retry, error);
}

int send_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	int64_t msg = 0;
	int r;

	r = read_id(m, &msg, error);
	return r < 0 ? r : again(m, userdata, msg, hub_cancel, error);
}

int send_delete_local(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	const void *ids;
	size_t size;
	int r;

	r = sd_bus_message_read_array(m, 't', &ids, &size);
	if (r < 0)
		return error_from_read(error, r);
	if (size / sizeof(int64_t) > READ_ROWS_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "at most %d ids a call", READ_ROWS_MAX);
	conn_wrote(userdata);
	/* D-Bus aligns them for 64 bits; ids beyond INT64_MAX are negative here, and such rows do not exist. */
	r = size > 0 ? hub_delete_messages(conn_hub(userdata), tree_call_account(m), ids, size / sizeof(int64_t), &why) : 0;
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}
