/*
 * varvectl roster ...: contacts as the server keeps them, who sees whom, who is blocked.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/row.h"
#include "ipc/ctl/table.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"

#define ROSTER_PAGE 500 /* contacts a call; the daemon gives no more */
#define GROUPS_FROM 60 /* columns: groups have no room in a terminal that has less */
#define GROUPS_MAX 64 /* of a contact: org.varve.Varve1.xml, Roster.Set */

/* One device of a contact that is there now. */
struct device {
	char *jid, *show, *status; /* show: "" is plainly there */
	int32_t priority;
};

struct devices {
	struct device *device;
	size_t n;
};

static void devices_deinit(struct devices *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->device[i].jid);
		free(d->device[i].show);
		free(d->device[i].status);
	}
	free(d->device);
}

static int read_devices(sd_bus_message *m, struct devices *d)
{
	int r = sd_bus_message_enter_container(m, 'a', VARVE_SIG_PRESENCE);

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_PRESENCE_FIELDS)) > 0) {
		const char *jid, *show, *status;

		r = sd_bus_message_read(m, "sss", &jid, &show, &status);
		if (r >= 0)
			r = sd_bus_message_skip(m, "a{sv}");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			break;
		d->device = xrealloc(d->device, d->n + 1, sizeof(*d->device));
		d->device[d->n++] = (struct device){ xstrdup(jid), xstrdup(show), xstrdup(status), 0 };
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Who of a page is there. What cannot be had is left out: the roster is readable while offline. */
static void get_devices(struct ctl *c, const struct varve_contacts *set, struct devices *d)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r = varve_call_new(c->varve, varve_account_path(c->account), VARVE_IFACE_ROSTER, "GetPresence", &m);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < varve_contacts_count(set); i++)
		r = sd_bus_message_append_basic(m, 's', varve_contacts_get(set, i)->jid);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = varve_call(c->varve, m, 0, &reply);
	if (r >= 0)
		(void)read_devices(reply, d);
}

static bool is_of(const struct device *d, const char *jid)
{
	size_t len = strlen(jid);

	return strncmp(d->jid, jid, len) == 0 && (d->jid[len] == '/' || d->jid[len] == '\0');
}

/* The device that is most there, or NULL. */
static const struct device *best(const struct devices *d, const char *jid)
{
	static const char *const order[] = { "chat", "", "away", "xa", "dnd" };

	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		for (size_t i = 0; i < d->n; i++)
			if (is_of(&d->device[i], jid) && strcmp(d->device[i].show, order[k]) == 0)
				return &d->device[i];
	return NULL;
}

