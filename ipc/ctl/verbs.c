#include "ipc/ctl/verbs.h"

#include <string.h>

#include "ipc/ctl/ctl.h"

#define DEFAULT_ARGS_MAX OPTS_ARGS_MAX

const struct ctl_cmd ctl_cmds[] = {
	{ "status", "", "Accounts, connection, sync and gaps",
	  "Shows each account: whether it is online, whether the session was resumed, how\n"
	  "far the archive is synchronised, and what is wrong with the next step to take.\n"
	  "\n"
	  "With --check it is a question for scripts: exit code 0 when every enabled\n"
	  "account is online and nothing is wrong, 10 when something is (an account that\n"
	  "is catching up is not wrong). With --watch it shows progress until interrupted,\n"
	  "also across a restart of the daemon.\n",
	  OPT_BIT(CHECK) | OPT_BIT(WATCH), 0, 0, WORDS_NONE, cmd_status },
	{ "account add", "JID", "Add an account and begin to synchronise it",
	  "Returns once the account is stored; connecting goes on in the background\n"
	  "(\"varvectl sync wait\" waits for it). The password is asked for on the terminal,\n"
	  "or read from --password-fd; it is never an argument, because other users can\n"
	  "see those.\n"
	  "\n"
	  "    varvectl account add alice@example.org\n"
	  "    pass xmpp | varvectl account add alice@example.org --password-fd=0\n",
	  OPT_BIT(PASSWORD_FD) | OPT_BIT(SERVER) | OPT_BIT(TLS) | OPT_BIT(CA_FILE) | OPT_BIT(NICK) |
		  OPT_BIT(ALLOW_PLAIN) | OPT_BIT(PUSH_SERVICE) | OPT_BIT(DISABLED),
	  1, 1, WORDS_NONE, cmd_account_add },
	{ "account list", "", "List the accounts", "One line an account: JID, state and the reason for it.\n", 0, 0,
	  0, WORDS_NONE, cmd_account_list },
	{ "account show", "[JID]", "Show one account with its settings",
	  "Shows everything known about an account but its password.\n", 0, 0, 1, WORDS_ACCOUNT, cmd_account_show },
	{ "account remove", "[JID]", "Forget an account and its local archive",
	  "Deletes the account with its messages from this machine. The archive on the\n"
	  "server stays as it is.\n",
	  0, 0, 1, WORDS_ACCOUNT, cmd_account_remove },
	{ "account enable", "[JID]", "Let an account connect",
	  "Connects the account now and whenever the daemon starts.\n", 0, 0, 1, WORDS_ACCOUNT, cmd_account_enable },
	{ "account disable", "[JID]", "Keep an account from connecting",
	  "Closes the connection and keeps it closed, also after a restart. The messages\n"
	  "stay readable.\n",
	  0, 0, 1, WORDS_ACCOUNT, cmd_account_disable },
	{ "account connect", "[JID]", "Try to connect now",
	  "Tries at once, without waiting for the next attempt, and also after a refused\n"
	  "password.\n",
	  0, 0, 1, WORDS_ACCOUNT, cmd_account_connect },
	{ "account disconnect", "[JID]", "Close the session for good",
	  "Ends the session on the server, so that it cannot be resumed. The account stays\n"
	  "offline until \"account connect\", or until varved starts again.\n",
	  0, 0, 1, WORDS_ACCOUNT, cmd_account_disconnect },
	{ "account password", "[JID]", "Replace the stored password",
	  "Stores a new password and connects with it. It is asked for on the terminal, or\n"
	  "read from --password-fd.\n",
	  OPT_BIT(PASSWORD_FD), 0, 1, WORDS_ACCOUNT, cmd_account_password },
	{ "account set", "[JID] KEY=VALUE...", "Change settings of an account",
	  "Keys:\n"
	  "    server=HOST:PORT   connect there; empty: ask DNS\n"
	  "    tls=direct         or starttls: how TLS begins there\n"
	  "    ca-file=FILE       trust these CA certificates as well; empty: none\n"
	  "    nick=NAME          nickname to use in rooms\n"
	  "    allow-plain=yes    or no: SASL PLAIN, over verified TLS only\n"
	  "    push-service=JID   the server keeps the session of a long sleep, and tells\n"
	  "                       that address when messages come; empty: nobody\n"
	  "    enabled=yes        or no\n",
	  0, 1, DEFAULT_ARGS_MAX, WORDS_SETTING, cmd_account_set },
	{ "sync wait", "", "Wait until everything is synchronised",
	  "Returns when every account (or the one of -a) is online and idle with no open\n"
	  "gap. Disabled accounts are skipped. Fails with 5 when a password is refused, 6\n"
	  "when an account stays offline or none is enabled, 7 when --timeout is over.\n",
	  0, 0, 0, WORDS_NONE, cmd_sync_wait },
	{ "sync gaps", "[CONV]", "List what is missing",
	  "One line a gap: messages that the server has, or had, and the local archive has\n"
	  "not. A gap is open, being fetched, or lost (the server no longer has it).\n",
	  0, 0, 1, WORDS_CONVERSATION_ONE, cmd_sync_gaps },
	{ "sync now", "", "Look for missing messages now",
	  "Confirms the newest message with the server and fetches what is missing.\n", 0, 0, 0, WORDS_NONE,
	  cmd_sync_now },
	{ "sync pause", "", "Stop fetching the archive",
	  "New messages still arrive while old ones are not fetched. A restart of varved\n"
	  "forgets it.\n", 0, 0, 0, WORDS_NONE, cmd_sync_pause },
	{ "sync resume", "", "Go on fetching the archive", "Undoes \"sync pause\".\n", 0, 0, 0, WORDS_NONE,
	  cmd_sync_resume },
	{ "sync coverage", "", "A picture of what is held",
	  "One line an archive, time from left to right: what is held, what is missing, and\n"
	  "what is lost. A column shows the worst of the time that it stands for.\n",
	  0, 0, 0, WORDS_NONE, cmd_sync_coverage },
	{ "sync fetch", "CONV", "Fetch older messages of a conversation",
	  "Down to --since, or --all that the server has; without either what varve.conf\n"
	  "keeps. Goes on in the background, unless --wait shows how far it is.\n"
	  "\n"
	  "    varvectl sync fetch bob@example.org --since=2024-01-01 --wait\n",
	  OPT_BIT(SINCE) | OPT_BIT(ALL) | OPT_BIT(WAIT), 1, 1, WORDS_CONVERSATION_ONE, cmd_sync_fetch },
	{ "sync verify", "CONV|--all", "Compare what is here with the server",
	  "Reads again what should be here, newest first and behind everything else, and\n"
	  "stores what is missing. What the server has not any more is kept. Exits with 10\n"
	  "when something was missing, misplaced or different. Ends when varvectl ends.\n"
	  "\n"
	  "    varvectl sync verify --all --since=2024-01-01\n",
	  OPT_BIT(SINCE) | OPT_BIT(ALL), 0, 1, WORDS_CONVERSATION_ONE, cmd_sync_verify },
	{ "wait-idle", "", "Wait until nothing is under way",
	  "For hooks that put the machine to sleep: returns when no account (or not the one\n"
	  "of -a) is connecting, sending or fetching. An account that is offline is idle,\n"
	  "and so is a locked archive: what waits for a connection is stored. Fails with 7\n"
	  "when --timeout is over; without it waits for ever.\n"
	  "\n"
	  "    varvectl wait-idle --timeout=10; systemctl suspend\n",
	  0, 0, 0, WORDS_NONE, cmd_wait_idle },
	{ "ls", "", "List conversations, newest first",
	  "One line a conversation: unread messages, time, name and the last message.\n"
	  "With --failed instead the messages that could not be sent, each with the reason\n"
	  "and what to do.\n",
	  OPT_BIT(LINES) | OPT_BIT(UNREAD) | OPT_BIT(FAILED), 0, 0, WORDS_NONE, cmd_ls },
	{ "history", "CONV", "Show messages of a conversation",
	  "The newest 20 messages (or -n), oldest first; or those before, after or around\n"
	  "a message (by the id shown) or a time.\n"
	  "\n"
	  "    varvectl history bob@example.org -n 50\n"
	  "    varvectl history bob@example.org --before=1234\n"
	  "    varvectl history bob@example.org --around=2026-03-01\n"
	  "    varvectl history bob@example.org --after='2h ago'\n",
	  OPT_BIT(LINES) | OPT_BIT(BEFORE) | OPT_BIT(AFTER) | OPT_BIT(AROUND), 1, 1, WORDS_CONVERSATION_ONE,
	  cmd_history },
	{ "export", "[CONV...]", "Write out every message",
	  "Every message of the account, or of the given conversations, in the order of the\n"
	  "archive: one JSON object a line as \"history --json\" prints them, or text.\n"
	  "\n"
	  "    varvectl export -O archive.jsonl\n"
	  "    varvectl export bob@example.org --format=text --since=2026-01-01\n",
	  OPT_BIT(FORMAT) | OPT_BIT(OUTPUT) | OPT_BIT(SINCE), 0, DEFAULT_ARGS_MAX, WORDS_CONVERSATION, cmd_export },
	{ "monitor", "[CONV...]", "Follow changes without missing any",
	  "Prints each change: new and changed messages, conversations, contacts, and what\n"
	  "was removed; one JSON object a line, or text for people on a terminal. A row is\n"
	  "printed in its latest state, with a number (seq) that grows.\n"
	  "\n"
	  "With --cursor-file the next run goes on where this one stopped: the file is\n"
	  "written after the lines were, so a change may come twice but never not at all.\n"
	  "A line with \"change\":\"reset\" says that this cannot be promised any more (the\n"
	  "archive was replaced, or the run before is too long ago): read everything again.\n"
	  "When the daemon restarts, monitor waits for it and goes on. After --timeout it\n"
	  "ends with exit code 7.\n",
	  OPT_BIT(SINCE_SEQ) | OPT_BIT(CURSOR_FILE) | OPT_BIT(EPHEMERAL) | OPT_BIT(EXIT_ON_DISCONNECT), 0, DEFAULT_ARGS_MAX,
	  WORDS_CONVERSATION, cmd_monitor },
	{ "send", "CONV [TEXT|-]", "Send a message",
	  "Returns once it is stored for good: from then on it goes out exactly once, also\n"
	  "when the machine is offline or switched off in between. Without TEXT, or with -,\n"
	  "the text comes from standard input.\n"
	  "\n"
	  "Without --id each call is a new message. A script that may run twice gives each\n"
	  "message a key of its own: the same key with the same text is the same message.\n"
	  "With another text it is an error: leave out what changes (figures, times).\n"
	  "\n"
	  "    varvectl send bob@example.org 'On my way'\n"
	  "    varvectl send ops@example.org 'The disk is full' --id=disk-$(date +%F)\n"
	  "    varvectl send bob@example.org 'Are you there?' --wait=delivered --timeout=60\n",
	  OPT_BIT(ID) | OPT_BIT(REPLY_TO) | OPT_BIT(WAIT_STATE), 1, DEFAULT_ARGS_MAX, WORDS_CONVERSATION_ONE, cmd_send },
	{ "read", "CONV [ID]", "Mark messages as read",
	  "All of a conversation, or those up to ID; never back. Other devices are told,\n"
	  "and the other side if it asked and varve.conf allows.\n",
	  0, 1, 2, WORDS_CONVERSATION_ONE, cmd_read },
	{ "edit", "ID [TEXT|-]", "Replace the text of an own message",
	  "ID is the number at the left in \"history\". Without TEXT, or with -, the text\n"
	  "comes from standard input.\n",
	  OPT_BIT(ID), 1, 2, WORDS_NONE, cmd_edit },
	{ "retract", "ID", "Take an own message back",
	  "Asks everybody who has it to remove it; who has read it has read it.\n", OPT_BIT(ID), 1, 1, WORDS_NONE,
	  cmd_retract },
	{ "react", "ID [EMOJI...]", "React to a message",
	  "These are all own reactions to it now; without EMOJI there is none any more.\n", 0, 1, 17, WORDS_NONE,
	  cmd_react },
	{ "retry", "ID", "Send a failed or cancelled message again", "It goes to the end of the queue, as the same message.\n",
	  0, 1, 1, WORDS_NONE, cmd_retry },
	{ "cancel", "ID", "Do not send a message that still waits",
	  "It stays in the history, as cancelled. One that may have left already cannot be\n"
	  "cancelled.\n", 0, 1, 1, WORDS_NONE,
	  cmd_cancel },
	{ "delete", "ID...|CONV", "Delete messages from this machine",
	  "Messages by their ids, or all of a conversation. The server and other people\n"
	  "keep theirs; here they do not come back. Asks first on a terminal.\n",
	  OPT_BIT(YES), 1, DEFAULT_ARGS_MAX, WORDS_CONVERSATION_ONE, cmd_delete },
	{ "roster list", "", "List the contacts",
	  "One line a contact: who sees whose presence (none, to: you see theirs, from:\n"
	  "they see yours, both), and who is there. Who asks to see yours (asks) waits\n"
	  "for: roster authorize JID approve, or deny.\n",
	  0, 0, 0, WORDS_NONE, cmd_roster_list },
	{ "roster set", "JID", "Add or change a contact",
	  "Only what is given changes. To see when they are there: roster authorize JID\n"
	  "request.\n",
	  OPT_BIT(NAME) | OPT_BIT(GROUPS), 1, 1, WORDS_CONTACT, cmd_roster_set },
	{ "roster remove", "JID", "Remove a contact",
	  "Neither sees any more when the other is there. The messages stay.\n", 0, 1, 1, WORDS_CONTACT,
	  cmd_roster_remove },
	{ "roster authorize", "JID [ACTION]", "Answer or ask who sees whose presence",
	  "Actions:\n"
	  "    approve       they may see when you are there, the usual one\n"
	  "    deny          they may not: the answer to their question\n"
	  "    revoke        they may not any more\n"
	  "    request       ask to see when they are there\n"
	  "    unsubscribe   no longer see it\n",
	  0, 1, 2, WORDS_CONTACT, cmd_roster_authorize },
	{ "roster block", "JID", "Block a contact or a domain",
	  "The server lets nothing through any more, in either direction.\n", 0, 1, 1, WORDS_CONTACT,
	  cmd_roster_block },
	{ "roster unblock", "JID", "Undo \"roster block\"", "The server lets them through again.\n", 0, 1, 1,
	  WORDS_CONTACT, cmd_roster_unblock },
	{ "search", "QUERY...", "Find messages by their words",
	  "The newest 20 messages (or -n) that have all the words, newest first. A word\n"
	  "also finds longer ones that begin with it; case and accents do not matter.\n"
	  "\"Quoted words\" stand together exactly so; -word must not occur (write -- before\n"
	  "it). Chinese, Japanese, Korean and emoji are found at any place in a text.\n"
	  "\n"
	  "    varvectl search holiday photos --from=bob@example.org\n"
	  "    varvectl search '\"see you\"' --in=bob@example.org --since=2026-01-01\n"
	  "    varvectl search -- train -late\n"
	  "    varvectl history bob@example.org --around=1234     what was said around it\n",
	  OPT_BIT(LINES) | OPT_BIT(IN) | OPT_BIT(FROM) | OPT_BIT(SINCE) | OPT_BIT(UNTIL), 1, DEFAULT_ARGS_MAX,
	  WORDS_NONE, cmd_search },
	{ "lock", "", "Close the archive until it is unlocked",
	  "Closes the archive and wipes its keys from memory. Nothing is received until\n"
	  "\"varvectl unlock\", or until varved starts again if a key file opens it. The\n"
	  "sessions stay resumable: what arrives meanwhile waits at the server.\n"
	  "\n"
	  "It is refused when nothing that is left could open the archive again; --force\n"
	  "locks it all the same.\n"
	  "\n"
	  "With --after it stays open now, and from then on locks itself when nobody has\n"
	  "used it for so long: no app, and no varvectl but \"status\". An app that stays\n"
	  "connected keeps it open. --after=never ends that; \"status\" shows it.\n"
	  "\n"
	  "    varvectl lock --after=30min\n",
	  OPT_BIT(FORCE) | OPT_BIT(LOCK_AFTER), 0, 0, WORDS_NONE, cmd_lock },
	{ "unlock", "", "Open the archive",
	  "With the key file where there is one, else with a passphrase or a recovery code\n"
	  "that is asked for or read from --password-fd. After three wrong tries each\n"
	  "further one has to wait longer. Exit code 5: the secret is wrong.\n",
	  OPT_BIT(PASSWORD_FD) | OPT_BIT(KEY_FILE), 0, 0, WORDS_NONE, cmd_unlock },
	{ "passwd", "", "Set or change the passphrase of the archive",
	  "Asks for the present passphrase, if there is one, and twice for the new one.\n"
	  "--password-fd has the present one on a line, then the new one on the next.\n"
	  "\n"
	  "The key file that varved made at its first start still opens the archive, so\n"
	  "that nobody is asked at a start. With --drop-key-file it goes, and the archive\n"
	  "is locked at every start until \"varvectl unlock\".\n",
	  OPT_BIT(PASSWORD_FD) | OPT_BIT(DROP_KEY_FILE), 0, 0, WORDS_NONE, cmd_passwd },
	{ "keys list", "", "What opens the archive",
	  "One line a key: any of them opens the archive.\n", 0, 0, 0, WORDS_NONE, cmd_keys_list },
	{ "keys add", "KIND [PATH|NAME]", "Add another key",
	  "Kinds:\n"
	  "    passphrase         another one; asked for twice, or from --password-fd\n"
	  "    recovery           a code that is shown once, to be copied onto paper\n"
	  "    key-file PATH      a file that opens the archive at every start; made when\n"
	  "                       it is not there, and taken as it is (32 bytes or more)\n"
	  "                       when it is\n"
	  "    credential NAME    a systemd credential of the service varved\n",
	  OPT_BIT(PASSWORD_FD) | OPT_BIT(LABEL), 1, 2, WORDS_KEY, cmd_keys_add },
	{ "keys remove", "ID", "Remove a key",
	  "By its number in \"keys list\". The last one stays. Copies of the archive that\n"
	  "were made before still open with it; \"keys rotate\" makes a new master key.\n",
	  0, 1, 1, WORDS_NONE, cmd_keys_remove },
	{ "keys rotate", "", "Write the archive anew under a new master key",
	  "For when a key may have been seen by others together with the archive. It needs\n"
	  "as much free space as the archive has, and minutes for a large one; nothing is\n"
	  "received meanwhile. Recovery codes, and key files that cannot be read now, end\n"
	  "with the old master key: it asks first and names them afterwards. Without a\n"
	  "terminal --yes is needed if there is one.\n",
	  OPT_BIT(PASSWORD_FD) | OPT_BIT(YES), 0, 0, WORDS_NONE, cmd_keys_rotate },
	{ "backup", "FILE", "Copy the archive while it is in use",
	  "Writes FILE and FILE.keys, both encrypted, and checks them; they replace nothing\n"
	  "and belong together. The same keys open them: a backup whose only key is a key\n"
	  "file on the same disk is none. How to restore: varvectl(1), BACKUP.\n",
	  0, 1, 1, WORDS_FILE, cmd_backup },
	{ "doctor", "", "Check the installation and say what to do",
	  "Runs checks here and in the daemon, or only those that need no daemon when it is\n"
	  "not running. Exit code 10 if one failed. --deep reads the whole archive.\n",
	  OPT_BIT(DEEP), 0, 0, WORDS_NONE, cmd_doctor },
	{ "api call", "OBJECT INTERFACE METHOD [TYPES ARG...]", "Call any method of the bus",
	  "OBJECT is a path, or \"root\", or \"account\" for the one of -a; INTERFACE without\n"
	  "dots is one of org.varve.Varve1. TYPES and arguments are written as for\n"
	  "busctl(1): an array is its length and its items, a variant its type and its\n"
	  "value. The answer is printed as JSON. org.varve.Varve1(5) has all methods.\n"
	  "\n"
	  "    varvectl api call root Manager GetStatus 'a{sv}' 0\n"
	  "    varvectl api call account Conversations Open 'sa{sv}' bob@example.org 0\n"
	  "    varvectl api call account Archive GetHistory 'sstuua{sv}' '' newest 0 5 0 \\\n"
	  "        1 across-gaps b true\n",
	  0, 3, DEFAULT_ARGS_MAX, WORDS_OBJECT, cmd_api_call },
	{ "api introspect", "[OBJECT]", "What an object of the bus has",
	  "The D-Bus introspection XML of a path, of \"root\" or of \"account\".\n", 0, 0, 1, WORDS_OBJECT,
	  cmd_api_introspect },
	{ "help", "[VERB...]", "Show help", "The same as --help.\n", 0, 0, 2, WORDS_VERB, cmd_help },
};

