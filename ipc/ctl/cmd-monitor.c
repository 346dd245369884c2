/*
 * varvectl monitor: the change feed as lines. That nothing is missed or repeated is the library's work (varve.h,
 * varve_follow()); here a line is written first and the cursor after it, so that a crash repeats rather than skips.
 */
#include <errno.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/cursor.h"
#include "ipc/ctl/monitor-text.h"
#include "ipc/ctl/row.h"
#include "ipc/ctl/term.h"

struct monitor {
	struct ctl *c;
	struct json *json; /* NULL: text for people */
	struct monitor_text text;
	char **only; /* folded conversations; empty: all */
	size_t n_only;
	const char *file; /* cursor file or NULL */
	struct cursor cursor;
	bool begun; /* something was told: from here on trouble passes */
	bool ended;
	int code; /* of what ended it */
};

static bool wanted(const struct monitor *m, const char *conversation)
{
	for (size_t i = 0; i < m->n_only; i++)
		if (strcmp(m->only[i], conversation) == 0)
			return true;
	return m->n_only == 0;
}

/* Ends the following with ${code}; for the callbacks. */
static int end(struct monitor *m, int code)
{
	m->ended = true;
	m->code = code;
	return -ECANCELED;
}

static void put_json(struct monitor *m, const struct varve_event *e, const char *change)
{
	struct json *j = m->json;

	json_object(j, NULL);
	json_uint(j, "seq", e->seq);
	json_string(j, "change", change);
	if (e->message)
		message_json(j, e->message);
	if (e->conversation)
		conversation_json(j, e->conversation);
	if (e->contact)
		contact_json(j, e->contact);
	if (e->kind == VARVE_EVENT_REMOVED) {
		json_string(j, "kind", e->removed_kind);
		json_string(j, "key", e->removed_key);
	}
	if (e->kind == VARVE_EVENT_RESET)
		json_string(j, "reason", e->name);
	json_object_end(j);
}

/* Lossy news have no place in the feed, so no seq. */
static void put_ephemeral_json(struct monitor *m, const struct varve_event *e)
{
	struct json *j = m->json;

	json_object(j, NULL);
	json_null(j, "seq");
	if (e->kind == VARVE_EVENT_TYPING) {
		json_string(j, "change", "typing");
		json_string(j, "conversation", e->typing_conversation);
		json_string(j, "sender", e->jid);
		json_string(j, "state", e->state);
	} else {
		json_string(j, "change", "presence");
		json_string(j, "jid", e->jid);
		json_string(j, "show", *e->state ? e->state : "online");
		json_string_or_null(j, "status", e->text);
	}
	json_object_end(j);
}

static int put(struct monitor *m, const struct varve_event *e, const char *change)
{
	if (!m->json)
		monitor_text_put(&m->text, e);
	else if (change)
		put_json(m, e, change);
	else
		put_ephemeral_json(m, e);
	return 0;
}

/* Lines first, then the cursor. */
static int keep(struct monitor *m, const struct varve_event *e)
{
	int r;

	m->begun = true;
	if (fflush(stdout) != 0 || ferror(stdout))
		return end(m, ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write: %s", strerror(errno)));
	free(m->cursor.epoch);
	m->cursor.epoch = xstrdup(e->epoch);
	m->cursor.seq = e->seq;
	r = m->file ? cursor_save(m->file, &m->cursor) : 0;
	if (r < 0)
		return end(m, ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write the cursor file %s: %s", m->file,
				       strerror(-r)));
	return 0;
}

/* What can pass is waited for, once it has worked: the archive is locked, or not yet open after a restart. */
static int trouble(struct monitor *m, const struct varve_event *e)
{
	if (m->begun && e->r != -ENOENT && e->r != -EOPNOTSUPP && e->r != -EBADMSG && e->r != -EACCES) {
		if (!m->c->quiet && !m->json)
			fprintf(stderr, "varvectl: %s; waiting\n", *e->text ? e->text : strerror(-e->r));
		return 0;
	}
	return end(m, ctl_fail_call(m->c, e->r));
}

static int flushed(void)
{
	fflush(stdout);
	return 0;
}

static int on_event(void *userdata, const struct varve_event *e)
{
	struct monitor *m = userdata;

	switch (e->kind) {
	case VARVE_EVENT_MESSAGE:
		return wanted(m, e->message->conversation) ? put(m, e, "message") : 0;
	case VARVE_EVENT_CONVERSATION:
		return wanted(m, e->conversation->id) ? put(m, e, "conversation") : 0;
	case VARVE_EVENT_CONTACT:
		return wanted(m, e->contact->jid) ? put(m, e, "contact") : 0;
	case VARVE_EVENT_REMOVED:
		/* A removed message does not say where it was: everybody is told. */
		return strcmp(e->removed_kind, "message") == 0 || wanted(m, e->removed_key) ? put(m, e, "removed") : 0;
	case VARVE_EVENT_POSITION:
		return keep(m, e);
	case VARVE_EVENT_RESET:
		put(m, e, "reset");
		return keep(m, e);
	case VARVE_EVENT_TROUBLE:
		return trouble(m, e);
	case VARVE_EVENT_TYPING:
		return wanted(m, e->typing_conversation) ? (put(m, e, NULL), flushed()) : 0;
	case VARVE_EVENT_PRESENCE: {
		_cleanup_(freep) char *bare = xstrndup(e->jid, strcspn(e->jid, "/"));

		return wanted(m, bare) ? (put(m, e, NULL), flushed()) : 0;
	}
	}
	return 0;
}

