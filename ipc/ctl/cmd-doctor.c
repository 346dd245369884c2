/*
 * varvectl doctor: checks from this side of the socket, then those of the daemon.
 */
#include <string.h>
#include <sys/stat.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/offline.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/value.h"
#include "varve-build.h"

#define NAME_COLUMNS 16
#define TEXT_INDENT (6 + NAME_COLUMNS + 1)
#define NARROW 56 /* columns, below which texts begin on a line of their own */

struct doctor {
	struct ctl *c;
	struct json *json;
	unsigned failed;
};

static void report(struct doctor *d, const char *check, const char *result, const char *text, const char *hint)
{
	bool fail = strcmp(result, "fail") == 0, warn = strcmp(result, "warn") == 0;
	enum color color = fail                        ? COLOR_RED
			   : warn                      ? COLOR_YELLOW
			   : strcmp(result, "ok") == 0 ? COLOR_GREEN
						       : COLOR_DIM;
	_cleanup_(freep) char *clean = NULL, *clean_hint = NULL, *name = NULL;
	bool narrow = term_columns() < NARROW;
	size_t used, indent = narrow ? 6 : TEXT_INDENT;

	d->failed += fail;
	if (d->json) {
		json_object(d->json, NULL);
		json_string(d->json, "check", check);
		json_string(d->json, "result", result);
		json_string_or_null(d->json, "text", text);
		json_string_or_null(d->json, "hint", hint);
		json_object_end(d->json);
		return;
	}
	if (d->c->quiet && !fail && !warn)
		return;
	clean = text_clean(text, false);
	clean_hint = text_clean(hint ? hint : "", false);
	name = text_clean(check, false);
	printf("%s%-4s%s  %-*s", term_color(color), result, term_color(COLOR_OFF), narrow ? 0 : NAME_COLUMNS + 1, name);
	used = 6 + (text_width(name) > NAME_COLUMNS ? text_width(name) : NAME_COLUMNS + 1);
	if (narrow || used > indent) {
		printf("\n%*s", (int)indent, "");
		used = indent;
	}
	term_put(stdout, COLOR_OFF, clean, used, indent);
	if (*clean_hint) {
		printf("%*s", (int)indent, "");
		term_put(stdout, COLOR_DIM, clean_hint, indent, indent);
	}
}

static void report_offline(void *userdata, const char *check, const char *result, const char *text, const char *hint)
{
	report(userdata, check, result, text, hint);
}

/* Who may open the socket: nobody but us (facts/ipc.md section 4). */
static void check_socket(struct doctor *d)
{
	_cleanup_(freep) char *path = varve_socket_path(ctl_opt(d->c, ADDRESS)), *text = NULL;
	struct stat st;

	if (!path || stat(path, &st) < 0) {
		report(d, "socket", "skip", "cannot look at the socket", NULL);
		return;
	}
	if (st.st_mode & 077) {
		text = xasprintf("%s may be opened by others (mode %04o)", path, (unsigned)(st.st_mode & 07777));
		report(d, "socket", "fail", text, "restart varved; it makes the socket with mode 0600");
		return;
	}
	text = xasprintf("%s, for this user only", path);
	report(d, "socket", "ok", text, NULL);
}

static int check_version(struct doctor *d)
{
	_cleanup_(value_freep) struct value *status = NULL;
	_cleanup_(freep) char *text = NULL;
	const char *version;
	int r = value_status(d->c, &status);

	if (r != EXIT_OK)
		return r;
	version = value_str(status, "version");
	if (strcmp(version, VARVE_VERSION) == 0) {
		report(d, "version", "ok", version, NULL);
		return EXIT_OK;
	}
	text = xasprintf("varved is %s, varvectl is %s", version, VARVE_VERSION);
	report(d, "version", "warn", text, "restart varved: systemctl --user restart varved");
	return EXIT_OK;
}

/* It reads every page, which takes its time with a large archive; that varved is alive is known by now. */
static void reading(struct ctl *c, void *userdata)
{
	const int64_t *began = userdata;
	_cleanup_(freep) char *line = NULL;
	char span[TIME_HUMAN_SIZE];

	if (c->quiet || c->json != JSON_OFF)
		return;
	line = xasprintf("reading the whole archive  %s", time_span(now_mono() - *began, span));
	term_progress(line);
}

static int daemon_checks(struct doctor *d)
{
	_cleanup_(unrefp) sd_bus_message *call = NULL, *m = NULL;
	int64_t began = now_mono();
	bool deep = ctl_opt(d->c, DEEP);
	const char *check, *result, *text, *hint;
	int r;

	r = varve_call_new(d->c->varve, VARVE_PATH, VARVE_IFACE_MANAGER, "Diagnose", &call);
	if (r >= 0)
		r = deep ? sd_bus_message_append(call, "a{sv}", 1, "deep", "b", 1)
					: sd_bus_message_append(call, "a{sv}", 0);
	if (r < 0)
		return ctl_fail(d->c, EXIT_FAIL, NULL, "out of memory");
	r = ctl_send_long(d->c, call, 0, reading, &began, &m);
	if (r != EXIT_OK)
		return r;
	r = sd_bus_message_enter_container(m, 'a', "(ssssa{sv})");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ssssa{sv}")) > 0) {
		r = sd_bus_message_read(m, "ssss", &check, &result, &text, &hint);
		if (r < 0)
			break;
		report(d, check, result, text, hint);
		r = sd_bus_message_skip(m, "a{sv}");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? ctl_bad_reply(d->c, "Diagnose") : EXIT_OK;
}

int cmd_doctor(struct ctl *c)
{
	_cleanup_(json_freep) struct json *j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	struct doctor d = { .c = c, .json = j };
	int r;

	/* Why it cannot be reached comes last, below what the checks here have found. */
	c->mute = true;
	r = ctl_connect(c);
	c->mute = false;
	if (r == EXIT_UNREACHABLE && !ctl_opt(c, ADDRESS))
		offline_checks(report_offline, &d);
	if (r != EXIT_OK)
		return ctl_connect(c);
	check_socket(&d);
	r = check_version(&d);
	if (r == EXIT_OK)
		r = daemon_checks(&d);
	if (r != EXIT_OK)
		return r;
	return d.failed ? EXIT_PROBLEMS : EXIT_OK;
}
