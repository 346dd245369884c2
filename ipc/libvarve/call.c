/*
 * Calls: synchronous, and those whose answer comes later.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"

int varve_call_new(struct varve *v, const char *path, const char *interface, const char *member,
		   struct sd_bus_message **ret)
{
	int r = varve__client_ready(v);

	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(v->bus, ret, NULL, path ? path : VARVE_PATH, interface, member);
	return r < 0 ? varve__fail(v, -EINVAL, SD_BUS_ERROR_INVALID_ARGS, "%s.%s of %s is no method", interface,
				   member, path ? path : VARVE_PATH)
		     : 0;
}

/* ${m} is of the connection that there is now: one made before a loss would go nowhere. */
static int check(struct varve *v, sd_bus_message *m)
{
	if (v->bus && v->ready && sd_bus_message_get_bus(m) == v->bus && sd_bus_is_open(v->bus) > 0)
		return 0;
	return varve__fail_bus(v, NULL, -ENOTCONN);
}

int varve_call(struct varve *v, struct sd_bus_message *m, uint64_t timeout_usec, struct sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = v->bus;
	int r = check(v, m);

	if (r < 0)
		return r;
	v->refs++;
	r = sd_bus_call(bus, m, timeout_usec, &error, ret_reply);
	v->refs--;
	/* Signals may have come meanwhile, which wait inside sd-bus where no descriptor shows them. */
	varve__client_kick(v);
	if (r < 0 && sd_bus_is_open(bus) <= 0)
		return varve__fail_bus(v, NULL, -ENOTCONN); /* sd-bus makes up an answer then: not varved's word */
	return r < 0 ? varve__fail_bus(v, &error, r) : 0;
}

static void unlink_slot(struct varve_slot **list, struct varve_slot *s)
{
	for (; *list; list = &(*list)->next)
		if (*list == s) {
			*list = s->next;
			return;
		}
}

struct varve_slot *varve_slot_free(struct varve_slot *s)
{
	if (!s)
		return NULL;
	if (s->varve) {
		unlink_slot(&s->varve->slots, s);
		unlink_slot(&s->varve->failed, s);
	}
	sd_bus_slot_unref(s->bus_slot);
	free(s);
	return NULL;
}

void varve__call_done(struct varve_slot *s, int r, sd_bus_message *reply)
{
	struct varve_slot copy = *s; /* its owner may free it from inside */

	s->varve->news++;
	s->bus_slot = sd_bus_slot_unref(s->bus_slot);
	s->varve = NULL;
	s->next = NULL;
	if (!s->owned)
		free(s);
	copy.bus_slot = NULL;
	copy.fn(&copy, r, r < 0 ? NULL : reply);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
	struct varve_slot *s = userdata;
	struct varve *v = s->varve;
	const sd_bus_error *error = sd_bus_message_get_error(m);
	int r = 0;

	(void)unused;
	unlink_slot(&v->slots, s);
	if (sd_bus_is_open(v->bus) <= 0)
		r = varve__fail_bus(v, NULL, -ENOTCONN);
	else if (error)
		r = varve__fail_bus(v, error, -EIO);
	varve__call_done(s, r, m);
	return 0;
}

int varve__call_async(struct varve *v, sd_bus_message *m, uint64_t timeout_us, slot_fn fn, void (*user)(void),
		      void *userdata, struct varve_slot **ret_slot)
{
	struct varve_slot *s;
	int r = check(v, m);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return varve__fail_bus(v, NULL, -ENOMEM);
	*s = (struct varve_slot){ .varve = v, .next = v->slots, .fn = fn, .user = user, .userdata = userdata };
	s->owned = ret_slot;
	r = sd_bus_call_async(v->bus, &s->bus_slot, m, on_reply, s, timeout_us);
	varve__client_kick(v);
	if (r < 0) {
		free(s);
		return varve__fail_bus(v, NULL, r);
	}
	v->slots = s;
	if (ret_slot)
		*ret_slot = s;
	return 0;
}

static void raw_answer(struct varve_slot *s, int r, sd_bus_message *reply)
{
	((varve_reply_fn)s->user)(s->userdata, r, reply);
}

int varve_call_async(struct varve *v, struct sd_bus_message *m, uint64_t timeout_usec, varve_reply_fn fn, void *userdata,
		     struct varve_slot **ret_slot)
{
	return varve__call_async(v, m, timeout_usec, raw_answer, (void (*)(void))fn, userdata, ret_slot);
}

int varve__account_call_new(struct varve_account *a, const char *interface, const char *member, sd_bus_message **ret)
{
	return varve_call_new(a->varve, a->path, interface, member, ret);
}

int varve__account_call(struct varve_account *a, const char *interface, const char *member,
			sd_bus_message **ret_reply, const char *types, ...)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	va_list ap;
	int r = varve__account_call_new(a, interface, member, &m);

	if (r < 0)
		return r;
	va_start(ap, types);
	r = *types ? sd_bus_message_appendv(m, types, ap) : 0;
	va_end(ap);
	return r < 0 ? varve__fail_args(a->varve, r) : varve_call(a->varve, m, 0, ret_reply);
}
