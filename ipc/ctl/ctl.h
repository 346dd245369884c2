/*
 * What every verb works with: the parsed command line, the connection, the account, and the one way to fail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ipc/ctl/exits.h"
#include "ipc/ctl/json.h"
#include "ipc/ctl/opts.h"
#include "ipc/ctl/util.h"
#include "ipc/ctl/verbs.h"
#include "ipc/varve.h"

struct ctl {
	struct opts opts;
	enum json_mode json;
	bool quiet;
	bool mute; /* not even errors: status --check -q */
	uint64_t timeout_us; /* --timeout, 0 when not given */
	struct varve *varve; /* NULL: not connected */
	struct varve_account *account; /* once ctl_account() found it */
	const char *account_jid; /* of it */
};

/* Value of an option: NULL when not given, "" for a flag. */
#define ctl_opt(c, id) ((c)->opts.value[OPT_##id])

/*
 * Say what is wrong and give back ${code} as the result of the verb. ${hint}: the next step, or NULL. People get two
 * lines on stderr, scripts {"error":{...}} (cli.md). ${fmt} is cleaned for the terminal.
 */
int ctl_fail(struct ctl *c, enum exit_code code, const char *hint, const char *fmt, ...) _printf_(4, 5);
/* The same with an error ${name} of its own, where the one that stands for ${code} would say too little. */
int ctl_fail_as(struct ctl *c, enum exit_code code, enum varve_error name, const char *hint, const char *fmt, ...)
	_printf_(5, 6);
/* The same with the name as it came. */
int ctl_fail_named(struct ctl *c, enum exit_code code, const char *name, const char *hint, const char *fmt, ...)
	_printf_(5, 6);
/*
 * Something to know that is no failure, or not yet: as ctl_fail() says it, but nothing with --quiet, and for scripts
 * {"note":{...}}.
 */
void ctl_note(struct ctl *c, enum varve_error name, const char *hint, const char *fmt, ...) _printf_(4, 5);
/* The same for a call that failed with ${r}: name and sentence of the daemon, which are those of the last call. */
int ctl_fail_call(struct ctl *c, int r);

/* A failure to be told later, or not: other calls come in between. */
struct failure {
	int r;
	char *name, *text;
};
void failure_take(struct ctl *c, int r, struct failure *ret);
void failure_deinit(struct failure *f);
bool failure_is(const struct failure *f, enum varve_error e);
int ctl_fail_taken(struct ctl *c, const struct failure *f);

/* Connect to the daemon if that did not happen yet. EXIT_OK, or the code after having said why not. */
int ctl_connect(struct ctl *c);
/*
 * Connect, and find the account: ${jid}, or -a, or the only one there is. EXIT_OK, or the code after having said why
 * not. NULL: no preference.
 */
int ctl_account(struct ctl *c, const char *jid);
/*
 * "bob" is an address too, of a server: EXIT_USAGE with "did you mean bob@...?" rather than a message into nowhere, or a
 * blocked domain. For what the user wants to reach; what is there by such a name can be taken away. After ctl_account().
 */
int ctl_check_address(struct ctl *c, const char *jid);
/* Is a conversation called ${id} stored? EXIT_OK with *ret, or the exit code after having said why not. After ctl_account(). */
int ctl_knows(struct ctl *c, const char *id, bool *ret);
/* Drop the connection; the account is found anew with the next one. */
void ctl_disconnect(struct ctl *c);

/*
 * Call a method of ${interface} on the account (or on the root, for VARVE_IFACE_MANAGER). On failure the error has
 * been told, and the exit code is returned; else EXIT_OK.
 */
#define ctl_call(c, interface, member, ret_reply, ...)                                                               \
	ctl_call_at(c, varve_account_path((c)->account), interface, member, ret_reply, __VA_ARGS__)
int ctl_call_at(struct ctl *c, const char *path, const char *interface, const char *member,
		sd_bus_message **ret_reply, const char *types, ...);

/*
 * Send ${m}, whose answer takes its time, and wait for ${timeout_us} (0: without end) unless --timeout is given.
 * ${tick} (may be NULL) is called some times a second meanwhile, to show how far it is.
 */
