/*
 * varvectl api ...: any method of the contract, with arguments written as for busctl(1).
 */
#include <errno.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/value.h"

#define ITEMS_MAX 65536 /* of one array: more is a slip of the finger */

/* The words that are left. */
struct words {
	const char *const *next;
	const char *bad; /* what could not be read */
};

static const char *take(struct words *w)
{
	if (!*w->next) {
		w->bad = "an argument is missing";
		return NULL;
	}
	return *w->next++;
}

static int append_any(sd_bus_message *m, const char *type, size_t *ret_len, struct words *w);

/* Bytes of the first complete type of ${s}, 0 if it is none. */
static size_t type_length(const char *s)
{
	size_t len = 1, n;

	if (*s == 'a') {
		n = type_length(s + 1);
		return n ? n + 1 : 0;
	}
	if (*s != '(' && *s != '{')
		return *s && strchr("ybnqiuxtdsogvh", *s) ? 1 : 0;
	while (s[len] && s[len] != ')' && s[len] != '}') {
		n = type_length(s + len);
		if (n == 0)
			return 0;
		len += n;
	}
	return s[len] == (*s == '(' ? ')' : '}') ? len + 1 : 0;
}

static int number(const char *word, bool sign, int64_t *ret_x, uint64_t *ret_t)
{
	char *end;

	errno = 0;
	if (sign)
		*ret_x = strtoll(word, &end, 0);
	else
		*ret_t = strtoull(word, &end, 0);
	return errno || end == word || *end || (!sign && *word == '-') ? -EINVAL : 0;
}

