#include "ipc/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/value.h"

/* In a log or a pipe a sentence stays one line. */
static void put_line(const char *lead, const char *clean)
{
	if (!term_is_tty(stderr)) {
		fprintf(stderr, "%s%s\n", lead, clean);
		return;
	}
	fputs(lead, stderr);
	term_put(stderr, COLOR_OFF, clean, strlen(lead), 4);
}

static void tell(struct ctl *c, const char *name, const char *message, const char *hint)
{
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *clean = NULL, *clean_hint = NULL;

	if (c->mute)
		return;
	term_progress(NULL);
	fflush(stdout); /* what was printed before comes before */
	if (c->json == JSON_OFF) {
		clean = text_clean(message, true);
		clean_hint = hint ? text_clean(hint, true) : NULL;
		put_line("varvectl: ", clean);
		if (clean_hint && !strstr(clean, clean_hint)) /* the daemon's sentence may have it already */
			put_line("    ", clean_hint);
		return;
	}
	j = json_new(stderr, c->json);
	json_object(j, NULL);
	json_object(j, "error");
	json_string(j, "name", name);
	json_string(j, "message", message);
	if (hint)
		json_string(j, "hint", hint);
	json_object_end(j);
	json_object_end(j);
}

int ctl_fail(struct ctl *c, enum exit_code code, const char *hint, const char *fmt, ...)
{
	char *message;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		abort();
	va_end(ap);
	tell(c, client_error_name(code), message, hint);
	free(message);
	return code;
}

int ctl_fail_as(struct ctl *c, enum exit_code code, enum varve_error name, const char *hint, const char *fmt, ...)
{
	char *message;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		abort();
	va_end(ap);
	tell(c, varve_error_name(name), message, hint);
	free(message);
	return code;
}

char *ctl_archive_problem(const struct value *status)
{
	const char *reason = value_str(status, "state_reason");
	bool failed = strcmp(value_str(status, "state"), "failed") == 0;
	bool sentence = *reason >= 'A' && *reason <= 'Z';

	if (!failed && !value_true(status, "locked"))
		return NULL;
	if (strncmp(reason, "the archive ", strlen("the archive ")) == 0)
		return xstrdup(reason); /* it says already what it is about */
	return xasprintf("the archive %s%s%s", failed ? "could not be opened" : "is locked",
			 !*reason   ? ""
			 : sentence ? ". "
				    : ": ",
			 reason);
}

int ctl_opened(struct ctl *c, const struct value *status)
{
	_cleanup_(freep) char *problem = ctl_archive_problem(status);

	if (!problem)
		return EXIT_OK;
	if (strcmp(value_str(status, "state"), "failed") == 0)
		return ctl_fail_as(c, EXIT_FAIL, VARVE_ERROR_STORAGE, "varvectl doctor", "%s", problem);
	return ctl_fail_as(c, EXIT_SECRET, VARVE_ERROR_LOCKED, "varvectl unlock", "%s", problem);
}

int ctl_fail_bus(struct ctl *c, const sd_bus_error *error, int r)
{
	enum exit_code code = client_exit_code(error, r);
	const char *hint = NULL;

	switch (code) {
	case EXIT_UNREACHABLE:
		return ctl_fail(c, code, "it may be restarting: try again, or start it: systemctl --user start varved",
				"varved closed the connection");
	case EXIT_TIMEOUT:
		return ctl_fail(c, code, "wait longer with --timeout=SEC, or see what it does: varvectl doctor",
				"varved did not answer in time");
	case EXIT_VERSION:
		hint = "varvectl and varved are of different versions; restart varved after an upgrade";
		break;
	default:
		break;
	}
	tell(c, error && error->name ? error->name : client_error_name(code),
	     error && error->message && *error->message ? error->message : strerror(r < 0 ? -r : EIO), hint);
	return code;
}

int ctl_bad_reply(struct ctl *c, const char *member)
{
	return ctl_fail(c, EXIT_VERSION,
			"varvectl and varved are of different versions; restart varved after an upgrade",
			"cannot read the answer to %s", member);
}

int ctl_connect(struct ctl *c)
{
	_cleanup_(freep) char *path = NULL;
	int r;

	if (c->client)
		return EXIT_OK;
	path = client_socket_path(ctl_opt(c, ADDRESS));
	if (!path)
		abort();
	/* sync wait and monitor have their own idea of --timeout; for one call the usual limit is enough. */
	r = client_open(path, c->timeout_us && c->timeout_us < CLIENT_TIMEOUT_US ? c->timeout_us : CLIENT_TIMEOUT_US,
			&c->client);
	switch (-r) {
	case 0:
		return EXIT_OK;
	case ENOENT:
		return ctl_fail(c, EXIT_UNREACHABLE,
				"start it: systemctl --user start varved, or run varved in a terminal",
				"varved is not running (there is no socket %s)", path);
	case ECONNREFUSED:
		return ctl_fail(c, EXIT_UNREACHABLE,
				"start it: systemctl --user start varved, or run varved in a terminal",
				"varved is not running (nobody listens on %s)", path);
	case EACCES:
	case EPERM:
		return ctl_fail(c, EXIT_DENIED, "run varvectl as the user that varved runs as",
				"no permission to use the socket %s", path);
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
		return ctl_fail(c, EXIT_UNREACHABLE, "run varvectl as the user that varved runs as",
				"varved hung up on %s", path);
	case ETIMEDOUT:
		return ctl_fail(c, EXIT_TIMEOUT, "wait longer with --timeout=SEC",
				"varved does not accept connections on %s", path);
	}
	return ctl_fail(c, EXIT_UNREACHABLE, "check --address", "cannot connect to %s: %s", path, strerror(-r));
}

