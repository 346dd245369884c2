#include "ipc/ctl/value.h"

#include <errno.h>
#include <string.h>

#include "ipc/ctl/ctl.h"

struct value {
	char type; /* of sd-bus: 'b' 'x' (all signed) 't' (all unsigned) 'd' 's' (all text), 'a' list, 'e' dictionary */
	char *text;
	int64_t number; /* of 'x' and 'b' */
	uint64_t size; /* of 't' */
	double real;
	char **keys; /* of 'e' */
	struct value **items;
	size_t n;
};

struct value *value_free(struct value *v)
{
	if (!v)
		return NULL;
	for (size_t i = 0; i < v->n; i++) {
		value_free(v->items[i]);
		if (v->keys)
			free(v->keys[i]);
	}
	free(v->keys);
	free(v->items);
	free(v->text);
	free(v);
	return NULL;
}

static int read_any(sd_bus_message *m, unsigned depth, struct value **ret);

static int read_basic(sd_bus_message *m, char type, struct value *v)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		const char *s;
	} u;
	int r = sd_bus_message_read_basic(m, type, &u);

	if (r < 0)
		return r;
	switch (type) {
	case 'b':
		v->type = 'b';
		v->number = u.b;
		return 0;
	case 'n':
	case 'i':
	case 'x':
		v->type = 'x';
		v->number = type == 'n' ? u.n : type == 'i' ? u.i : u.x;
		return 0;
	case 'y':
	case 'q':
	case 'u':
	case 't':
		v->type = 't';
		v->size = type == 'y' ? u.y : type == 'q' ? u.q : type == 'u' ? u.u : u.t;
		return 0;
	case 'd':
		v->type = 'd';
		v->real = u.d;
		return 0;
	case 's':
	case 'o':
	case 'g':
		v->type = 's';
		v->text = xstrdup(u.s);
		return 0;
	}
	return -EBADMSG; /* a file descriptor has no place in a status */
}

static int add_item(sd_bus_message *m, unsigned depth, struct value *v)
{
	struct value *item;
	int r = read_any(m, depth + 1, &item);

	if (r < 0)
		return r;
	v->items = xrealloc(v->items, v->n + 1, sizeof(*v->items));
	v->items[v->n++] = item;
	return 0;
}

/* "{sv}" and the like: the key is kept as text. */
static int add_entry(sd_bus_message *m, unsigned depth, const char *contents, struct value *v)
{
	const char *key;
	int r;

	if (contents[0] != 's')
		return -EBADMSG;
	r = sd_bus_message_enter_container(m, 'e', contents);
	if (r >= 0)
		r = sd_bus_message_read_basic(m, 's', &key);
	if (r < 0)
		return r;
	v->keys = xrealloc(v->keys, v->n + 1, sizeof(*v->keys));
	v->keys[v->n] = xstrdup(key);
	r = add_item(m, depth, v);
	if (r < 0) {
		free(v->keys[v->n]);
		return r;
	}
	return sd_bus_message_exit_container(m);
}

