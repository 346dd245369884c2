/*
 * link: a wire that was taken over (decisions/0016) writes to the keeper what it wants, as sd-bus messages of its own making. What
 * the vocabulary does not have, or not so long, or not so many of at a time, ends the link; what came before it has come.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "base/buf.h"
#include "base/mem.h"
#include "link/link.h"

#define AT_A_TIME 64 /* what link.c sends, so the most that it takes */

struct ends {
	sd_event *event;
	struct link *keeper;
	sd_bus *peer;
	int records, gone;
	uint32_t last; /* number of the last one */
	bool free_at;  /* the keeper's end is freed by number 2 */
};

static void on_record(void *userdata, const struct link_record *r)
{
	struct ends *e = userdata;

	e->records++;
	e->last = r->kind == LINK_MSG ? r->msg.n : r->kind == LINK_IDLE ? r->idle.n : 0;
	if (e->free_at && e->last == 2)
		e->keeper = link_free(e->keeper);
}

static void on_gone(void *userdata, _unused_ const char *why)
{
	struct ends *e = userdata;

	e->gone++;
}

static void spin(struct ends *e)
{
	for (int i = 0; i < 400; i++)
		if (sd_event_run(e->event, 1000) == 0 && i > 20)
			break;
}

static int setup(void **state)
{
	struct ends *e = xnew(struct ends);
	int fds[2];

	assert_int_equal(sd_event_new(&e->event), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(link_new(e->event, fds[0], LINK_KEEPER, on_record, on_gone, e, &e->keeper), 0);
	assert_int_equal(sd_bus_new(&e->peer), 0);
	assert_int_equal(sd_bus_set_fd(e->peer, fds[1], fds[1]), 0);
	assert_true(sd_bus_negotiate_fds(e->peer, 1) >= 0);
	assert_true(sd_bus_start(e->peer) >= 0);
	assert_true(sd_bus_attach_event(e->peer, e->event, 0) >= 0);
	spin(e);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;

	link_free(e->keeper);
	sd_bus_close(e->peer);
	sd_bus_detach_event(e->peer);
	sd_bus_unref(e->peer);
	sd_event_unref(e->event);
	free(e);
	return 0;
}

static sd_bus_message *begin(struct ends *e, const char *name)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_signal(e->peer, &m, "/link", "org.varve.Link1", name) >= 0);
	return m;
}

static void leave(struct ends *e, sd_bus_message *m)
{
	assert_true(sd_bus_send(e->peer, m, NULL) >= 0);
	sd_bus_message_unref(m);
	spin(e);
}

#define PACK_STR(b, v) buf_add(b, v, strlen(v) + 1);
#define PACK_U32(b, v) buf_add(b, &(v), sizeof(v));
#define PACK_U64(b, v) buf_add(b, &(v), sizeof(v));
#define PACK_I64(b, v) buf_add(b, &(v), sizeof(v));
#define PACK_BOOL(b, v) buf_add(b, &(v), sizeof(v));
#define PACK(type, name, max) PACK_##type(b, r->name)

static void pack(struct buf *b, const struct message *r)
{
	MESSAGE_FIELDS(PACK)
}

static void send_bytes(struct ends *e, const void *data, size_t len)
{
	sd_bus_message *m = begin(e, "MSG");

	assert_true(sd_bus_message_append_array(m, 'y', data, len) >= 0);
	leave(e, m);
}

/* Messages 1 to ${n}, one of them ${bad} (from ${from}). */
static void send_array(struct ends *e, uint32_t n, uint32_t bad, const char *from)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	for (uint32_t i = 1; i <= n; i++) {
		struct message r;

		message_init(&r);
		r.n = i;
		r.from = i == bad ? from : "a@b.test";
		pack(&b, &r);
	}
	send_bytes(e, buf_str(&b), b.len);
}

static void as_many_as_we_would_send(void **state)
{
	struct ends *e = *state;

	send_array(e, AT_A_TIME, 0, "");
	assert_int_equal(e->records, AT_A_TIME);
	assert_int_equal(e->last, AT_A_TIME);
	send_array(e, 0, 0, "");
	send_array(e, 1, 0, "");
	assert_int_equal(e->records, AT_A_TIME + 1);
	assert_int_equal(e->gone, 0);
}