static void put_json(struct json *j, const struct varve_contact *row, const struct devices *d)
{
	json_object(j, NULL);
	contact_json(j, row);
	json_array(j, "presence");
	for (size_t i = 0; i < d->n; i++) {
		if (!is_of(&d->device[i], row->jid))
			continue;
		json_object(j, NULL);
		json_string(j, "jid", d->device[i].jid);
		json_string(j, "show", *d->device[i].show ? d->device[i].show : "online");
		json_string_or_null(j, "status", d->device[i].status);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static char *groups_text(const struct varve_contact *row)
{
	char *all = xstrdup("");

	for (const char *const *g = row->groups; *g; g++) {
		char *more = xasprintf("%s%s%s", all, *all ? ", " : "", *g);

		free(all);
		all = more;
	}
	return all;
}

static void put_row(struct table *t, const struct varve_contact *row, const struct devices *d, bool with_groups)
{
	const struct device *there = best(d, row->jid);
	const char *show = there ? (*there->show ? there->show : "online") : "";
	bool blocked = row->flags & VARVE_CONTACT_BLOCKED;
	_cleanup_(freep) char *groups = groups_text(row), *sub = NULL;

	sub = xasprintf("%s%s%s", row->subscription, row->flags & VARVE_CONTACT_ASKED ? ", asked" : "",
			row->flags & VARVE_CONTACT_ASKING ? ", asks" : "");
	table_cell(t, row->jid);
	table_cell(t, row->name);
	table_cell_color(t, blocked ? COLOR_RED : COLOR_OFF, blocked ? "blocked" : sub);
	table_cell_color(t, there && (!*there->show || strcmp(show, "chat") == 0) ? COLOR_GREEN : COLOR_YELLOW, show);
	if (with_groups)
		table_cell(t, groups);
}

/* Who waits for an answer of ours, and how it is given: behind the table, one line each. */
static void note_asking(char **notes, const struct varve_contacts *set)
{
	for (size_t i = 0; i < varve_contacts_count(set); i++) {
		const struct varve_contact *row = varve_contacts_get(set, i);
		_cleanup_(freep) char *clean = text_clean(row->jid, false), *word = shell_quote(clean), *before = NULL;

		if (!(row->flags & VARVE_CONTACT_ASKING))
			continue;
		before = *notes;
		*notes = xasprintf("%s%s asks to see your presence:\n    varvectl roster authorize %s approve\n"
				   "    varvectl roster authorize %s deny\n",
				   before ? before : "", clean, word, word);
	}
}

int cmd_roster_list(struct ctl *c)
{
	static const char *const heads[] = { "CONTACT", "NAME", "SEES", "THERE", "GROUPS", NULL };
	static const char *const narrow[] = { "CONTACT", "NAME", "SEES", "THERE", NULL };
	bool groups = term_columns() >= GROUPS_FROM;
	_cleanup_(table_freep) struct table *t = table_new(groups ? heads : narrow);
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *cursor = xstrdup(""), *notes = NULL;
	size_t n = 0;
	int r = ctl_account(c, NULL);

	if (r != EXIT_OK)
		return r;
	j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	do {
		_cleanup_(devices_deinit) struct devices devices = { 0 };
		struct varve_contacts *set;

		r = varve_list_contacts(c->account, cursor, ROSTER_PAGE, &set);
		if (r < 0)
			return ctl_fail_call(c, r);
		get_devices(c, set, &devices);
		note_asking(&notes, set);
		for (size_t i = 0; i < varve_contacts_count(set); i++, n++)
			if (j)
				put_json(j, varve_contacts_get(set, i), &devices);
			else
				put_row(t, varve_contacts_get(set, i), &devices, groups);
		free(cursor);
		cursor = xstrdup(varve_contacts_next(set));
		varve_contacts_unref(set);
	} while (*cursor);
	if (!j && n == 0 && !c->quiet)
		puts("no contact yet: varvectl roster set JID");
	table_limit(t, 0, 32);
	table_limit(t, 1, 20);
	table_print(t, stdout);
	if (!j && !c->quiet)
		fputs(notes ? notes : "", stdout);
	return EXIT_OK;
}

/* A contact that a command is about: the part before a slash is what a roster knows. */
static int contact_arg(struct ctl *c, char **ret)
{
	*ret = str_fold(c->opts.args[0]);
	if (!**ret || strpbrk(*ret, " /") || (*ret)[0] == '@')
		return ctl_fail(c, EXIT_USAGE, "write user@example.org", "\"%s\" is not the address of a contact",
				c->opts.args[0]);
	return ctl_account(c, NULL);
}

static int end(struct ctl *c, int r, const char *jid, const char *what)
{
	if (r < 0)
		return ctl_fail_call(c, r);
	ctl_done(c, jid, what);
	return EXIT_OK;
}

int cmd_roster_set(struct ctl *c)
{
	_cleanup_(freep) char *jid = NULL, *list = xstrdup(ctl_opt(c, GROUPS));
	const char *groups[GROUPS_MAX + 1] = { NULL };
	size_t n = 0;
	int r = contact_arg(c, &jid);

	if (r == EXIT_OK)
		r = ctl_check_address(c, jid);
	if (r != EXIT_OK)
		return r;
	for (char *save = NULL, *g = list ? strtok_r(list, ",", &save) : NULL; g; g = strtok_r(NULL, ",", &save)) {
		if (n == GROUPS_MAX)
			return ctl_fail(c, EXIT_USAGE, NULL, "more than %d groups", GROUPS_MAX);
		groups[n++] = g;
	}
	return end(c, varve_set_contact(c->account, jid, ctl_opt(c, NAME), list ? groups : NULL), jid, "in the roster");
}

int cmd_roster_remove(struct ctl *c)
{
	_cleanup_(freep) char *jid = NULL;
	int r = contact_arg(c, &jid);

	return r == EXIT_OK ? end(c, varve_remove_contact(c->account, jid), jid, "removed from the roster") : r;
}

int cmd_roster_authorize(struct ctl *c)
{
	static const struct {
		const char *action, *what;
	} actions[] = {
		{ "approve", "may see when you are there" },
		{ "deny", "may not see when you are there" },
		{ "revoke", "may no longer see when you are there" },
		{ "request", "asked to let you see when they are there" },
		{ "unsubscribe", "you no longer see when they are there" },
	};
	const char *action = c->opts.args[1] ? c->opts.args[1] : "approve", *what = NULL;
	_cleanup_(freep) char *jid = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].action, action) == 0)
			what = actions[i].what;
	if (!what)
		return ctl_fail(c, EXIT_USAGE, "approve, deny, revoke, request or unsubscribe", "\"%s\" is no action", action);
	r = contact_arg(c, &jid);
	if (r == EXIT_OK)
		r = ctl_check_address(c, jid);
	return r == EXIT_OK ? end(c, varve_authorize(c->account, jid, action), jid, what) : r;
}

static int block(struct ctl *c, bool blocked)
{
	_cleanup_(freep) char *jid = NULL;
	int r = contact_arg(c, &jid);

	if (r == EXIT_OK && blocked)
		r = ctl_check_address(c, jid);
	return r == EXIT_OK ? end(c, varve_set_blocked(c->account, jid, blocked), jid,
				  blocked ? "blocked: nothing from there arrives any more" : "not blocked any more")
			    : r;
}

int cmd_roster_block(struct ctl *c)
{
	return block(c, true);
}

int cmd_roster_unblock(struct ctl *c)
{
	return block(c, false);
}
