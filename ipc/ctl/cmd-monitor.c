/*
 * varvectl monitor: the change feed as lines, without a gap (facts/ipc.md section 3.6, client algorithm):
 *
 *   1. we are subscribed from the first byte (peer-to-peer), before we read anything
 *   2. the position: --since, the cursor file, or the newest
 *   3. on each doorbell Changes() until there is no more; lines out, then the cursor
 *   4. after every doubt (reconnect, timeout) Changes() without a doorbell
 *   5. EpochChanged, ChangesTooOld: a line "reset", then on from the newest position
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/cursor.h"
#include "ipc/ctl/row.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"

#define CHANGES_LIMIT 500 /* rows a call; the daemon gives no more */
#define IDLE_US (60 * (uint64_t)USEC_PER_SEC) /* without a doorbell: look all the same, rule 4 */
#define RETRY_MIN_US 100000
#define RETRY_MAX_US (2 * (uint64_t)USEC_PER_SEC) /* between attempts to find the daemon again */

struct line {
	uint64_t seq;
	size_t order; /* of arrival, where seq is the same */
	char *text;
};

struct monitor {
	struct ctl *c;
	bool people; /* text instead of JSON */
	char **only; /* folded conversations; empty: all */
	size_t n_only;
	const char *file; /* cursor file or NULL */
	struct cursor cursor;
	struct line *lines; /* of one Changes() call, to be put in order */
	size_t n, cap;
};

static bool wanted(const struct monitor *m, const char *conversation)
{
	for (size_t i = 0; i < m->n_only; i++)
		if (strcmp(m->only[i], conversation) == 0)
			return true;
	return m->n_only == 0;
}

static void add_line(struct monitor *m, uint64_t seq, char *text)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->lines = xrealloc(m->lines, m->cap, sizeof(*m->lines));
	}
	m->lines[m->n] = (struct line){ seq, m->n, text };
	m->n++;
}

/* What a line is about; the union of the four arrays of Changes(). */
struct change {
	const char *what;
	uint64_t seq;
	const struct message *message;
	const struct conversation *conversation;
	const struct contact *contact;
	const char *kind, *key; /* of what was removed */
};

static void add_json(struct monitor *m, const struct change *ch)
{
	_cleanup_(json_freep) struct json *j = NULL;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	j = json_new(f, m->c->json == JSON_PRETTY ? JSON_PRETTY : JSON_SHORT);
	json_object(j, NULL);
	json_uint(j, "seq", ch->seq);
	json_string(j, "change", ch->what);
	if (ch->message)
		message_json(j, ch->message);
	if (ch->conversation)
		conversation_json(j, ch->conversation);
	if (ch->contact)
		contact_json(j, ch->contact);
	if (ch->kind) {
		json_string(j, "kind", ch->kind);
		json_string(j, "key", ch->key);
	}
	json_object_end(j);
	fclose(f);
	add_line(m, ch->seq, text);
}

static void add_text(struct monitor *m, const struct change *ch)
{
	_cleanup_(freep) char *raw = NULL, *clean = NULL, *author = NULL;
	char when[TIME_HUMAN_SIZE];

	if (ch->message) {
		author = message_author(ch->message);
		raw = xasprintf("%s  %s  <%s> %s%s%s%s", time_compact(ch->message->time_us, now_real(), when),
				ch->message->conversation, author, message_text(ch->message),
				ch->message->direction ? " (" : "",
				ch->message->direction ? message_state_name(ch->message->state) : "",
				ch->message->direction ? ")" : "");
	} else if (ch->conversation) {
		raw = xasprintf("conversation %s: %u unread", ch->conversation->id, ch->conversation->unread);
	} else if (ch->contact) {
		raw = xasprintf("contact %s: subscription %s", ch->contact->jid, ch->contact->subscription);
	} else {
		raw = xasprintf("removed %s %s", ch->kind, ch->key);
	}
	clean = text_clean(raw, false);
	add_line(m, ch->seq, xasprintf("%s\n", clean));
}

static void add(struct monitor *m, const struct change *ch)
{
	if (m->people)
		add_text(m, ch);
	else
		add_json(m, ch);
}

