/* Accounts, sessions, roster. */
#include <stdio.h>

#include "base/buf.h"
#include "fixture.h"
#include "store/login.h"
#include "store/push.h"

static struct account full_account(void)
{
	return (struct account){
		.jid = xstrdup("x@y.example"), .password = xstrdup("secret"), .enabled = true, .host = xstrdup("h"),
		.port = 5223, .tls = 2, .ca_pem = xstrdup("-----BEGIN"), .allow_plain = true, .nick = xstrdup("Nick"),
		.resource = xstrdup("varve.1"), .push_service = xstrdup("push.test"),
	};
}

static void begin(struct fx *fx)
{
	assert_int_equal(store_begin(fx->s), 0);
}

static void commit(struct fx *fx)
{
	assert_int_equal(store_commit(fx->s), 0);
}

static void free_accounts(struct account *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		account_deinit(&list[i]);
	free(list);
}

TEST(an_account_comes_back_whole_after_a_restart)
{
	struct fx *fx = *state;
	struct account a = full_account(), *list;
	size_t n;

	begin(fx);
	assert_int_equal(account_add(fx->s, &a), 0);
	commit(fx);
	fx_reopen(fx);

	assert_int_equal(account_list(fx->s, &list, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[1].id, a.id);
	assert_string_equal(list[1].jid, a.jid);
	assert_string_equal(list[1].password, a.password);
	assert_true(list[1].enabled);
	assert_string_equal(list[1].host, a.host);
	assert_int_equal(list[1].port, 5223);
	assert_int_equal(list[1].tls, 2);
	assert_string_equal(list[1].ca_pem, a.ca_pem);
	assert_true(list[1].allow_plain);
	assert_string_equal(list[1].nick, a.nick);
	assert_string_equal(list[1].resource, a.resource);
	assert_string_equal(list[1].push_service, "push.test");
	/* Absent is "", never NULL. */
	assert_string_equal(list[0].host, "");
	assert_string_equal(list[0].push_service, "");
	free_accounts(list, n);

	a.enabled = false;
	str_set(&a.password, "changed");
	begin(fx);
	assert_int_equal(account_update(fx->s, &a), 0);
	commit(fx);
	assert_int_equal(account_list(fx->s, &list, &n), 0);
	assert_false(list[1].enabled);
	assert_string_equal(list[1].password, "changed");
	free_accounts(list, n);
	account_deinit(&a);
}

TEST(an_account_is_added_once_and_not_without_end)
{
	struct fx *fx = *state;
	struct account a = full_account();
	char jid[32];

	begin(fx);
	assert_int_equal(account_add(fx->s, &a), 0);
	assert_int_equal(account_add(fx->s, &a), ACCOUNT_E_EXISTS);
	for (int i = 2; i < ACCOUNTS_MAX; i++) {
		snprintf(jid, sizeof(jid), "u%d@y.example", i);
		str_set(&a.jid, jid);
		assert_int_equal(account_add(fx->s, &a), 0);
	}
	str_set(&a.jid, "one.more@y.example");
	assert_int_equal(account_add(fx->s, &a), ACCOUNT_E_LIMIT);
	commit(fx);
	account_deinit(&a);
}

static int64_t rows(struct fx *fx, const char *table)
{
	sqlite3_stmt *st;
	char sql[64];
	int64_t n;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	assert_int_equal(sqlite3_prepare_v2(fx->s->db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static void fill(struct fx *fx)
{
	struct message m = archived(text_in("c", "fixed"), "a9", 9);
	struct session se;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2),
	     archived(text_in("3", "three"), "a3", 3));
	m.replace_id = "nobody";
	PAGE(fx, "a3", "", m);
	m = ref_in(PAYLOAD_REACTION, "1");
	m.text = "+1";
	put_live(fx, m, false);
	put_cover(fx, "a1-a9*");
	session_init(&se);
	begin(fx);
	assert_int_equal(session_save(fx->s, fx->account, &se), 0);
	assert_int_equal(push_want(fx->s, fx->account, "push.test"), 0);
	assert_int_equal(roster_put(fx->s, fx->account, &(struct roster_item){ .jid = BOB }), 0);
	assert_int_equal(roster_put(fx->s, fx->account, &(struct roster_item){ .jid = CAROL }), 0);
	assert_int_equal(roster_keep_only(fx->s, fx->account, NULL, 0), 0);
	assert_int_equal(roster_put(fx->s, fx->account, &(struct roster_item){ .jid = BOB }), 0);
	commit(fx);
	session_deinit(&se);
}

static void assert_empty(struct fx *fx)
{
	static const char *const tables[] = { "account", "feed", "tombstone", "session", "roster", "archive", "span",
					      "conv", "msg", "aid", "msg_ref", "pending_ref", "push" };

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (rows(fx, tables[i]))
			print_error("%s\n", tables[i]);
		assert_int_equal(rows(fx, tables[i]), 0);
	}
}

TEST(a_removed_account_leaves_nothing_and_its_id_is_not_used_again)
{
	struct fx *fx = *state;
	int64_t id = fx->account;

	fill(fx);
	assert_true(rows(fx, "msg_ref") > 0 && rows(fx, "pending_ref") > 0 && rows(fx, "tombstone") > 0);
	begin(fx);
	assert_int_equal(account_remove(fx->s, fx->account), 0);
	commit(fx);

	assert_empty(fx);
	assert_true(fx_account(fx, OWN, &fx->archive) > id);
}

TEST(a_large_account_goes_in_bounded_steps_and_is_gone_at_once)
{
	struct fx *fx = *state;
	struct account *list;
	size_t n;
	int64_t again;

	fx->s->limits.purge_rows = 2;
	fill(fx);
	begin(fx);
	assert_int_equal(account_remove(fx->s, fx->account), 0);
	commit(fx);
	assert_true(rows(fx, "msg") > 0);
	assert_int_equal(account_list(fx->s, &list, &n), 0);
	assert_int_equal(n, 0);
	free_accounts(list, n);
	/* Also when it is added again meanwhile. */
	again = fx_account(fx, OWN, &fx->archive);

	assert_true(store_upkeep_due(fx->s));
	for (int i = 0; i < 1000 && store_upkeep(fx->s, 1000) > 0; i++)
		;
	assert_false(store_upkeep_due(fx->s));
	assert_int_equal(rows(fx, "msg"), 0);
	assert_int_equal(rows(fx, "account"), 1);
	begin(fx);
	assert_int_equal(account_remove(fx->s, again), 0);
	commit(fx);
	assert_empty(fx);
}

TEST(a_session_comes_back_as_it_was)
{
	struct fx *fx = *state;
	static uint8_t ahead[] = { 2, 0, 0, 0, 0xff, 0xff, 0, 0 };
	struct session a, b;

	assert_int_equal(session_load(fx->s, fx->account, &a), 0);
	assert_string_equal(a.sm_id, "");
	str_set(&a.sm_id, "sm-1");
	str_set(&a.sm_location, "[::1]:5222");
	str_set(&a.full_jid, OWN "/varve");
	str_set(&a.features, "f1\nf2");
	a.sm_max = 600;
	a.h_in = UINT32_MAX;
	a.ahead = ahead;
	a.n_ahead = 2;
	a.h_out = UINT32_MAX - 1;
	a.grant = 7;
	a.archive = 2;
	a.stanza_ids = true;
	a.resumes = 5;
	a.binds = 6;
	a.last_resume_us = T0;
	a.flights = 4;
	a.caught_up_us = T0 + 1;
	begin(fx);
	assert_int_equal(session_save(fx->s, fx->account, &a), 0);
	assert_int_equal(session_save(fx->s, fx->account, &a), 0);
	commit(fx);
	fx_reopen(fx);

	assert_int_equal(session_load(fx->s, fx->account, &b), 0);
	assert_string_equal(b.sm_id, a.sm_id);
	assert_string_equal(b.sm_location, a.sm_location);
	assert_string_equal(b.full_jid, a.full_jid);
	assert_string_equal(b.features, a.features);
	assert_int_equal(b.sm_max, 600);
	assert_int_equal(b.h_in, UINT32_MAX);
	assert_int_equal(b.n_ahead, 2);
	assert_memory_equal(b.ahead, ahead, sizeof(ahead));
	assert_int_equal(b.h_out, UINT32_MAX - 1);
	assert_int_equal(b.grant, 7);
	assert_int_equal(b.archive, 2);
	assert_true(b.stanza_ids);
	assert_int_equal(b.resumes, 5);
	assert_int_equal(b.binds, 6);
	assert_int_equal(b.last_resume_us, T0);
	assert_int_equal(b.flights, 4);
	assert_int_equal(b.caught_up_us, T0 + 1);
	a.ahead = NULL;
	session_deinit(&a);
	session_deinit(&b);
}

/* Promise 1: the session row is part of the transaction of the messages. */
TEST(a_session_rolls_back_with_its_messages)
{
	struct fx *fx = *state;
	struct message m = text_in("1", "x");
	struct put_outcome out;
	struct session a;

	session_init(&a);
	a.h_in = 5;
	begin(fx);
	assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now, false, &out), 0);
	assert_int_equal(session_save(fx->s, fx->account, &a), 0);
	store_rollback(fx->s);
	session_deinit(&a);

	assert_int_equal(session_load(fx->s, fx->account, &a), 0);
	assert_int_equal(a.h_in, 0);
	assert_int_equal(count_messages(fx), 0);
	session_deinit(&a);
}

