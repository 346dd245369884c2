/* Push services: who is registered, until the server has forgotten him. */
#include <stdio.h>

#include "base/buf.h"
#include "fixture.h"
#include "store/push.h"

/* Services of the account, as "service:state:reason ", in the order of the list. */
static char *services(struct fx *fx)
{
	struct buf b = { 0 };
	struct push *list;
	size_t n;

	assert_int_equal(push_list(fx->s, fx->account, &list, &n), 0);
	for (size_t i = 0; i < n; i++) {
		buf_addf(&b, "%s:%u:%s ", list[i].service, list[i].state, list[i].reason);
		assert_int_equal(strlen(list[i].node), 32);
		push_deinit(&list[i]);
	}
	free(list);
	buf_adds(&b, "");
	return buf_steal(&b);
}

static void assert_services(struct fx *fx, const char *want)
{
	_cleanup_(freep) char *is = services(fx);

	assert_string_equal(is, want);
}

static void want(struct fx *fx, const char *service)
{
	BEGIN(fx);
	assert_int_equal(push_want(fx->s, fx->account, service), 0);
	COMMIT(fx);
}

static void put(struct fx *fx, const char *service, uint32_t state, const char *reason)
{
	const struct push p = { .service = (char *)(uintptr_t)service, .state = state, .reason = (char *)(uintptr_t)reason };

	BEGIN(fx);
	assert_int_equal(push_put(fx->s, fx->account, &p), 0);
	COMMIT(fx);
}

static char *node_of(struct fx *fx, const char *service)
{
	char *node = NULL;
	struct push *list;
	size_t n;

	assert_int_equal(push_list(fx->s, fx->account, &list, &n), 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].service, service) == 0)
			node = xstrdup(list[i].node);
		push_deinit(&list[i]);
	}
	free(list);
	return node;
}

TEST(a_push_service_stays_until_the_server_has_forgotten_it)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *a = NULL, *b = NULL, *again = NULL;

	want(fx, "a.test");
	a = node_of(fx, "a.test");
	put(fx, "a.test", PUSH_REFUSED, "no");
	fx_reopen(fx);
	assert_services(fx, "a.test:2:no ");
	want(fx, "a.test");
	assert_services(fx, "a.test:2:no ");
	want(fx, "b.test");
	b = node_of(fx, "b.test");
	assert_string_not_equal(a, b);
	put(fx, "b.test", PUSH_ENABLED, "");
	assert_services(fx, "a.test:3: b.test:1: ");
	/* Only what is wanted is anew. */
	BEGIN(fx);
	assert_int_equal(push_session_lost(fx->s, fx->account), 0);
	COMMIT(fx);
	assert_services(fx, "a.test:3: b.test:0: ");
	/* Wanted again before it was told: as the server knows it. */
	want(fx, "a.test");
	again = node_of(fx, "a.test");
	assert_string_equal(a, again);
	assert_services(fx, "b.test:3: a.test:0: ");
	BEGIN(fx);
	assert_int_equal(push_drop(fx->s, fx->account, "b.test"), 0);
	COMMIT(fx);
	want(fx, "");
	assert_services(fx, "a.test:3: ");
}

TEST(push_services_do_not_pile_up)
{
	struct fx *fx = *state;
	struct account *list;
	char service[16];
	size_t n;

	for (int i = 0; i <= PUSH_GOING_MAX; i++) {
		snprintf(service, sizeof(service), "s%d.test", i);
		want(fx, service);
	}
	assert_int_equal(account_list(fx->s, &list, &n), 0);
	str_set(&list[0].push_service, "more.test");
	BEGIN(fx);
	assert_int_equal(account_update(fx->s, &list[0]), ACCOUNT_E_LIMIT);
	store_rollback(fx->s);
	for (size_t i = 0; i < n; i++)
		account_deinit(&list[i]);
	free(list);
	/* One of those that wait is none more. */
	want(fx, "s0.test");
}

TEST(a_file_of_version_6_gets_the_push_services)
{
	struct fx *fx = *state;
	struct account *list;
	size_t n;

	assert_int_equal(db_exec(fx->s, "DROP TABLE push; PRAGMA user_version=6"), 0);
	fx_reopen(fx);
	assert_int_equal(account_list(fx->s, &list, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].push_service, "");
	for (size_t i = 0; i < n; i++)
		account_deinit(&list[i]);
	free(list);
	want(fx, "a.test");
	assert_services(fx, "a.test:0: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_push_service_stays_until_the_server_has_forgotten_it),
		RUN(push_services_do_not_pile_up),
		RUN(a_file_of_version_6_gets_the_push_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
