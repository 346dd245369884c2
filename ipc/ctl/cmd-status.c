/*
 * varvectl status: the state of everything, as a picture, as JSON, as an exit code, or followed.
 */
#include <string.h>
#include <time.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/value.h"

#define WATCH_TICK_US (1 * (uint64_t)USEC_PER_SEC) /* rates and "3 s ago" move though nothing rings */
#define WATCH_PAUSE_US 200000 /* at most five pictures a second: more cannot be read */
#define INDEX_WORTH_TELLING 5000 /* messages; fewer are a matter of seconds */
#define WATCH_ACCOUNTS_MAX 64 /* with a rate of their own; the daemon takes fewer (ACCOUNTS_MAX) */

/* GetStatus; with -a only that account stays. */
struct view {
	struct value *status;
	const struct value *account[WATCH_ACCOUNTS_MAX];
	size_t n;
};

static void view_deinit(struct view *v)
{
	v->status = value_free(v->status);
	v->n = 0;
}

static bool is_failed(const struct view *v)
{
	return strcmp(value_str(v->status, "state"), "failed") == 0;
}

static int view_get(struct ctl *c, struct view *ret)
{
	const char *only = ctl_opt(c, ACCOUNT);
	_cleanup_(freep) char *folded = only ? str_fold(only) : NULL;
	const struct value *accounts;
	int r;

	r = ctl_connect(c);
	if (r == EXIT_OK)
		r = value_status(c, &ret->status);
	if (r != EXIT_OK)
		return r;
	accounts = value_get(ret->status, "accounts");
	if (is_failed(ret) || value_true(ret->status, "locked"))
		return EXIT_OK; /* whether the account of -a exists cannot be known */
	for (size_t i = 0; i < value_count(accounts) && ret->n < WATCH_ACCOUNTS_MAX; i++)
		if (!folded || strcmp(value_str(value_at(accounts, i), "jid"), folded) == 0)
			ret->account[ret->n++] = value_at(accounts, i);
	if (folded && ret->n == 0) {
		view_deinit(ret);
		return ctl_fail(c, EXIT_NOT_FOUND, "varvectl account list", "there is no account %s", only);
	}
	return EXIT_OK;
}