static int append_number(sd_bus_message *m, char type, const char *word)
{
	static const struct {
		char type;
		int64_t min, max;
	} ranges[] = {
		{ 'y', 0, UINT8_MAX },	       { 'n', INT16_MIN, INT16_MAX }, { 'q', 0, UINT16_MAX },
		{ 'i', INT32_MIN, INT32_MAX }, { 'u', 0, UINT32_MAX },	      { 'h', 0, INT32_MAX },
	};
	int64_t x = 0;
	uint64_t t = 0;

	if (number(word, type != 't', &x, &t) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (ranges[i].type == type && (x < ranges[i].min || x > ranges[i].max))
			return -ERANGE;
	switch (type) {
	case 'y':
		return sd_bus_message_append(m, "y", (int)x);
	case 'n':
		return sd_bus_message_append(m, "n", (int)x);
	case 'q':
		return sd_bus_message_append(m, "q", (int)x);
	case 'i':
		return sd_bus_message_append(m, "i", (int)x);
	case 'u':
		return sd_bus_message_append(m, "u", (uint32_t)x);
	case 'h':
		return sd_bus_message_append(m, "h", (int)x);
	case 'x':
		return sd_bus_message_append(m, "x", x);
	}
	return sd_bus_message_append(m, "t", t);
}

static int append_basic(sd_bus_message *m, char type, struct words *w)
{
	const char *word = take(w);
	char *end;
	double d;
	int r;

	if (!word)
		return -EINVAL;
	if (strchr("sog", type)) {
		r = sd_bus_message_append_basic(m, type, word);
	} else if (type == 'b') {
		bool yes = strcmp(word, "true") == 0 || strcmp(word, "yes") == 0 || strcmp(word, "1") == 0;

		r = yes || strcmp(word, "false") == 0 || strcmp(word, "no") == 0 || strcmp(word, "0") == 0
			    ? sd_bus_message_append(m, "b", (int)yes)
			    : -EINVAL;
	} else if (type == 'd') {
		d = strtod(word, &end);
		r = *word && !*end ? sd_bus_message_append(m, "d", d) : -EINVAL;
	} else {
		r = append_number(m, type, word);
	}
	if (r < 0)
		w->bad = word;
	return r;
}

/* All complete types of ${types}, in a row. */
static int append_all(sd_bus_message *m, const char *types, struct words *w)
{
	size_t len;
	int r = 0;

	for (; *types && r >= 0; types += len)
		r = append_any(m, types, &len, w);
	return r;
}

static int append_array(sd_bus_message *m, const char *item, struct words *w)
{
	const char *count = take(w);
	uint64_t n;
	int r;

	if (!count)
		return -EINVAL;
	if (parse_u64(count, &n) < 0 || n > ITEMS_MAX) {
		w->bad = count;
		return -EINVAL;
	}
	r = sd_bus_message_open_container(m, 'a', item);
	for (uint64_t i = 0; r >= 0 && i < n; i++)
		r = append_all(m, item, w);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_variant(sd_bus_message *m, struct words *w)
{
	const char *type = take(w);
	int r;

	if (!type)
		return -EINVAL;
	if (type_length(type) != strlen(type)) {
		w->bad = type;
		return -EINVAL;
	}
	r = sd_bus_message_open_container(m, 'v', type);
	if (r >= 0)
		r = append_all(m, type, w);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The first complete type of ${type}; *ret_len: how long it is. */
static int append_any(sd_bus_message *m, const char *type, size_t *ret_len, struct words *w)
{
	_cleanup_(freep) char *inner = NULL;
	int r;

	*ret_len = type_length(type);
	if (*ret_len == 0) {
		w->bad = type;
		return -EINVAL;
	}
	if (*type == 'a') {
		inner = xstrndup(type + 1, *ret_len - 1);
		return append_array(m, inner, w);
	}
	if (*type == 'v')
		return append_variant(m, w);
	if (*type != '(' && *type != '{')
		return append_basic(m, *type, w);
	inner = xstrndup(type + 1, *ret_len - 2);
	r = sd_bus_message_open_container(m, *type == '(' ? 'r' : 'e', inner);
	if (r >= 0)
		r = append_all(m, inner, w);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* "/a/path" as it is; "root"; "account" for that of -a. EXIT_OK with *ret static or of the account. */
static int object(struct ctl *c, const char *word, const char **ret)
{
	int r = EXIT_OK;

	*ret = VARVE_PATH;
	if (strcmp(word, "account") == 0) {
		r = ctl_account(c, NULL);
		*ret = r == EXIT_OK ? varve_account_path(c->account) : NULL;
	} else if (*word == '/') {
		*ret = word;
	} else if (strcmp(word, "root") != 0) {
		return ctl_fail(c, EXIT_USAGE, "a path like /org/varve/Varve1, or root, or account", "\"%s\" is no object",
				word);
	}
	return r == EXIT_OK ? ctl_connect(c) : r;
}

/* Every value of the answer, as an array where there are several. */
static int put_reply(struct ctl *c, sd_bus_message *reply)
{
	_cleanup_(json_freep) struct json *j = json_new(stdout, c->json == JSON_OFF ? JSON_PRETTY : c->json);
	bool several = type_length(sd_bus_message_get_signature(reply, true)) <
		       strlen(sd_bus_message_get_signature(reply, true));

	if (sd_bus_message_is_empty(reply))
		return EXIT_OK;
	if (several)
		json_array(j, NULL);
	while (sd_bus_message_at_end(reply, false) == 0) {
		_cleanup_(value_freep) struct value *v = NULL;

		if (value_read(reply, &v) < 0)
			return ctl_bad_reply(c, "it");
		value_plain_json(j, NULL, v);
	}
	if (several)
		json_array_end(j);
	return EXIT_OK;
}

/* Here a name that is not known is the caller's, not one of another version. */
static int fail(struct ctl *c, int r)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };
	const char *const unknown = "org.freedesktop.DBus.Error.Unknown";
	_cleanup_(freep) char *word = shell_quote(c->opts.args[0]), *hint = xasprintf("varvectl api introspect %s", word);

	failure_take(c, r, &f);
	if (strcmp(f.name, "org.freedesktop.DBus.Error.UnknownObject") == 0 || strncmp(f.name, unknown, strlen(unknown)) != 0)
		return ctl_fail_taken(c, &f);
	return ctl_fail_named(c, EXIT_NOT_FOUND, f.name, hint, "%s", f.text);
}

int cmd_api_call(struct ctl *c)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(freep) char *interface = NULL;
	struct words w = { c->opts.args + 3, NULL };
	const char *path, *types;
	int r = object(c, c->opts.args[0], &path);

	if (r != EXIT_OK)
		return r;
	interface = strchr(c->opts.args[1], '.') ? xstrdup(c->opts.args[1])
						 : xasprintf(VARVE_BUS_NAME ".%s", c->opts.args[1]);
	r = varve_call_new(c->varve, path, interface, c->opts.args[2], &m);
	if (r < 0)
		return ctl_fail_call(c, r);
	types = *w.next ? *w.next++ : "";
	r = append_all(m, types, &w);
	if (r < 0)
		return ctl_fail(c, EXIT_USAGE, "varvectl api call --help", "the arguments do not fit \"%s\": %s", types,
				w.bad ? w.bad : strerror(-r));
	if (*w.next)
		return ctl_fail(c, EXIT_USAGE, "varvectl api call --help", "\"%s\" is more than \"%s\" takes", *w.next, types);
	r = varve_call(c->varve, m, c->timeout_us, &reply);
	return r < 0 ? fail(c, r) : put_reply(c, reply);
}

int cmd_api_introspect(struct ctl *c)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *path, *xml;
	int r = object(c, c->opts.args[0] ? c->opts.args[0] : "root", &path);

	if (r != EXIT_OK)
		return r;
	r = varve_call_new(c->varve, path, "org.freedesktop.DBus.Introspectable", "Introspect", &m);
	if (r >= 0)
		r = varve_call(c->varve, m, 0, &reply);
	if (r < 0)
		return ctl_fail_call(c, r);
	if (sd_bus_message_read(reply, "s", &xml) < 0)
		return ctl_bad_reply(c, "Introspect");
	fputs(xml, stdout);
	return EXIT_OK;
}
