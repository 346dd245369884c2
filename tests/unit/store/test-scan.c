/* Every page of the archive is read while it is written to, and the bad ones are named. */
#include "copy-fixture.h"

TEST(a_scan_names_the_pages_that_are_bad)
{
	struct fx *fx = *state;
	uint32_t pages[SCAN_PAGES_MAX], total;
	struct scan *x;

	fill(fx, 0, 300, 500);
	assert_int_equal(store_checkpoint(fx->s), 0);
	for (int round = 0; round < 2; round++) {
		int r;

		assert_int_equal(scan_new(fx->s, &x), 0);
		while ((r = scan_step(x, 100)) > 0)
			put_live(fx, text_in("w", "written meanwhile"), false);
		assert_int_equal(r, 0);
		assert_int_equal(scan_bad(x, pages, &total), round == 0 ? 0 : 2);
		assert_in_range(total, 40, 400);
		if (round == 1) {
			assert_int_equal(pages[0], 57);
			assert_int_equal(pages[1], 73);
		}
		scan_free(x);
		if (round == 0) {
			fx_close(fx);
			{
				_cleanup_(freep) char *db = path_of(fx, "archive.db");

				spoil(db, 57);
				spoil(db, 73);
			}
			fx_reopen(fx);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_scan_names_the_pages_that_are_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
