#include "bus/verify.h"

#include "base/err.h"
#include "base/mem.h"
#include "bus/account-job.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/job.h"
#include "bus/options.h"
#include "bus/tree.h"

struct verifying {
	struct hub *hub;
	struct job *job;
	int64_t account;
};

static void on_free(void *userdata)
{
	struct verifying *x = userdata;

	hub_verify_end(x->hub, x->account);
	free(x);
}

static void report(struct job *job, const struct verify_tally *t)
{
	const struct job_result results[] = {
		{ "pages", t->pages },	       { "messages", t->messages }, { "missing", t->missing },
		{ "different", t->different }, { "gone", t->gone },	    { "moved", t->moved },
	};

	job_done(job, results, ARRAY_SIZE(results));
}

static void look(struct verifying *x)
{
	const struct verify *v = hub_verifying(x->hub, x->account);
	uint64_t done, total;

	if (!v) {
		job_fail(x->job, VARVE_ERROR_CANCELLED, "it was ended");
		return;
	}
	verify_progress(v, &done, &total);
	job_progress(x->job, v->state == VERIFY_DONE ? total : done, total);
	switch (v->state) {
	case VERIFY_DONE:
		report(x->job, &v->tally);
		break;
	case VERIFY_FAILED:
		job_fail(x->job, VARVE_ERROR_UNSUPPORTED, "%s", v->why);
		break;
	case VERIFY_WAITING:
	case VERIFY_WALKING:
		account_job_stopped(x->job, x->hub, x->account);
		break;
	}
}

static void on_look(void *userdata, int64_t account)
{
	struct verifying *x = userdata;

	if (!account_job_over(x->job, x->hub, x->account) && account == x->account)
		look(x);
}

static int read_call(sd_bus_message *m, struct conn *c, const char **ret_conversation, int64_t *ret_since, bool *ret_detach,
		     sd_bus_error *error)
{
	const struct option known[] = {
		{ "since", OPTION_TIME, ret_since },
		{ "detach", OPTION_BOOL, ret_detach },
	};
	int r;

	r = sd_bus_message_read(m, "s", ret_conversation);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	if (*ret_since < 0)
		return error_invalid(error, "since is microseconds since 1970");
	return **ret_conversation ? check_conversation(hub_store(conn_hub(c)), tree_call_account(m), *ret_conversation, error) : 0;
}

int verify_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	static const struct job_ops ops = { .kind = "verify", .free = on_free, .look = on_look };
	_cleanup_(freep) char *why = NULL;
	struct verifying *x;
	struct conn *c = userdata;
	const char *conversation;
	bool detach = false;
	int64_t since_us = 0;
	int r;

	r = read_call(m, c, &conversation, &since_us, &detach, error);
	if (r < 0)
		return r;
	r = hub_verify(conn_hub(c), tree_call_account(m), conversation, since_us, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	x = xnew(struct verifying);
	x->hub = conn_hub(c);
	x->account = tree_call_account(m);
	r = job_begin(c, detach, &ops, x, &x->job, error);
	if (r < 0) {
		on_free(x);
		return r;
	}
	r = job_reply(x->job, m);
	look(x);
	return r;
}
