/*
 * varvectl lock, unlock, passwd: the archive closed, opened, and its passphrase.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/secret.h"
#include "ipc/ctl/slots.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/value.h"

#define UNLOCK_TRIES 3 /* on a terminal, as login(1) and cryptsetup(8) */
#define KEY_FILE_MAX 4096 /* bytes; the daemon takes fewer and says so */

/* {"locked":...} for scripts, a sentence for people. */
static void done(struct ctl *c, bool locked, const char *what)
{
	_cleanup_(json_freep) struct json *j = NULL;

	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_bool(j, "locked", locked);
		json_object_end(j);
	} else if (!c->quiet) {
		term_put(stdout, COLOR_OFF, what, 0, 4);
	}
}

/* --after: not now, but when nobody has used it for so long. */
static int lock_later(struct ctl *c, const char *after)
{
	_cleanup_(slots_deinit) struct slots slots = { 0 };
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *line = NULL;
	char span[TIME_HUMAN_SIZE];
	int64_t us = 0;
	int r;

	if (strcmp(after, "never") != 0 && time_parse_span(after, &us) < 0)
		return ctl_fail(c, EXIT_USAGE, "never, or a time such as 10min, 2h or \"3 days\"", "--after=%s is not understood", after);
	r = ctl_connect(c);
	if (r == EXIT_OK)
		r = ctl_call_at(c, VARVE_PATH, "org.freedesktop.DBus.Properties", "Set", NULL, "ssv", VARVE_IFACE_KEYRING,
				"AutoLockUSec", "t", (uint64_t)us);
	if (r == EXIT_OK && us && c->json == JSON_OFF && !c->quiet)
		r = slots_get(c, &slots);
	if (r != EXIT_OK)
		return r;
	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_bool(j, "locked", false);
		json_int(j, "auto_lock_usec", us);
		json_object_end(j);
	} else if (!c->quiet) {
		line = us ? xasprintf("it locks itself when nobody has used it for %s", time_setting(us, span))
			  : xstrdup("it does not lock itself any more");
		term_put(stdout, COLOR_OFF, line, 0, 4);
		if (slots_automatic(&slots))
			term_put(stdout, COLOR_OFF,
				 "A key file opens it again without a question, for whoever can call varvectl. To be asked for a "
				 "passphrase: varvectl passwd --drop-key-file",
				 0, 4);
	}
	return EXIT_OK;
}

int cmd_lock(struct ctl *c)
{
	int r;

	if (ctl_opt(c, LOCK_AFTER) && ctl_opt(c, FORCE))
		return ctl_fail(c, EXIT_USAGE, NULL, "--after and --force do not go together");
	if (ctl_opt(c, LOCK_AFTER))
		return lock_later(c, ctl_opt(c, LOCK_AFTER));
	r = ctl_connect(c);

	/* Without force varved refuses where nothing could open the archive again. */
	if (r == EXIT_OK && ctl_opt(c, FORCE))
		r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_KEYRING, "Lock", NULL, "a{sv}", 1, "force", "b", 1);
	else if (r == EXIT_OK)
		r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_KEYRING, "Lock", NULL, "a{sv}", 0);
	if (r == EXIT_OK)
		done(c, true, "locked; nothing is received until: varvectl unlock");
	return r;
}

/* One try. The error is told unless ${failure} is given: then it is the caller's to look at and to free. */
static int try_secret(struct ctl *c, const void *secret, size_t len, struct failure *failure)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	int r = varve_call_new(c->varve, NULL, VARVE_IFACE_KEYRING, "Unlock", &m);

	if (r >= 0)
		r = sd_bus_message_sensitive(m);
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', secret, len);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = varve_call(c->varve, m, c->timeout_us ? c->timeout_us : CTL_DERIVE_US, NULL);
	if (r >= 0)
		return EXIT_OK;
	if (!failure)
		return ctl_fail_call(c, r);
	failure_take(c, r, failure);
	return exit_code_of(failure->name, r);
}

