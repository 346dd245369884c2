#include "bus/later.h"

#include "base/log.h"
#include "bus/conn.h"
#include "bus/errors.h"

struct later {
	struct conn *conn;
	sd_bus_message *call;
	later_gone_fn gone;
	void *userdata;
	size_t bytes;
	struct later *next; /* of the same connection */
};

int later_new(struct conn *c, sd_bus_message *call, later_gone_fn gone, void *userdata, struct later **ret,
	      sd_bus_error *error)
{
	struct later *l;
	size_t bytes;
	int r;

	if (later_count(c, NULL) >= LATER_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "%d calls of this connection are at work: wait for one "
				 "to be answered", LATER_MAX);
	r = conn_keep(c, &bytes, error);
	if (r < 0)
		return r;
	l = xnew(struct later);
	l->bytes = bytes;
	l->conn = c;
	l->call = sd_bus_message_ref(call);
	l->gone = gone;
	l->userdata = userdata;
	l->next = *conn_laters(c);
	*conn_laters(c) = l;
	*ret = l;
	return 0;
}

struct later *later_free(struct later *l)
{
	struct later **at;

	if (!l)
		return NULL;
	for (at = conn_laters(l->conn); *at != l; at = &(*at)->next)
		;
	*at = l->next;
	conn_drop(l->conn, l->bytes);
	sd_bus_message_unref(l->call);
	free(l);
	return NULL;
}

sd_bus_message *later_call(struct later *l)
{
	return l->call;
}

/* A connection that cannot be written to ends by its own event source. */
static void sent(int r)
{
	if (r < 0)
		log_debug("bus: an answer could not be sent: %d", r);
}

void later_reply(struct later *l, sd_bus_message *reply, size_t bytes)
{
	sent(conn_reply(l->conn, reply, bytes));
	later_free(l);
}

void later_fail(struct later *l, int r, const sd_bus_error *error)
{
	if (sd_bus_error_is_set(error))
		sent(sd_bus_reply_method_error(l->call, error));
	else
		sent(sd_bus_reply_method_errno(l->call, r, NULL));
	later_free(l);
}

size_t later_count(struct conn *c, later_gone_fn gone)
{
	size_t n = 0;

	for (const struct later *l = *conn_laters(c); l; l = l->next)
		n += !gone || l->gone == gone;
	return n;
}

void later_drop_all(struct conn *c)
{
	struct later *l;

	while ((l = *conn_laters(c))) {
		l->gone(l->userdata);
		later_free(l);
	}
}
