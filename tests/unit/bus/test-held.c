/* bus/held: what calls cost us while they are here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "bus/held.h"

static struct intake bytes(size_t n)
{
	return (struct intake){ .bytes = n };
}

static void a_call_is_its_parts(_unused_ void **state)
{
	size_t all = 0;
	struct held h = { .all = &all };
	struct intake whole;

	assert_null(held_read(&h, (struct intake){ 100, 1 }));
	assert_null(held_read(&h, bytes(50)));
	assert_int_equal(all, 150);
	whole = held_whole(&h, bytes(7));
	assert_int_equal(whole.bytes, 157);
	assert_int_equal(whole.fds, 1);
	assert_int_equal(all, 0);
	assert_int_equal(held_whole(&h, bytes(9)).bytes, 9);
}

static void one_call_has_a_limit(_unused_ void **state)
{
	size_t all = 0;
	struct held h = { .all = &all };

	assert_null(held_read(&h, bytes(HELD_CALL_MAX)));
	assert_non_null(held_read(&h, bytes(1)));
	held_forget(&h);
	assert_int_equal(all, 0);
	for (int i = 0; i < INTAKE_FDS; i++)
		assert_null(held_read(&h, (struct intake){ 1, 1 }));
	assert_non_null(held_read(&h, (struct intake){ 1, 1 }));
}

static void all_together_have_one_and_a_little_is_free(_unused_ void **state)
{
	size_t all = 0;
	struct held others = { .all = &all }, h = { .all = &all };

	assert_true(held_keep(&others, HELD_ALL_MAX));
	assert_false(held_keep(&others, 1));
	assert_int_equal(all, HELD_ALL_MAX);
	assert_null(held_read(&h, bytes(HELD_FREE / 2)));
	assert_true(held_keep(&h, HELD_FREE / 2));
	assert_false(held_keep(&h, 1));
	assert_non_null(held_read(&h, bytes(1)));
	held_drop(&others, HELD_FREE + 2);
	assert_true(held_keep(&h, 1));
	held_forget(&h);
	held_forget(&others);
	assert_int_equal(all, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_its_parts),
		cmocka_unit_test(one_call_has_a_limit),
		cmocka_unit_test(all_together_have_one_and_a_little_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