TEST(coverage_comes_back_as_it_was)
{
	struct fx *fx = *state;
	struct cover c;

	put_cover(fx, "a-b^ c-d! e-f*");
	put_cover(fx, "a-d^ e-g*");
	fx_reopen(fx);

	assert_int_equal(cover_read(fx->s, fx->archive, &c), 0);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.spans[0].first.id, "a");
	assert_string_equal(c.spans[0].last.id, "d");
	assert_int_equal(c.spans[0].flags, SPAN_START);
	assert_string_equal(c.spans[1].last.id, "g");
	assert_int_equal(c.spans[1].flags, SPAN_LIVE);
	cover_deinit(&c);
}

TEST(a_roster_that_did_not_change_is_not_in_the_feed)
{
	struct fx *fx = *state;
	const struct roster_item bob = { .jid = BOB, .name = "Bob", .subscription = "both", .groups = "a\nb" };
	uint64_t seq;

	begin(fx);
	assert_int_equal(roster_put(fx->s, fx->account, &bob), 0);
	commit(fx);
	seq = seq_of(fx);
	begin(fx);
	assert_int_equal(roster_put(fx->s, fx->account, &bob), 0);
	commit(fx);
	assert_int_equal(seq_of(fx), seq);
}

TEST(a_conversation_takes_its_title_from_the_roster)
{
	struct fx *fx = *state;
	uint64_t mod;

	put_live(fx, text_in("1", "x"), false);
	mod = conv_of(fx, BOB).mod;
	begin(fx);
	assert_int_equal(roster_put(fx->s, fx->account, &(struct roster_item){ .jid = BOB, .name = "Bob" }), 0);
	commit(fx);
	assert_true(conv_of(fx, BOB).mod > mod);
}

