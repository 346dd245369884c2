/*
 * varvectl account add, password, set: what gives the daemon secrets and settings.
 */
#include <errno.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/secret.h"
#include "ipc/ctl/term.h"

#define CA_FILE_MAX (1024 * 1024) /* bytes; Debian's bundle of all CAs has a fifth of that */

/* The password from --password-fd or the terminal. EXIT_OK, or the code after having said why not. */
static int ask_password(struct ctl *c, const char *jid, char **ret)
{
	_cleanup_(freep) char *prompt = xasprintf("Password of %s: ", jid);

	return secret_get(c, "the password", prompt, ret);
}

/* HOST, HOST:PORT or [IPV6]:PORT. */
static int check_server(struct ctl *c, const char *server)
{
	const char *host_end = *server == '[' ? strchr(server, ']') : server + strcspn(server, ":"), *port;
	uint64_t n;

	port = host_end && *server == '[' ? host_end + 1 : host_end;
	if (!host_end || host_end == server || (*port && *port != ':') || strpbrk(server, " /"))
		return ctl_fail(c, EXIT_USAGE, "write HOST, HOST:PORT or [IPV6]:PORT", "--server=%s is not a server", server);
	if (*port && (parse_u64(port + 1, &n) < 0 || n == 0 || n > UINT16_MAX))
		return ctl_fail(c, EXIT_USAGE, NULL, "--server=%s: \"%s\" is not a port", server, port + 1);
	return EXIT_OK;
}

/* What can be seen to be wrong without the daemon: nobody should type a password for it. */
static int check_add(struct ctl *c, const char *jid)
{
	const char *at = strchr(jid, '@'), *server = ctl_opt(c, SERVER), *tls = ctl_opt(c, TLS);

	if (!at || at == jid || !at[1] || strpbrk(jid, " /") || strchr(at + 1, '@'))
		return ctl_fail(c, EXIT_USAGE, "write user@example.org", "\"%s\" is not the address of an account", jid);
	if (tls && strcmp(tls, "direct") != 0 && strcmp(tls, "starttls") != 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "--tls=%s: direct or starttls", tls);
	if (server && *server && check_server(c, server) != EXIT_OK)
		return EXIT_USAGE;
	return secret_possible(c, "a password");
}

/* Told before the password is asked for; the daemon checks again. */
static int check_absent(struct ctl *c, const char *jid)
{
	struct varve_account *a;
	int r;

	r = varve_account_find(c->varve, jid, &a);
	if (r == -EINVAL) /* it knows better what an address may look like */
		return ctl_fail_call(c, r);
	if (r < 0)
		return EXIT_OK;
	varve_account_free(a);
	return ctl_fail_as(c, EXIT_FAIL, VARVE_ERROR_CONFLICT, "another password: varvectl account password",
			   "the account %s exists already", jid);
}

/* The daemon gets the text and not the path: it may not see our files (facts/ipc.md section 3.2). */
static int read_ca_file(struct ctl *c, const char *path, char **ret)
{
	_cleanup_(fclosep) FILE *f = NULL;
	_cleanup_(freep) char *text = NULL;
	size_t n;

	f = fopen(path, "re");
	if (!f)
		return ctl_fail(c, errno == EACCES ? EXIT_DENIED : EXIT_USAGE, NULL, "cannot open the CA file %s: %s",
				path, strerror(errno));
	text = xcalloc(CA_FILE_MAX + 1, 1);
	n = fread(text, 1, CA_FILE_MAX + 1, f);
	if (ferror(f))
		return ctl_fail(c, EXIT_USAGE, NULL, "cannot read the CA file %s: %s", path, strerror(errno));
	if (n > CA_FILE_MAX || memchr(text, '\0', n) || !strstr(text, "-----BEGIN "))
		return ctl_fail(c, EXIT_USAGE, "convert it: openssl x509 -inform der -in FILE -out FILE.pem",
				"%s is not a file of PEM certificates", path);
	*ret = text;
	text = NULL;
	return EXIT_OK;
}

static int set_string(sd_bus_message *m, const char *key, const char *value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int set_bool(sd_bus_message *m, const char *key, bool value)
{
	return sd_bus_message_append(m, "{sv}", key, "b", value);
}

static int send_add(struct ctl *c, const char *jid, const char *password, const char *ca, char **ret_path)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *path;
	int r;

	r = varve_call_new(c->varve, NULL, VARVE_IFACE_MANAGER, "AddAccount", &m);
	if (r >= 0)
		r = sd_bus_message_sensitive(m); /* wiped when freed: the password is in it */
	if (r >= 0)
		r = sd_bus_message_append(m, "s", jid);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = set_string(m, "password", password);
	if (r >= 0)
		r = set_string(m, "server", ctl_opt(c, SERVER));
	if (r >= 0)
		r = set_string(m, "tls", ctl_opt(c, TLS));
	if (r >= 0)
		r = set_string(m, "ca-pem", ca);
	if (r >= 0)
		r = set_string(m, "nick", ctl_opt(c, NICK));
	if (r >= 0 && ctl_opt(c, ALLOW_PLAIN))
		r = set_bool(m, "allow-plain", true);
	if (r >= 0)
		r = set_string(m, "push-service", ctl_opt(c, PUSH_SERVICE));
	if (r >= 0 && ctl_opt(c, DISABLED))
		r = set_bool(m, "enabled", false);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "an argument or the password is not valid UTF-8");
	r = varve_call(c->varve, m, 0, &reply);
	if (r < 0)
		return ctl_fail_call(c, r);
	if (sd_bus_message_read(reply, "o", &path) < 0)
		return ctl_bad_reply(c, "AddAccount");
	*ret_path = xstrdup(path);
	return EXIT_OK;
}

