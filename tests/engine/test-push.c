/* P4: the push service that keeps a sleeping phone's session: what the server is asked, when, and what its answers do. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "link/link.h"
#include "story.h"
#include "sync/engine-priv.h"

#define FEATURES "urn:xmpp:carbons:2\nurn:xmpp:push:0\nx"

/* As the hub stores a setting. */
static void set_service(struct sim *s, const char *service)
{
	struct account a = { 0 };

	account_copy(&a, engine_account(s->engine));
	str_set(&a.push_service, service);
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(account_update(s->store, &a), 0);
	assert_int_equal(store_commit(s->store), 0);
	engine_configure(s->engine, &a, false);
	account_deinit(&a);
}

static const struct sim_request *request(const struct sim *s, int back)
{
	return &s->requests[(s->n_requests - 1 - back) % SIM_REQUESTS_MAX];
}

static void answer(struct sim *s, const struct sim_request *q, const char *condition)
{
	struct link_record r;

	link_record_init(&r, LINK_RESULT);
	r.result.request = q->number;
	r.result.ok = !condition;
	r.result.condition = str_or_empty(condition);
	r.result.text = condition ? "No." : "";
	engine_record(s->engine, &r);
}

/* "state reason going", as a user is shown it. */
static const char *status(struct sim *s)
{
	static char text[128];
	struct account_status st;

	engine_status(s->engine, &st);
	if (!st.push_service)
		snprintf(text, sizeof(text), "off %u", st.push_going);
	else
		snprintf(text, sizeof(text), "%s %s%s%s %u", st.push_service, st.push_state, *st.push_reason ? " " : "",
			 st.push_reason, st.push_going);
	return text;
}

/* The last request; it is the ${n}th. */
static void assert_asked(const struct sim *s, int n, uint32_t kind, const char *jid)
{
	assert_int_equal(s->n_requests, n);
	assert_int_equal(request(s, 0)->kind, kind);
	assert_string_equal(request(s, 0)->jid, jid);
}

static void assert_online(struct sim *s)
{
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(s->engine->state, ENGINE_ONLINE);
}

static void kill_and_start(struct sim *s)
{
	sim_kill(s);
	engine_connect(s->engine);
	assert_online(s);
}

static void cut_and_resume(struct sim *s)
{
	int before = s->resumes;

	sim_cut(s);
	sim_run(s, 3 * SIM_SEC);
	assert_online(s);
	assert_int_equal(s->resumes, before + 1);
}

static void bind_anew(struct sim *s)
{
	int before = s->binds;

	session_is_lost(s);
	sim_run(s, 3 * SIM_SEC);
	assert_online(s);
	assert_int_equal(s->binds, before + 1);
}

/* Online with a server that knows push services; ${service} is wanted and enabled. */
static void given_enabled(struct sim *s, const char *service)
{
	s->features = FEATURES;
	set_service(s, service);
	given_in_sync(s, 0);
	assert_asked(s, 1, REQUEST_PUSH_ENABLE, service);
	answer(s, request(s, 0), NULL);
}

static void P4_asked_once_a_session_and_never_again_after_a_resume(void **state)
{
	struct sim *s = *state;
	char node[48];

	given_enabled(s, "push.test");
	snprintf(node, sizeof(node), "%s", request(s, 0)->name);
	assert_int_equal(strlen(node), 32);
	assert_string_equal(status(s), "push.test enabled 0");
	cut_and_resume(s);
	assert_int_equal(s->n_requests, 1);
	bind_anew(s);
	assert_asked(s, 2, REQUEST_PUSH_ENABLE, "push.test");
	assert_string_equal(request(s, 0)->name, node);
	assert_string_equal(status(s), "push.test waiting 0");
}

static void nobody_is_told_anything_unless_that_is_wanted(void **state)
{
	struct sim *s = *state;

	s->features = FEATURES;
	given_in_sync(s, 0);
	bind_anew(s);
	assert_int_equal(s->n_requests, 0);
	assert_string_equal(status(s), "off 0");
}

