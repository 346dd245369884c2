/* What the engine keeps of a login for the next one: offer, pin, token, address. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "story.h"
#include "torture.h"
#include "sync/engine-priv.h"

static void say_login(struct sim *s, const char *offer, uint32_t pin, const char *address)
{
	struct link_record r;

	link_record_init(&r, LINK_LOGIN);
	r.login.offer = offer;
	r.login.pin = pin;
	r.login.address = address;
	engine_record(s->engine, &r);
}

static void say_token(struct sim *s, const char *token, const char *mechanism, int64_t expiry_us, uint32_t avoid)
{
	struct link_record r;

	link_record_init(&r, LINK_TOKEN);
	r.token.token = token;
	r.token.mechanism = mechanism;
	r.token.expiry_us = expiry_us;
	r.token.avoid = avoid;
	engine_record(s->engine, &r);
}

static void say_failed(struct sim *s, enum link_failure failure)
{
	struct link_record r;

	link_record_init(&r, LINK_FAILED);
	r.failed.failure = failure;
	r.failed.text = "failed";
	engine_record(s->engine, &r);
}

/* Everything that can be learned. */
static void learn(struct sim *s)
{
	say_login(s, "1 2 3", 3, "d192.0.2.1:5223");
	say_token(s, "token one", "HT-SHA-256-NONE", 0, 0);
}

static void what_was_learned_survives_kill_9(void **state)
{
	struct sim *s = *state;
	const struct link_start *start = &s->start.start;
	char agent[40];

	given_in_sync(s, 0);
	assert_string_equal(start->offer, "");
	assert_string_equal(start->token, "");
	assert_int_equal(strlen(start->user_agent), 36);
	assert_int_equal(start->user_agent[14], '4');
	snprintf(agent, sizeof(agent), "%s", start->user_agent);
	learn(s);
	say_token(s, "token two", "HT-SHA-256-NONE", 0, 4);
	sim_kill(s);
	given_in_sync(s, 0);
	assert_string_equal(start->user_agent, agent);
	assert_string_equal(start->offer, "1 2 3");
	assert_string_equal(start->address, "d192.0.2.1:5223");
	assert_string_equal(start->token, "token two");
	assert_string_equal(start->token_mechanism, "HT-SHA-256-NONE");
	assert_int_equal(start->pin, 3);
	assert_int_equal(start->avoid, 4);
}

static void a_wire_does_not_lower_the_pin(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 0);
	learn(s);
	say_login(s, "4", 1, "");
	sim_kill(s);
	given_in_sync(s, 0);
	assert_int_equal(s->start.start.pin, 3);
	assert_string_equal(s->start.start.offer, "4");
}

static void a_token_that_has_expired_is_not_used(void **state)
{
	struct sim *s = *state;
	int64_t now_us = s->engine->io->real_us(s);

	given_in_sync(s, 0);
	say_token(s, "old", "HT-SHA-256-NONE", now_us - 1, 0);
	sim_kill(s);
	given_in_sync(s, 0);
	assert_string_equal(s->start.start.token, "");
	say_token(s, "young", "HT-SHA-256-NONE", now_us + 3600 * SIM_SEC, 0);
	sim_kill(s);
	given_in_sync(s, 0);
	assert_string_equal(s->start.start.token, "young");
}

/* With a full disk the token before stays, which the server still takes; a refused one goes all the same. */
static void a_token_counts_once_it_is_stored(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 0);
	learn(s);
	sim_disk_full(s, true);
	say_token(s, "not stored", "HT-SHA-256-NONE", 0, 0);
	assert_string_equal(s->engine->login.token, "token one");
	say_token(s, "", "", 0, 0);
	assert_string_equal(s->engine->login.token, "");
	sim_disk_full(s, false);
}