static void on_connection(void *userdata, bool connected)
{
	struct monitor *m = userdata;

	if (connected || m->ended)
		return;
	if (ctl_opt(m->c, EXIT_ON_DISCONNECT))
		(void)end(m, ctl_fail(m->c, EXIT_UNREACHABLE, NULL, "varved closed the connection"));
	else if (!m->c->quiet && !m->json)
		fputs("varvectl: varved went away; waiting for it\n", stderr);
}

/* Where to begin. */
static int position(struct monitor *m)
{
	const char *since = ctl_opt(m->c, SINCE_SEQ);
	uint64_t seq = 0;
	int r = CURSOR_E_NONE;

	if (since && m->file)
		return ctl_fail(m->c, EXIT_USAGE, NULL, "--since and --cursor-file do not go together");
	if (since && parse_u64(since, &seq) < 0)
		return ctl_fail(m->c, EXIT_USAGE, "the seq of a line that monitor printed, or 0 for everything",
				"--since=%s is not a number", since);
	if (m->file)
		r = cursor_load(m->file, m->c->account_jid, &m->cursor);
	if (r == CURSOR_E_FOREIGN)
		return ctl_fail(m->c, EXIT_USAGE, "use one file for each account",
				"the cursor file %s is not one of %s", m->file, m->c->account_jid);
	if (r < 0)
		return ctl_fail(m->c, EXIT_FAIL, NULL, "cannot read the cursor file %s: %s", m->file, strerror(-r));
	if (r == 0)
		return EXIT_OK;
	r = varve_position(m->c->account, &m->cursor.epoch, &m->cursor.seq);
	if (r < 0)
		return ctl_fail_call(m->c, r);
	if (since)
		m->cursor.seq = seq;
	r = m->file ? cursor_save(m->file, &m->cursor) : 0;
	return r < 0 ? ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write the cursor file %s: %s", m->file, strerror(-r))
		     : EXIT_OK;
}

static int run(struct monitor *m)
{
	unsigned flags = ctl_opt(m->c, EPHEMERAL) ? VARVE_FOLLOW_EPHEMERAL : 0;
	_cleanup_(freep) char *epoch = xstrdup(m->cursor.epoch);
	struct varve_follow *follow;
	int64_t deadline;
	int r;

	deadline = m->c->timeout_us ? now_mono() + (int64_t)m->c->timeout_us : INT64_MAX;
	varve_on_connection(m->c->varve, on_connection, m);
	r = varve_follow(m->c->account, epoch, m->cursor.seq, flags, on_event, m, &follow);
	if (r < 0)
		return ctl_fail_call(m->c, r);
	while (!m->ended) {
		int64_t left = deadline - now_mono();

		if (left <= 0)
			return ctl_fail(m->c, EXIT_TIMEOUT, NULL, "the time of --timeout is over");
		r = varve_wait(m->c->varve, deadline == INT64_MAX ? UINT64_MAX : (uint64_t)left);
		if (r < 0 && r != -EINTR)
			return ctl_fail(m->c, EXIT_FAIL, NULL, "cannot wait for changes: %s", strerror(-r));
	}
	return m->code;
}

/* Who is not there yet may come, and a typing error waits for ever: it is said. */
static int check_known(struct monitor *m)
{
	int r = EXIT_OK;

	for (size_t i = 0; r == EXIT_OK && i < m->n_only; i++) {
		bool known = true;

		r = ctl_knows(m->c, m->only[i], &known);
		if (r == EXIT_OK && !known)
			r = ctl_check_address(m->c, m->only[i]);
		if (r == EXIT_OK && !known)
			ctl_note(m->c, VARVE_ERROR_NO_SUCH_CONVERSATION, "varvectl ls",
				 "no message of %s is stored: waiting for the first", m->only[i]);
	}
	return r;
}

int cmd_monitor(struct ctl *c)
{
	struct monitor m = { .c = c, .file = ctl_opt(c, CURSOR_FILE) };
	bool people = c->json == JSON_OFF && (ctl_opt(c, JSON) || term_is_tty(stdout));
	int r;

	m.json = people ? NULL : json_new(stdout, c->json == JSON_PRETTY ? JSON_PRETTY : JSON_SHORT);
	m.only = xcalloc(c->opts.n_args, sizeof(*m.only));
	for (; m.n_only < c->opts.n_args; m.n_only++)
		m.only[m.n_only] = str_fold(c->opts.args[m.n_only]);
	r = ctl_account(c, NULL);
	if (r == EXIT_OK)
		r = check_known(&m);
	if (r == EXIT_OK) {
		m.cursor.account = xstrdup(c->account_jid);
		r = position(&m);
	}
	if (r == EXIT_OK)
		r = run(&m);
	cursor_deinit(&m.cursor);
	json_free(m.json);
	while (m.n_only > 0)
		free(m.only[--m.n_only]);
	free(m.only);
	return r;
}
