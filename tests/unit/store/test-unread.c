/* How many messages are unread: added up where that is enough, and the same as counted. */
#include <stdio.h>
#include <stdlib.h>

#include "conversation-fixture.h"

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)rand() % n;
}

#define READ_KEY "coalesce((SELECT max(ifnull(m.key, c.read_key), ifnull(c.read_key, m.key)) FROM conv c" \
		 " LEFT JOIN msg m ON m.id=c.read_msg WHERE c.id=x.conv), -9223372036854775807)"

static void expect_counted(struct fx *fx)
{
	int64_t n = sql(fx, "SELECT count(*) FROM msg x WHERE x.state=0 AND x.key>" READ_KEY);

	assert_int_equal(sql(fx, "SELECT coalesce(sum(unread), 0) FROM conv"), n);
	assert_int_equal(sql(fx, "SELECT count(*) FROM conv k WHERE k.first_unread<>coalesce((SELECT x.id FROM msg x WHERE x.conv=k.id"
				 " AND x.state=0 AND x.key>" READ_KEY " ORDER BY x.key, x.id LIMIT 1), 0)"), 0);
}

struct world {
	struct fx *fx;
	int n;	   /* messages so far; each has id and archive id "m${k}" */
	int oldest; /* of the history that is here */
};

static struct message message(int k, char id[16])
{
	struct message m;

	snprintf(id, 16, "m%d", k);
	m = rnd(6) == 0 ? text_out(id, id) : text_in(id, id);
	if (rnd(3) == 0)
		m.from = rnd(2) ? CAROL "/x" : m.from;
	return m;
}

static void live(struct world *w)
{
	char id[16];
	struct message m = message(w->n++, id);

	put_live(w->fx, rnd(4) ? with_aid(m, id) : m, rnd(4) != 0);
}

static void older_page(struct world *w)
{
	struct message items[4];
	char ids[4][16], above[16];
	size_t n = 1 + rnd(4);

	snprintf(above, sizeof(above), "m%d", w->oldest);
	for (size_t i = n; i-- > 0;) {
		w->oldest--;
		items[i] = archived(message(w->oldest, ids[i]), ids[i], w->oldest);
	}
	put_page(w->fx, items, n, "", above, NULL);
}

static void random_thing(struct world *w)
{
	struct fx *fx = w->fx;
	int64_t some = sql(fx, "SELECT coalesce((SELECT id FROM msg ORDER BY random() LIMIT 1), 0)");
	char target[16];

	snprintf(target, sizeof(target), "m%d", w->oldest + (int)rnd((unsigned int)(w->n - w->oldest) + 1));
	switch (rnd(12)) {
	case 0:
		mark_read(fx, sql(fx, "SELECT coalesce((SELECT x.id FROM msg x JOIN conv c ON c.id=x.conv WHERE c.jid='" BOB "'"
				      " ORDER BY random() LIMIT 1), 0)"));
		break;
	case 1:
		IN_TX(fx, conversation_delete_messages(fx->s, fx->account, &some, 1, fx->now));
		break;
	case 2:
		put_live(fx, ref_in(PAYLOAD_RETRACTION, target), true);
		break;
	case 3:
		put_live(fx, ref_out(PAYLOAD_MARKER, target), true);
		break;
	case 4:
	case 5:
		older_page(w);
		break;
	default:
		live(w);
	}
}

TEST(what_is_added_up_is_what_is_counted)
{
	struct fx *fx = *state;

	for (int seed = 1; seed <= 12; seed++) {
		struct world w = { .fx = fx, .n = 1000 * seed, .oldest = 1000 * seed };

		srand((unsigned int)seed);
		fx->s->limits.recount = 0;
		for (int i = 0; i < 60; i++) {
			random_thing(&w);
			expect_counted(fx);
		}
		fx_reopen(fx);
	}
}

/* A room that nobody opens: 90,000 steps of SQLite's machine a message when 10,000 were unread. */
TEST(one_more_costs_the_same_however_many_are_unread)
{
	struct fx *fx = *state;
	int before;

	put_live(fx, with_aid(text_out("m", "ours"), "m"), true);
	fx->s->limits.recount = 20;
	for (int i = 0; i < 40; i++) {
		char id[16];

		snprintf(id, sizeof(id), "u%d", i);
		before = fx->s->stmts[SQL_UNREAD_COUNT] ?
				 sqlite3_stmt_status(fx->s->stmts[SQL_UNREAD_COUNT], SQLITE_STMTSTATUS_RUN, 0) : 0;
		put_live(fx, with_aid(text_in(id, id), id), true);
		assert_int_equal(sqlite3_stmt_status(fx->s->stmts[SQL_UNREAD_COUNT], SQLITE_STMTSTATUS_RUN, 0) - before, i < 20);
	}
	assert_int_equal(conv_of(fx, BOB).unread, 40);
	put_live(fx, with_aid(text_out("answer", "answer"), "answer"), true);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_is_added_up_is_what_is_counted),
		RUN(one_more_costs_the_same_however_many_are_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
