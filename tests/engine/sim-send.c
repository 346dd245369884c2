/* sim.h: the way out: numbers, the network, what the server has and the receivers got. */
#define _GNU_SOURCE
#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link/link.h"
#include "store/db.h"
#include "store/outbox.h"
#include "store/read.h"
#include "sync/engine-priv.h"

#define SENT_LOW 32 /* numbers left of the grant when the wire tells the keeper, as in wire/limits.h */
#define NEWS_SENT UINT64_MAX /* of sim.news_item: SENT */

/* ---- the user ---- */

int64_t sim_send(struct sim *s, const char *to, const char *id, const char *body)
{
	struct outgoing o = { .kind = OUT_TEXT, .conversation = to, .client_id = id, .body = body, .emojis = "" };
	int64_t msg = 0;
	bool existing;

	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(outbox_put(s->store, s->account.id, s->account.jid, &o, s->engine->io->real_us(s), &msg,
				    &existing), 0);
	assert_int_equal(store_commit(s->store), 0);
	engine_send(s->engine);
	return msg;
}

int sim_received(const struct sim *s, const char *id, int64_t *ret_delay)
{
	int n = 0;

	for (int i = 0; i < s->n_sent; i++) {
		if (strcmp(s->sent[i].id, id) != 0)
			continue;
		n++;
		if (ret_delay)
			*ret_delay = s->sent[i].delay_us;
	}
	return n;
}

static int take_state(void *userdata, const struct message_row *row)
{
	*(uint32_t *)userdata = row->state;
	return 0;
}

uint32_t sim_state(struct sim *s, int64_t msg)
{
	uint32_t state = UINT32_MAX;

	assert_int_equal(read_messages(s->store, s->account.id, &msg, 1, take_state, &state), 0);
	return state;
}

/* ---- the server ---- */

static void arrive(struct sim *s, const struct sim_held *x)
{
	struct sim_sent *z;

	s->h = x->n;
	if (x->item == 0 || x->withdrawn)
		return;
	assert_true(s->n_sent < SIM_SENT_MAX);
	z = &s->sent[s->n_sent++];
	*z = (struct sim_sent){ .kind = x->kind, .delay_us = x->delay_us };
	snprintf(z->to, sizeof(z->to), "%s", x->to);
	snprintf(z->id, sizeof(z->id), "%s", x->id);
	snprintf(z->target, sizeof(z->target), "%s", x->target);
	snprintf(z->body, sizeof(z->body), "%s", x->body);
	if (x->kind == OUT_TEXT && !s->no_archive && !s->no_copies) {
		struct sim_message *m = &s->archive[sim_archive(s, x->to, true, x->body, 0)];

		m->own = true;
		snprintf(m->xid, sizeof(m->xid), "%s", x->id);
	}
}

static void take_first(struct sim *s)
{
	s->n_held--;
	memmove(&s->held[0], &s->held[1], (size_t)s->n_held * sizeof(*s->held));
	s->net_ready_us = s->boot_us + s->net_us;
}

static void news(struct sim *s, uint64_t item, uint32_t n)
{
	assert_true(s->n_news < SIM_NEWS_MAX);
	s->news_item[s->n_news] = item;
	s->news_n[s->n_news++] = n;
}

static bool is_poison(const struct sim *s, const struct sim_held *x)
{
	return !s->takes_poison && strcmp(x->body, "poison") == 0;
}

static void poisoned(struct sim *s)
{
	struct link_record r;

	if (s->forgets_poison)
		sim_forget_session(s);
	s->n_held = s->n_news = 0;
	if (s->mute_poison) {
		sim_close(s);
		return;
	}
	link_record_init(&r, LINK_FAILED);
	r.failed.failure = FAILURE_STREAM;
	r.failed.condition = "policy-violation";
	r.failed.text = "that is too much";
	engine_record(s->engine, &r);
}

void sim_send_cut(struct sim *s)
{
	int reach = s->reach >= 0 || !s->n_held ? s->reach : rand_r(&s->dice) % 8;

	if (s->wire && s->attached)
		for (; reach > 0 && s->n_held && s->held[0].gone && !is_poison(s, &s->held[0]); reach--) {
			arrive(s, &s->held[0]);
			take_first(s);
		}
	for (int i = 0; s->lingers && i < s->n_held && s->held[i].gone; i++)
		s->lingering[s->n_lingering++] = s->held[i];
	s->n_held = s->n_news = 0;
}

void sim_send_linger(struct sim *s, int n)
{
	uint32_t h = s->h;

	for (; n > 0 && s->n_lingering > 0; n--) {
		arrive(s, &s->lingering[0]);
		s->n_lingering--;
		memmove(&s->lingering[0], &s->lingering[1], (size_t)s->n_lingering * sizeof(s->lingering[0]));
	}
	s->h = h; /* the new session's */
}

void sim_send_bound(struct sim *s)
{
	s->h = s->told_h = s->out_n = s->sent_told = s->first_n;
	s->grant = s->first_n + LINK_FIRST_GRANT;
}

void sim_send_resumed(struct sim *s)
{
	s->out_n = s->told_h = s->sent_told = s->h;
	s->grant = s->start.start.grant;
}

/* ---- the wire ---- */

static struct sim_held *hold(struct sim *s, uint64_t item)
{
	struct sim_held *x = &s->held[s->n_held++];