static int read_messages(struct monitor *m, sd_bus_message *reply)
{
	int r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_MESSAGE);
	struct message row;

	while (r >= 0 && (r = message_read(reply, &row)) > 0) {
		if (wanted(m, row.conversation))
			add(m, &(struct change){ .what = "message", .seq = row.mod, .message = &row });
		message_deinit(&row);
	}
	return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_conversations(struct monitor *m, sd_bus_message *reply)
{
	int r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_CONVERSATION);
	struct conversation row;

	while (r >= 0 && (r = conversation_read(reply, &row)) > 0) {
		if (wanted(m, row.id))
			add(m, &(struct change){ .what = "conversation", .seq = row.mod, .conversation = &row });
		conversation_deinit(&row);
	}
	return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_contacts(struct monitor *m, sd_bus_message *reply)
{
	int r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_CONTACT);
	struct contact row;

	while (r >= 0 && (r = contact_read(reply, &row)) > 0) {
		if (wanted(m, row.jid))
			add(m, &(struct change){ .what = "contact", .seq = row.mod, .contact = &row });
		contact_deinit(&row);
	}
	return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_removed(struct monitor *m, sd_bus_message *reply, uint64_t next)
{
	int r = sd_bus_message_enter_container(reply, 'a', "(ss)");
	const char *kind, *key;

	while (r >= 0 && (r = sd_bus_message_read(reply, "(ss)", &kind, &key)) > 0)
		/* A removed message does not say where it was: everybody is told. */
		if (strcmp(kind, "message") == 0 || wanted(m, key))
			add(m, &(struct change){ .what = "removed", .seq = next, .kind = kind, .key = key });
	return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int by_seq(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Lines first, then the cursor: a crash in between repeats, it never skips. */
static int put_lines(struct monitor *m, uint64_t next)
{
	int r;

	if (m->n > 0)
		qsort(m->lines, m->n, sizeof(*m->lines), by_seq);
	for (size_t i = 0; i < m->n; i++) {
		fputs(m->lines[i].text, stdout);
		free(m->lines[i].text);
	}
	m->n = 0;
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write: %s", strerror(errno));
	if (next == m->cursor.seq)
		return EXIT_OK;
	m->cursor.seq = next;
	r = m->file ? cursor_save(m->file, &m->cursor) : 0;
	return r < 0 ? ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write the cursor file %s: %s", m->file, strerror(-r))
		     : EXIT_OK;
}

/* Take the newest position. Returns as client_call(). */
static int take_newest(struct monitor *m, sd_bus_error *error)
{
	struct client *client = m->c->client;
	char *epoch = NULL;
	int r;

	/* The position first: what changes in between comes again, rather than never. */
	r = client_property_u64(client, m->c->account, VARVE_IFACE_ARCHIVE, "Seq", error, &m->cursor.seq);
	if (r >= 0)
		r = client_property_string(client, m->c->account, VARVE_IFACE_ARCHIVE, "Epoch", error, &epoch);
	if (r < 0)
		return r;
	free(m->cursor.epoch);
	m->cursor.epoch = epoch;
	return 0;
}

static int reset(struct monitor *m, const char *error_name)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(json_freep) struct json *j = NULL;
	int r = take_newest(m, &error);

	if (r < 0)
		return ctl_fail_bus(m->c, &error, r);
	if (m->people) {
		puts("-- the feed begins anew: read everything again --");
	} else {
		j = json_new(stdout, m->c->json == JSON_PRETTY ? JSON_PRETTY : JSON_SHORT);
		json_object(j, NULL);
		json_uint(j, "seq", m->cursor.seq);
		json_string(j, "change", "reset");
		json_string(j, "reason", error_name);
		json_object_end(j);
	}
	r = m->file ? cursor_save(m->file, &m->cursor) : 0;
	return r < 0 ? ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write the cursor file %s: %s", m->file, strerror(-r))
		     : put_lines(m, m->cursor.seq);
}

/* Everything since the cursor. EXIT_UNREACHABLE when the daemon went away, which is not told. */
static int pull(struct monitor *m)
{
	int more = 1, r;

	while (more) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		_cleanup_(unrefp) sd_bus_message *reply = NULL;
		uint64_t next;

		r = client_call(m->c->client, m->c->account, VARVE_IFACE_ARCHIVE, "Changes", &error, &reply,
				"stua{sv}", m->cursor.epoch, m->cursor.seq, (uint32_t)CHANGES_LIMIT, 0);
		if (r < 0 && client_exit_code(&error, r) == EXIT_UNREACHABLE)
			return EXIT_UNREACHABLE;
		if (r < 0 && (sd_bus_error_has_name(&error, varve_error_name(VARVE_ERROR_EPOCH_CHANGED)) ||
			      sd_bus_error_has_name(&error, varve_error_name(VARVE_ERROR_CHANGES_TOO_OLD)))) {
			r = reset(m, error.name);
			if (r != EXIT_OK)
				return r;
			continue;
		}
		if (r < 0)
			return ctl_fail_bus(m->c, &error, r);
		r = sd_bus_message_read(reply, "tb", &next, &more);
		if (r >= 0)
			r = read_messages(m, reply);
		if (r >= 0)
			r = read_conversations(m, reply);
		if (r >= 0)
			r = read_contacts(m, reply);
		if (r >= 0)
			r = read_removed(m, reply, next);
		if (r < 0 || (more && next <= m->cursor.seq))
			return ctl_bad_reply(m->c, "Changes");
		r = put_lines(m, next);
		if (r != EXIT_OK)
			return r;
	}
	return EXIT_OK;
}