TEST(what_the_last_login_taught_comes_back_and_goes_with_the_account)
{
	struct fx *fx = *state;
	struct account a = full_account();
	struct login l = { 0 }, back = { 0 };

	begin(fx);
	assert_int_equal(account_add(fx->s, &a), 0);
	assert_int_equal(login_load(fx->s, a.id, &l), 0);
	assert_string_equal(l.user_agent, "");
	assert_string_equal(l.token, "");
	str_set(&l.user_agent, "d4565fa7-4d72-4749-b3d3-740edbf87770");
	str_set(&l.offer, "1 2 3");
	str_set(&l.token, "secret");
	str_set(&l.token_mechanism, "HT-SHA-256-EXPR");
	str_set(&l.address, "192.0.2.1:5223");
	str_set(&l.ticket, "ticket");
	l.pin = 3;
	l.token_expiry_us = INT64_C(1700000000000000);
	l.avoid = 4;
	assert_int_equal(login_save(fx->s, a.id, &l), 0);
	commit(fx);
	fx_reopen(fx);

	assert_int_equal(login_load(fx->s, a.id, &back), 0);
	assert_string_equal(back.user_agent, l.user_agent);
	assert_string_equal(back.offer, "1 2 3");
	assert_string_equal(back.token, "secret");
	assert_string_equal(back.token_mechanism, "HT-SHA-256-EXPR");
	assert_string_equal(back.address, "192.0.2.1:5223");
	assert_string_equal(back.ticket, "ticket");
	assert_int_equal(back.pin, 3);
	assert_int_equal(back.token_expiry_us, INT64_C(1700000000000000));
	assert_int_equal(back.avoid, 4);
	login_forget(&back);
	assert_string_equal(back.user_agent, l.user_agent);
	assert_string_equal(back.token, "");
	assert_int_equal(back.pin, 0);
	login_deinit(&back);

	begin(fx);
	assert_int_equal(account_remove(fx->s, a.id), 0);
	assert_int_equal(login_load(fx->s, a.id, &back), 0);
	assert_string_equal(back.token, "");
	commit(fx);
	login_deinit(&back);
	login_deinit(&l);
	account_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(an_account_comes_back_whole_after_a_restart),
		RUN(what_the_last_login_taught_comes_back_and_goes_with_the_account),
		RUN(an_account_is_added_once_and_not_without_end),
		RUN(a_removed_account_leaves_nothing_and_its_id_is_not_used_again),
		RUN(a_large_account_goes_in_bounded_steps_and_is_gone_at_once),
		RUN(a_session_comes_back_as_it_was),
		RUN(a_session_rolls_back_with_its_messages),
		RUN(coverage_comes_back_as_it_was),
		RUN(a_roster_that_did_not_change_is_not_in_the_feed),
		RUN(a_conversation_takes_its_title_from_the_roster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
