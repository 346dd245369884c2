/* What the wire is offered: records with all that a stanza is made of (link/vocab.h, SEND). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "store/outbox.h"
#include "story.h"
#include "sync/engine-priv.h"

static char offered[512];

/* What the link refuses is what it refuses there: a record over its limits. */
static int note_offer(void *userdata, const struct link_record *r)
{
	const struct link_send *m = &r->send;
	size_t len = strlen(offered);

	if (r->kind == LINK_SEND && strcmp(m->body, "too long") == 0)
		return -EMSGSIZE;
	if (r->kind == LINK_SEND)
		snprintf(offered + len, sizeof(offered) - len, "%u %s %s|%s|%s|%s|%s|%s\n", m->kind, m->to, m->id, m->body, m->target_id,
			 m->text, m->reply_id, m->reply_jid);
	return sim_server_send(userdata, r);
}

static void put_one(struct sim *s, struct outgoing o)
{
	int64_t msg;
	bool existing;

	o.conversation = str_or_empty(o.conversation);
	o.body = str_or_empty(o.body);
	o.emojis = str_or_empty(o.emojis);
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(outbox_put(s->store, s->account.id, s->own, &o, s->engine->io->real_us(s), &msg, &existing), 0);
	assert_int_equal(store_commit(s->store), 0);
	engine_send(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
}

/* Each kind with all that its stanza is made of; and what the link cannot carry fails alone. */
static void what_is_offered_to_the_wire_is_all_of_it(void **state)
{
	struct sim *s = *state;
	struct engine_io io = sim_io;
	char expected[512];
	int64_t msg, long_ones[2];

	given_in_sync(s, 20);
	io.send = note_offer;
	s->engine->io = &io;
	offered[0] = '\0';
	msg = send_n(s, BOB, 0);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	put_one(s, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "t1", .body = "answer", .reply_to = msg });
	put_one(s, (struct outgoing){ .kind = OUT_CORRECTION, .msg = msg, .client_id = "e1", .body = "new" });
	put_one(s, (struct outgoing){ .kind = OUT_REACTION, .msg = msg, .client_id = "r1", .emojis = "a" });
	put_one(s, (struct outgoing){ .kind = OUT_RETRACTION, .msg = msg, .client_id = "d1" });
	snprintf(expected, sizeof(expected), "0 " BOB " m0|sent 0||||\n0 " BOB " t1|answer|||m0|%s\n1 " BOB " e1|new|m0|||\n"
		 "3 " BOB " r1||m0|a||\n2 " BOB " d1||m0|||\n", s->own);
	assert_string_equal(offered, expected);

	long_ones[0] = sim_send(s, BOB, "l0", "too long");
	send_n(s, BOB, 1);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	long_ones[1] = sim_send(s, BOB, "l1", "too long");
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(sim_state(s, long_ones[0]), STATE_FAILED);
	assert_int_equal(sim_state(s, long_ones[1]), STATE_FAILED);
	assert_int_equal(sim_received(s, "m1", NULL), 1);
	s->engine->io = &sim_io;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(what_is_offered_to_the_wire_is_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
