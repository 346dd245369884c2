/* link: every record of the vocabulary crosses the socketpair unchanged; what breaks a limit does not. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "link/link.h"

struct ends {
	sd_event *event;
	struct link *keeper, *wire;
	struct link_record got;
	char text[256]; /* a string of the record, copied */
	int records, gone;
	bool free_inside;
	char order[2048]; /* what came, a letter or number each */
};

static const char *string_of(const struct link_record *r)
{
	return r->kind == LINK_MSG ? r->msg.body : r->kind == LINK_START ? r->start.jid :
	       r->kind == LINK_FAILED ? r->failed.text : "";
}

static void on_record(void *userdata, const struct link_record *r)
{
	struct ends *e = userdata;

	e->got = *r;
	snprintf(e->text, sizeof(e->text), "%s", string_of(r));
	e->records++;
	if (strlen(e->order) + 16 < sizeof(e->order))
		snprintf(e->order + strlen(e->order), 16, r->kind == LINK_MSG ? "%u " : "idle ", r->msg.n);
	if (e->free_inside)
		e->keeper = link_free(e->keeper);
}

static void on_gone(void *userdata, _unused_ const char *why)
{
	struct ends *e = userdata;

	e->gone++;
}

static void spin(struct ends *e)
{
	for (int i = 0; i < 200; i++)
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
	assert_int_equal(link_new(e->event, fds[1], LINK_WIRE, on_record, on_gone, e, &e->wire), 0);
	spin(e);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;

	link_free(e->keeper);
	link_free(e->wire);
	sd_event_unref(e->event);
	free(e);
	return 0;
}

enum direction { TO_KEEPER, TO_WIRE };
#define DIRECTION(NAME, name, tag, fields, dir) [LINK_##NAME] = (dir),
static const enum direction directions[LINK_KINDS] = { LINK_VOCABULARY(DIRECTION) };
#undef DIRECTION

static void every_kind_arrives(void **state)
{
	struct ends *e = *state;

	for (int k = 0; k < LINK_KINDS; k++) {
		struct link_record r;
		bool to_wire = directions[k] == TO_WIRE;

		link_record_init(&r, (enum link_kind)k);
		e->records = 0;
		assert_int_equal(link_send(to_wire ? e->keeper : e->wire, &r), 0);
		spin(e);
		assert_int_equal(e->records, 1);
		assert_int_equal(e->got.kind, k);
	}
	assert_int_equal(e->gone, 0);
}

static void fields_arrive_unchanged(void **state)
{
	struct ends *e = *state;
	struct link_record r;

	link_record_init(&r, LINK_MSG);
	r.msg.n = UINT32_MAX;
	r.msg.archive_us = -LINK_I64_MAX;
	r.msg.delay_us = LINK_I64_MAX;
	r.msg.delay_trusted = true;
	r.msg.body = "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80";
	assert_int_equal(link_send(e->wire, &r), 0);
	spin(e);
	assert_int_equal(e->got.msg.n, UINT32_MAX);
	assert_true(e->got.msg.archive_us == -LINK_I64_MAX);
	assert_true(e->got.msg.delay_us == LINK_I64_MAX);
	assert_true(e->got.msg.delay_trusted);
	assert_string_equal(e->text, r.msg.body);
}

static void over_a_limit_or_not_utf8_is_refused_by_the_sender(void **state)
{
	struct ends *e = *state;
	static char longer[JID_MAX + 2];
	struct link_record r;

	memset(longer, 'a', JID_MAX + 1);
	link_record_init(&r, LINK_START);
	r.start.jid = longer;
	assert_int_equal(link_send(e->keeper, &r), -EMSGSIZE);
	longer[JID_MAX] = '\0';
	assert_int_equal(link_send(e->keeper, &r), 0);
	r.start.jid = "a\xff";
	assert_int_equal(link_send(e->keeper, &r), -EBADMSG);
	link_record_init(&r, LINK_QUERY);
	r.query.end_us = -LINK_I64_MAX - 1;
	assert_int_equal(link_send(e->keeper, &r), -EBADMSG);
	spin(e);
	assert_int_equal(e->records, 1);
	assert_int_equal(e->gone, 0);
}

