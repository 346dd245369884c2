/* ipc/ctl/cursor.h: a place in the feed is kept in a file that is never half written. */
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/ctl/cursor.h"
#include "ipc/ctl/util.h"

static char dir[] = "/tmp/ctl-cursor-XXXXXX";
static char path[64];

static void write_file(const char *text)
{
	FILE *f = fopen(path, "we");

	fputs(text, f);
	fclose(f);
}

TEST(what_is_saved_is_loaded)
{
	struct cursor c = { xstrdup("a@b"), xstrdup("e1"), UINT64_MAX }, d = { 0 };

	assert_int_equal(cursor_load(path, "a@b", &d), CURSOR_E_NONE);
	assert_int_equal(cursor_save(path, &c), 0);
	assert_int_equal(cursor_load(path, "a@b", &d), 0);
	assert_string_equal(d.epoch, "e1");
	assert_true(d.seq == UINT64_MAX);
	c.seq = 5;
	assert_int_equal(cursor_save(path, &c), 0);
	assert_int_equal(cursor_load(path, "a@b", &d), 0);
	assert_int_equal(d.seq, 5);
	cursor_deinit(&c);
	cursor_deinit(&d);
}

TEST(a_file_that_is_none_is_refused)
{
	static const char *const rows[] = {
		"hello\n",
		"varve-cursor 1 a@b e1 5",
		"varve-cursor 1 a@b e1\n",
		"varve-cursor 2 a@b e1 5\n",
		"varve-cursor 1 x@b e1 5\n",
		"varve-cursor 1 a@b e1 5x\n",
		"varve-cursor 1 a@b e1 5 6\n",
		"\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cursor c = { 0 };

		write_file(rows[i]);
		assert_int_equal(cursor_load(path, "a@b", &c), CURSOR_E_FOREIGN);
		assert_null(c.epoch);
	}
}

TEST(nothing_is_left_beside_it)
{
	struct cursor c = { xstrdup("a@b"), xstrdup("e1"), 1 };
	struct dirent *e;
	char *below;
	size_t n = 0;
	DIR *d;

	assert_int_equal(cursor_save(path, &c), 0);
	below = xasprintf("%s/cursor", path); /* a file has nothing below it */
	assert_true(cursor_save(below, &c) < 0);
	free(below);
	d = opendir(dir);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	assert_int_equal(n, 1);
	cursor_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_is_loaded),
		cmocka_unit_test(a_file_that_is_none_is_refused),
		cmocka_unit_test(nothing_is_left_beside_it),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/cursor", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return r;
}