/* The keeper would do all of it in one turn of its loop. */
static void one_more_ends_the_link(void **state)
{
	struct ends *e = *state;

	send_array(e, AT_A_TIME + 1, 0, "");
	assert_int_equal(e->records, AT_A_TIME);
	assert_int_equal(e->gone, 1);
	/* And nothing of what follows is read. */
	send_array(e, 1, 0, "");
	assert_int_equal(e->records, AT_A_TIME);
	assert_int_equal(e->gone, 1);
}

/* Those before it are as good as if each had come alone; those after it are nobody's. */
static void a_bad_one_in_the_middle(void **state)
{
	static char longer[JID_MAX + 2];
	struct ends *e = *state;

	memset(longer, 'a', JID_MAX + 1);
	send_array(e, 9, 4, longer);
	assert_int_equal(e->records, 3);
	assert_int_equal(e->last, 3);
	assert_int_equal(e->gone, 1);
}

static void a_string_at_its_limit(void **state)
{
	static char longest[JID_MAX + 1];
	struct ends *e = *state;

	memset(longest, 'a', JID_MAX);
	send_array(e, 3, 2, longest);
	assert_int_equal(e->records, 3);
	assert_int_equal(e->gone, 0);
}

static void freed_by_one_in_the_middle(void **state)
{
	struct ends *e = *state;

	e->free_at = true;
	send_array(e, 9, 0, "");
	assert_int_equal(e->records, 2);
	assert_null(e->keeper);
	assert_int_equal(e->gone, 0);
}

