/* sim.h: the server's archive, live stanzas, its answers, and what becomes of its session. */
#define _GNU_SOURCE
#include "sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "sync/engine-priv.h"

static struct sim_stanza *push(struct sim *s, enum sim_kind kind)
{
	struct sim_stanza *z;

	if (s->q_head == s->q_tail)
		s->q_head = s->q_tail = s->q_next = 0;
	if (s->q_tail >= SIM_QUEUE_MAX)
		fail_msg("seed %u: the engine asks without end (%d questions)", s->seed, s->queries);
	z = &s->queue[s->q_tail++];
	*z = (struct sim_stanza){ .n = ++s->counter, .kind = kind, .wire = s->wires, .first = -1, .last = -1,
				   .ready_us = s->boot_us + s->delay_us };
	return z;
}

static int add(struct sim *s, const char *peer, bool out, const char *body, int64_t us)
{
	struct sim_message *m = &s->archive[s->n];

	assert_true(s->n < SIM_MESSAGES_MAX);
	*m = (struct sim_message){ 0 };
	snprintf(m->id, sizeof(m->id), "%c%d", s->prefix, s->n);
	snprintf(m->xid, sizeof(m->xid), "%.*sx%d", s->generation, "zzzzzzzz", s->n);
	snprintf(m->peer, sizeof(m->peer), "%s", peer);
	snprintf(m->body, sizeof(m->body), "%s", body);
	m->out = out;
	m->asks = out ? 0 : s->asks;
	if (s->jitter_us)
		us -= rand_r(&s->dice) % s->jitter_us;
	m->us = us - us % s->resolution_us;
	return s->n++;
}

int sim_archive(struct sim *s, const char *peer, bool out, const char *body, int64_t ago_us)
{
	return add(s, peer, out, body, SIM_T0 + s->boot_us + s->clock_us - ago_us);
}

void sim_fill(struct sim *s, int n, int contacts, int64_t step_us)
{
	char peer[32], body[32];

	for (int i = 0; i < n; i++) {
		snprintf(peer, sizeof(peer), "c%d@sim.test", i % contacts);
		snprintf(body, sizeof(body), "text %d", s->n);
		sim_archive(s, peer, i % 7 == 3, body, (n - i) * step_us);
	}
}

void sim_archive_anew(struct sim *s)
{
	sim_cut(s);
	sim_forget_session(s);
	s->n = s->expired = 0;
	s->generation++;
}

void sim_archive_moved(struct sim *s, char prefix)
{
	sim_cut(s);
	sim_forget_session(s);
	s->prefix = prefix;
	for (int i = 0; i < s->n; i++)
		snprintf(s->archive[i].id, sizeof(s->archive[i].id), "%c%d", prefix, i);
}

int sim_live(struct sim *s, const char *peer, const char *body)
{
	int i = sim_archive(s, peer, false, body, 0);

	if (*s->session)
		push(s, SIM_LIVE)->message = i;
	return i;
}

void sim_live_turned(struct sim *s, const char *peer, const char *one, const char *two)
{
	int first = sim_archive(s, peer, false, one, 0), second = sim_archive(s, peer, false, two, 0);

	if (!*s->session)
		return;
	push(s, SIM_LIVE)->message = second;
	push(s, SIM_LIVE)->message = first;
}

static int index_of(const struct sim *s, const char *id)
{
	int i = atoi(id + 1);

	return *id == s->prefix && i >= s->expired && i < s->n && !s->archive[i].deleted ? i : -1;
}

static void fail_query(struct sim *s, uint32_t query)
{
	push(s, SIM_FAILED)->query = query;
}

static bool in_window(const struct sim *s, const struct link_query *q, int i)
{
	return !s->archive[i].deleted && (!q->start_us || s->archive[i].us >= q->start_us) &&
	       (!q->end_us || s->archive[i].us <= q->end_us) && (!*q->with || strcmp(q->with, s->archive[i].peer) == 0);
}

/*
 * What was pushed from ${from} on goes before what has never been given to a wire; once. What had a number once keeps it: after
 * a resume the server repeats what is unacknowledged before all else (XEP-0198 section 5).
 */
static void overtake(struct sim *s, int from)
{
	struct sim_stanza late[SIM_PAGE_MAX];
	int n = from - s->q_next;
	int64_t us = n > 0 ? s->queue[s->q_next].ready_us : 0;

	if (n <= 0 || n > SIM_PAGE_MAX)
		return;
	for (int i = s->q_next; i < from; i++)
		if (s->queue[i].given || s->queue[i].overtaken)
			return;
	for (int i = s->q_next; i < from; i++)
		s->queue[i].overtaken = true;
	memcpy(late, &s->queue[s->q_next], (size_t)n * sizeof(*late));
	memmove(&s->queue[s->q_next], &s->queue[from], (size_t)(s->q_tail - from) * sizeof(*late));
	memcpy(&s->queue[s->q_tail - n], late, (size_t)n * sizeof(*late));
	for (int i = s->q_next; i < s->q_tail; i++) {
		s->queue[i].n = s->counter - (uint32_t)(s->q_tail - 1 - i);
		s->queue[i].ready_us = s->queue[i].ready_us < us ? s->queue[i].ready_us : us;
	}
}

