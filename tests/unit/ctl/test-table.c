/* ipc/ctl/table.h: columns by width, cut at the edge of the terminal. */
#include "test.h"

#include <locale.h>
#include <stdlib.h>

#include "ipc/ctl/show.h"
#include "ipc/ctl/table.h"
#include "ipc/ctl/term.h"

static char *printed(struct table *t)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	table_print(t, f);
	fclose(f);
	table_free(t);
	return text;
}

TEST(columns_are_aligned_by_width)
{
	struct table *t = table_new((const char *const[]){ "NAME", ">N", "LAST", NULL });
	char *text;

	table_cell(t, "日本");
	table_cell(t, "7");
	table_cell(t, "x");
	table_cell(t, "bobby");
	table_cell(t, "1,234");
	table_cell(t, "y");
	text = printed(t);
	assert_string_equal(text, "NAME       N  LAST\n"
				  "日本       7  x\n"
				  "bobby  1,234  y\n");
	free(text);
}

TEST(a_cell_is_cleaned_limited_and_cut_at_the_edge)
{
	struct table *t = table_new((const char *const[]){ "A", "B", NULL });
	char *text;

	setenv("COLUMNS", "40", 1);
	table_limit(t, 0, 6);
	table_cell(t, "abc\033defghi");
	table_cell(t, "0123456789012345678901234567890123456789");
	text = printed(t);
	assert_string_equal(text, "A       B\n"
				  "abc\xef\xbf\xbd"
				  "d…  0123456789012345678901234567890…\n");
	free(text);
	unsetenv("COLUMNS");
}

TEST(what_may_be_cut_makes_room_in_a_narrow_terminal)
{
	struct table *t = table_new((const char *const[]){ "WHO", "NAME", "STATE", "LAST", NULL });
	char *text;

	setenv("COLUMNS", "40", 1);
	table_limit(t, 0, 32);
	table_limit(t, 1, 20);
	table_cell(t, "somebody@a-long-domain.example.org");
	table_cell(t, "Bob");
	table_cell(t, "online");
	table_cell(t, "a message that is too long");
	text = printed(t);
	assert_string_equal(text, "WHO             NAME  STATE   LAST\n"
				  "somebody@a-lo…  Bob   online  a message…\n");
	free(text);
	unsetenv("COLUMNS");
}

TEST(no_line_ends_in_blanks)
{
	struct table *t = table_new((const char *const[]){ "A", "B", "C", NULL });
	char *text;

	table_cell(t, "x");
	table_cell(t, "");
	table_cell(t, "");
	table_cell(t, "y");
	table_cell(t, "");
	table_cell(t, "z");
	text = printed(t);
	assert_string_equal(text, "A  B  C\n"
				  "x\n"
				  "y     z\n");
	free(text);
}

TEST(no_row_is_no_title)
{
	char *text = printed(table_new((const char *const[]){ "A", NULL }));

	assert_string_equal(text, "");
	free(text);
}

TEST(counts_have_commas)
{
	static const struct {
		int64_t n;
		const char *text;
	} rows[] = { { 0, "0" }, { 999, "999" }, { 1000, "1,000" }, { 1234567, "1,234,567" }, { -1000, "-1,000" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *s = show_count(rows[i].n);

		assert_string_equal(s, rows[i].text);
		free(s);
	}
}

TEST(a_bar_is_full_only_at_the_end)
{
	char buf[64];

	term_bar(0, 10, 5, buf);
	assert_string_equal(buf, "░░░░░");
	term_bar(9, 10, 5, buf);
	assert_string_equal(buf, "████░");
	term_bar(10, 10, 5, buf);
	assert_string_equal(buf, "█████");
	term_bar(20, 10, 5, buf);
	assert_string_equal(buf, "█████");
	term_bar(5, 0, 5, buf);
	assert_string_equal(buf, "░░░░░");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_by_width),
		cmocka_unit_test(a_cell_is_cleaned_limited_and_cut_at_the_edge),
		cmocka_unit_test(what_may_be_cut_makes_room_in_a_narrow_terminal),
		cmocka_unit_test(no_line_ends_in_blanks),
		cmocka_unit_test(no_row_is_no_title),
		cmocka_unit_test(counts_have_commas),
		cmocka_unit_test(a_bar_is_full_only_at_the_end),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	unsetenv("COLUMNS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
