/* The outbox, killed at every step: run_self(). */
#include <stdio.h>

#include "outbox-fixture.h"

/* The life of an outbox, a transaction each, which notes how far it came in that transaction. */
static void act_send(struct fx *fx)
{
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "one", .emojis = "" };
	int64_t msg;
	bool existing;

	for (int i = 0; i < 3; i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%d", i);
		o.client_id = id;
		o.body = id;
		assert_int_equal(outbox_put(fx->s, fx->account, OWN, &o, fx->now, &msg, &existing), 0);
	}
}

static void act_edit(struct fx *fx)
{
	struct outgoing o = { .kind = OUT_CORRECTION, .msg = sql(fx, "SELECT min(id) FROM msg"), .conversation = "",
			      .client_id = "e1", .body = "edited", .emojis = "" };
	int64_t msg;
	bool existing;

	assert_int_equal(outbox_put(fx->s, fx->account, OWN, &o, fx->now, &msg, &existing), 0);
}

static void act_number(struct fx *fx)
{
	struct ids ids = items(fx);

	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(outbox_numbered(fx->s, fx->account, ids.id[i], 0, (uint32_t)i + 1, "a0"), 1);
}

static void act_ack(struct fx *fx)
{
	size_t n;

	assert_int_equal(outbox_acked(fx->s, fx->account, 1, &n), 0);
}

static void act_lose(struct fx *fx)
{
	assert_int_equal(outbox_session_lost(fx->s, fx->account, false, 0), 0);
}

static void act_meet(struct fx *fx)
{
	struct message m = archived(copy_of("c1", "c1"), "a1", 10);
	const struct archive_page page = {
		.items = (const struct message *const[]){ &m }, .n = 1, .below_id = "", .above_id = "",
	};
	struct put_outcome out;

	assert_int_equal(archive_put(fx->s, fx->account, fx->archive, OWN, &page, fx->now, &out), 0);
}

static void act_over(struct fx *fx)
{
	size_t n;

	assert_int_equal(outbox_doubt_over(fx->s, fx->account, &n), 0);
}

static void act_fail(struct fx *fx)
{
	assert_int_equal(outbox_failed(fx->s, fx->account, items(fx).id[0], "bad", "why"), 0);
}

static void act_retry(struct fx *fx)
{
	assert_int_equal(outbox_retry(fx->s, fx->account, row_of(fx, "c2").id, fx->now), 0);
}

static void act_resumed(struct fx *fx)
{
	assert_int_equal(outbox_resumed(fx->s, fx->account, 1), 0);
}

static void (*const acts[])(struct fx *) = { act_send, act_edit, act_number, act_ack, act_lose, act_meet, act_over,
					     act_fail, act_retry, act_number, act_resumed };

/* The rest of it. */
static void live(struct fx *fx)
{
	for (size_t i = (size_t)sql(fx, "SELECT value FROM meta WHERE name='acts'"); i < ARRAY_SIZE(acts); i++) {
		char note[80];

		fx->now = T0 + DAY + (int64_t)i * 10 * SEC;
		BEGIN(fx);
		acts[i](fx);
		snprintf(note, sizeof(note), "INSERT OR REPLACE INTO meta VALUES('acts', '%zu')", i + 1);
		assert_int_equal(db_exec(fx->s, note), 0);
		COMMIT(fx);
	}
}

/* All that the outbox and the messages say, but for how far it came. Of positions and ids only the order: after a kill
 * some are skipped. */
static void look(struct fx *fx, char *buf, size_t size)
{
	assert_int_equal(db_text(fx->s, "SELECT (SELECT ifnull(group_concat(client_id||' '||(SELECT count(*) FROM outbox x WHERE x.seq<o.seq)||' '||kind"
				 "||' '||state||' '||ifnull(body, '-')||' '||ifnull(n, '-')||' '||ifnull(anchor, '-')||again, '|'), '')"
				 " FROM outbox o)||(SELECT ifnull(group_concat((SELECT count(*) FROM msg x WHERE x.id<m.id)||' '||"
				 "(SELECT count(*) FROM msg x WHERE x.mod<m.mod)||' '||state||' '||ifnull(body, '-'), '|'), '') FROM msg m)"
				 "||((SELECT mod FROM feed)>=(SELECT ifnull(max(mod), 0) FROM msg))", buf, size), 0);
}

static int run_life(const char *dir)
{
	struct fx fx = { 0 };

	snprintf(fx.dir, sizeof(fx.dir), "%s", dir);
	if (try_open(dir, &fx.v, &fx.s, &(char *){ NULL }) != 0)
		return 97;
	fx.account = sql(&fx, "SELECT id FROM account");
	fx.archive = sql(&fx, "SELECT id FROM archive");
	live(&fx);
	fx_close(&fx);
	return 0;
}

TEST(killed_at_every_step_it_is_before_or_after_and_goes_on)
{
	struct fx *fx = *state;
	char want[ARRAY_SIZE(acts) + 1][2048], got[2048];
	int killed = 0, r;

	/* What it looks like after each of them. */
	look(fx, want[0], sizeof(want[0]));
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		fx->now = T0 + DAY + (int64_t)i * 10 * SEC;
		BEGIN(fx);
		acts[i](fx);
		COMMIT(fx);
		look(fx, want[i + 1], sizeof(want[i + 1]));
		assert_string_not_equal(want[i], want[i + 1]);
	}
	assert_string_equal(next(fx), "text:c2=c2!");
	for (int n = 1; n < 60; n++) {
		size_t at;

		fx_teardown(state);
		assert_int_equal(fx_setup(state), 0);
		fx = *state;
		fx_close(fx);
		r = run_self("life", fx->dir, n);
		assert_true(r == RUN_KILLED || r == 0);
		fx_reopen(fx);
		at = (size_t)sql(fx, "SELECT value FROM meta WHERE name='acts'");
		look(fx, got, sizeof(got));
		assert_string_equal(got, want[at]);
		live(fx);
		look(fx, got, sizeof(got));
		assert_string_equal(got, want[ARRAY_SIZE(acts)]);
		if (r == 0)
			break;
		killed++;
	}
	assert_in_range(killed, (int)ARRAY_SIZE(acts), 50);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(killed_at_every_step_it_is_before_or_after_and_goes_on),
	};

	if (argc == 3)
		return run_life(argv[2]);
	return cmocka_run_group_tests_name("outbox-killed", tests, NULL, NULL);
}
