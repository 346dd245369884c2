#include "ipc/ctl/slots.h"

#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/libvarve/dict.h"

static const struct {
	const char *type, *word, *noun;
} types[] = {
	{ SLOT_PASSPHRASE, "passphrase", "the passphrase" },
	{ SLOT_RECOVERY, "recovery", "the recovery code" },
	{ SLOT_KEYFILE, "key-file", "the key file" },
	{ SLOT_CREDENTIAL, "credential", "the systemd credential" },
};

const char *slot_word(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].type, type) == 0)
			return types[i].word;
	return type; /* of a newer daemon */
}

const char *slot_type(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].word, word) == 0 || strcmp(types[i].type, word) == 0)
			return types[i].type;
	return NULL;
}

void slot_json(struct json *j, const struct slot *s)
{
	json_object(j, NULL);
	json_uint(j, "id", s->id);
	json_string(j, "type", slot_word(s->type));
	json_string_or_null(j, "label", s->label);
	json_time(j, "created", s->created_us);
	json_string_or_null(j, "path", s->path);
	json_string_or_null(j, "problem", s->problem);
	json_object_end(j);
}

char *slot_describe(const struct slot *s)
{
	const char *noun = s->type;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].type, s->type) == 0)
			noun = types[i].noun;
	if (*s->label)
		return xasprintf("%s \"%s\"", noun, s->label);
	return xasprintf("%s%s%s", noun, *s->path ? " " : "", s->path);
}

char *slots_describe(const struct slots *s, const char *last, slot_take_fn take, const void *userdata)
{
	char *list = NULL;
	size_t left = 0;

	for (size_t i = 0; i < s->n; i++)
		left += !take || take(&s->slot[i], userdata);
	for (size_t i = 0; i < s->n; i++) {
		_cleanup_(freep) char *one = NULL;
		char *more;

		if (take && !take(&s->slot[i], userdata))
			continue;
		one = slot_describe(&s->slot[i]);
		more = xasprintf("%s%s%s", list ? list : "", !list ? "" : left == 1 ? last : ", ", one);
		free(list);
		list = more;
		left--;
	}
	return list;
}

size_t slots_count(const struct slots *s, const char *type)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += strcmp(s->slot[i].type, type) == 0;
	return n;
}

bool slots_automatic(const struct slots *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct slot *one = &s->slot[i];

		if ((strcmp(one->type, SLOT_KEYFILE) == 0 || strcmp(one->type, SLOT_CREDENTIAL) == 0) && !*one->problem)
			return true;
	}
	return false;
}

void slots_deinit(struct slots *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->slot[i].type);
		free(s->slot[i].label);
		free(s->slot[i].path);
		free(s->slot[i].problem);
	}
	free(s->slot);
	*s = (struct slots){ 0 };
}

/* extra: `path`, `problem`, and what a newer daemon may add. */
static int slot_extra(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct slot *s = userdata;
	char **to = strcmp(key, "path") == 0 ? &s->path : strcmp(key, "problem") == 0 ? &s->problem : NULL;
	const char *value;
	int r;

	if (!to || strcmp(contents, "s") != 0)
		return 0;
	r = sd_bus_message_read(m, "v", "s", &value);
	if (r < 0)
		return r;
	free(*to);
	*to = xstrdup(value);
	return 1;
}

static int read_slots(sd_bus_message *m, struct slots *s)
{
	int r = sd_bus_message_enter_container(m, 'a', "(ussxa{sv})");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ussxa{sv}")) > 0) {
		struct slot one = { .path = xstrdup(""), .problem = xstrdup("") };
		const char *type = "", *label = "";

		r = sd_bus_message_read(m, "ussx", &one.id, &type, &label, &one.created_us);
		if (r >= 0)
			r = varve__dict_each(m, slot_extra, &one);
		one.type = xstrdup(type);
		one.label = xstrdup(label);
		s->slot = xrealloc(s->slot, s->n + 1, sizeof(*s->slot));
		s->slot[s->n++] = one;
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* A key file that varve chose has a path from the configuration directory; people and scripts want the whole one. */
static void complete_path(struct slot *s)
{
	_cleanup_(freep) char *dir = NULL;
	char *whole;

	if (strcmp(s->type, SLOT_KEYFILE) != 0 || !*s->path)
		return;
	if (*s->path != '/') {
		dir = xdg_dir("XDG_CONFIG_HOME", ".config");
		whole = xasprintf("%s/%s", dir, s->path);
		free(s->path);
		s->path = whole;
	}
}

int slots_get(struct ctl *c, struct slots *ret)
{
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	int r = ctl_connect(c);

	if (r == EXIT_OK)
		r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_KEYRING, "ListSlots", &reply, "a{sv}", 0);
	if (r != EXIT_OK)
		return r;
	*ret = (struct slots){ 0 };
	if (read_slots(reply, ret) >= 0) {
		for (size_t i = 0; i < ret->n; i++)
			complete_path(&ret->slot[i]);
		return EXIT_OK;
	}
	slots_deinit(ret);
	return ctl_bad_reply(c, "ListSlots");
}
