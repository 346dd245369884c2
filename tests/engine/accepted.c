#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accepted.h"
#include "store/outbox.h"

static void send_one(struct sim *s, struct accepted *a)
{
	char to[32], body[32];
	int i = a->n;

	if (a->n == SENDS_MAX)
		return;
	a->n++;
	a->sends[i].friend = pick(&a->dice, FRIENDS);
	snprintf(a->sends[i].id, sizeof(a->sends[i].id), "own-%d", i);
	snprintf(to, sizeof(to), "friend%d@sim.test", a->sends[i].friend);
	snprintf(body, sizeof(body), "own %d", i);
	a->sends[i].msg = sim_send(s, to, a->sends[i].id, body);
}

static void cancel_one(struct sim *s, struct accepted *a)
{
	int i = a->n ? a->n - 1 - pick(&a->dice, a->n < 5 ? a->n : 5) : 0, r;

	if (a->n == 0 || a->sends[i].cancelled)
		return;
	assert_int_equal(store_begin(s->store), 0);
	r = outbox_cancel(s->store, s->account.id, a->sends[i].msg);
	assert_true(r == 0 || r == OUTBOX_E_STATE);
	assert_int_equal(store_commit(s->store), 0);
	a->sends[i].cancelled = r == 0;
	engine_send(s->engine);
}

void accepted_something(struct sim *s, struct accepted *a, int few, int many)
{
	switch (pick(&a->dice, 12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		for (int n = 1 + pick(&a->dice, pick(&a->dice, 4) ? few : many); n > 0; n--)
			send_one(s, a);
		break;
	case 4:
		cancel_one(s, a);
		break;
	case 5:
		s->keeps_h = pick(&a->dice, 2);
		break;
	case 6:
		s->no_acks = pick(&a->dice, 2);
		break;
	case 7:
		s->net_us = pick(&a->dice, 3) ? 20000 : (int64_t)pick(&a->dice, 20) * SIM_SEC;
		break;
	case 8:
		s->no_numbers = pick(&a->dice, 2);
		break;
	case 9: /* break off in the middle of a burst */
		s->net_us = SIM_SEC / 2;
		send_one(s, a);
		send_one(s, a);
		for (int n = pick(&a->dice, 8); n > 0; n--)
			sim_run(s, SIM_SEC / 20);
		sim_cut(s);
		break;
	case 10:
		s->h_too_high = pick(&a->dice, 3) ? 0 : 1 + (uint32_t)pick(&a->dice, 5000);
		break;
	default:
		sim_run(s, (int64_t)pick(&a->dice, 50) * 1000);
		break;
	}
}

void accepted_retry_cancelled(struct sim *s, struct accepted *a)
{
	for (int i = 0, n = a->n; i < n; i++) {
		if (!a->sends[i].cancelled)
			continue;
		if (sim_received(s, a->sends[i].id, NULL))
			fail_msg("seed %u: %s was cancelled and arrived", s->seed, a->sends[i].id);
		assert_int_equal(store_begin(s->store), 0);
		assert_int_equal(outbox_retry(s->store, s->account.id, a->sends[i].msg, 0), 0);
		assert_int_equal(store_commit(s->store), 0);
		engine_send(s->engine);
	}
}

void accepted_expect_arrived(struct sim *s, const struct accepted *a, bool retried)
{
	int at = 0;

	for (int i = 0; i < a->n; i++)
		if (sim_received(s, a->sends[i].id, NULL) != (a->sends[i].cancelled && !retried ? 0 : 1))
			fail_msg("seed %u: %s arrived %d times%s", s->seed, a->sends[i].id,
				 sim_received(s, a->sends[i].id, NULL), a->sends[i].cancelled ? " (cancelled)" : "");
	for (int f = 0; f < FRIENDS; f++) {
		char to[32];

		snprintf(to, sizeof(to), "friend%d@sim.test", f);
		at = 0;
		for (int pass = 0; pass < 1 + retried; pass++) {
			for (int i = 0; i < a->n; i++) {
				if (a->sends[i].friend != f || a->sends[i].cancelled != (pass > 0))
					continue;
				while (at < s->n_sent && strcmp(s->sent[at].to, to) != 0)
					at++;
				if (at == s->n_sent || strcmp(s->sent[at].id, a->sends[i].id) != 0)
					fail_msg("seed %u: %s arrived where %s should", s->seed,
						 at < s->n_sent ? s->sent[at].id : "nothing", a->sends[i].id);
				at++;
			}
		}
	}
}
