/*
 * varvectl keys list, add, remove: what opens the archive.
 */
#include <errno.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/secret.h"
#include "ipc/ctl/slots.h"
#include "ipc/ctl/table.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"

/* "~/x" for what is below $HOME. */
static char *short_path(const char *path)
{
	const char *home = getenv("HOME");
	size_t len = home ? strlen(home) : 0;

	if (len > 1 && strncmp(path, home, len) == 0 && path[len] == '/')
		return xasprintf("~%s", path + len);
	return xstrdup(path);
}

/* Below the table: which of them open the archive now, and what that means for a start. */
static void tell_use(const struct slots *slots)
{
	_cleanup_(freep) char *use = NULL;
	size_t broken = 0;

	for (size_t i = 0; i < slots->n; i++) {
		const struct slot *s = &slots->slot[i];
		_cleanup_(freep) char *line = NULL, *clean = NULL;

		if (!*s->problem)
			continue;
		broken++;
		line = xasprintf("Key %u does not open it now: %s", s->id, s->problem);
		clean = text_clean(line, false);
		term_put(stdout, COLOR_YELLOW, clean, 0, 4);
	}
	if (broken == slots->n)
		use = xstrdup("None of them opens the archive now.");
	else
		use = xasprintf("Any of %s opens the archive; %s", broken ? "the others" : "them",
				slots_automatic(slots) ? "a key file or credential does so at every start."
						       : "it is locked at every start (varvectl unlock).");
	term_put(stdout, COLOR_OFF, use, 0, 0);
}

int cmd_keys_list(struct ctl *c)
{
	static const char *const heads[] = { ">ID", "TYPE", "CREATED", "LABEL", "WHERE", NULL };
	_cleanup_(table_freep) struct table *t = table_new(heads);
	_cleanup_(slots_deinit) struct slots slots = { 0 };
	_cleanup_(json_freep) struct json *j = NULL;
	int r = slots_get(c, &slots);

	if (r != EXIT_OK)
		return r;
	j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	table_whole(t);
	for (size_t i = 0; i < slots.n; i++) {
		const struct slot *s = &slots.slot[i];
		_cleanup_(freep) char *id = xasprintf("%u", s->id), *where = short_path(s->path);
		char when[TIME_HUMAN_SIZE] = "";

		if (j) {
			slot_json(j, s);
			continue;
		}
		if (s->created_us)
			time_local(s->created_us, "%Y-%m-%d", when);
		table_cell(t, id);
		table_cell(t, slot_word(s->type));
		table_cell(t, when);
		table_cell(t, s->label);
		table_cell(t, where);
	}
	table_limit(t, 3, 20);
	table_print(t, stdout);
	if (!j && !c->quiet && slots.n > 0)
		tell_use(&slots);
	return EXIT_OK;
}

struct new_slot {
	const char *type;
	char *secret; /* of a passphrase; wiped */
	char *path; /* of a key file: absolute */
	const char *name; /* of a credential */
	uint32_t id;
	char *code; /* of a recovery code; wiped */
};

static void new_slot_deinit(struct new_slot *n)
{
	secret_free(n->secret);
	secret_free(n->code);
	free(n->path);
}

/* What `keys add` was told, before the daemon is asked for anything. */
static int parse(struct ctl *c, struct new_slot *n)
{
	const char *word = c->opts.args[0], *arg = c->opts.args[1];

	n->type = slot_type(word);
	if (!n->type)
		return ctl_fail(c, EXIT_USAGE, "passphrase, recovery, key-file PATH or credential NAME",
				"\"%s\" is no kind of key", word);
	if (strcmp(n->type, SLOT_KEYFILE) == 0 || strcmp(n->type, SLOT_CREDENTIAL) == 0) {
		if (!arg)
			return ctl_fail(c, EXIT_USAGE, NULL, "keys add %s needs a %s", word,
					strcmp(n->type, SLOT_KEYFILE) == 0 ? "path" : "name");
	} else if (arg) {
		return ctl_fail(c, EXIT_USAGE, NULL, "keys add %s does not take \"%s\"", word, arg);
	}
	if (strcmp(n->type, SLOT_KEYFILE) == 0 && path_absolute(arg, &n->path) < 0)
		return ctl_fail(c, EXIT_FAIL, "give the whole path", "cannot tell the current directory: %s",
				strerror(errno));
	n->name = strcmp(n->type, SLOT_CREDENTIAL) == 0 ? arg : NULL;
	return strcmp(n->type, SLOT_PASSPHRASE) == 0 ? secret_possible(c, "a passphrase") : EXIT_OK;
}

