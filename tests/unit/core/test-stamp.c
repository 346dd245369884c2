/* core/stamp: XEP-0082. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/stamp.h"

static void parses_what_servers_send(_unused_ void **state)
{
	static const struct {
		const char *text;
		int64_t us;
		const char *why;
	} good[] = {
		{ "2026-11-22T17:09:00Z", INT64_C(1795367340000000), "Prosody" },
		{ "2026-11-22T17:09:00.123456Z", INT64_C(1795367340123456), "ejabberd" },
		{ "2026-11-22T17:09:00.5Z", INT64_C(1795367340500000), "one digit of fraction" },
		{ "2026-11-22T17:09:00.1234569999Z", INT64_C(1795367340123456), "more digits than we keep" },
		{ "2026-11-22T18:39:00+01:30", INT64_C(1795367340000000), "a zone" },
		{ "1969-12-31T23:59:59Z", -1000000, "before the epoch" },
	};
	static const char *const bad[] = { "", "2026-11-22", "2026-13-01T00:00:00Z", "2026-11-22T17:09:00",
					   "2026-11-22T17:09:00Zx", "20261122T17:09:00", "2026-11-22T17:09:00+1:30" };
	int64_t us;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(stamp_parse(good[i].text, &us));
		assert_int_equal(us, good[i].us);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(stamp_parse(bad[i], &us));
}

static void formats_what_it_parses(_unused_ void **state)
{
	char buf[STAMP_SIZE];
	int64_t us;

	assert_string_equal(stamp_format(INT64_C(1795367340123456), buf), "2026-11-22T17:09:00.123456Z");
	assert_string_equal(stamp_format(INT64_C(1795367340000000), buf), "2026-11-22T17:09:00Z");
	assert_string_equal(stamp_format(-1, buf), "1969-12-31T23:59:59.999999Z");
	assert_true(stamp_parse(buf, &us));
	assert_int_equal(us, -1);
	assert_string_equal(stamp_format(INT64_MAX, buf), "1970-01-01T00:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_what_servers_send),
		cmocka_unit_test(formats_what_it_parses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
