/*
 * varvectl account ...: accounts, and what they are told to do.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/table.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/value.h"

int cmd_account_list(struct ctl *c)
{
	static const char *const heads[] = { "ACCOUNT", "STATE", "SYNC", ">MESSAGES", "", NULL };
	_cleanup_(table_freep) struct table *t = table_new(heads);
	_cleanup_(value_freep) struct value *status = NULL;
	_cleanup_(json_freep) struct json *j = NULL;
	const struct value *accounts;
	int r;

	r = ctl_connect(c);
	if (r == EXIT_OK)
		r = value_status(c, &status);
	if (r == EXIT_OK)
		r = ctl_opened(c, status);
	if (r != EXIT_OK)
		return r;
	accounts = value_get(status, "accounts");
	j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	for (size_t i = 0; i < value_count(accounts); i++) {
		const struct value *a = value_at(accounts, i);
		_cleanup_(freep) char *count = show_count(value_int(value_get(a, "sync"), "messages"));

		if (j) {
			json_object(j, NULL);
			value_account_json(j, a);
			json_object_end(j);
			continue;
		}
		table_cell(t, value_str(a, "jid"));
		table_cell_color(t, show_state_color(value_str(a, "state")), value_str(a, "state"));
		table_cell(t, value_str(value_get(a, "sync"), "state"));
		table_cell(t, count);
		table_cell(t, value_str(a, "state_reason"));
	}
	if (!j && value_count(accounts) == 0 && !c->quiet)
		puts("no account yet: varvectl account add JID");
	table_limit(t, 0, 40);
	table_print(t, stdout);
	return EXIT_OK;
}

static int get_config(struct ctl *c, struct value **ret)
{
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	int r = ctl_call(c, VARVE_IFACE_ACCOUNT, "GetConfig", &reply, "");

	if (r != EXIT_OK)
		return r;
	return value_read(reply, ret) < 0 ? ctl_bad_reply(c, "GetConfig") : EXIT_OK;
}

static void show_setting(const char *name, const char *value)
{
	_cleanup_(freep) char *clean = text_clean(value, false);

	if (*clean)
		printf("  %-9s %s\n", name, clean);
}

static void show_settings(const struct value *config)
{
	show_setting("server", value_str(config, "server"));
	show_setting("tls", value_str(config, "tls"));
	show_setting("nick", value_str(config, "nick"));
	show_setting("ca", *value_str(config, "ca-pem") ? "own trust anchors are set" : "");
	show_setting("push", value_str(config, "push-service"));
	show_setting("plain", value_true(config, "allow-plain") ? "SASL PLAIN is allowed" : "");
}

int cmd_account_show(struct ctl *c)
{
	_cleanup_(value_freep) struct value *status = NULL, *config = NULL;
	_cleanup_(json_freep) struct json *j = NULL;
	const struct value *a;
	int r;

	r = ctl_account(c, c->opts.args[0]);
	if (r == EXIT_OK)
		r = value_status(c, &status);
	if (r == EXIT_OK)
		r = get_config(c, &config);
	if (r != EXIT_OK)
		return r;
	a = show_find(status, c->account_jid);
	if (c->json == JSON_OFF) {
		show_account(stdout, a, NULL);
		show_settings(config);
		return EXIT_OK;
	}
	j = json_new(stdout, c->json);
	json_object(j, NULL);
	value_account_json(j, a);
	value_json(j, "config", config, NULL);
	json_object_end(j);
	return EXIT_OK;
}

/* The removal of an archive is asked about, where somebody is there to answer. */
static bool confirmed(struct ctl *c)
{
	_cleanup_(freep) char *jid = text_clean(c->account_jid, false), *question = NULL;

	if (c->quiet || !term_can_ask())
		return true;
	question = xasprintf("Delete %s and its messages from this machine?", jid);
	return term_confirm(question);
}

int cmd_account_remove(struct ctl *c)
{
	int r = ctl_account(c, c->opts.args[0]);

	if (r != EXIT_OK)
		return r;
	if (!confirmed(c))
		return ctl_fail(c, EXIT_FAIL, NULL, "nothing was removed");
	r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_MANAGER, "RemoveAccount", NULL, "oa{sv}",
			varve_account_path(c->account), 0);
	if (r == EXIT_OK)
		ctl_done(c, c->account_jid, "removed");
	return r;
}

static int enable(struct ctl *c, bool enabled)
{
	int r = ctl_account(c, c->opts.args[0]);

	if (r == EXIT_OK)
		r = ctl_call(c, VARVE_IFACE_ACCOUNT, "Configure", NULL, "a{sv}", 1, "enabled", "b", (int)enabled);
	if (r == EXIT_OK)
		ctl_done(c, c->account_jid, enabled ? "enabled" : "disabled");
	return r;
}

int cmd_account_enable(struct ctl *c)
{
	return enable(c, true);
}

int cmd_account_disable(struct ctl *c)
{
	return enable(c, false);
}

static int simple(struct ctl *c, const char *member, const char *what)
{
	int r = ctl_account(c, c->opts.args[0]);

	if (r == EXIT_OK)
		r = ctl_call(c, VARVE_IFACE_ACCOUNT, member, NULL, "a{sv}", 0);
	if (r == EXIT_OK)
		ctl_done(c, c->account_jid, what);
	return r;
}

/* For the daemon a disabled account is a question of its own; for a person it is an account that is turned off. */
static int check_enabled(struct ctl *c)
{
	_cleanup_(value_freep) struct value *status = NULL;
	int r = ctl_account(c, c->opts.args[0]);

	if (r == EXIT_OK)
		r = value_status(c, &status);
	if (r != EXIT_OK)
		return r;
	if (strcmp(value_str(show_find(status, c->account_jid), "state"), "disabled") == 0)
		return ctl_fail(c, EXIT_FAIL, "varvectl account enable", "%s is disabled", c->account_jid);
	return EXIT_OK;
}

int cmd_account_connect(struct ctl *c)
{
	int r = check_enabled(c);

	return r != EXIT_OK ? r : simple(c, "Connect", "connecting");
}

int cmd_account_disconnect(struct ctl *c)
{
	return simple(c, "Disconnect", "disconnected");
}
