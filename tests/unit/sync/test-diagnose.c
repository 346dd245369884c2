/* sync/hub-diagnose: what doctor says of a hub and a store, without a network. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub-fixture.h"
#include "store/db.h"

/* The row called ${name}, when it has come; owned. */
struct seen {
	const char *name;
	char *result, *text, *hint;
	bool done;
};

static void forget(struct seen *s)
{
	free(s->result);
	free(s->text);
	free(s->hint);
}

static int on_check(void *userdata, const char *name, const char *result, const char *text, const char *hint)
{
	struct seen *s = userdata;

	if (strcmp(name, s->name) != 0)
		return 0;
	assert_null(s->result);
	str_set(&s->result, result);
	str_set(&s->text, text);
	str_set(&s->hint, hint);
	return 0;
}

static void on_done(void *userdata, int r)
{
	struct seen *s = userdata;

	assert_int_equal(r, 0);
	s->done = true;
}

/* What doctor says in the row called ${name}. */
static struct seen diagnose(struct fixture *f, const char *name)
{
	struct seen s = { .name = name };
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(hub_diagnose(f->hub, false, on_check, on_done, &s, &why), 0);
	while (!s.done)
		assert_true(sd_event_run(f->event, 10 * USEC_PER_SEC) >= 0);
	assert_non_null(s.result);
	return s;
}

static void a_search_index_that_does_not_get_on_is_told(void **state)
{
	static const char trouble[] = "the index is in trouble";
	struct fixture *f = *state;
	struct seen s = diagnose(f, "search-index");

	assert_string_equal(s.result, "ok");
	forget(&s);

	f->hub->store->index.trouble = trouble;
	s = diagnose(f, "search-index");
	assert_string_equal(s.result, "warn");
	assert_string_equal(s.text, trouble);
	assert_non_null(strstr(s.hint, "backup"));
	forget(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_search_index_that_does_not_get_on_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
