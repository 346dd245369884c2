#include "wire/iq.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"

struct request {
	struct request *next;
	char *id;
	char *to;
	int64_t deadline_us;
	iq_done_fn done;
	void *userdata;
	uint32_t cookie;
};

struct iq_table {
	char *own_bare;
	uint64_t random;
	uint32_t last_id;
	size_t n;
	struct request *first;
};

struct iq_table *iq_table_new(const char *own_bare)
{
	struct iq_table *t = xnew(struct iq_table);

	t->own_bare = xstrdup(own_bare);
	if (getrandom(&t->random, sizeof(t->random), 0) != sizeof(t->random))
		abort();
	return t;
}

static void request_free(struct request *q)
{
	free(q->id);
	free(q->to);
	free(q);
}

struct iq_table *iq_table_free(struct iq_table *t)
{
	struct request *next;

	if (!t)
		return NULL;
	for (struct request *q = t->first; q; q = next) {
		next = q->next;
		request_free(q);
	}
	free(t->own_bare);
	free(t);
	return NULL;
}

void iq_table_set_own(struct iq_table *t, const char *own_bare)
{
	str_set(&t->own_bare, own_bare);
}

char *iq_new_id(struct iq_table *t)
{
	return xasprintf("%" PRIx64 "-%" PRIu32, t->random, ++t->last_id);
}

bool iq_expect(struct iq_table *t, const char *id, const char *to, int64_t deadline_us, iq_done_fn done,
	       void *userdata, uint32_t cookie)
{
	struct request *q;

	if (t->n >= IQ_PENDING_MAX)
		return false;
	q = xnew(struct request);
	q->id = xstrdup(id);
	q->to = xstrdup(to);
	q->deadline_us = deadline_us;
	q->done = done;
	q->userdata = userdata;
	q->cookie = cookie;
	q->next = t->first;
	t->first = q;
	t->n++;
	return true;
}

static bool from_matches(const struct iq_table *t, const struct request *q, const char *from)
{
	const char *to = *q->to ? q->to : t->own_bare;

	if (!*from)
		from = t->own_bare;
	return strcmp(from, to) == 0;
}

static void end_request(struct iq_table *t, struct request **at, const struct iq_answer *a)
{
	struct request *q = *at;

	*at = q->next;
	t->n--;
	q->done(q->userdata, q->cookie, a);
	request_free(q);
}

bool iq_settle(struct iq_table *t, xmpp_stanza_t *iq, const char *dropped, uint32_t n)
{
	const char *id = element_attr(iq, "id");
	const char *from = element_attr(iq, "from");
	struct iq_answer a = { .iq = iq, .n = n, .condition = "" };

	for (struct request **at = &t->first; *at; at = &(*at)->next) {
		if (strcmp((*at)->id, id) != 0 || !from_matches(t, *at, from))
			continue;
		a.ok = strcmp(element_attr(iq, "type"), "result") == 0 && !dropped;
		if (dropped)
			a.condition = "policy-violation";
		else if (!a.ok)
			a.condition = element_condition(element_child(iq, "error", NS_CLIENT), NS_STANZAS_ERROR);
		end_request(t, at, &a);
		return true;
	}
	return false;
}

int64_t iq_expire(struct iq_table *t, int64_t now_us)
{
	const struct iq_answer late = { .condition = "remote-server-timeout" };
	int64_t earliest = 0;
	struct request **at = &t->first;

	while (*at) {
		if ((*at)->deadline_us <= now_us) {
			end_request(t, at, &late);
			/* The callback may have opened new ones in front: look again from the start. */
			at = &t->first;
			continue;
		}
		at = &(*at)->next;
	}
	for (const struct request *q = t->first; q; q = q->next)
		if (!earliest || q->deadline_us < earliest)
			earliest = q->deadline_us;
	return earliest;
}