static int with_key_file(struct ctl *c, const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char content[KEY_FILE_MAX + 1];
	size_t n = 0;
	int r;

	if (fd < 0)
		return ctl_fail(c, errno == EACCES ? EXIT_DENIED : EXIT_USAGE, NULL, "cannot open the key file %s: %s",
				path, strerror(errno));
	while (n < sizeof(content)) {
		ssize_t got = read(fd, content + n, sizeof(content) - n);

		if (got < 0 && errno != EINTR) {
			explicit_bzero(content, sizeof(content));
			return ctl_fail(c, EXIT_USAGE, NULL, "cannot read the key file %s: %s", path, strerror(errno));
		}
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	if (n == 0 || n > KEY_FILE_MAX)
		r = ctl_fail(c, EXIT_USAGE, NULL, "%s is no key file: it has %s", path,
			     n ? "more than 4,096 bytes" : "no content");
	else
		r = try_secret(c, content, n, NULL);
	explicit_bzero(content, sizeof(content));
	return r;
}

/* A Busy that is about wrong secrets is the same for scripts as a wrong one; else something is in work. */
static bool must_wait(struct ctl *c, const struct failure *f)
{
	uint64_t wait = 0;

	return failure_is(f, VARVE_ERROR_BUSY) &&
	       ctl_property_u64(c, VARVE_IFACE_KEYRING, "RetryAfterUSec", &wait) >= 0 && wait > 0;
}

/* One that was typed. The daemon cannot know what it was meant to be: of the kinds that there are, it is none. */
static int try_typed(struct ctl *c, const char *secret, bool passphrase, bool recovery)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };
	int r = try_secret(c, secret, strlen(secret), &f);

	if (r == EXIT_OK)
		return r;
	if (failure_is(&f, VARVE_ERROR_WRONG_SECRET) && recovery)
		return ctl_fail_as(c, EXIT_SECRET, VARVE_ERROR_WRONG_SECRET, NULL,
				   passphrase ? "that is neither the passphrase nor a recovery code of this archive"
					      : "that is no recovery code of this archive");
	if (must_wait(c, &f)) {
		(void)ctl_fail_taken(c, &f);
		return EXIT_SECRET;
	}
	return ctl_fail_taken(c, &f);
}

/* Ask for a passphrase or a recovery code, on a terminal up to three times. */
static int with_typed(struct ctl *c, const struct slots *slots)
{
	bool passphrase = slots_count(slots, SLOT_PASSPHRASE), recovery = slots_count(slots, SLOT_RECOVERY);
	const char *prompt = passphrase && recovery ? "Passphrase (or recovery code): "
			     : recovery             ? "Recovery code: "
						    : "Passphrase: ";
	int r = EXIT_OK;

	for (int i = 0; i < UNLOCK_TRIES; i++) {
		char *secret = NULL;

		r = secret_get(c, recovery && !passphrase ? "the recovery code" : "the passphrase", prompt, &secret);
		if (r != EXIT_OK)
			return r;
		r = try_typed(c, secret, passphrase, recovery);
		secret_free(secret);
		if (r != EXIT_SECRET || ctl_opt(c, PASSWORD_FD))
			return r;
	}
	return r;
}

static bool only_typed(const struct slots *slots)
{
	return slots->n > 0 && slots_count(slots, SLOT_PASSPHRASE) + slots_count(slots, SLOT_RECOVERY) == slots->n;
}

/* What nobody needs to type: the key file and the credential are tried again. True if that settled it, as *ret_code. */
static bool with_nothing(struct ctl *c, const struct slots *slots, int *ret_code)
{
	_cleanup_(failure_deinit) struct failure failure = { 0 };
	bool typed = slots_count(slots, SLOT_PASSPHRASE) || slots_count(slots, SLOT_RECOVERY);

	*ret_code = try_secret(c, "", 0, &failure);
	if (*ret_code == EXIT_OK)
		return true;
	if (*ret_code == EXIT_SECRET && typed)
		return false;
	*ret_code = ctl_fail_taken(c, &failure);
	return true;
}

/*
 * An archive that failed to open: the disk may have room again, or the file be back. True if it can be opened now, and
 * only a secret is missing; else *ret_code has what came of it, and the error is told.
 */
static bool reopened(struct ctl *c, int *ret_code)
{
	_cleanup_(failure_deinit) struct failure failure = { 0 };
	_cleanup_(value_freep) struct value *status = NULL;

	*ret_code = try_secret(c, "", 0, &failure);
	if (*ret_code == EXIT_SECRET && value_status(c, &status) == EXIT_OK && value_true(status, "locked"))
		return true;
	if (*ret_code != EXIT_OK)
		*ret_code = ctl_fail_taken(c, &failure);
	return false;
}

int cmd_unlock(struct ctl *c)
{
	_cleanup_(value_freep) struct value *status = NULL;
	_cleanup_(slots_deinit) struct slots slots = { 0 };
	const char *key_file = ctl_opt(c, KEY_FILE);
	bool settled;
	int r;

	if (key_file && ctl_opt(c, PASSWORD_FD))
		return ctl_fail(c, EXIT_USAGE, NULL, "--key-file and --password-fd do not go together");
	r = ctl_connect(c);
	if (r == EXIT_OK)
		r = value_status(c, &status);
	if (r != EXIT_OK)
		return r;
	if (strcmp(value_str(status, "state"), "failed") == 0) {
		bool again = reopened(c, &r);

		if (r == EXIT_OK)
			done(c, false, "opened; connecting");
		if (!again)
			return r;
	} else if (!value_true(status, "locked")) {
		done(c, false, "it is not locked");
		return EXIT_OK;
	}
	if (key_file) {
		r = with_key_file(c, key_file);
	} else {
		r = slots_get(c, &slots);
		settled = r != EXIT_OK ||
			  (!ctl_opt(c, PASSWORD_FD) && !only_typed(&slots) && with_nothing(c, &slots, &r));
		if (!settled)
			r = with_typed(c, &slots);
	}
	if (r == EXIT_OK)
		done(c, false, "unlocked; connecting");
	return r;
}