static int add_option(sd_bus_message *m, const char *key, const char *value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int send_add(struct ctl *c, struct new_slot *n)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *code;
	int r = varve_call_new(c->varve, VARVE_PATH, VARVE_IFACE_KEYRING, "AddSlot", &m);

	if (r >= 0)
		r = sd_bus_message_sensitive(m);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", n->type);
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', n->secret ? n->secret : "", n->secret ? strlen(n->secret) : 0);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = add_option(m, "label", ctl_opt(c, LABEL));
	if (r >= 0)
		r = add_option(m, "path", n->path);
	if (r >= 0)
		r = add_option(m, "name", n->name);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "an argument is not valid UTF-8");
	r = ctl_send_long(c, m, CTL_DERIVE_US, NULL, NULL, &reply);
	if (r != EXIT_OK)
		return r;
	sd_bus_message_sensitive(reply); /* the code is in it */
	if (sd_bus_message_read(reply, "us", &n->id, &code) < 0)
		return ctl_bad_reply(c, "AddSlot");
	n->code = xstrdup(code);
	return EXIT_OK;
}

static void tell_added(struct ctl *c, const struct new_slot *n)
{
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *clean = NULL;

	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_uint(j, "id", n->id);
		json_string(j, "type", slot_word(n->type));
		json_string_or_null(j, "path", n->path);
		json_string_or_null(j, "code", n->code);
		json_string(j, "warning", n->secret ? secret_weakness(n->secret) : NULL);
		json_object_end(j);
	} else if (*n->code) {
		if (c->quiet) {
			puts(n->code);
			return;
		}
		printf("The recovery code (key %u):\n\n    %s%s%s\n\n", n->id, term_color(COLOR_BOLD), n->code,
		       term_color(COLOR_OFF));
		term_put(stdout, COLOR_OFF,
			 "Copy it by hand, on paper, and keep it away from this machine. It opens the archive and its "
			 "backups for whoever has it, and it is not shown again. Capitals, spaces and dashes do not "
			 "matter when it is typed: varvectl unlock",
			 0, 0);
	} else if (!c->quiet && n->path) {
		clean = text_clean(n->path, false);
		printf("added as key %u: %s\n", n->id, clean);
		term_put(stdout, COLOR_OFF,
			 "Whoever has this file and the archive has everything: keep them on different media, or on an "
			 "encrypted one.",
			 0, 0);
	} else if (!c->quiet) {
		printf("added as key %u\n", n->id);
	}
}

int cmd_keys_add(struct ctl *c)
{
	_cleanup_(new_slot_deinit) struct new_slot n = { 0 };
	int r = parse(c, &n);

	if (r == EXIT_OK)
		r = ctl_ready(c);
	if (r == EXIT_OK && strcmp(n.type, SLOT_PASSPHRASE) == 0)
		r = secret_new(c, false, &n.secret);
	if (r == EXIT_OK)
		r = send_add(c, &n);
	if (r == EXIT_OK)
		tell_added(c, &n);
	return r;
}

static bool opens_without(const struct slot *s, const void *gone)
{
	return s != gone && !*s->problem;
}

/* Where somebody is there to answer, say what would be left. */
static bool confirmed(struct ctl *c, const struct slots *slots, const struct slot *gone)
{
	_cleanup_(freep) char *what = slot_describe(gone), *left = slots_describe(slots, " or ", opens_without, gone);
	_cleanup_(freep) char *text = NULL, *clean = NULL;

	if (c->quiet || !term_can_ask())
		return true;
	if (!left) /* the daemon will not do it; its sentence says more than a question */
		return true;
	text = xasprintf("What opens the archive then: %s.\nRemove %s?", left, what);
	clean = text_clean(text, true);
	return term_confirm(clean);
}

int cmd_keys_remove(struct ctl *c)
{
	_cleanup_(slots_deinit) struct slots slots = { 0 };
	_cleanup_(json_freep) struct json *j = NULL;
	const struct slot *gone = NULL;
	uint64_t id;
	int r;

	if (parse_u64(c->opts.args[0], &id) < 0 || id > UINT32_MAX)
		return ctl_fail(c, EXIT_USAGE, "varvectl keys list", "\"%s\" is not the number of a key",
				c->opts.args[0]);
	r = ctl_ready(c);
	if (r == EXIT_OK)
		r = slots_get(c, &slots);
	if (r != EXIT_OK)
		return r;
	for (size_t i = 0; i < slots.n; i++)
		if (slots.slot[i].id == id)
			gone = &slots.slot[i];
	if (!gone)
		return ctl_fail_as(c, EXIT_NOT_FOUND, VARVE_ERROR_NOT_FOUND, "varvectl keys list",
				   "there is no key %llu", (unsigned long long)id);
	if (!confirmed(c, &slots, gone))
		return ctl_fail(c, EXIT_FAIL, NULL, "nothing was removed");
	r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_KEYRING, "RemoveSlot", NULL, "ua{sv}", (uint32_t)id, 0);
	if (r != EXIT_OK)
		return r;
	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_uint(j, "id", id);
		json_object_end(j);
	} else if (!c->quiet) {
		printf("key %llu is removed; %s\n", (unsigned long long)id,
		       strcmp(gone->type, SLOT_KEYFILE) == 0 ? "backups that only this key file opens need a copy of it"
							     : "backups made before still open with it");
	}
	return EXIT_OK;
}
