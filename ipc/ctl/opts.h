/*
 * The command line: one table of options, and the parser that reads them before or after the verb.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/ctl/verbs.h"

/* id, long name, short name or 0, argument or NULL, argument may be left out, help (one line, 50 columns) */
#define CTL_OPTIONS(X)                                                                                               \
	/* everywhere */                                                                                             \
	X(ACCOUNT, "account", 'a', "JID", false, "The account; not needed when there is one")                        \
	X(JSON, "json", 'j', "short|pretty|off", true, "JSON: one object a line, or indented")                       \
	X(TIMEOUT, "timeout", 0, "SEC", false, "How long to wait for the daemon")                                    \
	X(ADDRESS, "address", 0, "SOCKET", false, "Socket of the daemon")                                            \
	X(QUIET, "quiet", 'q', NULL, false, "Say less")                                                              \
	X(NO_PAGER, "no-pager", 0, NULL, false, "Accepted: varvectl never starts a pager")                           \
	X(COLOR, "color", 0, "auto|always|never", false, "Colour; auto means on a terminal")                         \
	X(FORMAT_VERSION, "format-version", 0, "1", false, "Version of the output a script expects")                 \
	X(VERSION, "version", 0, NULL, false, "Show the version")                                                    \
	X(HELP, "help", 'h', NULL, false, "Show help, also for a verb")                                              \
	/* of verbs */                                                                                               \
	X(PASSWORD_FD, "password-fd", 0, "N", false, "Read the password from file descriptor N")                     \
	X(SERVER, "server", 0, "HOST:PORT", false, "Connect there instead of asking DNS")                            \
	X(TLS, "tls", 0, "direct|starttls", false, "How TLS begins on --server")                                     \
	X(CA_FILE, "ca-file", 0, "FILE", false, "Trust these CA certificates as well (PEM)")                         \
	X(NICK, "nick", 0, "NAME", false, "Nickname to use in rooms")                                                \
	X(ALLOW_PLAIN, "allow-plain", 0, NULL, false, "Allow SASL PLAIN (over verified TLS only)")                   \
	X(PUSH_SERVICE, "push-service", 0, "JID", false, "Keep the session over long sleeps (see the manual)")      \
	X(DISABLED, "disabled", 0, NULL, false, "Add it without connecting")                                         \
	X(CHECK, "check", 0, NULL, false, "Only check: exit code 10 if anything is wrong")                           \
	X(WATCH, "watch", 'w', NULL, false, "Show again whenever something changes")                                 \
	X(LINES, "lines", 'n', "N", false, "How many")                                                               \
	X(BEFORE, "before", 0, "ID|TIME", false, "Messages before this one")                                         \
	X(AFTER, "after", 0, "ID|TIME", false, "Messages after this one")                                            \
	X(AROUND, "around", 0, "ID|TIME", false, "Messages around this one")                                         \
	X(SINCE, "since", 0, "TIME", false, "Begin at this time")                                                    \
	X(SINCE_SEQ, "since", 0, "SEQ", false, "Changes after this number")                                          \
	X(CURSOR_FILE, "cursor-file", 0, "FILE", false, "Keep the position in this file")                            \
	X(EPHEMERAL, "ephemeral", 0, NULL, false, "Also who is typing and who is there")                             \
	X(ID, "id", 0, "KEY", false, "The same KEY twice is one message; else a new one")                            \
	X(REPLY_TO, "reply-to", 0, "ID", false, "It answers this message")                                           \
	X(WAIT_STATE, "wait", 0, "queued|sent|delivered", false, "Return when it is so")                             \
	X(WAIT, "wait", 0, NULL, false, "Return when it is done, showing how far it is")                             \
	X(ALL, "all", 0, NULL, false, "Everything that the server has")                                              \
	X(NAME, "name", 0, "TEXT", false, "How the contact is called")                                               \
	X(GROUPS, "groups", 0, "A,B", false, "All groups of the contact; empty: none")                               \
	X(EXIT_ON_DISCONNECT, "exit-on-disconnect", 0, NULL, false, "Exit when the daemon goes away")                \
	X(FORMAT, "format", 0, "jsonl|text", false, "Output format; jsonl unless told")                              \
	X(OUTPUT, "output", 'O', "FILE", false, "Write to FILE, replacing it when complete")                         \
	X(UNREAD, "unread", 'u', NULL, false, "Only conversations with unread messages")                             \
	X(FAILED, "failed", 0, NULL, false, "Messages that could not be sent, and what to do")                       \
	X(UNTIL, "until", 0, "TIME", false, "End before this time")                                                  \
	X(IN, "in", 0, "CONV", false, "Only in this conversation")                                                   \
	X(FROM, "from", 0, "JID", false, "Only what this address wrote")                                             \
	X(LABEL, "label", 0, "TEXT", false, "A name for it, to know it by in the list")                              \
	X(KEY_FILE, "key-file", 0, "FILE", false, "Open with the content of this key file")                          \
	X(DROP_KEY_FILE, "drop-key-file", 0, NULL, false, "Then remove the key file: ask at every start")            \
	X(FORCE, "force", 0, NULL, false, "Also when nothing could open it again")                                   \
	X(LOCK_AFTER, "after", 0, "TIME|never", false, "Not now: when nobody used it for so long")                   \
	X(YES, "yes", 0, NULL, false, "Do not ask whether to go on")                                                 \
	X(DEEP, "deep", 0, NULL, false, "Check every page and row: takes a while")

enum opt_id {
#define X(id, ...) OPT_##id,
	CTL_OPTIONS(X)
#undef X
		OPT_COUNT,
};

#define OPT_BIT(id) (UINT64_C(1) << OPT_##id)
#define OPTS_GLOBAL                                                                                                  \
	(OPT_BIT(ACCOUNT) | OPT_BIT(JSON) | OPT_BIT(TIMEOUT) | OPT_BIT(ADDRESS) | OPT_BIT(QUIET) |                   \
	 OPT_BIT(NO_PAGER) | OPT_BIT(COLOR) | OPT_BIT(FORMAT_VERSION) | OPT_BIT(VERSION) | OPT_BIT(HELP))

struct opt_spec {
	const char *name;
	char letter;
	const char *arg; /* NULL: a flag */
	bool arg_optional;
	const char *help;
};

/* The table, by enum opt_id. */
const struct opt_spec *opt_spec(enum opt_id id);

#define OPTS_ARGS_MAX 256 /* words after the verb; export CONV... is the longest */

struct opts {
	const struct ctl_cmd *cmd; /* NULL: no verb was given */
	const char *group; /* "account" when only that was given and it needs a second word */
	const char *value[OPT_COUNT]; /* NULL: not given; "" for flags and left out arguments; points into argv */
	const char *args[OPTS_ARGS_MAX + 1]; /* words after the verb; NULL-terminated */
	size_t n_args;
};

/*
 * Read ${argv}. Returns 0; or -EINVAL with a sentence for the user in *ret_why and maybe what to try in *ret_hint
 * (both the caller's to free, *ret_hint may be NULL). Even then *ret holds what was understood, so that the caller
 * knows whether the complaint is wanted in JSON.
 */
int opts_parse(int argc, char **argv, struct opts *ret, char **ret_why, char **ret_hint);
