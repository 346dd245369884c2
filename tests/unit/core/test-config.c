/* core/config: varve.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "base/log.h"
#include "core/config.h"

static void values_are_read(_unused_ void **state)
{
	struct config c;
	_cleanup_(freep) char *why = NULL;

	config_init(&c);
	assert_int_equal(c.history_us, 0);
	assert_int_equal(config_parse(&c, "# comment\n[sync]\nhistory = 30 days\npage = 50\n[network]\ndeadline = 5\n"
					  "[log]\nlevel = debug\n[messages]\nmarkers = no\n", &why), 0);
	assert_int_equal(c.history_us, INT64_C(30) * 86400 * 1000000);
	assert_int_equal(c.page, 50);
	assert_int_equal(c.deadline_us, 5000000);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	assert_true(c.receipts);
	assert_false(c.markers);
}

static void mistakes_name_line_key_and_what_is_allowed(_unused_ void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "[sync]\npage = 5\n", "10 to 250" },
		{ "[sync]\nlanes = 17\n", "1 to 16" },
		{ "[sync]\nhistory = some\n", "number of days" },
		{ "[sync]\nhistory = 30\n", "number of days" },
		{ "[sync]\nhsitory = all\n", "no such key" },
		{ "history = all\n", "line 1: history: a key stands below its section" },
		{ "[network]\ndeadline = 15 s\n", "\"15 seconds\"" },
		{ "[messages]\nreceipts = maybe\n", "yes or no" },
		{ "[log]\nlevel = loud\n", "debug" },
		{ "what is this", "line 1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *why = NULL;
		struct config c;

		config_init(&c);
		assert_int_equal(config_parse(&c, rows[i].text, &why), CONFIG_E_INVALID);
		assert_non_null(strstr(why, rows[i].says));
		assert_non_null(strstr(why, "line"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(mistakes_name_line_key_and_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
