#include "ipc/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ipc/ctl/hint.h"
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

static void tell(struct ctl *c, const char *kind, const char *name, const char *message, const char *hint)
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
	json_object(j, kind);
	json_string(j, "name", name);
	json_string(j, "message", message);
	if (hint)
		json_string(j, "hint", hint);
	json_object_end(j);
	json_object_end(j);
}

/* ${code}, once it was said. */
_printf_(5, 0)
static int fail_v(struct ctl *c, enum exit_code code, const char *name, const char *hint, const char *fmt, va_list ap)
{
	_cleanup_(freep) char *message = NULL;

	if (vasprintf(&message, fmt, ap) < 0)
		abort();
	tell(c, "error", name, message, hint);
	return code;
}

int ctl_fail(struct ctl *c, enum exit_code code, const char *hint, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_v(c, code, exit_error_name(code), hint, fmt, ap);
	va_end(ap);
	return r;
}

int ctl_fail_as(struct ctl *c, enum exit_code code, enum varve_error name, const char *hint, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_v(c, code, varve_error_name(name), hint, fmt, ap);
	va_end(ap);
	return r;
}

int ctl_fail_named(struct ctl *c, enum exit_code code, const char *name, const char *hint, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_v(c, code, name, hint, fmt, ap);
	va_end(ap);
	return r;
}

void ctl_note(struct ctl *c, enum varve_error name, const char *hint, const char *fmt, ...)
{
	_cleanup_(freep) char *message = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (r < 0)
		abort();
	if (!c->quiet)
		tell(c, "note", varve_error_name(name), message, hint);
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

int ctl_fail_taken(struct ctl *c, const struct failure *f)
{
	enum exit_code code = exit_code_of(f->name, f->r);
	_cleanup_(freep) char *hint = NULL;

	switch (code) {
	case EXIT_UNREACHABLE:
		return ctl_fail(c, code, "it may be restarting: try again, or start it: systemctl --user start varved",
				"varved closed the connection");
	case EXIT_TIMEOUT:
		return ctl_fail(c, code, "wait longer with --timeout=SEC, or see what it does: varvectl doctor",
				"varved did not answer in time");
	default:
		break;
	}
	hint = hint_for(c, f);
	tell(c, "error", *f->name ? f->name : exit_error_name(code), *f->text ? f->text : strerror(f->r < 0 ? -f->r : EIO), hint);
	return code;
}

int ctl_fail_call(struct ctl *c, int r)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };

	failure_take(c, r, &f);
	return ctl_fail_taken(c, &f);
}

void failure_take(struct ctl *c, int r, struct failure *ret)
{
	failure_deinit(ret);
	ret->r = r;
	ret->name = xstrdup(varve_errname(c->varve));
	ret->text = xstrdup(varve_errmsg(c->varve));
}

void failure_deinit(struct failure *f)
{
	free(f->name);
	free(f->text);
	*f = (struct failure){ 0 };
}

bool failure_is(const struct failure *f, enum varve_error e)
{
	return f->name && strcmp(f->name, varve_error_name(e)) == 0;
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

	if (c->varve)
		return EXIT_OK;
	path = varve_socket_path(ctl_opt(c, ADDRESS));
	if (!path)
		abort();
	/* sync wait and monitor have their own idea of --timeout; for one call the usual limit is enough. */
	r = varve_open(path, c->timeout_us < VARVE_TIMEOUT_USEC ? c->timeout_us : VARVE_TIMEOUT_USEC, &c->varve);
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
	c->account = varve_account_free(c->account);
	c->account_jid = NULL;
	c->varve = varve_close(c->varve);
}

