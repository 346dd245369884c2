/* sync/query: a page as coverage sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sync/query.h"

#define T0 INT64_C(1700000000000000)

/* Nothing of the span could be told by time if it ended at an unknown one: its gap would be paged down past it, and then be lost. */
static void an_end_that_had_no_message_has_the_stamp_of_its_neighbour(_unused_ void **state)
{
	const struct plan plan = { .step = PLAN_NEWEST, .cursor = "", .below_id = "" };
	struct query *q = query_new(1, &plan, NULL);
	struct message m = { 0 };
	_cleanup_(freep) struct cover_item *items = NULL;
	struct cover_page page;

	message_init(&m);
	m.archive_id = "b";
	m.archive_us = T0;
	query_add(q, &m, 0);
	query_finish(q, &(struct link_fin){ .first = "a", .last = "c", .n = 3, .stable = true });
	page = query_page(q, 0, &items);

	assert_int_equal(page.n, 3);
	assert_string_equal(page.items[0].id, "a");
	assert_int_equal(page.items[0].us, T0);
	assert_string_equal(page.items[2].id, "c");
	assert_int_equal(page.items[2].us, T0);
	query_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_that_had_no_message_has_the_stamp_of_its_neighbour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