static void something_behind_the_array(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "MSG");

	assert_true(sd_bus_message_append(m, "ays", 0, "more") >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

/* Neither a message without an array, nor an array of something else. */
static void not_the_array_that_it_should_be(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "MSG");

	assert_true(sd_bus_message_append(m, "s", "a@b.test") >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

static void an_empty_message(void **state)
{
	struct ends *e = *state;

	leave(e, begin(e, "MSG"));
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

/* What each field may be is test-fields.c's. */
static void bytes_that_are_no_record(void **state)
{
	struct ends *e = *state;

	send_bytes(e, "\1\0\0\0", 4);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

static void an_array_of_something_else(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "MSG");

	assert_true(sd_bus_message_append(m, "a(u)", 2, 1, 2) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

static void an_array_where_there_is_none(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "IDLE");

	assert_true(sd_bus_message_append(m, "a(u)", 2, 1, 2) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

static void a_record_with_more_than_its_fields(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "IDLE");

	assert_true(sd_bus_message_append(m, "u", 7) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 1);
	assert_int_equal(e->last, 7);
	m = begin(e, "IDLE");
	assert_true(sd_bus_message_append(m, "uu", 8, 9) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 1);
	assert_int_equal(e->gone, 1);
}

static void a_record_over_its_limit(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "UNSENDABLE");
	char condition[66];

	memset(condition, 'c', 65);
	condition[64] = '\0';
	assert_true(sd_bus_message_append(m, "tss", UINT64_C(1), condition, "") >= 0);
	leave(e, m);
	assert_int_equal(e->records, 1);
	condition[64] = 'c';
	condition[65] = '\0';
	m = begin(e, "UNSENDABLE");
	assert_true(sd_bus_message_append(m, "tss", UINT64_C(1), condition, "") >= 0);
	leave(e, m);
	assert_int_equal(e->records, 1);
	assert_int_equal(e->gone, 1);
}

/* Beyond what a time can be: who reckons with it need not look. */
static void a_time_over_its_limit(void **state)
{
	struct ends *e = *state;
	const int64_t edges[] = { -LINK_I64_MAX, LINK_I64_MAX, INT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		sd_bus_message *m = begin(e, "TOKEN");

		assert_true(sd_bus_message_append(m, "ssxu", "", "", edges[i], 0) >= 0);
		leave(e, m);
	}
	assert_int_equal(e->records, 2);
	assert_int_equal(e->gone, 1);
}

static void a_time_under_its_limit(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "TOKEN");

	assert_true(sd_bus_message_append(m, "ssxu", "", "", -LINK_I64_MAX - 1, 0) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

/* What only the keeper says; MSG the other way round is test-link.c's. */
static void the_keepers_own_words(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = begin(e, "COMMITTED");

	assert_true(sd_bus_message_append(m, "u", 7) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

/* Under another interface, or asked as a method: nothing of ours. */
static void a_call_is_no_record(void **state)
{
	struct ends *e = *state;
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_method_call(e->peer, &m, NULL, "/link", "org.varve.Link1", "IDLE") >= 0);
	assert_true(sd_bus_message_append(m, "u", 7) >= 0);
	leave(e, m);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

/* Were they taken, the keeper's table of them could be filled. */
/* Bytes past sd-bus, until the link is gone, but no more than so many: how many it took. */
static size_t pour(struct ends *e, const void *data, size_t len, size_t most)
{
	int fd = sd_bus_get_fd(e->peer);
	size_t n = 0;

	while (!e->gone && n < most) {
		ssize_t r = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		assert_true(sd_event_run(e->event, 0) >= 0);
	}
	return n;
}

#define HEADER(body) { 'l', 4, 0, 1, (body) & 0xff, (body) >> 8 & 0xff, (body) >> 16 & 0xff, (body) >> 24, 1, 1, 0, 0, 0, 0, 0, 0 }
#define HELD_MAX (2u * 1024 * 1024) /* what the keeper reads at most, with what the socket holds */

static void a_message_without_end(void **state)
{
	static const uint8_t header[16] = HEADER(100u * 1024 * 1024);
	static const char nothing[65536];
	struct ends *e = *state;

	assert_int_equal(pour(e, header, sizeof(header), sizeof(header)), sizeof(header));
	assert_in_range(pour(e, nothing, sizeof(nothing), 64u * 1024 * 1024), 1024 * 1024, HELD_MAX);
	assert_int_equal(e->gone, 1);
	assert_int_equal(e->records, 0);
}

/* sd-bus drops them in a loop of its own. */
static void messages_that_do_not_parse(void **state)
{
	static const uint8_t header[16] = HEADER(0u);
	static uint8_t many[65536];
	struct ends *e = *state;

	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = header[i % sizeof(header)];
	assert_in_range(pour(e, many, sizeof(many), 64u * 1024 * 1024), 1024 * 1024, HELD_MAX);
	assert_int_equal(e->gone, 1);
	assert_int_equal(e->records, 0);
}

/* What is right has no end. */
static void messages_for_a_long_time(void **state)
{
	struct ends *e = *state;

	for (uint32_t i = 0; i < 40; i++) {
		static char longest[JID_MAX + 1];

		memset(longest, 'a', JID_MAX);
		send_array(e, 20, 2, longest);
		for (uint32_t n = 0; n < 400; n++) {
			sd_bus_message *m = begin(e, "UNSENDABLE");
			char text[1000];

			memset(text, 't', sizeof(text) - 1);
			text[sizeof(text) - 1] = '\0';
			assert_true(sd_bus_message_append(m, "tss", UINT64_C(1), "c", text) >= 0);
			assert_true(sd_bus_send(e->peer, m, NULL) >= 0);
			sd_bus_message_unref(m);
		}
		spin(e);
	}
	while (e->records < 40 * 420 && !e->gone)
		assert_true(sd_event_run(e->event, 1000000) > 0);
	assert_int_equal(e->gone, 0);
	assert_int_equal(e->records, 40 * 420);
}

static void no_descriptors(void **state)
{
	struct ends *e = *state;

	assert_int_equal(sd_bus_can_send(e->peer, SD_BUS_TYPE_UNIX_FD), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(as_many_as_we_would_send),
		T(one_more_ends_the_link),
		T(a_bad_one_in_the_middle),
		T(a_string_at_its_limit),
		T(freed_by_one_in_the_middle),
		T(something_behind_the_array),
		T(not_the_array_that_it_should_be),
		T(an_empty_message),
		T(bytes_that_are_no_record),
		T(an_array_of_something_else),
		T(an_array_where_there_is_none),
		T(a_record_with_more_than_its_fields),
		T(a_record_over_its_limit),
		T(a_time_over_its_limit),
		T(a_time_under_its_limit),
		T(the_keepers_own_words),
		T(a_call_is_no_record),
		T(a_message_without_end),
		T(messages_that_do_not_parse),
		T(messages_for_a_long_time),
		T(no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
