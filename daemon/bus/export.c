#define _GNU_SOURCE
#include "bus/export.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/export-row.h"
#include "bus/job.h"
#include "bus/options.h"
#include "bus/pour.h"
#include "bus/tree.h"
#include "bus/turn.h"
#include "ipc/names.h"
#include "store/read.h"
#include "store/walk.h"

#define EXPORT_PAGE 200 /* rows in one go: a millisecond or two; facts/ipc.md section 2.1 no. 5 */
#define EXPORT_CONVERSATIONS_MAX 500

/* What the caller asked for. */
struct wish {
	const char *format;
	char **conversations; /* NULL: all, in one order */
	int64_t since_us, until_us;
	bool detach, text;
};

struct export {
	struct hub *hub;
	struct job *job;
	struct pour *pour;
	struct turn turn; /* idle: the next page */
	int64_t account;
	struct wish wish;
	struct walk *walk;   /* over all, or the present one of the conversations; NULL: none yet */
	size_t conversation; /* index of the next one */
	uint64_t messages, bytes, total;
};

static void on_free(void *userdata)
{
	struct export *x = userdata;

	turn_deinit(&x->turn);
	pour_free(x->pour);
	walk_free(x->walk);
	options_free_texts(x->wish.conversations);
	free(x);
}

/* ---- reading ---- */

static int on_row(void *userdata, const struct message_row *row)
{
	struct export *x = userdata;
	struct buf *b = pour_buf(x->pour);
	size_t before = b->len;

	if (row->time_us < x->wish.since_us || (x->wish.until_us && row->time_us >= x->wish.until_us))
		return 0;
	(x->wish.text ? export_text : export_json)(b, row);
	x->messages++;
	x->bytes += b->len - before;
	return 0;
}

/* Begin the walk over all, or over the next conversation: 1, or 0 when there is none. */
static int next_walk(struct export *x)
{
	char **conversations = x->wish.conversations;
	size_t i = x->conversation;
	int r;

	if (conversations ? !conversations[i] : i > 0)
		return 0;
	x->conversation++;
	r = walk_new(hub_store(x->hub), x->account, conversations ? conversations[i] : "", x->wish.since_us, &x->walk);
	return r < 0 ? err_trace(r) : 1;
}

/* More into the buffer: 1 if there may be more, 0 at the end of all, or an error. */
static int advance(struct export *x)
{
	int r = x->walk ? 1 : next_walk(x);

	if (r <= 0)
		return r;
	r = walk_step(x->walk, hub_store(x->hub), EXPORT_PAGE, on_row, x);
	if (r < 0)
		return err_trace(r);
	if (r == 0)
		x->walk = walk_free(x->walk);
	return 1;
}

/* False: the job has ended. */
static bool still_possible(struct export *x)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	if (hub_state(x->hub) != HUB_READY) {
		error_from_state(&error, x->hub);
		job_fail_error(x->job, &error);
		return false;
	}
	if (!hub_account(x->hub, x->account)) {
		job_fail(x->job, VARVE_ERROR_NOT_FOUND, "the account was removed meanwhile");
		return false;
	}
	return true;
}

static void on_turn(void *userdata)
{
	struct export *x = userdata;
	int r;

	if (!still_possible(x))
		return;
	r = advance(x);
	if (r < 0) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

		error_from_store(&error, r);
		job_fail_error(x->job, &error);
		return;
	}
	pour_added(x->pour);
	if (r == 0)
		pour_end(x->pour);
	else if (pour_room(x->pour) > 0)
		turn_arm(&x->turn);
	job_progress(x->job, x->messages, x->total > x->messages || x->total == 0 ? x->total : x->messages);
}

static void on_room(void *userdata)
{
	struct export *x = userdata;

	turn_arm(&x->turn);
}

static void on_written(void *userdata, int r)
{
	struct export *x = userdata;
	const struct job_result results[] = { { "messages", x->messages }, { "bytes", x->bytes } };

	if (r == 0)
		job_progress(x->job, x->messages, x->messages);
	if (r == 0)
		job_done(x->job, results, ARRAY_SIZE(results));
	else if (r == -EPIPE || r == -ECONNRESET)
		job_fail(x->job, VARVE_ERROR_CANCELLED, "whoever was to read the export does not read any more");
	else
		job_fail(x->job, VARVE_ERROR_STORAGE, "the export cannot be written: %s", strerror(-r));
}

/* ---- the call ---- */

static int read_wish(sd_bus_message *m, struct conn *c, struct wish *w, sd_bus_error *error)
{
	const struct option known[] = {
		{ "format", OPTION_TEXT, &w->format },	   { "conversations", OPTION_TEXTS, &w->conversations },
		{ "since", OPTION_TIME, &w->since_us },	   { "until", OPTION_TIME, &w->until_us },
		{ "detach", OPTION_BOOL, &w->detach },
	};
	size_t n = 0;
	int r;

	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	w->text = strcmp(w->format, "text") == 0;
	if (!w->text && strcmp(w->format, "jsonl") != 0)
		return error_invalid(error, "there is no format '%s': it is jsonl or text", w->format);
	if (w->since_us < 0 || w->until_us < 0)
		return error_invalid(error, "since and until are microseconds since 1970");
	/* None is none, and not all. */
	if (w->conversations && !w->conversations[0])
		return error_invalid(error, "conversations is empty: leave it out to export all of them");
	for (char **p = w->conversations; p && *p; p++) {
		if (++n > EXPORT_CONVERSATIONS_MAX)
			return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "at most %d conversations an export",
					 EXPORT_CONVERSATIONS_MAX);
		r = check_conversation(hub_store(conn_hub(c)), tree_call_account(m), *p, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_fd(int fd, sd_bus_error *error)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || flags & O_PATH)
		return error_invalid(error, "the descriptor is not open for writing");
	return 0;
}

static int start(struct export *x, struct conn *c, int fd, sd_bus_error *error)
{
	static const struct job_ops job_ops = { .kind = "export", .free = on_free };
	static const struct pour_ops pour_ops = { .room = on_room, .done = on_written };
	sd_event *event = conn_config(c)->event;
	int r;

	turn_init(&x->turn, event, SD_EVENT_PRIORITY_IDLE, on_turn, x);
	turn_arm(&x->turn);
	r = pour_new(event, fd, &pour_ops, x, &x->pour);
	if (r < 0)
		return err_trace(r);
	return job_begin(c, x->wish.detach, &job_ops, x, &x->job, error);
}

int export_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	struct account_status s = { 0 };
	struct export *x;
	int fd, r;

	r = sd_bus_message_read(m, "h", &fd);
	if (r < 0)
		return error_from_read(error, r);
	x = xnew(struct export);
	x->hub = conn_hub(c);
	x->account = tree_call_account(m);
	x->wish.format = "jsonl";
	if ((r = read_wish(m, c, &x->wish, error)) < 0 ||
	    (r = check_fd(fd, error)) < 0 ||
	    (r = start(x, c, fd, error)) < 0) {
		on_free(x);
		return r;
	}
	x->wish.format = NULL; /* the call's */
	if (!x->wish.conversations && hub_status(x->hub, x->account, &s) == 0)
		x->total = s.messages;
	return job_reply(x->job, m);
}
