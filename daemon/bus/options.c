#include "bus/options.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/check.h"
#include "bus/errors.h"

static const struct {
	const char *signature;
	const char *name;
} types[] = {
	[OPTION_TEXT] = { "s", "a string" },
	[OPTION_BOOL] = { "b", "a boolean" },
	[OPTION_TIME] = { "x", "a time in microseconds" },
	[OPTION_ID] = { "t", "the id of a message" },
	[OPTION_TEXTS] = { "as", "an array of strings" },
};

static const struct option *find(const struct option *known, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(known[i].key, key) == 0)
			return &known[i];
	return NULL;
}

static int read_value(sd_bus_message *m, const struct option *o, sd_bus_error *error)
{
	char **texts = NULL;
	uint64_t id;
	int r, b;

	switch (o->type) {
	case OPTION_TEXT:
		return sd_bus_message_read(m, "v", "s", o->ret);
	case OPTION_BOOL:
		r = sd_bus_message_read(m, "v", "b", &b);
		if (r >= 0)
			*(bool *)o->ret = b;
		return r;
	case OPTION_TIME:
		return sd_bus_message_read(m, "v", "x", o->ret);
	case OPTION_ID:
		r = sd_bus_message_read(m, "v", "t", &id);
		if (r < 0 || (r = check_message_id(id, error)) < 0)
			return r;
		*(int64_t *)o->ret = (int64_t)id;
		return 0;
	case OPTION_TEXTS:
		r = sd_bus_message_enter_container(m, 'v', "as");
		if (r < 0)
			return r;
		r = sd_bus_message_read_strv(m, &texts);
		if (r < 0)
			return r;
		options_free_texts(*(char ***)o->ret);
		/* An empty array must not look like an absent key. */
		*(char ***)o->ret = texts ? texts : xnewn(char *, 1);
		return sd_bus_message_exit_container(m);
	}
	return -EINVAL;
}

static int read_entry(sd_bus_message *m, const struct option *known, size_t n, sd_bus_error *error)
{
	const struct option *o;
	const char *key, *contents;
	char type;
	int r;

	r = sd_bus_message_read(m, "s", &key);
	if (r < 0)
		return r;
	o = find(known, n, key);
	if (!o && strncmp(key, "x-", 2) == 0)
		return sd_bus_message_skip(m, "v");
	if (!o)
		return error_invalid(error, "there is no option '%s' here", key);
	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r < 0)
		return r;
	if (strcmp(contents, types[o->type].signature) != 0)
		return error_invalid(error, "option '%s' must be %s (%s), not '%s'", key, types[o->type].name,
				     types[o->type].signature, contents);
	r = read_value(m, o, error);
	if (r < 0)
		return r;
	if (o->ret_given)
		*o->ret_given = true;
	return 0;
}

int options_read(sd_bus_message *m, const struct option *known, size_t n, sd_bus_error *error)
{
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r < 0)
		return err_trace(r);
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = read_entry(m, known, n, error);
		if (r < 0)
			return error_from_read(error, r);
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return err_trace(r);
	}
	if (r < 0)
		return err_trace(r);
	r = sd_bus_message_exit_container(m);
	return r < 0 ? err_trace(r) : 0;
}

int options_read_none(sd_bus_message *m, sd_bus_error *error)
{
	return options_read(m, NULL, 0, error);
}

void options_free_texts(char **texts)
{
	for (char **p = texts; p && *p; p++)
		free(*p);
	free(texts);
}