static void a_server_that_does_not_announce_it_is_not_asked(void **state)
{
	struct sim *s = *state;

	s->features = "urn:xmpp:push:01\nurn:xmpp:carbons:2";
	set_service(s, "push.test");
	given_in_sync(s, 0);
	assert_int_equal(s->n_requests, 0);
	assert_string_equal(status(s), "push.test unsupported 0");
	/* It did not say: then it is asked, and may say no. */
	s->untold = true;
	bind_anew(s);
	assert_asked(s, 1, REQUEST_PUSH_ENABLE, "push.test");
	answer(s, request(s, 0), "service-unavailable");
	assert_string_equal(status(s), "push.test refused service-unavailable: No. 0");
	assert_online(s);
}

static void what_the_server_said_survives_kill_9(void **state)
{
	struct sim *s = *state;

	given_enabled(s, "push.test");
	kill_and_start(s);
	assert_int_equal(s->n_requests, 1);
	assert_string_equal(status(s), "push.test enabled 0");
	/* What it did not say is asked by whoever resumes. */
	bind_anew(s);
	kill_and_start(s);
	assert_int_equal(s->resumes, 2);
	assert_asked(s, 3, REQUEST_PUSH_ENABLE, "push.test");
}

static void a_refusal_is_shown_and_costs_nothing(void **state)
{
	struct sim *s = *state;
	int wires;

	s->features = FEATURES;
	set_service(s, "push.test");
	given_in_sync(s, 0);
	wires = (int)s->wires;
	answer(s, request(s, 0), "not-allowed");
	assert_string_equal(status(s), "push.test refused not-allowed: No. 0");
	assert_online(s);
	assert_int_equal(s->wires, wires);
	cut_and_resume(s);
	assert_int_equal(s->n_requests, 1);
	sim_kill(s);
	assert_string_equal(status(s), "push.test refused not-allowed: No. 0");
	engine_connect(s->engine);
	assert_online(s);
	assert_int_equal(s->n_requests, 1);
	/* Another session, or a user who says it again. */
	set_service(s, "push.test");
	assert_asked(s, 2, REQUEST_PUSH_ENABLE, "push.test");
	answer(s, request(s, 0), "not-allowed");
	bind_anew(s);
	assert_asked(s, 3, REQUEST_PUSH_ENABLE, "push.test");
}

static void what_passes_is_asked_once_more_on_each_stream(void **state)
{
	struct sim *s = *state;

	s->features = FEATURES;
	set_service(s, "push.test");
	given_in_sync(s, 0);
	answer(s, request(s, 0), "remote-server-timeout");
	assert_string_equal(status(s), "push.test waiting remote-server-timeout: No. 0");
	sim_run(s, 3600 * SIM_SEC);
	assert_int_equal(s->n_requests, 1);
	cut_and_resume(s);
	assert_int_equal(s->n_requests, 2);
	answer(s, request(s, 0), "internal-server-error");
	cut_and_resume(s);
	assert_int_equal(s->n_requests, 3);
	answer(s, request(s, 0), NULL);
	assert_string_equal(status(s), "push.test enabled 0");
	cut_and_resume(s);
	assert_int_equal(s->n_requests, 3);
}

static void the_first_answer_counts_and_only_ours(void **state)
{
	struct sim *s = *state;
	struct sim_request other = { .number = 77 };

	given_enabled(s, "push.test");
	answer(s, request(s, 0), "not-allowed");
	answer(s, &other, "not-allowed");
	other.number = 0;
	answer(s, &other, "not-allowed");
	assert_string_equal(status(s), "push.test enabled 0");
	assert_online(s);
}

static void taken_away_it_is_taken_back(void **state)
{
	struct sim *s = *state;
	char node[48];

	given_enabled(s, "push.test");
	snprintf(node, sizeof(node), "%s", request(s, 0)->name);
	set_service(s, "");
	assert_asked(s, 2, REQUEST_PUSH_DISABLE, "push.test");
	assert_string_equal(request(s, 0)->name, node);
	assert_string_equal(status(s), "off 1");
	answer(s, request(s, 0), NULL);
	assert_string_equal(status(s), "off 0");
	bind_anew(s);
	assert_int_equal(s->n_requests, 2);
}

