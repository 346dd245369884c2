/* sync/hub-reopen.c: what may pass by itself is tried again, and nothing else. */
#define _GNU_SOURCE
#include "hub-fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sync/keyring.h"

#define SEC (INT64_C(1000000))

static char *found(const struct fixture *f, const char *pattern)
{
	_cleanup_(freep) char *command = xasprintf("ls %s/%s", f->dir, pattern);
	FILE *p = popen(command, "r");
	char line[256];

	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	line[strcspn(line, "\n")] = '\0';
	return xstrdup(line);
}

static void rename_it(const char *from, const char *to)
{
	assert_int_equal(rename(from, to), 0);
}

static void starts(struct fixture *f)
{
	_cleanup_(freep) char *why = NULL;

	f->hub = hub_free(f->hub);
	assert_int_equal(hub_new(f->event, f->dir, f->dir, &f->hub, &why), 0);
	assert_int_equal(hub_start(f->hub), 0);
}

static bool is_armed(const struct fixture *f)
{
	int enabled = SD_EVENT_OFF;

	assert_true(sd_event_source_get_enabled(f->hub->reopen, &enabled) >= 0);
	return enabled != SD_EVENT_OFF;
}

static int64_t wait_left_us(const struct fixture *f)
{
	uint64_t at;

	assert_true(is_armed(f));
	assert_true(sd_event_source_get_time(f->hub->reopen, &at) >= 0);
	return (int64_t)at - clock_boot_us();
}

static void turns(struct fixture *f, int n)
{
	while (n-- > 0)
		assert_true(sd_event_run(f->event, 0) >= 0);
}

static void its_time_has_come(struct fixture *f)
{
	sd_event_source_set_time(f->hub->reopen, 0);
	turns(f, 20);
}

/* The database is away, and the daemon starts. */
static char *given_no_database(struct fixture *f)
{
	_cleanup_(freep) char *db = found(f, "archive*.db"), *away = xasprintf("%s.away", db);

	f->hub = hub_free(f->hub);
	rename_it(db, away);
	starts(f);
	assert_int_equal(hub_state(f->hub), HUB_FAILED);
	return TAKE_PTR(db);
}

static void comes_back(const char *db)
{
	_cleanup_(freep) char *away = xasprintf("%s.away", db);

	rename_it(away, db);
}

static void said(void *userdata, enum hub_event event, _unused_ int64_t account)
{
	*(int *)userdata += event == HUB_STORE;
}

static void it_is_tried_ever_more_rarely(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *db = given_no_database(f);
	struct hub_archive a;
	int64_t before = 0, us = wait_left_us(f);
	int news = 0;

	hub_archive(f->hub, &a);
	assert_non_null(strstr(a.why, "tries again by itself"));
	assert_in_range(us, 4 * SEC, 5 * SEC);
	turns(f, 5);
	hub_observe(f->hub, said, &news);
	for (int i = 0; i < 10; i++, before = us) {
		its_time_has_come(f);
		us = wait_left_us(f);
		assert_true(us > before);
		assert_int_equal(hub_state(f->hub), HUB_FAILED);
		if (us > 590 * SEC)
			break;
	}
	/* Not more often than that, whatever happens; and who follows the state is not told that nothing has changed. */
	assert_in_range(us, 590 * SEC, 600 * SEC);
	its_time_has_come(f);
	assert_in_range(wait_left_us(f), 590 * SEC, 600 * SEC);
	assert_int_equal(news, 0);
	comes_back(db);
	its_time_has_come(f);
	assert_int_equal(hub_state(f->hub), HUB_READY);
	assert_false(is_armed(f));
	assert_int_equal(hub_account_count(f->hub), 1);
}

static void at_once_when_something_has_happened(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *db = given_no_database(f);

	its_time_has_come(f);
	its_time_has_come(f);
	assert_true(wait_left_us(f) > 15 * SEC);
	hub_reopen_now(f->hub);
	turns(f, 20);
	assert_in_range(wait_left_us(f), 4 * SEC, 5 * SEC);
	comes_back(db);
	hub_reopen_now(f->hub);
	turns(f, 20);
	assert_int_equal(hub_state(f->hub), HUB_READY);
	hub_reopen_now(f->hub);
	assert_false(is_armed(f));
}

