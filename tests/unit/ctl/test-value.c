/* ipc/ctl/value.h: D-Bus values as JSON. show.h: the rate and the percentage of what is at work. */
#include "test.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/ctl/show.h"
#include "ipc/ctl/util.h"
#include "ipc/ctl/value.h"

static sd_bus *bus;

/* A sealed message can be read by who wrote it: no daemon needed. */
static sd_bus_message *message(void)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_signal(bus, &m, "/", "a.b", "C") >= 0);
	return m;
}

static struct value *read_back(sd_bus_message *m)
{
	struct value *v = NULL;

	assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
	assert_true(sd_bus_message_rewind(m, 1) >= 0);
	assert_int_equal(value_read(m, &v), 0);
	sd_bus_message_unref(m);
	return v;
}

static void json_is(const struct value *v, const char *const *known, const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct json *j = json_new(f, JSON_SHORT);

	value_json(j, NULL, v, known);
	json_free(j);
	fclose(f);
	assert_string_equal(text, expected);
	free(text);
}

TEST(every_type_becomes_json)
{
	sd_bus_message *m = message();
	struct value *v;

	assert_true(sd_bus_message_append(m, "a{sv}", 9, "b", "b", 1, "y", "y", 255, "n", "n", -5, "u", "u",
					  4000000000u, "x", "x", INT64_MIN, "t", "t", UINT64_MAX, "d", "d", 0.5,
					  "of-names", "as", 2, "p", "q", "empty", "s", "") >= 0);
	v = read_back(m);
	json_is(v, NULL,
		"{\"b\":true,\"y\":255,\"n\":-5,\"u\":4000000000,\"x\":-9223372036854775808,\"t\":"
		"18446744073709551615,"
		"\"d\":0.5,\"of_names\":[\"p\",\"q\"],\"empty\":null}\n");
	assert_true(value_true(v, "b"));
	assert_int_equal(value_int(v, "n"), -5);
	assert_int_equal(value_count(value_get(v, "of-names")), 2);
	assert_string_equal(value_str(v, "not there"), "");
	assert_null(value_at(value_get(v, "of-names"), 2));
	value_free(v);
}

TEST(known_keys_come_first_and_always)
{
	static const char *const known[] = { "z", "gone", "t_usec", NULL };
	sd_bus_message *m = message();
	struct value *v;

	assert_true(sd_bus_message_append(m, "a{sv}", 3, "a", "s", "1", "t_usec", "x", INT64_C(1000000), "z", "b",
					  0) >= 0);
	v = read_back(m);
	json_is(v, known,
		"{\"z\":false,\"gone\":null,\"t\":\"1970-01-01T00:00:01Z\",\"t_usec\":1000000,\"a\":\"1\"}\n");
	value_free(v);
}

TEST(a_companion_does_not_hide_a_key_of_its_own)
{
	sd_bus_message *m = message();
	struct value *v;

	assert_true(sd_bus_message_append(m, "a{sv}", 3, "t", "b", 1, "t_usec", "x", INT64_C(5), "u_usec", "x",
					  INT64_C(0)) >= 0);
	v = read_back(m);
	json_is(v, NULL, "{\"t\":true,\"t_usec\":5,\"u\":null,\"u_usec\":null}\n");
	value_free(v);
}

TEST(what_nests_too_deeply_is_refused)
{
	char type[64] = "";
	sd_bus_message *m = message();
	struct value *v = NULL;

	for (size_t i = 0; i < 30; i++)
		strcat(type, "a");
	for (size_t i = 1; i < 30; i++)
		assert_true(sd_bus_message_open_container(m, 'a',
							  (strcat(strcpy(type, ""), ""), memset(type, 'a', 30 - i),
							   strcpy(type + 30 - i, "s"), type)) >= 0);
	assert_true(sd_bus_message_open_container(m, 'a', "s") >= 0);
	for (size_t i = 0; i < 30; i++)
		assert_true(sd_bus_message_close_container(m) >= 0);
	assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
	assert_true(sd_bus_message_rewind(m, 1) >= 0);
	assert_int_equal(value_read(m, &v), -ELOOP);
	assert_null(v);
	sd_bus_message_unref(m);
}

static struct value *account(const char *state, const char *sync, uint64_t messages, uint64_t done, uint64_t total)
{
	sd_bus_message *m = message();

	assert_true(sd_bus_message_append(m, "a{sv}", 3, "jid", "s", "a@b", "state", "s", state, "sync", "a{sv}", 4,
					  "state", "s", sync, "messages", "t", messages, "done", "t", done, "total",
					  "t", total) >= 0);
	return read_back(m);
}

TEST(the_rate_is_over_the_last_seconds)
{
	struct rate r = { 0 };
	struct value *v = NULL;

	assert_true(rate_messages(&r) == 0);
	for (uint64_t s = 0; s < 20; s++) {
		value_free(v);
		v = account("online", "catching-up", s < 10 ? 0 : (s - 9) * 100, s * 10, 400);
		rate_add(&r, v, (int64_t)s * USEC_PER_SEC);
		rate_add(&r, v, (int64_t)s * USEC_PER_SEC + 1); /* too soon: not taken */
	}
	assert_int_equal((int)(rate_messages(&r) + 0.5), 100);
	assert_int_equal(rate_eta(&r, v) / USEC_PER_SEC, 21); /* 210 of 400 are left, 10 a second */
	value_free(v);
	v = account("online", "idle", 5, 400, 400);
	assert_int_equal(rate_eta(&r, v), -1);
	value_free(v);
}

TEST(a_hundred_percent_is_all)
{
	static const struct {
		size_t columns;
		const char *line;
	} rows[] = {
		{ 0, " 99%" }, /* what has no room is left out, and not cut off in its middle */
		{ 12, "[████░]  99%" },
		{ 27, "[███░]  99%  1,234 messages" },
	};
	struct value *v = account("online", "catching-up", 1234, 999999, 1000000);
	char *line;

	setlocale(LC_CTYPE, "C.UTF-8");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		line = show_progress(v, NULL, rows[i].columns);
		assert_string_equal(line, rows[i].line);
		free(line);
	}
	value_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_becomes_json),
		cmocka_unit_test(known_keys_come_first_and_always),
		cmocka_unit_test(a_companion_does_not_hide_a_key_of_its_own),
		cmocka_unit_test(what_nests_too_deeply_is_refused),
		cmocka_unit_test(the_rate_is_over_the_last_seconds),
		cmocka_unit_test(a_hundred_percent_is_all),
	};
	int fds[2], r;

	/* Messages need a bus that was started; what is at its other end does not matter. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || sd_bus_new(&bus) < 0 ||
	    sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	sd_bus_close_unref(bus);
	close(fds[1]);
	return r;
}