/* ${new} NULL: only look whether ${old} is right. 0 or -errno. */
static int new_change(struct ctl *c, const char *old, const char *new, sd_bus_message **ret)
{
	const char *option = !new ? "check" : ctl_opt(c, DROP_KEY_FILE) ? "drop-keyfile" : NULL;
	int r = varve_call_new(c->varve, VARVE_PATH, VARVE_IFACE_KEYRING, "ChangeSecret", ret);

	if (r >= 0)
		r = sd_bus_message_sensitive(*ret);
	if (r >= 0)
		r = sd_bus_message_append_array(*ret, 'y', old ? old : "", old ? strlen(old) : 0);
	if (r >= 0)
		r = sd_bus_message_append_array(*ret, 'y', new ? new : "", new ? strlen(new) : 0);
	if (r >= 0)
		r = option ? sd_bus_message_append(*ret, "a{sv}", 1, option, "b", 1) : sd_bus_message_append(*ret, "a{sv}", 0);
	return r;
}

static int change(struct ctl *c, const char *old, const char *new)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL;

	if (new_change(c, old, new, &m) < 0)
		return ctl_fail(c, EXIT_FAIL, NULL, "out of memory");
	return ctl_send_long(c, m, CTL_DERIVE_US, NULL, NULL, NULL);
}

static int check(struct ctl *c, const char *old)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	int r;

	if (new_change(c, old, NULL, &m) < 0)
		return ctl_fail(c, EXIT_FAIL, NULL, "out of memory");
	r = varve_call(c->varve, m, c->timeout_us ? c->timeout_us : CTL_DERIVE_US, NULL);
	/* A varved from before revision 7 that still runs: it will look when the new one is there. */
	return r >= 0 || r == -EINVAL ? EXIT_OK : ctl_fail_call(c, r);
}

/*
 * --password-fd has the old passphrase first, but only where there is one: an empty first line is allowed for none. On a terminal
 * the old one is checked before somebody thinks of a new one.
 */
static int ask_both(struct ctl *c, bool has_old, char **ret_old, char **ret_new)
{
	int r = has_old ? secret_get(c, "the present passphrase", "Present passphrase: ", ret_old) : EXIT_OK;

	if (r == EXIT_OK && has_old && !ctl_opt(c, PASSWORD_FD))
		r = check(c, *ret_old);
	return r == EXIT_OK ? secret_new(c, !has_old, ret_new) : r;
}

/* What the user has now, and what is still missing: a passphrase beside a key file protects nothing. */
static void tell_result(struct ctl *c, const struct slots *slots, const char *weak, bool dropped)
{
	_cleanup_(json_freep) struct json *j = NULL;
	bool automatic = slots_automatic(slots), recovery = slots_count(slots, SLOT_RECOVERY);

	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_bool(j, "automatic", automatic);
		json_bool(j, "recovery", recovery);
		json_string(j, "warning", weak);
		json_object_end(j);
		return;
	}
	if (c->quiet)
		return;
	puts("The passphrase is set.");
	if (slots_count(slots, SLOT_KEYFILE))
		term_put(stdout, COLOR_OFF,
			 "The key file still opens the archive without it: whoever has both has everything. To be asked "
			 "for the passphrase at every start: varvectl passwd --drop-key-file",
			 0, 4);
	else if (!automatic)
		term_put(stdout, COLOR_OFF,
			 "varved is locked after every start, and receives nothing until: varvectl unlock", 0, 4);
	if (dropped)
		term_put(stdout, COLOR_OFF,
			 "Backups from before do not know this passphrase: what only the key file opened needs a copy of "
			 "it. Make a new one: varvectl backup FILE",
			 0, 4);
	if (!recovery)
		term_put(stdout, COLOR_OFF,
			 "There is no recovery code: without the passphrase the archive is lost. To print one: varvectl "
			 "keys add recovery",
			 0, 4);
}

int cmd_passwd(struct ctl *c)
{
	_cleanup_(slots_deinit) struct slots slots = { 0 };
	const char *weak = NULL;
	bool had_key_file;
	char *old = NULL, *new = NULL;
	int r = secret_possible(c, "a passphrase");

	if (r == EXIT_OK)
		r = ctl_ready(c);
	if (r == EXIT_OK)
		r = slots_get(c, &slots);
	if (r == EXIT_OK)
		r = ask_both(c, slots_count(&slots, SLOT_PASSPHRASE), &old, &new);
	if (r == EXIT_OK) {
		weak = secret_weakness(new);
		r = change(c, old, new);
	}
	secret_free(old);
	secret_free(new);
	if (r != EXIT_OK)
		return r;
	had_key_file = slots_count(&slots, SLOT_KEYFILE);
	slots_deinit(&slots);
	r = slots_get(c, &slots);
	if (r == EXIT_OK)
		tell_result(c, &slots, weak, had_key_file && !slots_count(&slots, SLOT_KEYFILE));
	return r;
}
