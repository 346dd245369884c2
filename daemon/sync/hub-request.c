/*
 * Questions to the server on behalf of a user: each is answered once, by the server or by the end of its stream. Answers
 * are told from the loop, never from inside a call.
 */
#include <string.h>

#include "core/jid.h"
#include "sync/hub-priv.h"
#include "sync/hub-send.h"

#define REQUESTS_MAX 200 /* unanswered, an account: a user does not click faster than a server answers */

/* One that waits for its answer, or, answered, for the loop. */
struct request {
	struct request *next;
	uint32_t number;
	bool answered;
	int r;
	char *why;
	char *answers; /* whose request to see our presence it answers; NULL: it does not */
	hub_answered_fn done;
	void *userdata;
};

static void request_free(struct request *q)
{
	free(q->why);
	free(q->answers);
	free(q);
}

static void answer(struct seat *seat, struct request *q, int r, char *why)
{
	q->answered = true;
	q->r = r;
	q->why = why;
	sd_event_source_set_enabled(seat->hub->defer, SD_EVENT_ONESHOT);
}

static char *refusal(const struct link_result *a)
{
	const char *condition = *a->condition ? a->condition : "undefined-condition";

	return *a->text ? xasprintf("%s: %s", condition, a->text) : xstrdup(condition);
}

void hub_request_result(struct seat *seat, const struct link_result *a)
{
	for (struct request *q = seat->requests; q; q = q->next) {
		if (q->answered || q->number != a->request)
			continue;
		if (a->ok && q->answers)
			engine_answered(seat->engine, q->answers);
		answer(seat, q, a->ok ? 0 : HUB_E_REMOTE, a->ok ? NULL : refusal(a));
		return;
	}
}

void hub_request_stream_over(struct seat *seat)
{
	for (struct request *q = seat->requests; q; q = q->next)
		if (!q->answered)
			answer(seat, q, HUB_E_OFFLINE,
			       xstrdup("the connection ended before the server answered: ask again when it is online"));
}

static struct request *take_answered(struct seat *seat)
{
	for (struct request **p = &seat->requests; *p; p = &(*p)->next) {
		struct request *q = *p;

		if (!q->answered)
			continue;
		*p = q->next;
		return q;
	}
	return NULL;
}

/* Whoever is told may ask again, remove the account, lock the archive: look anew each time. */
static bool tell_one(struct hub *h)
{
	for (size_t i = 0; i < h->n_seats; i++) {
		struct request *q = take_answered(h->seats[i]);

		if (!q)
			continue;
		q->done(q->userdata, q->r, str_or_empty(q->why));
		request_free(q);
		return true;
	}
	return false;
}

/* What is left of a seat that goes: told from the loop as well. */
static void tell_orphans(struct hub *h)
{
	while (h->orphans) {
		struct request *q = h->orphans;

		h->orphans = q->next;
		q->done(q->userdata, q->r, str_or_empty(q->why));
		request_free(q);
	}
}

void hub_request_tell(struct hub *h)
{
	tell_orphans(h);
	while (tell_one(h))
		;
}

void hub_request_seat_goes(struct seat *seat)
{
	struct request **last = &seat->hub->orphans;

	hub_request_stream_over(seat);
	while (*last)
		last = &(*last)->next;
	*last = TAKE_PTR(seat->requests);
}

void hub_request_free(struct hub *h)
{
	while (h->orphans) {
		struct request *q = h->orphans;

		h->orphans = q->next;
		request_free(q);
	}
}

static void told_nobody(_unused_ void *userdata, _unused_ int r, _unused_ const char *why)
{
}

static void abandon(struct request **p, const void *userdata)
{
	while (*p) {
		struct request *q = *p;

		if (q->userdata != userdata) {
			p = &q->next;
			continue;
		}
		/* The answer is given all the same. */
		if (q->answers && !q->answered) {
			q->done = told_nobody;
			q->userdata = NULL;
			p = &q->next;
			continue;
		}
		*p = q->next;
		request_free(q);
	}
}

void hub_request_abandon(struct hub *h, const void *userdata)
{
	abandon(&h->orphans, userdata);
	for (size_t i = 0; i < h->n_seats; i++)
		abandon(&h->seats[i]->requests, userdata);
}

static size_t count(const struct seat *seat)
{
	size_t n = 0;

	for (const struct request *q = seat->requests; q; q = q->next)
		n++;
	return n;
}

static bool is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

bool hub_is_show(const char *show)
{
	static const char *const shows[] = { "", "away", "chat", "dnd", "xa", NULL };

	return is_one_of(show, shows);
}

static int check(uint32_t kind, const char *jid, const char *name, const char *text, char **ret_why)
{
	static const char *const subscriptions[] = { "subscribe", "subscribed", "unsubscribe", "unsubscribed", NULL };

	if (kind >= REQUEST_KINDS || (kind == REQUEST_SUBSCRIPTION && !is_one_of(name, subscriptions)) ||
	    (kind == REQUEST_PRESENCE && !hub_is_show(name))) {
		*ret_why = xasprintf("\"%.50s\" is nothing that can be asked for", name);
		return HUB_E_INVALID;
	}
	/* A block list may hold servers and single devices too (XEP-0191 section 2). */
	if (kind != REQUEST_PRESENCE && !jid_is_valid(jid)) {
		*ret_why = xasprintf("\"%.200s\" is not a JID: give it as name@server", jid);
		return HUB_E_INVALID;
	}
	return hub_check_text(name, SHORT_TEXT_MAX, "the name", ret_why) ?:
	       hub_check_text(text, 8192, "the groups or the status", ret_why);
}

int hub_request(struct hub *h, int64_t account, uint32_t kind, const char *jid, const char *name, const char *text,
		hub_answered_fn done, void *userdata, char **ret_why)
{
	struct link_request what = { .kind = kind, .jid = jid, .name = name, .text = text };
	struct request *q;
	struct seat *seat;
	uint32_t number;
	int r;

	r = hub_find_seat(h, account, &seat, ret_why);
	if (r == 0)
		r = check(kind, jid, name, text, ret_why);
	if (r != 0)
		return r;
	if (count(seat) >= REQUESTS_MAX) {
		*ret_why = xasprintf("%d requests wait for the server already: try again when some are answered",
				     REQUESTS_MAX);
		return HUB_E_LIMIT;
	}
	r = engine_request(seat->engine, &what, &number);
	if (r != 0) {
		*ret_why = xstrdup("the account is not connected: the server cannot be asked");
		return r;
	}
	q = xnew(struct request);
	*q = (struct request){ .next = seat->requests, .number = number, .done = done, .userdata = userdata };
	/* "subscribed" is yes, "unsubscribed" is no (RFC 6121 sections 3.1.4, 3.2). */
	if (kind == REQUEST_SUBSCRIPTION && (strcmp(name, "subscribed") == 0 || strcmp(name, "unsubscribed") == 0))
		q->answers = jid_bare(jid);
	seat->requests = q;
	return 0;
}