int cmd_account_add(struct ctl *c)
{
	_cleanup_(freep) char *ca = NULL, *path = NULL, *jid = str_fold(c->opts.args[0]);
	char *password = NULL;
	int r = check_add(c, jid);

	if (r == EXIT_OK && ctl_opt(c, CA_FILE))
		r = read_ca_file(c, ctl_opt(c, CA_FILE), &ca);
	if (r == EXIT_OK)
		r = ctl_ready(c);
	if (r == EXIT_OK)
		r = check_absent(c, jid);
	if (r == EXIT_OK)
		r = ask_password(c, jid, &password);
	if (r == EXIT_OK)
		r = send_add(c, jid, password, ca, &path);
	secret_free(password);
	if (r == EXIT_OK)
		ctl_done(c, jid,
			 ctl_opt(c, DISABLED) ? "added, disabled" : "added; connecting (varvectl status --watch)");
	return r;
}

int cmd_account_password(struct ctl *c)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	char *password = NULL;
	int r = secret_possible(c, "a password");

	if (r == EXIT_OK)
		r = ctl_account(c, c->opts.args[0]);
	if (r == EXIT_OK)
		r = ask_password(c, c->account_jid, &password);
	if (r != EXIT_OK)
		return r;
	r = varve_call_new(c->varve, varve_account_path(c->account), VARVE_IFACE_ACCOUNT, "SetPassword", &m);
	if (r >= 0)
		r = sd_bus_message_sensitive(m);
	if (r >= 0)
		r = sd_bus_message_append(m, "sa{sv}", password, 0);
	secret_free(password);
	if (r < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "the password is not valid UTF-8");
	r = varve_call(c->varve, m, 0, NULL);
	if (r < 0)
		return ctl_fail_call(c, r);
	ctl_done(c, c->account_jid, "password stored; connecting");
	return EXIT_OK;
}

/* KEY=VALUE of "account set". */
static const struct {
	const char *key;
	char type; /* 's' text, 'b' yes or no, 'f' a file to be read */
} settings[] = {
	{ "server", 's' }, { "tls", 's' },         { "ca-file", 'f' },
	{ "nick", 's' },   { "allow-plain", 'b' }, { "push-service", 's' },
	{ "enabled", 'b' },
};

/* The setting that ${word} ("key=value") is about; SIZE_MAX if it is none. */
static size_t find_setting(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		size_t len = strlen(settings[i].key);

		if (strncmp(word, settings[i].key, len) == 0 && word[len] == '=')
			return i;
	}
	return SIZE_MAX;
}

static int add_setting(struct ctl *c, sd_bus_message *m, const char *word)
{
	_cleanup_(freep) char *pem = NULL;
	size_t i = find_setting(word);
	const char *value;
	bool yes;
	int r = EXIT_OK;

	if (i == SIZE_MAX)
		return ctl_fail(c, EXIT_USAGE, "varvectl account set --help", "\"%s\" is not a setting", word);
	value = strchr(word, '=') + 1;
	if (settings[i].type == 'f') {
		r = *value ? read_ca_file(c, value, &pem) : EXIT_OK;
		if (r != EXIT_OK)
			return r;
		r = set_string(m, "ca-pem", pem ? pem : "");
	} else if (settings[i].type == 'b') {
		yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
		if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
			return ctl_fail(c, EXIT_USAGE, NULL, "%s: yes or no, not \"%s\"", settings[i].key, value);
		r = set_bool(m, settings[i].key, yes);
	} else {
		r = set_string(m, settings[i].key, value);
	}
	return r < 0 ? ctl_fail(c, EXIT_USAGE, NULL, "\"%s\" is not valid UTF-8", word) : EXIT_OK;
}

int cmd_account_set(struct ctl *c)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	/* A JID has no '=' before its '@' that one of our keys could be. */
	size_t first = strchr(c->opts.args[0], '@') && find_setting(c->opts.args[0]) == SIZE_MAX;
	int r;

	if (first == c->opts.n_args)
		return ctl_fail(c, EXIT_USAGE, "varvectl account set --help", "no setting is given");
	r = ctl_account(c, first ? c->opts.args[0] : NULL);
	if (r != EXIT_OK)
		return r;
	if (varve_call_new(c->varve, varve_account_path(c->account), VARVE_IFACE_ACCOUNT, "Configure", &m) < 0 ||
	    sd_bus_message_open_container(m, 'a', "{sv}") < 0)
		return ctl_fail(c, EXIT_FAIL, NULL, "out of memory");
	for (size_t i = first; i < c->opts.n_args && r == EXIT_OK; i++)
		r = add_setting(c, m, c->opts.args[i]);
	if (r != EXIT_OK)
		return r;
	sd_bus_message_close_container(m);
	r = varve_call(c->varve, m, 0, NULL);
	if (r < 0)
		return ctl_fail_call(c, r);
	ctl_done(c, c->account_jid, "changed");
	return EXIT_OK;
}
