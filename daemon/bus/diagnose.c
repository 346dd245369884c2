#include "bus/diagnose.h"

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/later.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "ipc/names.h"
#include "varve-build.h"

struct diagnosis {
	struct later *later;
	struct hub *hub;
	sd_bus_message *reply; /* open: an array of checks */
};

static void diagnosis_free(struct diagnosis *d)
{
	sd_bus_message_unref(d->reply);
	free(d);
}

static void on_gone(void *userdata)
{
	struct diagnosis *d = userdata;

	hub_diagnose_abandon(d->hub, d);
	diagnosis_free(d);
}

static int append_check(void *userdata, const char *name, const char *result, const char *text, const char *hint)
{
	struct diagnosis *d = userdata;
	sd_bus_message *m = d->reply;
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', "ssssa{sv}")) < 0 ||
	    (r = rows_text(m, name)) < 0 ||
	    (r = rows_text(m, result)) < 0 ||
	    (r = rows_text(m, text)) < 0 ||
	    (r = rows_text(m, hint)) < 0 ||
	    (r = sd_bus_message_append(m, "a{sv}", 0)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static void on_done(void *userdata, int r)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct diagnosis *d = userdata;

	if (r == 0)
		r = sd_bus_message_close_container(d->reply);
	if (r >= 0) {
		later_reply(d->later, d->reply, 8192);
	} else {
		r = error_from_hub(&error, r, NULL);
		later_fail(d->later, r, &error);
	}
	diagnosis_free(d);
}

static int begin(struct diagnosis *d, struct conn *c, sd_bus_message *call)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	text = xasprintf("varved " VARVE_VERSION ", API revision %d, this connection has the role '%s'",
			 VARVE_API_REVISION, role_name(conn_config(c)->role));
	if ((r = sd_bus_message_new_method_return(call, &d->reply)) < 0 ||
	    (r = sd_bus_message_open_container(d->reply, 'a', "(ssssa{sv})")) < 0)
		return err_trace(r);
	return append_check(d, "daemon", "ok", text, "");
}

int diagnose_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	bool deep = false;
	const struct option known[] = { { "deep", OPTION_BOOL, &deep } };
	struct conn *c = userdata;
	struct diagnosis *d;
	int r;

	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	if (deep && conn_config(c)->role < ROLE_ADMIN)
		return error_set(error, VARVE_ERROR_DENIED, "option 'deep' copies the archive: it needs the role 'admin'");
	d = xnew(struct diagnosis);
	d->hub = conn_hub(c);
	r = later_new(c, m, on_gone, d, &d->later, error);
	if (r >= 0) {
		r = begin(d, c, m);
		if (r == 0)
			r = hub_diagnose(d->hub, deep, append_check, on_done, d, &why);
		if (r == 0)
			return 1;
		r = error_from_hub(error, r, why);
		later_free(d->later);
	}
	diagnosis_free(d);
	return r;
}