const size_t ctl_cmds_n = ARRAY_SIZE(ctl_cmds);

/* For the generator of completions and for tests (tests/ctl): not in the help. */
static const struct ctl_cmd hidden = { "dump-verbs",  "", "The table of verbs as JSON", "", 0, 0, 0, WORDS_NONE,
				       cmd_dump_verbs };

const struct ctl_cmd *verb_find(const char *word, const char *next, size_t *ret_used)
{
	_cleanup_(freep) char *two = next ? xasprintf("%s %s", word, next) : NULL;

	*ret_used = 1;
	for (size_t i = 0; i < ctl_cmds_n; i++) {
		if (strcmp(ctl_cmds[i].name, word) == 0)
			return &ctl_cmds[i];
		if (two && strcmp(ctl_cmds[i].name, two) == 0) {
			*ret_used = 2;
			return &ctl_cmds[i];
		}
	}
	if (strcmp(word, "conversations") == 0) /* the long name of ls, facts/ipc.md section 6 */
		return verb_find("ls", NULL, ret_used);
	return strcmp(word, hidden.name) == 0 ? &hidden : NULL;
}

int verb_is_group(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < ctl_cmds_n; i++)
		if (strncmp(ctl_cmds[i].name, word, len) == 0 && ctl_cmds[i].name[len] == ' ')
			return 1;
	return 0;
}

char *verb_guess(const char *word, const char *next)
{
	char *firsts[ARRAY_SIZE(ctl_cmds)];
	size_t n = 0, len = strlen(word);
	const char *near;
	char *guess;

	for (size_t i = 0; i < ctl_cmds_n; i++) {
		const char *name = ctl_cmds[i].name;

		if (!next)
			firsts[n++] = xstrndup(name, strcspn(name, " "));
		else if (strncmp(name, word, len) == 0 && name[len] == ' ')
			firsts[n++] = xstrdup(name + len + 1);
	}
	near = nearest(next ? next : word, (const char *const *)firsts, n);
	guess = !near ? NULL : next ? xasprintf("%s %s", word, near) : xstrdup(near);
	while (n > 0)
		free(firsts[--n]);
	return guess;
}
