/*
 * GetStatus, and accounts by their JID.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"
#include "ipc/libvarve/dict.h"

struct varve_status {
	sd_bus_message *m; /* all strings are in it */
	const char *version, *state, *reason, *network;
	struct varve_account_status *account;
	size_t n;
};

struct varve_status *varve_status_free(struct varve_status *s)
{
	if (s) {
		sd_bus_message_unref(s->m);
		free(s->account);
		free(s);
	}
	return NULL;
}

/* What a key is read into. */
struct field {
	const char *key;
	char type; /* of D-Bus */
	void *dst;
};

static int take_field(sd_bus_message *m, const char *key, const char *contents, const struct field *fields, size_t n)
{
	int flag = 0, r;

	for (size_t i = 0; i < n; i++) {
		char types[2] = { fields[i].type, '\0' };

		if (strcmp(key, fields[i].key) != 0 || strcmp(contents, types) != 0)
			continue;
		if (fields[i].type == 'b') {
			r = sd_bus_message_read(m, "v", types, &flag);
			*(bool *)fields[i].dst = flag;
		} else {
			r = sd_bus_message_read(m, "v", types, fields[i].dst);
		}
		return r < 0 ? r : 1;
	}
	return 0;
}

static int part_member(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct varve_account_status *a = userdata;
	const struct field fields[] = {
		{ "gaps", 'u', &a->gaps },     { "caught_up", 'b', &a->caught_up }, { "queued", 'u', &a->queued },
		{ "sending", 'u', &a->sending }, { "failed", 'u', &a->failed },
	};

	return take_field(m, key, contents, fields, sizeof(fields) / sizeof(fields[0]));
}

static int account_member(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct varve_account_status *a = userdata;
	const struct field fields[] = {
		{ "id", 's', &a->id },
		{ "jid", 's', &a->jid },
		{ "state", 's', &a->state },
		{ "state_error", 's', &a->state_error },
		{ "state_reason", 's', &a->state_reason },
		{ "enabled", 'b', &a->enabled },
	};
	int r;

	if (strcmp(contents, "a{sv}") == 0 && (strcmp(key, "sync") == 0 || strcmp(key, "outbox") == 0)) {
		r = sd_bus_message_enter_container(m, 'v', "a{sv}");
		if (r >= 0)
			r = varve__dict_each(m, part_member, a);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		return r < 0 ? r : 1;
	}
	return take_field(m, key, contents, fields, sizeof(fields) / sizeof(fields[0]));
}

static int take_accounts(sd_bus_message *m, struct varve_status *s)
{
	int r = sd_bus_message_enter_container(m, 'v', "aa{sv}");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "a{sv}");
	while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
		struct varve_account_status *more = reallocarray(s->account, s->n + 1, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->account = more;
		more[s->n] = (struct varve_account_status){ "", "", "", "", "", false, false, 0, 0, 0, 0 };
		r = varve__dict_each(m, account_member, &more[s->n++]);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

static int status_member(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct varve_status *s = userdata;
	const struct field fields[] = {
		{ "version", 's', &s->version }, { "state", 's', &s->state }, { "state_reason", 's', &s->reason },
		{ "network", 's', &s->network }
	};

	if (strcmp(key, "accounts") == 0 && strcmp(contents, "aa{sv}") == 0)
		return take_accounts(m, s);
	return take_field(m, key, contents, fields, sizeof(fields) / sizeof(fields[0]));
}

int varve_get_status(struct varve *v, struct varve_status **ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	struct varve_status *s = NULL;
	int r = varve_call_new(v, NULL, VARVE_IFACE_MANAGER, "GetStatus", &m);

	if (r < 0)
		return r;
	if (sd_bus_message_append(m, "a{sv}", 0) < 0 || !(s = calloc(1, sizeof(*s))))
		return varve__fail_bus(v, NULL, -ENOMEM);
	*s = (struct varve_status){ .version = "", .state = "", .reason = "", .network = "unknown" };
	r = varve_call(v, m, 0, &s->m);
	if (r >= 0 && varve__dict_each(s->m, status_member, s) < 0)
		r = varve__fail_reply(v, "GetStatus");
	if (r < 0) {
		varve_status_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

const char *varve_status_version(const struct varve_status *s)
{
	return s->version;
}

const char *varve_status_state(const struct varve_status *s)
{
	return s->state;
}

const char *varve_status_reason(const struct varve_status *s)
{
	return s->reason;
}

const char *varve_status_network(const struct varve_status *s)
{
	return s->network;
}

size_t varve_status_count(const struct varve_status *s)
{
	return s->n;
}

const struct varve_account_status *varve_status_get(const struct varve_status *s, size_t i)
{
	return i < s->n ? &s->account[i] : NULL;
}

static void status_freep(struct varve_status **s)
{
	varve_status_free(*s);
}

/* The JID of the only account. */
static int only_one(struct varve *v, char **ret)
{
	_cleanup_(status_freep) struct varve_status *s = NULL;
	int r = varve_get_status(v, &s);

	if (r < 0)
		return r;
	if (strcmp(s->state, "locked") == 0)
		return varve__fail(v, -ENOKEY, varve_error_name(VARVE_ERROR_LOCKED), "the archive is locked");
	if (strcmp(s->state, "failed") == 0)
		return varve__fail(v, -EIO, varve_error_name(VARVE_ERROR_STORAGE), "%s", s->reason);
	if (s->n == 0)
		return varve__fail(v, -ENOENT, varve_error_name(VARVE_ERROR_NOT_FOUND), "there is no account yet");
	if (s->n > 1)
		return varve__fail(v, -ENOTUNIQ, SD_BUS_ERROR_INVALID_ARGS,
				   "there are %zu accounts: one must be named", s->n);
	*ret = strdup(s->account[0].jid);
	return *ret ? 0 : varve__fail_bus(v, NULL, -ENOMEM);
}

static int find(struct varve_account *a)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	const char *path;
	int r = varve_call_new(a->varve, NULL, VARVE_IFACE_MANAGER, "FindAccount", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "s", a->jid);
	r = r < 0 ? varve__fail_args(a->varve, r) : varve_call(a->varve, m, 0, &reply);
	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "o", &path) < 0)
		return varve__fail_reply(a->varve, "FindAccount");
	a->path = strdup(path);
	return a->path ? 0 : varve__fail_bus(a->varve, NULL, -ENOMEM);
}

int varve_account_find(struct varve *v, const char *jid, struct varve_account **ret)
{
	struct varve_account *a = calloc(1, sizeof(*a));
	int r = a ? 0 : varve__fail_bus(v, NULL, -ENOMEM);

	if (r == 0) {
		a->varve = v;
		if (!jid)
			r = only_one(v, &a->jid);
		else if (!(a->jid = strdup(jid)))
			r = varve__fail_bus(v, NULL, -ENOMEM);
	}
	/* JIDs are stored folded (RFC 7622 sections 3.2, 3.3). */
	for (char *p = r == 0 ? a->jid : NULL; p && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	if (r == 0)
		r = find(a);
	if (r < 0) {
		varve_account_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct varve_account *varve_account_free(struct varve_account *a)
{
	if (a) {
		free(a->jid);
		free(a->path);
		free(a);
	}
	return NULL;
}

const char *varve_account_jid(const struct varve_account *a)
{
	return a->jid;
}

const char *varve_account_path(const struct varve_account *a)
{
	return a->path;
}
