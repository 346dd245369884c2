/* sync/hub-diagnose: what doctor says of a hub and a store, without a network. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/db.h"
#include "sync/hub-priv.h"

struct fixture {
	char dir[64];
	sd_event *event;
	struct hub *hub;
	bool done;
	const char *looked_for;
	char *result, *text, *hint;
};

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	_cleanup_(freep) char *why = NULL;

	strcpy(f->dir, "/tmp/varve-hub-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	setenv("VARVE_WIRE", "/bin/false", 1);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(hub_new(f->event, f->dir, f->dir, &f->hub, &why), 0);
	assert_int_equal(hub_start(f->hub), 0);
	assert_int_equal(hub_state(f->hub), HUB_READY);
	*state = f;
	return 0;
}

static void forget(struct fixture *f)
{
	str_set(&f->result, NULL);
	str_set(&f->text, NULL);
	str_set(&f->hint, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	forget(f);
	hub_free(f->hub);
	sd_event_unref(f->event);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static int on_check(void *userdata, const char *name, const char *result, const char *text, const char *hint)
{
	struct fixture *f = userdata;

	if (strcmp(name, f->looked_for) != 0)
		return 0;
	assert_null(f->result);
	str_set(&f->result, result);
	str_set(&f->text, text);
	str_set(&f->hint, hint);
	return 0;
}

static void on_done(void *userdata, int r)
{
	struct fixture *f = userdata;

	assert_int_equal(r, 0);
	f->done = true;
}

/* Run doctor and remember the row called ${name}. */
static void diagnose(struct fixture *f, const char *name)
{
	_cleanup_(freep) char *why = NULL;

	forget(f);
	f->looked_for = name;
	f->done = false;
	assert_int_equal(hub_diagnose(f->hub, false, on_check, on_done, f, &why), 0);
	while (!f->done)
		assert_true(sd_event_run(f->event, 10 * USEC_PER_SEC) >= 0);
	assert_non_null(f->result);
}

static void a_search_index_that_does_not_get_on_is_told(void **state)
{
	static const char trouble[] = "the index is in trouble";
	struct fixture *f = *state;

	diagnose(f, "search-index");
	assert_string_equal(f->result, "ok");

	f->hub->store->index.trouble = trouble;
	diagnose(f, "search-index");
	assert_string_equal(f->result, "warn");
	assert_string_equal(f->text, trouble);
	assert_non_null(strstr(f->hint, "backup"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_search_index_that_does_not_get_on_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