static void put_json(FILE *f, enum json_mode mode, const struct view *v)
{
	static const char *const archive_keys[] = { "bytes", "epoch_key", "indexed", "to_index", NULL };
	_cleanup_(json_freep) struct json *j = json_new(f, mode);
	const struct value *problems = value_get(v->status, "problems");

	json_object(j, NULL);
	json_string(j, "version", value_str(v->status, "version"));
	json_bool(j, "locked", value_true(v->status, "locked"));
	json_string_or_null(j, "state", value_str(v->status, "state"));
	json_string_or_null(j, "state_reason", value_str(v->status, "state_reason"));
	json_array(j, "problems");
	for (size_t i = 0; i < value_count(problems); i++)
		json_string(j, NULL, value_text(value_at(problems, i)));
	json_array_end(j);
	json_string_or_null(j, "network", value_str(v->status, "network"));
	json_int(j, "auto_lock_usec", value_int(v->status, "auto_lock_usec"));
	value_json(j, "archive", value_get(v->status, "archive"), archive_keys);
	json_array(j, "accounts");
	for (size_t i = 0; i < v->n; i++) {
		json_object(j, NULL);
		value_account_json(j, v->account[i]);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

/* "  problem   TEXT", red, wrapped beside the word. */
static void put_problem(FILE *f, const char *text)
{
	_cleanup_(freep) char *clean = text_clean(text, false);

	fprintf(f, "  %sproblem   ", term_color(COLOR_RED));
	term_put(f, COLOR_OFF, clean, SHOW_INDENT, SHOW_INDENT);
	fputs(term_color(COLOR_OFF), f);
}

static void put_text(FILE *f, const struct view *v, const struct rate *rates)
{
	_cleanup_(freep) char *version = text_clean(value_str(v->status, "version"), false);
	_cleanup_(freep) char *closed = ctl_archive_problem(v->status);
	const struct value *problems = value_get(v->status, "problems");
	const char *next = is_failed(v) ? "varvectl doctor" : "varvectl unlock";
	const char *network = value_str(v->status, "network");
	int64_t to_index = value_int(value_get(v->status, "archive"), "to_index");
	int64_t auto_lock = value_int(v->status, "auto_lock_usec");
	char span[TIME_HUMAN_SIZE];

	fprintf(f, "%svarved %s%s\n", term_color(COLOR_DIM), version, term_color(COLOR_OFF));
	for (size_t i = 0; i < value_count(problems); i++)
		put_problem(f, value_text(value_at(problems, i)));
	if (closed) {
		put_problem(f, closed);
		if (!strstr(closed, next)) /* the reason may say it already */
			fprintf(f, "  next      %s\n", next);
		return;
	}
	if (strcmp(network, "none") == 0)
		fputs("  network   none: no route leads out of this machine\n", f);
	else if (strcmp(network, "metered") == 0)
		fputs("  network   metered, says NetworkManager\n", f);
	if (auto_lock)
		fprintf(f, "  locks     itself when nobody has used it for %s\n", time_setting(auto_lock, span));
	if (v->n == 0)
		fputs("no account yet: varvectl account add JID\n", f);
	if (to_index > INDEX_WORTH_TELLING) {
		_cleanup_(freep) char *count = show_count(to_index);

		fprintf(f, "  search    works; %s messages are still being indexed\n", count);
	}
	for (size_t i = 0; i < v->n; i++)
		show_account(f, v->account[i], rates ? &rates[i] : NULL);
}

/* One thing that is wrong; ${jid} is NULL when it is no account's. */
static void check_line(struct ctl *c, struct json *j, const char *jid, const char *problem)
{
	_cleanup_(freep) char *line = NULL, *clean = NULL;

	if (j) {
		json_object(j, NULL);
		if (jid)
			json_string(j, "account", jid);
		else
			json_null(j, "account");
		json_string(j, "problem", problem);
		json_object_end(j);
	} else if (!c->quiet) {
		line = xasprintf("%s%s%s", jid ? jid : "", jid ? ": " : "", problem);
		clean = text_clean(line, false);
		term_put(stdout, COLOR_OFF, clean, 0, 4);
	}
}

static int check(struct ctl *c, const struct view *v)
{
	_cleanup_(json_freep) struct json *j = c->json != JSON_OFF && !c->quiet ? json_new(stdout, c->json) : NULL;
	_cleanup_(freep) char *closed = ctl_archive_problem(v->status);
	const struct value *problems = value_get(v->status, "problems");
	bool wrong = closed || value_count(problems) > 0;

	if (j) {
		json_object(j, NULL);
		json_bool(j, "locked", value_true(v->status, "locked"));
		json_array(j, "problems");
	}
	for (size_t i = 0; i < value_count(problems); i++)
		check_line(c, j, NULL, value_text(value_at(problems, i)));
	if (closed)
		check_line(c, j, NULL, closed);
	for (size_t i = 0; i < v->n; i++) {
		_cleanup_(freep) char *problem = show_problem(v->account[i]);

		if (!problem)
			continue;
		wrong = true;
		check_line(c, j, value_str(v->account[i], "jid"), problem);
	}
	if (j) {
		json_array_end(j);
		json_bool(j, "ok", !wrong);
		json_object_end(j);
	}
	return wrong ? EXIT_PROBLEMS : EXIT_OK;
}

static void pause_us(uint64_t us)
{
	struct timespec ts = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	nanosleep(&ts, NULL);
}

/* What a picture on the terminal looked like, so that the next one can take its place. */
struct screen {
	char *last;
	size_t lines;
};

static void redraw(struct ctl *c, struct screen *s, const struct view *v, const struct rate *rates)
{
	bool tty = term_is_tty(stdout);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	if (c->json != JSON_OFF)
		put_json(f, c->json, v);
	else
		put_text(f, v, rates);
	fclose(f);
	if (s->last && strcmp(text, s->last) == 0) {
		free(text);
		return;
	}
	if (tty && c->json == JSON_OFF && s->lines > 0)
		printf("\033[%zuA\033[J", s->lines);
	s->lines = 0;
	for (const char *p = text; *p; p++)
		s->lines += *p == '\n';
	fputs(text, stdout);
	fflush(stdout);
	free(s->last);
	s->last = text;
}

/* An old "online" must not stand on the screen of a daemon that is gone. True if the terminal says so now. */
static bool show_away(struct ctl *c, struct screen *s)
{
	if (!term_is_tty(stdout) || c->json != JSON_OFF)
		return false;
	if (s->lines > 0)
		printf("\033[%zuA\033[J", s->lines);
	puts("varved is not running; waiting for it to come back");
	fflush(stdout);
	s->lines = 1;
	free(s->last);
	s->last = NULL;
	return true;
}

static int watch(struct ctl *c)
{
	struct rate rates[WATCH_ACCOUNTS_MAX] = { 0 };
	struct screen screen = { 0 };
	bool told = false;
	int r;

	for (;;) {
		struct view v = { 0 };

		/* That it is away is said once: on the terminal in place of the picture. */
		c->mute = told || (screen.last && term_is_tty(stdout) && c->json == JSON_OFF);
		r = view_get(c, &v);
		c->mute = false;
		if (r == EXIT_UNREACHABLE || r == EXIT_TIMEOUT) {
			if (!told && !(screen.last && show_away(c, &screen)))
				screen.lines = 0;
			told = true;
			ctl_disconnect(c);
			pause_us(WATCH_TICK_US);
			continue;
		}
		if (r != EXIT_OK)
			break;
		told = false;
		for (size_t i = 0; i < v.n; i++)
			rate_add(&rates[i], v.account[i], now_mono());
		redraw(c, &screen, &v, rates);
		view_deinit(&v);
		if (ferror(stdout))
			break;
		varve_wait(c->varve, WATCH_TICK_US);
		pause_us(WATCH_PAUSE_US);
	}
	free(screen.last);
	return r;
}

int cmd_status(struct ctl *c)
{
	struct view v = { 0 };
	int r;

	if (ctl_opt(c, CHECK) && ctl_opt(c, WATCH))
		return ctl_fail(c, EXIT_USAGE, NULL, "--check and --watch do not go together");
	c->mute = ctl_opt(c, CHECK) && c->quiet;
	if (ctl_opt(c, WATCH))
		return watch(c);
	r = view_get(c, &v);
	if (r != EXIT_OK)
		return r;
	if (ctl_opt(c, CHECK))
		r = check(c, &v);
	else if (c->json != JSON_OFF)
		put_json(stdout, c->json, &v);
	else
		put_text(stdout, &v, NULL);
	view_deinit(&v);
	return r;
}