int ctl_call_at(struct ctl *c, const char *path, const char *interface, const char *member,
		sd_bus_message **ret_reply, const char *types, ...)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	va_list ap;
	int r;

	r = varve_call_new(c->varve, strcmp(interface, VARVE_IFACE_MANAGER) == 0 ? NULL : path, interface, member, &m);
	if (r < 0)
		return ctl_fail_call(c, r);
	if (*types) {
		va_start(ap, types);
		r = sd_bus_message_appendv(m, types, ap);
		va_end(ap);
	}
	if (r < 0) /* a string that D-Bus cannot carry: not UTF-8 */
		return ctl_fail(c, EXIT_USAGE, NULL, "%s: an argument is not valid UTF-8", member);
	r = varve_call(c->varve, m, 0, ret_reply);
	return r < 0 ? ctl_fail_call(c, r) : EXIT_OK;
}

#define TICK_US 250000

struct answer {
	bool here;
	int r;
	sd_bus_message *reply;
};

static void on_answer(void *userdata, int r, sd_bus_message *reply)
{
	struct answer *a = userdata;

	a->here = true;
	a->r = r;
	a->reply = reply ? sd_bus_message_ref(reply) : NULL;
}

int ctl_send_long(struct ctl *c, sd_bus_message *m, uint64_t timeout_us, ctl_tick_fn tick, void *userdata,
		  sd_bus_message **ret_reply)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };
	struct answer a = { 0 };
	struct varve_slot *slot = NULL;
	uint64_t limit = c->timeout_us ? c->timeout_us : timeout_us ? timeout_us : UINT64_MAX;
	int r = varve_call_async(c->varve, m, limit, on_answer, &a, &slot);

	while (r >= 0 && !a.here) {
		if (tick)
			tick(c, userdata);
		r = varve_wait(c->varve, TICK_US);
		if (r == -EINTR)
			r = 0;
	}
	/* The name and the sentence are those of the answer: nothing was called since. */
	if (a.here || r < 0)
		failure_take(c, a.here ? a.r : r, &f);
	varve_slot_free(slot);
	term_progress(NULL);
	if (f.r < 0) {
		sd_bus_message_unref(a.reply);
		return ctl_fail_taken(c, &f);
	}
	if (ret_reply)
		*ret_reply = a.reply;
	else
		sd_bus_message_unref(a.reply);
	return EXIT_OK;
}

int ctl_property_u64(struct ctl *c, const char *interface, const char *name, uint64_t *ret)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r = varve_call_new(c->varve, NULL, "org.freedesktop.DBus.Properties", "Get", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", interface, name);
	if (r >= 0)
		r = varve_call(c->varve, m, 0, &reply);
	return r < 0 ? r : sd_bus_message_read(reply, "v", "t", ret);
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
	_cleanup_(freep) char *name = NULL;
	int r;

	r = ctl_connect(c);
	if (r != EXIT_OK || c->account)
		return r;
	if (!jid)
		jid = ctl_opt(c, ACCOUNT);
	if (jid)
		name = xstrdup(jid);
	else
		r = only_account(c, &name);
	if (r != EXIT_OK)
		return r;
	r = varve_account_find(c->varve, name, &c->account);
	if (r < 0)
		return ctl_fail_call(c, r);
	c->account_jid = varve_account_jid(c->account);
	return EXIT_OK;
}

int ctl_check_address(struct ctl *c, const char *jid)
{
	const char *own = strchr(c->account_jid, '@');

	if (strpbrk(jid, "@.: /") || !own)
		return EXIT_OK; /* the daemon says what is no address at all */
	return ctl_fail(c, EXIT_USAGE, "an address has an @: varvectl ls shows those you have written with",
			"\"%s\" is no contact's address: did you mean %s%s?", jid, jid, own);
}

int ctl_knows(struct ctl *c, const char *id, bool *ret)
{
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	int r = ctl_call(c, VARVE_IFACE_CONVERSATIONS, "Get", &reply, "as", 1, id);

	if (r != EXIT_OK)
		return r;
	r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_CONVERSATION);
	if (r >= 0)
		r = sd_bus_message_at_end(reply, false);
	if (r < 0)
		return ctl_bad_reply(c, "Get");
	*ret = r == 0;
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