void ctl_disconnect(struct ctl *c)
{
	c->client = client_free(c->client);
	free(c->account);
	free(c->account_jid);
	c->account = c->account_jid = NULL;
}

int ctl_call_at(struct ctl *c, const char *path, const char *interface, const char *member,
		sd_bus_message **ret_reply, const char *types, ...)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	va_list ap;
	int r;

	r = client_message(c->client, strcmp(interface, VARVE_IFACE_MANAGER) == 0 ? VARVE_PATH : path, interface,
			   member, &m);
	if (r >= 0 && *types) {
		va_start(ap, types);
		r = sd_bus_message_appendv(m, types, ap);
		va_end(ap);
	}
	if (r < 0) /* a string that D-Bus cannot carry: not UTF-8 */
		return ctl_fail(c, EXIT_USAGE, NULL, "%s: an argument is not valid UTF-8", member);
	r = client_send(c->client, m, &error, ret_reply);
	return r < 0 ? ctl_fail_bus(c, &error, r) : EXIT_OK;
}

struct ticking {
	struct ctl *c;
	ctl_tick_fn fn;
	void *userdata;
};

static void on_tick(void *userdata)
{
	struct ticking *t = userdata;

	if (t->fn)
		t->fn(t->c, t->userdata);
}

int ctl_send_long(struct ctl *c, sd_bus_message *m, uint64_t timeout_us, ctl_tick_fn tick, void *userdata,
		  sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct ticking t = { c, tick, userdata };
	int r = client_send_long(c->client, m, c->timeout_us ? c->timeout_us : timeout_us, on_tick, &t, &error,
				 ret_reply);

	term_progress(NULL);
	return r < 0 ? ctl_fail_bus(c, &error, r) : EXIT_OK;
}

/* The JID of the only account; EXIT_USAGE when there are several. */
static int only_account(struct ctl *c, char **ret)
{
	_cleanup_(value_freep) struct value *status = NULL;
	const struct value *accounts;
	int r;

	r = value_status(c, &status);
	if (r != EXIT_OK)
		return r;
	r = ctl_opened(c, status);
	if (r != EXIT_OK)
		return r;
	accounts = value_get(status, "accounts");
	if (value_count(accounts) == 0)
		return ctl_fail(c, EXIT_NOT_FOUND, "varvectl account add JID", "there is no account yet");
	if (value_count(accounts) > 1)
		return ctl_fail(c, EXIT_USAGE, "varvectl account list",
				"there are %zu accounts: say which one with --account=JID", value_count(accounts));
	*ret = xstrdup(value_str(value_at(accounts, 0), "jid"));
	return EXIT_OK;
}

int ctl_account(struct ctl *c, const char *jid)
{
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	const char *path;
	int r;

	r = ctl_connect(c);
	if (r != EXIT_OK || c->account)
		return r;
	if (!jid)
		jid = ctl_opt(c, ACCOUNT);
	if (jid)
		c->account_jid = str_fold(jid);
	else
		r = only_account(c, &c->account_jid);
	if (r != EXIT_OK)
		return r;
	r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_MANAGER, "FindAccount", &reply, "s", c->account_jid);
	if (r != EXIT_OK)
		return r;
	if (sd_bus_message_read(reply, "o", &path) < 0)
		return ctl_bad_reply(c, "FindAccount");
	c->account = xstrdup(path);
	return EXIT_OK;
}

int ctl_ready(struct ctl *c)
{
	_cleanup_(value_freep) struct value *status = NULL;
	int r = ctl_connect(c);

	if (r == EXIT_OK)
		r = value_status(c, &status);
	return r == EXIT_OK ? ctl_opened(c, status) : r;
}

int ctl_lines(struct ctl *c, uint64_t preset, uint64_t max, uint64_t *ret)
{
	const char *text = ctl_opt(c, LINES);

	*ret = preset;
	if (!text)
		return EXIT_OK;
	if (parse_u64(text, ret) < 0 || *ret == 0 || *ret > max)
		return ctl_fail(c, EXIT_USAGE, NULL, "--lines=%s is not a number from 1 to %llu", text,
				(unsigned long long)max);
	return EXIT_OK;
}

int ctl_time(struct ctl *c, const char *option, const char *value, int64_t *ret_us)
{
	*ret_us = 0;
	if (!value || time_parse(value, now_real(), ret_us) == 0)
		return EXIT_OK;
	return ctl_fail(c, EXIT_USAGE,
			"write 2026-11-01, \"2026-11-01 14:30\", 2026-11-01T14:30:00Z, \"2h ago\" or yesterday",
			"--%s=%s is no time", option, value);
}

void ctl_done(struct ctl *c, const char *jid, const char *what)
{
	_cleanup_(freep) char *clean = text_clean(jid, false);
	_cleanup_(json_freep) struct json *j = NULL;

	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_string(j, "jid", jid);
		json_object_end(j);
	} else if (!c->quiet) {
		printf("%s: %s\n", clean, what);
	}
}
