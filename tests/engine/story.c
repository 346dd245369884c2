#include "story.h"

#include <stdlib.h>
#include <sys/mman.h>

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

void session_is_lost(struct sim *s)
{
	sim_cut(s);
	sim_forget_session(s);
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