	assert_true(s->n_held < SIM_HELD_MAX);
	*x = (struct sim_held){ .item = item };
	return x;
}

/* As far as numbers are granted; what is left over waits. */
static void number(struct sim *s)
{
	for (int i = 0; i < s->n_held && (int32_t)(s->grant - s->out_n) > 0; i++) {
		struct sim_held *x = &s->held[i];

		if (x->numbered)
			continue;
		x->numbered = true;
		x->n = ++s->out_n;
		if (x->item)
			news(s, x->item, x->n);
	}
	if (s->out_n == s->sent_told || (int32_t)(s->grant - s->out_n) > SENT_LOW)
		return;
	s->sent_told = s->out_n;
	news(s, NEWS_SENT, s->out_n);
}

static void on_send(struct sim *s, const struct link_send *m)
{
	struct sim_held *x;

	/* The wire sends stanzas of its own between them. */
	if (rand_r(&s->dice) % 4 == 0)
		hold(s, 0);
	x = hold(s, m->item);
	s->sends++;
	x->kind = m->kind;
	x->delay_us = m->delay_us;
	snprintf(x->to, sizeof(x->to), "%s", m->to);
	snprintf(x->id, sizeof(x->id), "%s", m->id);
	snprintf(x->target, sizeof(x->target), "%s", m->target_id);
	snprintf(x->body, sizeof(x->body), "%s", m->body);
	number(s);
}

static void on_go(struct sim *s, uint32_t n)
{
	/* docs/decisions/0008: the number is durable before a byte leaves. */
	assert_false(s->store->in_tx);
	s->gos++;
	for (int i = 0; i < s->n_held; i++) {
		if (!s->held[i].numbered || (s->held[i].item && (int32_t)(n - s->held[i].n) < 0))
			break;
		if (!s->held[i].gone && i == 0)
			s->net_ready_us = s->boot_us + s->net_us;
		s->held[i].gone = true;
	}
}

static void on_withdraw(struct sim *s, uint32_t n)
{
	for (int i = 0; i < s->n_held; i++) {
		if (!s->held[i].numbered || s->held[i].n != n)
			continue;
		assert_false(s->held[i].gone);
		s->held[i].withdrawn = true;
		return;
	}
	fail_msg("seed %u: number %u is withdrawn, which nothing has", s->seed, n);
}

/* Numbers are used when the row says that they may have been: after a crash it is compared with the server's h (D8). */
static void on_grant(struct sim *s, uint32_t n)
{
	struct session row = { 0 };

	assert_false(s->store->in_tx);
	assert_int_equal(session_load(s->store, s->account.id, &row), 0);
	assert_int_equal(n, row.grant);
	session_deinit(&row);
	s->grants++;
	if ((int32_t)(n - s->grant) > 0)
		s->grant = n;
	number(s);
}

bool sim_send_record(struct sim *s, const struct link_record *r)
{
	switch (r->kind) {
	case LINK_SEND:
		on_send(s, &r->send);
		return true;
	case LINK_GO:
		on_go(s, r->go.n);
		return true;
	case LINK_WITHDRAW:
		on_withdraw(s, r->withdraw.n);
		return true;
	case LINK_GRANT:
		on_grant(s, r->grant.n);
		return true;
	default:
		return false;
	}
}

static bool tell_news(struct sim *s)
{
	uint64_t item = s->news_item[0];
	uint32_t n = s->news_n[0];
	struct link_record r;

	if (s->n_news == 0 || (item && s->no_numbers))
		return false;
	s->n_news--;
	memmove(&s->news_item[0], &s->news_item[1], (size_t)s->n_news * sizeof(*s->news_item));
	memmove(&s->news_n[0], &s->news_n[1], (size_t)s->n_news * sizeof(*s->news_n));
	link_record_init(&r, item == NEWS_SENT ? LINK_SENT : item ? LINK_NUMBERED : LINK_ACKED);
	if (item == NEWS_SENT) {
		r.sent.n = n;
	} else if (item) {
		r.numbered.item = item;
		r.numbered.n = n;
	} else {
		r.acked.n = n;
	}
	engine_record(s->engine, &r);
	return true;
}

/* The wire asks behind each item, and again until it has an answer. */
static bool acknowledge(struct sim *s)
{
	if (s->no_acks || !s->attached || s->told_h == s->h || (s->n_held && s->held[0].gone))
		return false;
	s->told_h = s->h;
	news(s, 0, s->h);
	return true;
}

bool sim_send_step(struct sim *s)
{
	if (tell_news(s))
		return true;
	/* What leaves on a dead connection gets nowhere, or so far and no answer comes back: sim_send_cut(). */
	if (s->dead)
		return false;
	if (acknowledge(s))
		return true;
	if (!s->attached || !s->n_held || !s->held[0].gone || s->net_ready_us > s->boot_us)
		return false;
	if (is_poison(s, &s->held[0]) && !s->held[0].withdrawn) {
		poisoned(s);
		return true;
	}
	arrive(s, &s->held[0]);
	take_first(s);
	return true;
}

int64_t sim_send_ready(const struct sim *s)
{
	if (s->dead || !s->attached || !s->n_held || !s->held[0].gone || s->net_ready_us <= s->boot_us)
		return 0;
	return s->net_ready_us;
}