/* The daemon is gone: look for it until it is back. */
static int reconnect(struct monitor *m)
{
	_cleanup_(freep) char *jid = xstrdup(m->c->account_jid);
	uint64_t wait = RETRY_MIN_US;
	int r;

	if (ctl_opt(m->c, EXIT_ON_DISCONNECT))
		return ctl_fail(m->c, EXIT_UNREACHABLE, NULL, "varved closed the connection");
	if (!m->c->quiet && m->people)
		fputs("varvectl: varved went away; waiting for it\n", stderr);
	for (;;) {
		struct timespec ts = { (time_t)(wait / 1000000), (long)(wait % 1000000) * 1000 };

		ctl_disconnect(m->c);
		m->c->mute = true;
		r = ctl_account(m->c, jid);
		m->c->mute = false;
		if (r == EXIT_OK)
			return r;
		if (r != EXIT_UNREACHABLE && r != EXIT_TIMEOUT)
			return ctl_fail(m->c, (enum exit_code)r, NULL, "the account %s cannot be followed any more",
					jid);
		nanosleep(&ts, NULL);
		wait = wait * 2 < RETRY_MAX_US ? wait * 2 : RETRY_MAX_US;
	}
}

/* Where to begin. */
static int position(struct monitor *m)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
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
	r = take_newest(m, &error);
	if (r < 0)
		return ctl_fail_bus(m->c, &error, r);
	if (since)
		m->cursor.seq = seq;
	r = m->file ? cursor_save(m->file, &m->cursor) : 0;
	return r < 0 ? ctl_fail(m->c, EXIT_FAIL, NULL, "cannot write the cursor file %s: %s", m->file, strerror(-r))
		     : EXIT_OK;
}

int cmd_monitor(struct ctl *c)
{
	struct monitor m = { .c = c, .file = ctl_opt(c, CURSOR_FILE) };
	int r;

	m.people = c->json == JSON_OFF && (ctl_opt(c, JSON) || term_is_tty(stdout));
	m.only = xcalloc(c->opts.n_args, sizeof(*m.only));
	for (; m.n_only < c->opts.n_args; m.n_only++)
		m.only[m.n_only] = str_fold(c->opts.args[m.n_only]);
	r = ctl_account(c, NULL);
	if (r == EXIT_OK) {
		m.cursor.account = xstrdup(c->account_jid);
		r = position(&m);
	}
	while (r == EXIT_OK) {
		r = pull(&m);
		if (r == EXIT_OK && client_wait(c->client, IDLE_US) < 0)
			r = EXIT_UNREACHABLE;
		if (r == EXIT_UNREACHABLE)
			r = reconnect(&m);
	}
	cursor_deinit(&m.cursor);
	free(m.lines);
	while (m.n_only > 0)
		free(m.only[--m.n_only]);
	free(m.only);
	return r;
}
