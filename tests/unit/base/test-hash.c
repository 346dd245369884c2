/*
 * hash.h: the values that archive files hold. The first two are from FNV's own list of vectors
 * (draft-eastlake-fnv, 64-bit FNV-1a).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"

#define TEST(name) static void name(void **state _unused_)

TEST(values_are_those_of_fnv)
{
	assert_int_equal(hash_bytes(HASH_BEGIN, "", 0), UINT64_C(0xcbf29ce484222325));
	assert_int_equal(hash_bytes(HASH_BEGIN, "foobar", 6), UINT64_C(0x85944171f73967e8));
}

TEST(a_text_in_two_parts_is_the_text)
{
	assert_int_equal(hash_bytes(hash_bytes(HASH_BEGIN, "foo", 3), "bar", 3), hash_bytes(HASH_BEGIN, "foobar", 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_of_fnv),
		cmocka_unit_test(a_text_in_two_parts_is_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