static int read_container(sd_bus_message *m, char type, const char *contents, unsigned depth, struct value *v)
{
	bool dict = type == 'a' && contents[0] == '{';
	_cleanup_(freep) char *inner = dict ? xstrndup(contents + 1, strlen(contents) - 2) : NULL;
	int r;

	v->type = dict ? 'e' : 'a';
	r = sd_bus_message_enter_container(m, type, contents);
	while (r >= 0) {
		r = sd_bus_message_at_end(m, false);
		if (r != 0)
			break;
		r = dict ? add_entry(m, depth, inner, v) : add_item(m, depth, v);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_any(sd_bus_message *m, unsigned depth, struct value **ret)
{
	_cleanup_(freep) char *contents_copy = NULL;
	struct value *v;
	const char *contents;
	char type;
	int r;

	if (depth > VALUE_DEPTH_MAX)
		return -ELOOP;
	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	contents_copy = xstrdup(contents); /* the message reuses it when its containers are entered */
	if (type == 'v') {
		r = sd_bus_message_enter_container(m, 'v', contents_copy);
		if (r >= 0)
			r = read_any(m, depth + 1, ret);
		return r < 0 ? r : sd_bus_message_exit_container(m);
	}
	v = xcalloc(1, sizeof(*v));
	r = contents_copy ? read_container(m, type, contents_copy, depth, v) : read_basic(m, type, v);
	if (r < 0) {
		value_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

int value_read(sd_bus_message *m, struct value **ret)
{
	return read_any(m, 0, ret);
}

const struct value *value_get(const struct value *v, const char *key)
{
	if (v && v->keys)
		for (size_t i = 0; i < v->n; i++)
			if (strcmp(v->keys[i], key) == 0)
				return v->items[i];
	return NULL;
}

const char *value_str(const struct value *v, const char *key)
{
	const struct value *m = value_get(v, key);

	return m && m->text ? m->text : "";
}

const char *value_text(const struct value *v)
{
	return v && v->text ? v->text : "";
}

int64_t value_int(const struct value *v, const char *key)
{
	const struct value *m = value_get(v, key);

	if (!m)
		return 0;
	return m->type == 't' ? (int64_t)m->size : m->number;
}

bool value_true(const struct value *v, const char *key)
{
	return value_int(v, key) != 0;
}

uint64_t value_number(const struct value *v)
{
	if (!v)
		return 0;
	return v->type == 't' ? v->size : (uint64_t)v->number;
}

size_t value_count(const struct value *v)
{
	return v ? v->n : 0;
}

const struct value *value_at(const struct value *v, size_t i)
{
	return i < value_count(v) ? v->items[i] : NULL;
}

static bool is_usec(const char *key)
{
	size_t len = strlen(key);

	return len > 5 && strcmp(key + len - 5, "_usec") == 0;
}

/* ${owner}: the dictionary that ${v} is the member ${name} of. */
static void write_member(struct json *j, const struct value *owner, const char *name)
{
	_cleanup_(freep) char *key = xstrdup(name);
	const struct value *v = value_get(owner, name);

	for (char *p = key; *p; p++)
		if (*p == '-')
			*p = '_';
	if (is_usec(key) && (!v || v->type == 'x' || v->type == 't')) {
		int64_t us = value_int(owner, name);
		_cleanup_(freep) char *plain = xstrndup(key, strlen(key) - 5);

		if (!value_get(owner, plain)) /* caught_up is there already, and a boolean */
			json_time(j, plain, us);
		else if (us)
			json_int(j, key, us);
		else
			json_null(j, key);
		return;
	}
	value_json(j, key, v, NULL);
}

static bool listed(const char *const *known, const char *key)
{
	for (; known && *known; known++)
		if (strcmp(*known, key) == 0)
			return true;
	return false;
}

static void write_members(struct json *j, const struct value *v, const char *const *known)
{
	for (const char *const *k = known; k && *k; k++)
		write_member(j, v, *k);
	for (size_t i = 0; v && v->keys && i < v->n; i++)
		if (!listed(known, v->keys[i]))
			write_member(j, v, v->keys[i]);
}

void value_json(struct json *j, const char *key, const struct value *v, const char *const *known)
{
	switch (v ? v->type : 0) {
	case 'b':
		json_bool(j, key, v->number);
		break;
	case 'x':
		json_int(j, key, v->number);
		break;
	case 't':
		json_uint(j, key, v->size);
		break;
	case 'd':
		json_double(j, key, v->real);
		break;
	case 's':
		json_string_or_null(j, key, v->text);
		break;
	case 'a':
		json_array(j, key);
		for (size_t i = 0; i < v->n; i++)
			value_json(j, NULL, v->items[i], known);
		json_array_end(j);
		break;
	case 'e':
		json_object(j, key);
		write_members(j, v, known);
		json_object_end(j);
		break;
	default:
		json_null(j, key);
		break;
	}
}

void value_plain_json(struct json *j, const char *key, const struct value *v)
{
	if (v->type == 's') {
		json_string(j, key, v->text);
	} else if (v->type == 'a') {
		json_array(j, key);
		for (size_t i = 0; i < v->n; i++)
			value_plain_json(j, NULL, v->items[i]);
		json_array_end(j);
	} else if (v->type == 'e') {
		json_object(j, key);
		for (size_t i = 0; i < v->n; i++)
			value_plain_json(j, v->keys[i], v->items[i]);
		json_object_end(j);
	} else {
		value_json(j, key, v, NULL);
	}
}

/* The keys that cli.md promises, in its order. */
static const char *const session_keys[] = { "resumable",        "resumed", "resumes", "binds",   "flights",
					    "last_resume_usec", "h_in",    "h_out",   "unacked", NULL };
static const char *const sync_keys[] = {
	"state", "done", "total", "gaps", "lost", "messages", "caught_up_usec", NULL
};
static const char *const outbox_keys[] = { "queued", "sending", "failed", NULL };
static const char *const account_keys[] = { "jid", "state", "state_reason", "resource", "next_retry_usec", NULL };
static const char *const parts[] = { "session", "sync", "outbox", NULL };

void value_account_json(struct json *j, const struct value *account)
{
	static const char *const *const part_keys[] = { session_keys, sync_keys, outbox_keys };

	for (size_t i = 0; account_keys[i]; i++)
		write_member(j, account, account_keys[i]);
	for (size_t i = 0; account && i < account->n; i++)
		if (!listed(account_keys, account->keys[i]) && !listed(parts, account->keys[i]))
			write_member(j, account, account->keys[i]);
	for (size_t i = 0; parts[i]; i++) {
		json_object(j, parts[i]);
		write_members(j, value_get(account, parts[i]), part_keys[i]);
		json_object_end(j);
	}
}

int value_status(struct ctl *c, struct value **ret)
{
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	int r;

	r = ctl_call_at(c, VARVE_PATH, VARVE_IFACE_MANAGER, "GetStatus", &reply, "a{sv}", 0);
	if (r != EXIT_OK)
		return r;
	return value_read(reply, ret) < 0 ? ctl_bad_reply(c, "GetStatus") : EXIT_OK;
}
