#include "story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "link/link.h"
#include "sync/engine-priv.h"

#define NEVER_US (60 * SIM_SEC)

static struct shared {
	bool used;
	struct sim sim;
} *shared;

struct sim *story_memory(void)
{
	if (!shared || shared->used)
		return xnew(struct sim);
	shared->used = true;
	return &shared->sim;
}

void story_forget(struct sim *s)
{
	if (!shared || s != &shared->sim) {
		free(s);
		return;
	}
	shared->used = false;
	*s->dir = '\0';
}

struct sim *story_share(void)
{
	if (!shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert_true(shared != MAP_FAILED);
	}
	shared->used = false;
	return &shared->sim;
}

int story_begin(void **state)
{
	struct sim *s = story_memory();

	sim_init(s, 1);
	*state = s;
	return 0;
}

int story_end(void **state)
{
	sim_deinit(*state);
	story_forget(*state);
	return 0;
}

void a_page_of_history_comes(struct sim *s)
{
	while (!s->engine->whole || s->engine->whole->step != PLAN_BEFORE)
		if (!sim_step(s))
			sim_run(s, 1);
}

void given_in_sync(struct sim *s, int n)
{
	sim_fill(s, n, 2, 60 * SIM_SEC);
	comes_in_sync(s);
}

void comes_in_sync(struct sim *s)
{
	engine_connect(s->engine);
	assert_true(sim_settle(s, 600 * SIM_SEC));
}

void given_long_online(struct sim *s)
{
	sim_run(s, SIM_SEC);
	given_in_sync(s, 5);
	sim_run(s, HOUR);
}

void given_contact(struct sim *s, const char *jid, const char *subscription)
{
	struct link_record r;

	link_record_init(&r, LINK_ROSTER);
	r.roster.jid = jid;
	r.roster.subscription = subscription;
	r.roster.last = true;
	engine_record(s->engine, &r);
	sim_run(s, SIM_SEC);
}

void server_is(struct sim *s, bool prosody)
{
	s->item_not_found = prosody;
	s->resolution_us = prosody ? SIM_SEC : 1;
}

void session_is_lost(struct sim *s)
{
	sim_cut(s);
	sim_forget_session(s);
}

void away(struct sim *s, int64_t us, int n, int contacts)
{
	session_is_lost(s);
	s->boot_us += us;
	sim_fill(s, n, contacts, us / (n + 1));
}

void until_a_hole_is_open(struct sim *s)
{
	engine_connect(s->engine);
	while (s->engine->cover.n < 2)
		sim_run(s, 1);
}

uint32_t open_gaps(struct sim *s)
{
	struct account_status st;

	engine_status(s->engine, &st);
	return st.gaps;
}

const char *state_of(struct sim *s)
{
	static struct account_status st;

	engine_status(s->engine, &st);
	return st.state;
}

void expect_all_when_quiet(struct sim *s)
{
	assert_true(sim_settle(s, 6 * HOUR));
	engine_sync_now(s->engine);
	assert_true(sim_settle(s, 6 * HOUR));
	sim_expect_all(s, 0);
}

enum errand_state errand_ends(struct sim *s, uint32_t id)
{
	const char *why;

	for (int i = 0; i < 60 && engine_errand_state(s->engine, id, NULL, &why) == ERRAND_RUNNING; i++)
		sim_run(s, SIM_SEC);
	return engine_errand_state(s->engine, id, NULL, &why);
}

const struct verify_tally *verified(struct sim *s, const char *with, int64_t since_us)
{
	assert_int_equal(engine_verify(s->engine, with, since_us), 0);
	for (int i = 0; i < 600 && engine_verifying(s->engine)->state < VERIFY_DONE; i++)
		sim_run(s, SIM_SEC);
	assert_int_equal(engine_verifying(s->engine)->state, VERIFY_DONE);
	return &engine_verifying(s->engine)->tally;
}

void link_swallows(struct sim *s, int reach)
{
	s->no_acks = true;
	s->reach = reach;
	s->net_us = NEVER_US;
}

void link_is_whole(struct sim *s)
{
	s->no_acks = false;
	s->net_us = SIM_NET_US;
}

void run_until_gone(struct sim *s, int n)
{
	for (int i = 0; i < 10000 && flight_gone(&s->engine->flight) < (size_t)n; i++)
		sim_run(s, 1000);
	assert_int_equal(flight_gone(&s->engine->flight), n);
}

int64_t send_n(struct sim *s, const char *to, int n)
{
	char id[16], body[32];

	snprintf(id, sizeof(id), "m%d", n);
	snprintf(body, sizeof(body), "sent %d", n);
	return sim_send(s, to, id, body);
}

void given_gone(struct sim *s, int n, int reach)
{
	link_swallows(s, reach);
	for (int i = 0; i < n; i++)
		send_n(s, BOB, i);
	run_until_gone(s, n);
}

void expect_sent(struct sim *s, int n)
{
	char id[48];
	int next = 0;

	for (int i = 0; i < s->n_sent; i++) {
		if (s->sent[i].kind != OUT_TEXT)
			continue;
		snprintf(id, sizeof(id), "m%d", next);
		if (strcmp(s->sent[i].id, id) != 0)
			fail_msg("seed %u: %s arrived where %s should", s->seed, s->sent[i].id, id);
		next++;
	}
	if (next != n)
		fail_msg("seed %u: %d messages arrived instead of %d", s->seed, next, n);
}

void says_silent(struct sim *s)
{
	struct link_record r;

	link_record_init(&r, LINK_SILENT);
	r.silent.answer_ms = 6000;
	engine_record(s->engine, &r);
}

void says_alive(struct sim *s, uint32_t probe)
{
	struct link_record r;

	link_record_init(&r, LINK_ALIVE);
	r.alive.probe = probe;
	engine_record(s->engine, &r);
}
