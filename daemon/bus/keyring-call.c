#include "bus/keyring-call.h"

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/later.h"

struct keyring_call {
	struct later *later;
	struct hub *hub;
	keyring_append_fn append;
	char *why;
};

static void call_free(struct keyring_call *call)
{
	free(call->why);
	free(call);
}

static void on_gone(void *userdata)
{
	struct keyring_call *call = userdata;

	keyring_abandon(call->hub, call);
	call_free(call);
}

int keyring_call_new(struct conn *c, sd_bus_message *m, keyring_append_fn append, struct keyring_call **ret,
		     sd_bus_error *error)
{
	struct keyring_call *call = xnew(struct keyring_call);
	int r;

	call->hub = conn_hub(c);
	call->append = append;
	r = later_new(c, m, on_gone, call, &call->later, error);
	if (r < 0) {
		call_free(call);
		return r;
	}
	*ret = call;
	return 0;
}

char **keyring_call_why(struct keyring_call *call)
{
	return &call->why;
}

int keyring_call_started(struct keyring_call *call, int r, sd_bus_error *error)
{
	if (r == 0)
		return 1;
	r = error_from_hub(error, r, call->why);
	later_free(call->later);
	call_free(call);
	return r;
}

static int make_reply(struct keyring_call *call, const struct keyring_answer *a, sd_bus_message **ret)
{
	int r;

	if ((r = sd_bus_message_new_method_return(later_call(call->later), ret)) < 0 ||
	    /* The answer of AddSlot is a secret too. */
	    (r = sd_bus_message_sensitive(*ret)) < 0)
		return err_trace(r);
	r = call->append ? call->append(*ret, a) : 0;
	return r < 0 ? err_trace(r) : 0;
}

void keyring_call_done(void *userdata, int r, const char *why, const struct keyring_answer *a)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct keyring_call *call = userdata;

	if (r == 0)
		r = make_reply(call, a, &reply);
	if (r == 0) {
		later_reply(call->later, reply, 64);
	} else {
		r = error_from_hub(&error, r, why);
		later_fail(call->later, r, &error);
	}
	call_free(call);
}