/* Only the side that is meant to read a kind takes it; anything else ends the link. */
static void a_record_in_the_wrong_direction_ends_the_link(void **state)
{
	struct ends *e = *state;
	struct link_record r;

	link_record_init(&r, LINK_COMMITTED);
	assert_int_equal(link_send(e->wire, &r), 0);
	spin(e);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
	assert_int_equal(link_send(e->keeper, &r), -ENOTCONN);
}

static void the_other_side_dies(void **state)
{
	struct ends *e = *state;

	e->wire = link_free(e->wire);
	spin(e);
	assert_int_equal(e->gone, 1);
}

static void freed_inside_its_own_callback(void **state)
{
	struct ends *e = *state;
	struct link_record r;

	e->free_inside = true;
	link_record_init(&r, LINK_IDLE);
	for (int i = 0; i < 5; i++)
		assert_int_equal(link_send(e->wire, &r), 0);
	spin(e);
	assert_int_equal(e->records, 1);
}

/* Queued records leave by a flush, whose callbacks may free the link under it. */
static void freed_inside_a_flush(void **state)
{
	struct ends *e = *state;
	static char big[512 * 1024];
	struct link_record r;

	memset(big, 'x', sizeof(big) - 1);
	e->free_inside = true;
	link_record_init(&r, LINK_START);
	r.start.ca_pem = big;
	for (int i = 0; i < 60; i++) /* sd-bus asks for 8 or 16 MB of socket buffer */
		assert_int_equal(link_send(e->keeper, &r), 0);
	assert_true(link_queued(e->keeper) > 0);
	link_record_init(&r, LINK_IDLE);
	assert_int_equal(link_send(e->wire, &r), 0);
	assert_int_equal(link_flush(e->keeper, 50000), -ENOTCONN);
	assert_null(e->keeper);
}

static struct link_record numbered(uint32_t n)
{
	struct link_record r;

	link_record_init(&r, LINK_MSG);
	r.msg.n = n;
	return r;
}

/* MSGs travel together, but nothing overtakes anything, and each keeps what it says. */
static void messages_that_travel_together_keep_their_order(void **state)
{
	struct ends *e = *state;
	char want[2048] = "";
	struct link_record r;

	for (uint32_t n = 1; n <= 200; n++) {
		r = numbered(n);
		assert_int_equal(link_send(e->wire, &r), 0);
		snprintf(want + strlen(want), 16, "%u ", n);
		if (n % 70 != 0)
			continue;
		link_record_init(&r, LINK_IDLE);
		assert_int_equal(link_send(e->wire, &r), 0);
		snprintf(want + strlen(want), 16, "idle ");
	}
	spin(e);
	assert_string_equal(e->order, want);
	assert_int_equal(link_queued(e->wire), 0);
}

/* Nobody sends anything after it, and it comes all the same. */
static void what_waits_for_company_is_queued_and_leaves_without(void **state)
{
	struct ends *e = *state;
	struct link_record r = numbered(7);

	assert_int_equal(link_send(e->wire, &r), 0);
	assert_int_equal(link_queued(e->wire), 1);
	spin(e);
	assert_int_equal(e->records, 1);
	assert_int_equal(link_queued(e->wire), 0);
	assert_int_equal(link_send(e->wire, &r), 0);
	assert_int_equal(link_flush(e->wire, 1000000), 0);
	assert_int_equal(link_send(e->wire, &r), 0);
	e->wire = link_free(e->wire);
	spin(e);
	assert_int_equal(e->records, 3);
}