static void answer_page(struct sim *s, const struct link_query *q)
{
	int top = s->n - 1, low = s->expired, n = 0, max = (int)(q->max < s->page_cap ? q->max : s->page_cap);
	int found[SIM_PAGE_MAX];
	struct sim_stanza *z;
	bool more = false;

	s->queries++;
	if ((int)query_count(s->engine->asked) > s->lanes_seen)
		s->lanes_seen = (int)query_count(s->engine->asked);
	if (s->empty_fins) {
		push(s, SIM_FIN)->query = q->query;
		return;
	}
	if (*q->cursor) {
		top = index_of(s, q->cursor) - 1;
		if (top < -1) {
			if (s->item_not_found) {
				fail_query(s, q->query);
				return;
			}
			top = atoi(q->cursor + 1) - 1 < s->n ? atoi(q->cursor + 1) - 1 : s->n - 1;
		}
	}
	if (s->never_complete)
		top = s->n - 1;
	/* Newest first: those in the window, each by its own stamp, for the server's clock may have stepped back. */
	for (int i = top; i >= low && n < max; i--)
		if (in_window(s, q, i))
			found[n++] = i;
	for (int i = n ? found[n - 1] - 1 : top; i >= low && !more; i--)
		more = in_window(s, q, i);
	for (int i = n; i-- > 0;) {
		z = push(s, SIM_RESULT);
		z->query = q->query;
		z->message = found[i];
	}
	if (s->no_fins)
		return;
	z = push(s, SIM_FIN);
	z->query = q->query;
	z->complete = !more && !s->never_complete;
	if (n) {
		z->first = found[n - 1];
		z->last = found[0];
	}
	if (s->overtakes)
		overtake(s, s->q_tail - n - 1);
}

/* What it says is of now, not of when it is read. */
static void answer_metadata(struct sim *s, uint32_t query)
{
	struct sim_stanza *z = push(s, SIM_META);

	z->query = query;
	z->first = s->n > s->expired ? s->expired : -1;
	z->last = s->n - 1;
}

static bool is_stored(struct sim *s, int message)
{
	int64_t us, row;

	/* A receipt is a place without a row. */
	return read_aid_time(s->store, s->engine->archive, s->archive[message].id, &us, &row) == 0 &&
	       (row || s->archive[message].receipt);
}

/* The engine holds this stanza in memory alone. */
static bool in_memory(const struct sim *s, const struct sim_stanza *z)
{
	const struct query *lists[] = { s->engine->asked, s->engine->whole, s->engine->aside };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next)
			for (size_t k = 0; q->id == z->query && k < q->n; k++)
				if (q->numbers[k] == z->n)
					return true;
	return false;
}

void sim_acknowledge(struct sim *s, uint32_t n)
{
	/* Promise 1: never beyond what was sent, and nothing unacknowledged is dropped that is not durable. */
	assert_true((int32_t)(s->counter - n) >= 0);
	s->committed = n;
	while (s->q_head < s->q_tail && (int32_t)(n - s->queue[s->q_head].n) >= 0) {
		const struct sim_stanza *z = &s->queue[s->q_head];

		if (z->kind == SIM_RESULT && z->wire == s->wires && in_memory(s, z) && !is_stored(s, z->message))
			fail_msg("seed %u: a result was acknowledged before it was stored", s->seed);
		if (z->kind == SIM_LIVE && sim_count(s, s->archive[z->message].body) != 1)
			fail_msg("seed %u: acknowledged but not stored once: %s", s->seed, s->archive[z->message].body);
		s->q_head++;
	}
	if (s->q_next < s->q_head)
		s->q_next = s->q_head;
}

static void note_request(struct sim *s, const struct link_request *q)
{
	struct sim_request *to = &s->requests[s->n_requests++ % SIM_REQUESTS_MAX];

	*to = (struct sim_request){ .number = q->request, .kind = q->kind };
	snprintf(to->jid, sizeof(to->jid), "%s", q->jid);
	snprintf(to->name, sizeof(to->name), "%s", q->name);
}

int sim_server_send(void *userdata, const struct link_record *r)
{
	struct sim *s = userdata;

	if (!s->wire)
		return -ENOTCONN;
	if (sim_send_record(s, r) || sim_duel_record(s, r))
		return 0;
	switch (r->kind) {
	case LINK_START:
		s->start = *r;
		snprintf(s->start_sm_id, sizeof(s->start_sm_id), "%s", r->start.sm_id);
		break;
	case LINK_COMMITTED:
		sim_acknowledge(s, r->committed.n);
		break;
	case LINK_QUERY:
		answer_page(s, &r->query);
		break;
	case LINK_META_QUERY:
		if (s->no_metadata)
			fail_query(s, r->meta_query.query);
		else
			answer_metadata(s, r->meta_query.query);
		break;
	case LINK_REQUEST:
		note_request(s, &r->request);
		break;
	case LINK_STOP:
		if (r->stop.final)
			*s->session = '\0';
		break;
	default:
		break;
	}
	return 0;
}