static void what_only_a_hand_can_mend_is_not_tried(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *db = found(f, "archive*.db");
	struct hub_archive a;
	FILE *file;

	f->hub = hub_free(f->hub);
	file = fopen(db, "r+");
	assert_non_null(file);
	for (int i = 0; i < 4096; i++)
		fputc('x', file);
	fclose(file);
	starts(f);
	assert_int_equal(hub_state(f->hub), HUB_FAILED);
	hub_archive(f->hub, &a);
	assert_non_null(strstr(a.why, "damaged"));
	assert_null(strstr(a.why, "by itself"));
	assert_false(is_armed(f));
}

/* The key file lies on what is not mounted yet; but who locks it wants it locked. */
static void a_key_file_that_is_not_there_yet(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *key = found(f, "*.key"), *away = xasprintf("%s.away", key), *why = NULL;

	f->hub = hub_free(f->hub);
	rename_it(key, away);
	starts(f);
	assert_int_equal(hub_state(f->hub), HUB_LOCKED);
	its_time_has_come(f);
	assert_int_equal(hub_state(f->hub), HUB_LOCKED);
	assert_true(wait_left_us(f) > 6 * SEC);
	rename_it(away, key);
	its_time_has_come(f);
	assert_int_equal(hub_state(f->hub), HUB_READY);

	f->hub = hub_free(f->hub);
	rename_it(key, away);
	starts(f);
	assert_true(is_armed(f));
	assert_int_equal(keyring_lock(f->hub, false, NULL, NULL, &why), 0);
	turns(f, 20);
	assert_false(is_armed(f));
	rename_it(away, key);
}

/* Who removes the directory to start anew does not find it made again. */
static void a_directory_that_was_removed_is_not_made(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *db = given_no_database(f), *away = xasprintf("%s.dir", f->dir);

	rename_it(f->dir, away);
	its_time_has_come(f);
	assert_int_equal(access(f->dir, F_OK), -1);
	assert_true(is_armed(f));
	rename_it(away, f->dir);
	comes_back(db);
	its_time_has_come(f);
	assert_int_equal(hub_state(f->hub), HUB_READY);
}

/* Mounted over the empty directory: seen at once; and locked there, where another may be at work. */
static void a_file_system_that_is_mounted_late(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *away = xasprintf("%s.real", f->dir), *note = NULL, *to = NULL, *keys = NULL, *why = NULL;
	_cleanup_(hub_freep) struct hub *other = NULL;
	sd_event *event = NULL;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	note = found(f, "*.home");
	f->hub = hub_free(f->hub);
	rename_it(f->dir, away);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	/* The configuration lies there too. */
	to = xasprintf("cp %s/*.home %s/*.key %s/", away, away, f->dir);
	assert_int_equal(system(to), 0);
	starts(f);
	assert_int_equal(hub_state(f->hub), HUB_FAILED);
	turns(f, 5);

	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(mount(away, f->dir, NULL, MS_BIND, NULL), 0);
	assert_int_equal(hub_new(event, f->dir, f->dir, &other, &why), 0);
	turns(f, 20);
	assert_int_equal(hub_state(f->hub), HUB_FAILED);
	other = hub_free(other);
	sd_event_unref(event);
	its_time_has_come(f);
	assert_int_equal(hub_state(f->hub), HUB_READY);

	f->hub = hub_free(f->hub);
	assert_int_equal(umount(f->dir), 0);
	starts(f);
	assert_int_equal(hub_state(f->hub), HUB_FAILED);
	assert_true(wait_left_us(f) > 3 * SEC);
	assert_int_equal(mount(away, f->dir, NULL, MS_BIND, NULL), 0);
	turns(f, 20);
	assert_int_equal(hub_state(f->hub), HUB_READY);
	f->hub = hub_free(f->hub);
	assert_int_equal(umount(f->dir), 0);
	free(keys);
	keys = xasprintf("rm -rf %s", away);
	assert_int_equal(system(keys), 0);
	starts(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_is_tried_ever_more_rarely),
		CASE(at_once_when_something_has_happened),
		CASE(what_only_a_hand_can_mend_is_not_tried),
		CASE(a_key_file_that_is_not_there_yet),
		CASE(a_directory_that_was_removed_is_not_made),
		CASE(a_file_system_that_is_mounted_late),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
