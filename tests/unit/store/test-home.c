/* store/home: that an archive was here. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"

/* What is noted of ${dir}, in a directory that goes again. */
static void note(const char *dir, bool *ret_noted, bool *ret_away, bool *ret_other)
{
	char config[] = "/tmp/varve-home-XXXXXX";
	_cleanup_(freep) char *path = NULL, *none = NULL;

	assert_non_null(mkdtemp(config));
	assert_null(store_home(dir, config));
	assert_false(store_home_away(dir, config));
	assert_int_equal(store_note_home(dir, config), 0);
	path = store_home(dir, config);
	none = store_home("/somewhere/else", config);
	*ret_noted = path != NULL;
	*ret_away = store_home_away(dir, config);
	*ret_other = none != NULL;
	assert_int_equal(store_forget_home(dir, config), 0);
	assert_null(store_home(dir, config));
	assert_int_equal(rmdir(config), 0);
}

/* /proc is a mount point wherever this runs, /tmp/x is none: both are believed when nothing has changed since. */
static void a_directory_is_noted_wherever_it_is(_unused_ void **state)
{
	static const char *const dirs[] = { "/proc/varve", "/proc/self/varve", "/tmp/x/varve", "/varve" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		bool noted, away, other;

		note(dirs[i], &noted, &away, &other);
		assert_true(noted);
		assert_false(away);
		assert_false(other);
	}
}

/* The text is the format: what is said of a mount point and is none now. */
static void a_mount_point_that_is_none_now(_unused_ void **state)
{
	static const char mounted[] = "# A file system is mounted right above it.\n";
	char config[] = "/tmp/varve-home-XXXXXX", text[1024] = "";
	_cleanup_(freep) char *path = NULL;
	FILE *f;

	assert_non_null(mkdtemp(config));
	assert_int_equal(store_note_home("/proc/varve", config), 0);
	path = store_home("/proc/varve", config);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_non_null(strstr(text, mounted));
	unlink(path);
	str_set(&path, NULL);

	assert_int_equal(store_note_home("/tmp/x/varve", config), 0);
	path = store_home("/tmp/x/varve", config);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%.*s/tmp/x/varve\n", (int)(strstr(text, "/proc/varve") - text), text);
	fclose(f);
	assert_true(store_home_away("/tmp/x/varve", config));
	str_set(&path, NULL);
	path = store_home("/tmp/x/varve", config);
	assert_non_null(path);
	unlink(path);
	rmdir(config);
}

/* As after a backup was restored on a new machine. */
static void a_configuration_that_is_not_there_is_made(_unused_ void **state)
{
	char top[] = "/tmp/varve-home-XXXXXX";
	_cleanup_(freep) char *config = NULL, *parent = NULL, *path = NULL;

	assert_non_null(mkdtemp(top));
	parent = xasprintf("%s/config", top);
	config = xasprintf("%s/varve", parent);
	assert_int_equal(store_note_home("/tmp/x/varve", config), 0);
	path = store_home("/tmp/x/varve", config);
	assert_non_null(path);
	unlink(path);
	assert_int_equal(rmdir(config), 0);
	assert_int_equal(rmdir(parent), 0);
	assert_int_equal(rmdir(top), 0);
}

/* Nobody is waited for, and nothing is followed. */
static void what_stands_in_the_way_of_the_note_goes(_unused_ void **state)
{
	char config[] = "/tmp/varve-home-XXXXXX";
	_cleanup_(freep) char *path = NULL, *tmp = NULL;

	assert_non_null(mkdtemp(config));
	assert_int_equal(store_note_home("/tmp/x/varve", config), 0);
	path = store_home("/tmp/x/varve", config);
	assert_non_null(path);
	tmp = xasprintf("%s.tmp", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(tmp, 0600), 0);
	alarm(30);
	assert_int_equal(store_note_home("/tmp/x/varve", config), 0);
	alarm(0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(config), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_is_noted_wherever_it_is),
		cmocka_unit_test(a_mount_point_that_is_none_now),
		cmocka_unit_test(a_configuration_that_is_not_there_is_made),
		cmocka_unit_test(what_stands_in_the_way_of_the_note_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
