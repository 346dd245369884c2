#include "bus/request.h"

#include "base/mem.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/later.h"
#include "bus/tree.h"
#include "sync/hub-send.h"

struct request {
	struct later *later;
	struct hub *hub;
};

static void on_gone(void *userdata)
{
	struct request *q = userdata;

	hub_request_abandon(q->hub, q);
	free(q);
}

static void on_answered(void *userdata, int r, const char *why)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct request *q = userdata;

	if (r == 0)
		r = sd_bus_message_new_method_return(later_call(q->later), &reply);
	if (r == 0 || reply)
		later_reply(q->later, reply, 64);
	else
		later_fail(q->later, error_from_hub(&error, r, why), &error);
	free(q);
}

int request_start(struct conn *c, sd_bus_message *call, uint32_t kind, const char *jid, const char *name,
		  const char *text, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	struct request *q = xnew(struct request);
	int r;

	q->hub = conn_hub(c);
	r = later_new(c, call, on_gone, q, &q->later, error);
	if (r < 0) {
		free(q);
		return r;
	}
	r = hub_request(q->hub, tree_call_account(call), kind, jid, name, text, on_answered, q, &why);
	if (r == 0)
		return 1;
	r = error_from_hub(error, r, why);
	later_free(q->later);
	free(q);
	return r;
}