static void taken_away_while_offline_it_is_taken_back_by_the_next_stream(void **state)
{
	struct sim *s = *state;

	given_enabled(s, "push.test");
	sim_cut(s);
	set_service(s, "");
	assert_int_equal(s->n_requests, 1);
	kill_and_start(s);
	assert_asked(s, 2, REQUEST_PUSH_DISABLE, "push.test");
	/* No answer: again. That it has no such thing is an answer. */
	cut_and_resume(s);
	assert_asked(s, 3, REQUEST_PUSH_DISABLE, "push.test");
	/* The server keeps it for the account: also in another session. */
	bind_anew(s);
	assert_asked(s, 4, REQUEST_PUSH_DISABLE, "push.test");
	answer(s, request(s, 0), "item-not-found");
	assert_string_equal(status(s), "off 0");
	kill_and_start(s);
	assert_int_equal(s->n_requests, 4);
}

static void another_service_gets_another_node(void **state)
{
	struct sim *s = *state;
	char node[48];

	given_enabled(s, "push.test");
	snprintf(node, sizeof(node), "%s", request(s, 0)->name);
	set_service(s, "b.test");
	assert_asked(s, 3, REQUEST_PUSH_ENABLE, "b.test");
	assert_int_equal(request(s, 1)->kind, REQUEST_PUSH_DISABLE);
	assert_string_equal(request(s, 1)->jid, "push.test");
	assert_string_equal(request(s, 1)->name, node);
	assert_string_not_equal(request(s, 0)->name, node);
	answer(s, request(s, 0), NULL);
	assert_string_equal(status(s), "b.test enabled 1");
	/* Back again before the server had an answer: the node that it knows. */
	set_service(s, "push.test");
	assert_asked(s, 5, REQUEST_PUSH_ENABLE, "push.test");
	assert_string_equal(request(s, 0)->name, node);
	assert_string_equal(request(s, 1)->jid, "b.test");
}

/* ejabberd 23.01: a <disable/> ends what the session has, whatever it names. */
static void what_stays_is_said_again_behind_what_goes(void **state)
{
	struct sim *s = *state;

	given_enabled(s, "a.test");
	set_service(s, "b.test");
	answer(s, request(s, 0), NULL);
	assert_string_equal(status(s), "b.test enabled 1");
	cut_and_resume(s);
	assert_asked(s, 5, REQUEST_PUSH_ENABLE, "b.test");
	assert_int_equal(request(s, 1)->kind, REQUEST_PUSH_DISABLE);
	assert_string_equal(request(s, 1)->jid, "a.test");
	/* The first is answered, and then there is no more time for the second. */
	answer(s, request(s, 1), NULL);
	kill_and_start(s);
	assert_asked(s, 6, REQUEST_PUSH_ENABLE, "b.test");
}

static void a_session_that_is_closed_for_good_leaves_nothing_behind(void **state)
{
	struct sim *s = *state;

	given_enabled(s, "push.test");
	engine_disconnect(s->engine);
	assert_asked(s, 2, REQUEST_PUSH_DISABLE, "push.test");
	assert_string_equal(status(s), "push.test waiting 0");
	engine_connect(s->engine);
	assert_online(s);
	assert_asked(s, 3, REQUEST_PUSH_ENABLE, "push.test");
	answer(s, request(s, 0), NULL);
	/* A clean stop of the daemon is what it is for. */
	engine_suspend(s->engine);
	assert_int_equal(s->n_requests, 3);
}

static void an_answer_counts_once_it_is_stored(void **state)
{
	struct sim *s = *state;

	s->features = FEATURES;
	set_service(s, "push.test");
	given_in_sync(s, 0);
	sim_disk_full(s, true);
	answer(s, request(s, 0), NULL);
	sim_disk_full(s, false);
	assert_string_equal(status(s), "push.test waiting 0");
	cut_and_resume(s);
	assert_asked(s, 2, REQUEST_PUSH_ENABLE, "push.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(P4_asked_once_a_session_and_never_again_after_a_resume),
		STORY(nobody_is_told_anything_unless_that_is_wanted),
		STORY(a_server_that_does_not_announce_it_is_not_asked),
		STORY(what_the_server_said_survives_kill_9),
		STORY(a_refusal_is_shown_and_costs_nothing),
		STORY(what_passes_is_asked_once_more_on_each_stream),
		STORY(the_first_answer_counts_and_only_ours),
		STORY(taken_away_it_is_taken_back),
		STORY(taken_away_while_offline_it_is_taken_back_by_the_next_stream),
		STORY(another_service_gets_another_node),
		STORY(what_stays_is_said_again_behind_what_goes),
		STORY(a_session_that_is_closed_for_good_leaves_nothing_behind),
		STORY(an_answer_counts_once_it_is_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
