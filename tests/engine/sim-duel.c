/* sim.h: the second wire (decisions/0013), and what a probe of the first one brings. */
#define _GNU_SOURCE
#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "link/link.h"
#include "store/account.h"
#include "sync/engine-priv.h"

/* ---- the second wire ---- */

int sim_second_spawn(void *userdata, const struct link_record *start)
{
	struct sim *s = userdata;

	/* Only beside a stream, only to resume it, and only one. */
	assert_true(s->wire && !s->second);
	assert_true(start->start.hold);
	assert_string_equal(start->start.sm_id, s->session);
	s->second = true;
	s->seconds++;
	s->second_said = false;
	s->second_ready_us = s->held_us ? s->boot_us + s->held_us : 0;
	s->second_start = *start;
	snprintf(s->second_sm_id, sizeof(s->second_sm_id), "%s", start->start.sm_id);
	return 0;
}

void sim_second_kill(void *userdata)
{
	struct sim *s = userdata;

	assert_true(s->second);
	s->second = false;
	s->second_ready_us = 0;
}

void sim_second_promote(void *userdata)
{
	struct sim *s = userdata;

	/* Never two: the first was killed or has ended. */
	assert_true(s->second && !s->wire && !s->attached);
	s->second = false;
	s->wire = true;
	s->wires++;
	s->announced = s->dead = s->no_address = s->hangs = false;
	s->no_word = true;
	s->probe = 0;
	s->start = s->second_start;
	snprintf(s->start_sm_id, sizeof(s->start_sm_id), "%s", s->second_sm_id);
}

/* What the resume will say is what the disk says: promise 1, from one wire to the next. */
static void on_resume(struct sim *s, const struct link_resume *r)
{
	struct session row = { 0 };

	assert_true(s->no_word);
	assert_int_equal(session_load(s->store, s->account.id, &row), 0);
	assert_int_equal(r->sm_in, row.h_in);
	assert_int_equal(r->sm_out, row.h_out);
	assert_int_equal(r->grant, row.grant);
	session_deinit(&row);
	s->no_word = false;
	s->start.start.sm_in = r->sm_in;
	s->start.start.sm_out = r->sm_out;
	s->start.start.grant = r->grant;
}

static void second_speaks(struct sim *s)
{
	struct link_record r;

	s->second_said = true;
	if (s->second_breaks) {
		link_record_init(&r, LINK_FAILED);
		r.failed.failure = FAILURE_TLS;
	} else {
		link_record_init(&r, LINK_PHASE);
		r.phase.phase = PHASE_HELD;
	}
	engine_second_record(s->engine, &r);
}

/* ---- the first ---- */

static void on_probe(struct sim *s, const struct link_probe *p)
{
	int64_t due = s->boot_us + (int64_t)p->answer_ms * 1000;

	s->probe = p->probe;
	if (p->answer_ms == 0)
		return;
	s->probes++;
	if (s->hangs)
		return;
	if (s->no_address) {
		s->lost_at_us = s->boot_us;
	} else if (s->announced) {
		if (!s->dead && !s->answer_at_us)
			s->answer_at_us = s->boot_us + s->alive_us;
		if (!s->lost_at_us || s->lost_at_us > due)
			s->lost_at_us = due;
	}
}

bool sim_duel_record(struct sim *s, const struct link_record *r)
{
	switch (r->kind) {
	case LINK_PROBE:
		on_probe(s, &r->probe);
		return true;
	case LINK_RESUME:
		on_resume(s, &r->resume);
		return true;
	default:
		return false;
	}
}

void sim_duel_forget(struct sim *s)
{
	s->answer_at_us = s->lost_at_us = 0;
}

static bool due(const struct sim *s, int64_t at_us)
{
	return at_us && at_us <= s->boot_us;
}

bool sim_duel_step(struct sim *s)
{
	struct link_record r;

	if (s->second && !s->second_said && due(s, s->second_ready_us)) {
		second_speaks(s);
		return true;
	}
	if (!s->dead && due(s, s->answer_at_us)) {
		sim_duel_forget(s);
		link_record_init(&r, LINK_ALIVE);
		r.alive.probe = s->probe;
		engine_record(s->engine, &r);
		return true;
	}
	if (due(s, s->lost_at_us)) {
		sim_duel_forget(s);
		link_record_init(&r, LINK_FAILED);
		r.failed.failure = FAILURE_LOST;
		r.failed.text = "the server does not answer any more";
		engine_record(s->engine, &r);
		return true;
	}
	return false;
}

static void sooner(const struct sim *s, int64_t *at, int64_t other)
{
	if (other > s->boot_us && (!*at || other < *at))
		*at = other;
}

int64_t sim_duel_ready(const struct sim *s)
{
	int64_t at = 0;

	if ((s->second && !s->second_said) || (s->wire && !s->announced && !s->no_word))
		sooner(s, &at, s->second_ready_us);
	if (!s->dead)
		sooner(s, &at, s->answer_at_us);
	sooner(s, &at, s->lost_at_us);
	return at;
}
