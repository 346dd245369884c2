/* ipc/ctl/time.h: times as people write them, and how they are shown. */
#include "test.h"

#include <stdlib.h>
#include <time.h>

#include "ipc/ctl/time.h"
#include "ipc/ctl/util.h"

/* Wednesday 2026-11-18 12:00:00 UTC, in a zone that is an hour ahead. */
#define NOW (INT64_C(1795003200) * USEC_PER_SEC)
#define HOUR (3600 * USEC_PER_SEC)
#define DAY (24 * HOUR)

TEST(times_are_read)
{
	static const struct {
		const char *text;
		int64_t us;
		const char *why;
	} rows[] = {
		{ "now", NOW, "" },
		{ "today", NOW - 13 * HOUR, "local midnight" },
		{ "yesterday", NOW - 37 * HOUR, "" },
		{ "2026-11-18", NOW - 13 * HOUR, "a date is its local beginning" },
		{ "2026-11-18 13:00", NOW, "local" },
		{ "2026-11-18T13:00:00", NOW, "local" },
		{ "2026-11-18T12:00:00Z", NOW, "RFC 3339" },
		{ "2026-11-18t12:00:00z", NOW, "RFC 3339 section 5.6: either case" },
		{ "2026-11-18T14:30:00+02:30", NOW, "" },
		{ "2026-11-18T09:00:00-03:00", NOW, "" },
		{ "2026-11-18T12:00:00.25Z", NOW + USEC_PER_SEC / 4, "" },
		{ "2026-11-18T12:00:00.1234567Z", NOW + 123456, "beyond microseconds is cut" },
		{ "2024-02-29", INT64_C(1709161200) * USEC_PER_SEC, "a leap day" },
		{ "2026-07-01 12:00", INT64_C(1782900000) * USEC_PER_SEC, "summer time" },
		{ "@1795003200", NOW, "seconds" },
		{ "2h ago", NOW - 2 * HOUR, "" },
		{ "2 hours ago", NOW - 2 * HOUR, "" },
		{ "1 hour ago", NOW - HOUR, "" },
		{ "90min ago", NOW - HOUR * 3 / 2, "" },
		{ "3 days ago", NOW - 3 * DAY, "" },
		{ "1 week ago", NOW - 7 * DAY, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t us = 0;

		if (time_parse(rows[i].text, NOW, &us) < 0)
			fail_msg("%s is refused", rows[i].text);
		if (us != rows[i].us)
			fail_msg("%s is %lld s off (%s)", rows[i].text, (long long)((us - rows[i].us) / USEC_PER_SEC),
				 rows[i].why);
	}
}

TEST(what_is_no_time_is_refused)
{
	static const char *const rows[] = {
		"",
		"soon",
		"2026",
		"2026-13-01",
		"2026-02-29",
		"2026-00-10",
		"2026-11-31",
		"2026-11-18T",
		"2026-11-18 25:00",
		"2026-11-18T12:60",
		"2026-11-18T12:00:61Z",
		"2026-11-18 12",
		"2026-11-18Z",
		"2026-11-18T12:00:00+2",
		"2026-11-18T12:00:00.Z",
		"2026-11-18T12:00:00Zx",
		"h ago",
		"2 ago",
		"2 parsecs ago",
		"2h",
		"2h ago now",
		"-2h ago",
		"@",
		"@x",
		"tomorrow",
		"2026-11-1",
		"26-11-18",
		"99999999999999999999h ago",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t us;

		if (time_parse(rows[i], NOW, &us) == 0)
			fail_msg("\"%s\" is taken for %lld", rows[i], (long long)us);
	}
}

TEST(rfc3339_is_utc)
{
	char buf[TIME_RFC3339_SIZE];

	assert_string_equal(time_rfc3339(NOW, buf), "2026-11-18T12:00:00Z");
	assert_string_equal(time_rfc3339(NOW + 1, buf), "2026-11-18T12:00:00.000001Z");
	assert_string_equal(time_rfc3339(-1, buf), "1969-12-31T23:59:59.999999Z");
}

TEST(relative_times_read_well)
{
	static const struct {
		int64_t ago;
		const char *text;
	} rows[] = {
		{ 0, "just now" },
		{ 5 * USEC_PER_SEC, "5 s ago" },
		{ -20 * USEC_PER_SEC, "in 20 s" },
		{ 5 * 60 * USEC_PER_SEC, "5 min ago" },
		{ 3 * HOUR, "3 h ago" },
		{ 3 * DAY, "3 days ago" },
		{ 30 * DAY, "2026-10-19" },
	};
	char buf[TIME_HUMAN_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(time_relative(NOW - rows[i].ago, NOW, buf), rows[i].text);
}

TEST(compact_times_are_as_short_as_they_are_clear)
{
	char buf[TIME_HUMAN_SIZE];

	assert_string_equal(time_compact(NOW, NOW, buf), "13:00");
	assert_string_equal(time_compact(NOW - 13 * HOUR, NOW, buf), "00:00");
	assert_string_equal(time_compact(NOW - 14 * HOUR, NOW, buf), "Tue 23:00");
	assert_string_equal(time_compact(NOW - 10 * DAY, NOW, buf), "2026-11-08");
	assert_string_equal(time_compact(NOW + 10 * DAY, NOW, buf), "2026-11-28");
}

TEST(spans)
{
	char buf[TIME_HUMAN_SIZE];

	assert_string_equal(time_span(42 * USEC_PER_SEC, buf), "42 s");
	assert_string_equal(time_span(187 * USEC_PER_SEC, buf), "3:07 min");
	assert_string_equal(time_span(2 * HOUR + HOUR / 4, buf), "2:15 h");
	assert_string_equal(time_span(12 * DAY, buf), "12 days");
	assert_string_equal(time_span(1800 * USEC_PER_SEC, buf), "30:00 min");
	assert_string_equal(time_setting(1800 * USEC_PER_SEC, buf), "30 min");
	assert_string_equal(time_setting(2 * HOUR, buf), "2 h");
	assert_string_equal(time_setting(90 * USEC_PER_SEC, buf), "1:30 min");
	assert_string_equal(time_setting(10 * USEC_PER_SEC, buf), "10 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(rfc3339_is_utc),
		cmocka_unit_test(relative_times_read_well),
		cmocka_unit_test(compact_times_are_as_short_as_they_are_clear),
		cmocka_unit_test(spans),
	};

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
