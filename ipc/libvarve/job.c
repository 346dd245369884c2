/*
 * Jobs: what varved does for long, and how far it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"
#include "ipc/libvarve/dict.h"

struct varve_job {
	struct varve *varve;
	char *path;
};

static int begin(struct varve_account *a, sd_bus_message *m, const char *member, struct varve_job **ret)
{
	_cleanup_(unref_message) sd_bus_message *reply = NULL;
	struct varve_job *j;
	const char *path;
	int r = varve_call(a->varve, m, 0, &reply);

	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "o", &path) < 0)
		return varve__fail_reply(a->varve, member);
	j = calloc(1, sizeof(*j));
	if (!j || !(j->path = strdup(path))) {
		free(j);
		return varve__fail_bus(a->varve, NULL, -ENOMEM);
	}
	j->varve = a->varve;
	*ret = j;
	return 0;
}

int varve_export(struct varve_account *a, int fd, const char *format, const char *const *conversations,
		 int64_t since_usec, int64_t until_usec, struct varve_job **ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve__account_call_new(a, VARVE_IFACE_ARCHIVE, "Export", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "h", fd);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0 && format)
		r = sd_bus_message_append(m, "{sv}", "format", "s", format);
	if (r >= 0 && conversations)
		r = varve__append_strings_option(m, "conversations", conversations);
	if (r >= 0 && since_usec)
		r = sd_bus_message_append(m, "{sv}", "since", "x", since_usec);
	if (r >= 0 && until_usec)
		r = sd_bus_message_append(m, "{sv}", "until", "x", until_usec);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? varve__fail_args(a->varve, r) : begin(a, m, "Export", ret);
}

/* A job of Sync on one conversation or all; ${flags}: VARVE_FETCH_ALL and VARVE_JOB_DETACH. */
static int sync_job(struct varve_account *a, const char *member, const char *conversation, int64_t since_usec, unsigned flags,
		    struct varve_job **ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve__account_call_new(a, VARVE_IFACE_SYNC, member, &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "s", conversation);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0 && since_usec)
		r = sd_bus_message_append(m, "{sv}", "since", "x", since_usec);
	if (r >= 0 && (flags & VARVE_FETCH_ALL))
		r = sd_bus_message_append(m, "{sv}", "all", "b", 1);
	if (r >= 0 && (flags & VARVE_JOB_DETACH))
		r = sd_bus_message_append(m, "{sv}", "detach", "b", 1);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? varve__fail_args(a->varve, r) : begin(a, m, member, ret);
}

int varve_fetch(struct varve_account *a, const char *conversation, int64_t since_usec, unsigned flags,
		struct varve_job **ret)
{
	return sync_job(a, "Fetch", conversation, since_usec, flags, ret);
}

int varve_verify(struct varve_account *a, const char *conversation, int64_t since_usec, unsigned flags,
		 struct varve_job **ret)
{
	return sync_job(a, "Verify", conversation, since_usec, flags & ~VARVE_FETCH_ALL, ret); /* "" is all there */
}

/* The number called ${key} of Result, in "v" holding "a{sv}"; 0 if it is not there. */
static int take_result(sd_bus_message *m, const char *key, uint64_t *ret)
{
	const char *name, *contents;
	uint64_t n;
	char type;
	int r = sd_bus_message_enter_container(m, 'v', "a{sv}");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read_basic(m, 's', &name);
		if (r >= 0)
			r = sd_bus_message_peek_type(m, &type, &contents);
		if (r >= 0 && strcmp(contents, "t") == 0 && strcmp(name, key) == 0) {
			r = sd_bus_message_read(m, "v", "t", &n);
			*ret = r >= 0 ? n : 0;
		} else if (r >= 0) {
			r = sd_bus_message_skip(m, "v");
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : 0;
}

int varve_job_result(struct varve_job *j, const char *key, uint64_t *ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	uint64_t n = 0;
	int r = varve_call_new(j->varve, j->path, "org.freedesktop.DBus.Properties", "Get", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "ss", VARVE_IFACE_JOB, "Result");
	r = r < 0 ? varve__fail_args(j->varve, r) : varve_call(j->varve, m, 0, &reply);
	if (r < 0)
		return r;
	if (take_result(reply, key, &n) < 0)
		return varve__fail_reply(j->varve, "Get");
	*ret = n;
	return 0;
}

/* State, Progress and Error. */
struct properties {
	struct varve_job_status status;
	const char *name, *text;
};

static int on_property(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct properties *p = userdata;
	struct varve_job_status *s = &p->status;
	const char *state;
	int r;

	if (strcmp(key, "State") == 0 && strcmp(contents, "s") == 0) {
		r = sd_bus_message_read(m, "v", "s", &state);
		if (r >= 0)
			snprintf(s->state, sizeof(s->state), "%s", state);
		return r;
	}
	if (strcmp(key, "Progress") == 0 && strcmp(contents, "(tt)") == 0)
		return sd_bus_message_read(m, "v", "(tt)", &s->done, &s->total);
	if (strcmp(key, "Error") == 0 && strcmp(contents, "(ss)") == 0)
		return sd_bus_message_read(m, "v", "(ss)", &p->name, &p->text);
	return 0;
}

int varve_job_get(struct varve_job *j, struct varve_job_status *ret)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	struct properties p = { .name = "", .text = "" };
	int r = varve_call_new(j->varve, j->path, "org.freedesktop.DBus.Properties", "GetAll", &m);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "s", VARVE_IFACE_JOB);
	r = r < 0 ? varve__fail_args(j->varve, r) : varve_call(j->varve, m, 0, &reply);
	if (r < 0)
		return r;
	if (varve__dict_each(reply, on_property, &p) < 0)
		return varve__fail_reply(j->varve, "GetAll");
	if (*p.name)
		varve__fail(j->varve, 0, p.name, "%s", p.text);
	*ret = p.status;
	return 0;
}

int varve_job_cancel(struct varve_job *j)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = varve_call_new(j->varve, j->path, VARVE_IFACE_JOB, "Cancel", &m);

	return r < 0 ? r : varve_call(j->varve, m, 0, NULL);
}

struct varve_job *varve_job_free(struct varve_job *j)
{
	if (j) {
		free(j->path);
		free(j);
	}
	return NULL;
}