static void a_bad_message_leaves_its_neighbours_alone(void **state)
{
	struct ends *e = *state;
	static char longer[JID_MAX + 2];
	struct link_record r = numbered(1);

	assert_int_equal(link_send(e->wire, &r), 0);
	r = numbered(2);
	r.msg.body = "a\xff";
	assert_int_equal(link_send(e->wire, &r), -EBADMSG);
	r.msg.body = "\xef\xb7\x90"; /* U+FDD0, which sd-bus refuses */
	assert_int_equal(link_send(e->wire, &r), -EBADMSG);
	memset(longer, 'a', JID_MAX + 1);
	r = numbered(3);
	r.msg.from = longer;
	assert_int_equal(link_send(e->wire, &r), -EMSGSIZE);
	r = numbered(3);
	r.msg.delay_us = LINK_I64_MAX + 1;
	assert_int_equal(link_send(e->wire, &r), -EBADMSG);
	r = numbered(4);
	assert_int_equal(link_send(e->wire, &r), 0);
	spin(e);
	assert_string_equal(e->order, "1 4 ");
	assert_int_equal(e->gone, 0);
}

static void freed_among_messages_that_travel_together(void **state)
{
	struct ends *e = *state;
	struct link_record r = numbered(1);

	e->free_inside = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(link_send(e->wire, &r), 0);
	spin(e);
	assert_int_equal(e->records, 1);
}

static void a_message_in_the_wrong_direction_ends_the_link(void **state)
{
	struct ends *e = *state;
	struct link_record r = numbered(1);

	assert_int_equal(link_send(e->keeper, &r), 0);
	spin(e);
	assert_int_equal(e->records, 0);
	assert_int_equal(e->gone, 1);
}

/* The wire stops reading the network while much is queued: it is records that count, not what carries them. */
static void what_travels_together_is_counted_one_by_one(void **state)
{
	struct ends *e = *state;
	static char big[200 * 1024];
	struct link_record r = numbered(1);
	size_t full;

	memset(big, 'x', sizeof(big) - 1);
	r.msg.body = big;
	for (int i = 0; i < 200; i++) /* sd-bus asks for 8 or 16 MB of socket buffer */
		assert_int_equal(link_send(e->wire, &r), 0);
	full = link_queued(e->wire);
	assert_true(full > 0);
	r.msg.body = "";
	for (int i = 0; i < 300; i++)
		assert_int_equal(link_send(e->wire, &r), 0);
	assert_int_equal(link_queued(e->wire), full + 300);
	for (int i = 0; i < 100 && e->records < 500; i++)
		spin(e);
	assert_int_equal(e->records, 500);
	assert_int_equal(link_queued(e->wire), 0);
}

/* Long ones leave before there are many of them: nobody holds megabytes back for company. */
static void long_messages_do_not_wait(void **state)
{
	struct ends *e = *state;
	static char text[40 * 1024];
	struct link_record r = numbered(1);

	memset(text, 'x', sizeof(text) - 1);
	r.msg.body = text;
	assert_int_equal(link_send(e->wire, &r), 0);
	assert_int_equal(link_queued(e->wire), 1);
	assert_int_equal(link_send(e->wire, &r), 0);
	assert_int_equal(link_queued(e->wire), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_kind_arrives),
		T(fields_arrive_unchanged),
		T(over_a_limit_or_not_utf8_is_refused_by_the_sender),
		T(a_record_in_the_wrong_direction_ends_the_link),
		T(the_other_side_dies),
		T(freed_inside_its_own_callback),
		T(freed_inside_a_flush),
		T(messages_that_travel_together_keep_their_order),
		T(what_waits_for_company_is_queued_and_leaves_without),
		T(a_bad_message_leaves_its_neighbours_alone),
		T(freed_among_messages_that_travel_together),
		T(a_message_in_the_wrong_direction_ends_the_link),
		T(what_travels_together_is_counted_one_by_one),
		T(long_messages_do_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