typedef void (*ctl_tick_fn)(struct ctl *c, void *userdata);
int ctl_send_long(struct ctl *c, sd_bus_message *m, uint64_t timeout_us, ctl_tick_fn tick, void *userdata,
		  sd_bus_message **ret_reply);
/* A property of the root that is a number of 64 bits; 0 or a negative errno: not told. */
int ctl_property_u64(struct ctl *c, const char *interface, const char *name, uint64_t *ret);
/* For calls that derive keys: about a second each on the phone that the slot was made on, longer on a slower one. */
#define CTL_DERIVE_US (120 * UINT64_C(1000000))

/* Connect, and is the archive open, by GetStatus? EXIT_OK; or the exit code after having said that it is locked or failed. */
struct value;
int ctl_ready(struct ctl *c);
/* What is wrong with the archive itself by that answer, in words (the caller frees); NULL: it is open. */
char *ctl_archive_problem(const struct value *status);
/* The same for an answer that is here already. */
int ctl_opened(struct ctl *c, const struct value *status);

/* A broken answer: the other side does not speak our version. Returns EXIT_VERSION. */
int ctl_bad_reply(struct ctl *c, const char *member);

/* Say that it was done: "JID: WHAT" for people, {"jid":...} for scripts. */
void ctl_done(struct ctl *c, const char *jid, const char *what);
/* -n, as a number from 1 to ${max}; ${preset} when not given. EXIT_OK or EXIT_USAGE. */
int ctl_lines(struct ctl *c, uint64_t preset, uint64_t max, uint64_t *ret);
/* An option that is a point in time; 0 when not given. EXIT_OK or EXIT_USAGE. */
int ctl_time(struct ctl *c, const char *option, const char *value, int64_t *ret_us);

static inline void unrefp(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

/* The verbs; each returns an enum exit_code. The table is in verbs.c. */
int cmd_account_add(struct ctl *c);
int cmd_account_list(struct ctl *c);
int cmd_account_show(struct ctl *c);
int cmd_account_remove(struct ctl *c);
int cmd_account_enable(struct ctl *c);
int cmd_account_disable(struct ctl *c);
int cmd_account_connect(struct ctl *c);
int cmd_account_disconnect(struct ctl *c);
int cmd_account_password(struct ctl *c);
int cmd_account_set(struct ctl *c);
int cmd_status(struct ctl *c);
int cmd_sync_wait(struct ctl *c);
int cmd_wait_idle(struct ctl *c);
int cmd_sync_gaps(struct ctl *c);
int cmd_sync_now(struct ctl *c);
int cmd_sync_pause(struct ctl *c);
int cmd_sync_resume(struct ctl *c);
int cmd_sync_coverage(struct ctl *c);
int cmd_ls(struct ctl *c);
int cmd_history(struct ctl *c);
int cmd_export(struct ctl *c);
int cmd_monitor(struct ctl *c);
int cmd_doctor(struct ctl *c);
int cmd_lock(struct ctl *c);
int cmd_unlock(struct ctl *c);
int cmd_passwd(struct ctl *c);
int cmd_keys_list(struct ctl *c);
int cmd_keys_add(struct ctl *c);
int cmd_keys_remove(struct ctl *c);
int cmd_keys_rotate(struct ctl *c);
int cmd_backup(struct ctl *c);
int cmd_search(struct ctl *c);
int cmd_send(struct ctl *c);
int cmd_read(struct ctl *c);
int cmd_edit(struct ctl *c);
int cmd_retract(struct ctl *c);
int cmd_react(struct ctl *c);
int cmd_retry(struct ctl *c);
int cmd_cancel(struct ctl *c);
int cmd_delete(struct ctl *c);
int cmd_roster_list(struct ctl *c);
int cmd_roster_set(struct ctl *c);
int cmd_roster_remove(struct ctl *c);
int cmd_roster_authorize(struct ctl *c);
int cmd_roster_block(struct ctl *c);
int cmd_roster_unblock(struct ctl *c);
int cmd_sync_fetch(struct ctl *c);
int cmd_sync_verify(struct ctl *c);
int cmd_api_call(struct ctl *c);
int cmd_api_introspect(struct ctl *c);
int cmd_help(struct ctl *c);
int cmd_dump_verbs(struct ctl *c);
