/* ipc/ctl/picture.h: coverage as a line of characters, in which nothing missing is rounded away. */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/ctl/picture.h"
#include "ipc/ctl/util.h"
#include "ipc/names.h"

#define DAY (INT64_C(86400) * USEC_PER_SEC)
#define COLUMNS 20

static void draws(const struct picture_span *spans, size_t n, int64_t server_last, const char *expected, int percent)
{
	enum picture_cell cells[COLUMNS];
	char line[COLUMNS + 1] = "";
	double held = picture_draw(spans, n, 0, 20 * DAY, server_last, COLUMNS, cells);

	for (size_t i = 0; i < COLUMNS; i++)
		line[i] = "#.x"[cells[i]];
	assert_string_equal(line, expected);
	assert_int_equal((int)(held * 100 + 0.5), percent);
}

TEST(what_is_held_missing_and_lost_is_seen)
{
	draws((struct picture_span[]){ { 0, 20 * DAY, VARVE_SPAN_START | VARVE_SPAN_LIVE } }, 1, 20 * DAY,
	      "####################", 100);
	draws((struct picture_span[]){ { 10 * DAY, 20 * DAY, VARVE_SPAN_LIVE } }, 1, 20 * DAY, "..........##########",
	      50);
	draws((struct picture_span[]){ { 10 * DAY, 20 * DAY, VARVE_SPAN_LOST } }, 1, 20 * DAY, "xxxxxxxxxx##########",
	      50);
	draws((struct picture_span[]){ { 0, 5 * DAY, VARVE_SPAN_START }, { 10 * DAY, 15 * DAY, 0 } }, 2, 20 * DAY,
	      "#####.....#####.....", 50);
	draws(NULL, 0, 20 * DAY, "....................", 0);
}

TEST(a_small_gap_is_not_rounded_away)
{
	/* A minute in twenty days, and one of no length at all. */
	draws((struct picture_span[]){ { 0, 10 * DAY + DAY / 2, VARVE_SPAN_START },
				       { 10 * DAY + DAY / 2 + 60 * USEC_PER_SEC, 20 * DAY, 0 } },
	      2, 20 * DAY, "##########.#########", 100);
	draws((struct picture_span[]){ { 0, 4 * DAY, VARVE_SPAN_START }, { 4 * DAY, 20 * DAY, VARVE_SPAN_LOST } }, 2,
	      20 * DAY, "####x###############", 100);
}

TEST(missing_is_worse_than_lost)
{
	draws((struct picture_span[]){ { 0, 4 * DAY + 1, VARVE_SPAN_START },
				       { 4 * DAY + 2, 4 * DAY + 3, VARVE_SPAN_LOST },
				       { 4 * DAY + 4, 20 * DAY, 0 } },
	      3, 20 * DAY, "####.###############", 100);
}

TEST(stamps_out_of_order_do_no_harm)
{
	draws((struct picture_span[]){ { 0, 12 * DAY, VARVE_SPAN_START }, { 8 * DAY, 20 * DAY, 0 } }, 2, 20 * DAY,
	      "############.#######", 100);
}

TEST(the_range_is_what_is_known)
{
	struct picture_span past = { 10 * DAY, 20 * DAY, 0 }, whole = { 10 * DAY, 20 * DAY, VARVE_SPAN_START };
	int64_t from, to;

	picture_range(&whole, 1, 0, 0, &from, &to);
	assert_true(from == 10 * DAY && to == 20 * DAY);
	picture_range(&past, 1, 5 * DAY, 30 * DAY, &from, &to);
	assert_true(from == 5 * DAY && to == 30 * DAY);
	picture_range(&past, 1, 0, 0, &from, &to); /* the past is missing, nobody knows how much: some room for it */
	assert_true(from < 10 * DAY && from > 9 * DAY);
	picture_range(NULL, 0, 0, 0, &from, &to);
	assert_true(to > from);
}

TEST(ticks_say_where_units_begin)
{
	char *line = picture_ticks(0, 20 * DAY, 60);

	assert_int_equal(strlen(line), 60);
	assert_memory_equal(line, "01-01", 5);
	free(line);
	line = picture_ticks(INT64_C(1577836800) * USEC_PER_SEC, INT64_C(1893456000) * USEC_PER_SEC, 60);
	assert_memory_equal(line, "2020", 4);
	assert_non_null(strstr(line, "2025"));
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_held_missing_and_lost_is_seen),
		cmocka_unit_test(a_small_gap_is_not_rounded_away),
		cmocka_unit_test(missing_is_worse_than_lost),
		cmocka_unit_test(stamps_out_of_order_do_no_harm),
		cmocka_unit_test(the_range_is_what_is_known),
		cmocka_unit_test(ticks_say_where_units_begin),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