static void a_wrong_guess_is_tried_again_at_once_and_once(void **state)
{
	struct sim *s = *state;
	unsigned int before;

	given_in_sync(s, 0);
	learn(s);
	sim_kill(s);
	s->mute = true;
	engine_connect(s->engine);
	before = s->wires;
	say_failed(s, FAILURE_GUESS);
	sim_run(s, SIM_SEC / 100);
	assert_int_equal(s->wires, before + 1);
	assert_string_equal(s->start.start.offer, "");
	/* It had a token still, which was not refused: no reason to hurry. */
	say_failed(s, FAILURE_GUESS);
	sim_run(s, SIM_SEC / 100);
	assert_int_equal(s->wires, before + 1);
	assert_int_equal(s->engine->state, ENGINE_WAIT);
	sim_run(s, 2 * SIM_SEC);
	assert_int_equal(s->wires, before + 2);
	/* Now the token is what was wrong. */
	say_token(s, "", "", 0, 0);
	say_failed(s, FAILURE_GUESS);
	sim_run(s, SIM_SEC / 100);
	assert_int_equal(s->wires, before + 3);
	/* And nothing is left to be wrong. */
	say_failed(s, FAILURE_GUESS);
	sim_run(s, SIM_SEC / 100);
	assert_int_equal(s->wires, before + 3);
}

/* A server that goes silent while what was guessed is under way: the next try guesses nothing. */
static void silence_is_answered_by_knowing_less(void **state)
{
	struct sim *s = *state;
	struct link_record r;
	unsigned int before;

	given_in_sync(s, 0);
	learn(s);
	sim_kill(s);
	s->mute = true;
	engine_connect(s->engine);
	before = s->wires;
	link_record_init(&r, LINK_PHASE);
	r.phase.phase = PHASE_AUTH;
	engine_record(s->engine, &r);
	assert_string_equal(s->start.start.offer, "1 2 3");
	while (s->wires == before)
		sim_run(s, SIM_SEC);
	assert_int_equal(s->wires, before + 1);
	assert_string_equal(s->start.start.offer, "");
}

static void a_changed_setting_resets_all_but_the_user_agent(void **state)
{
	struct sim *s = *state;
	struct account a = { 0 };
	char agent[40];

	given_in_sync(s, 0);
	learn(s);
	snprintf(agent, sizeof(agent), "%s", s->engine->login.user_agent);
	account_copy(&a, engine_account(s->engine));
	str_set(&a.nick, "nobody cares");
	engine_configure(s->engine, &a, false);
	assert_string_equal(s->engine->login.token, "token one");
	engine_configure(s->engine, &a, true);
	assert_string_equal(s->engine->login.user_agent, agent);
	assert_string_equal(s->engine->login.token, "");
	assert_string_equal(s->engine->login.offer, "");
	assert_int_equal(s->engine->login.pin, 0);
	account_deinit(&a);
}

/* The same password given again after a refusal: the user accepts what the server offers now. */
static void an_answer_to_a_refusal_resets_the_pin(void **state)
{
	struct sim *s = *state;
	struct account a = { 0 };
	unsigned int before;

	given_in_sync(s, 0);
	learn(s);
	say_failed(s, FAILURE_MECHANISM);
	assert_int_equal(s->engine->state, ENGINE_REFUSED);
	assert_int_equal(s->engine->login.pin, 3);
	before = s->wires;
	account_copy(&a, engine_account(s->engine));
	engine_configure(s->engine, &a, false);
	assert_int_equal(s->wires, before + 1);
	assert_int_equal(s->start.start.pin, 0);
	account_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(what_was_learned_survives_kill_9),
		STORY(a_wire_does_not_lower_the_pin),
		STORY(a_token_that_has_expired_is_not_used),
		STORY(a_token_counts_once_it_is_stored),
		STORY(a_wrong_guess_is_tried_again_at_once_and_once),
		STORY(silence_is_answered_by_knowing_less),
		STORY(a_changed_setting_resets_all_but_the_user_agent),
		STORY(an_answer_to_a_refusal_resets_the_pin),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
