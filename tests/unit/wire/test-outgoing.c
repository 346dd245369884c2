/* wire/outgoing.c: items wait for GO, everything behind them waits with them, all in order. */
#include "base/buf.h"
#include "link/vocab.h"
#include "wire-test.h"
#include "wire/limits.h"
#include "wire/outgoing.h"

struct bench {
	struct sm sm;
	struct outgoing *o;
	struct buf out; /* what was written, and "#item=number" for news */
};

static void on_write(void *userdata, const char *xml)
{
	buf_addf(&((struct bench *)userdata)->out, "%s ", xml);
}

static void on_numbered(void *userdata, uint64_t item, uint32_t n)
{
	buf_addf(&((struct bench *)userdata)->out, "#%u=%u ", (unsigned int)item, n);
}

static void on_ask(void *userdata)
{
	struct bench *b = userdata;

	sm_requested(&b->sm);
	buf_addf(&b->out, "? ");
}

static int setup(void **state)
{
	struct bench *b = xnew(struct bench);
	const struct outgoing_ops ops = { .write = on_write, .ask = on_ask, .numbered = on_numbered, .userdata = b };

	b->o = outgoing_new(&b->sm, &ops);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	outgoing_free(b->o);
	buf_deinit(&b->out);
	free(b);
	return 0;
}

static void happened(struct bench *b, const char *what)
{
	assert_string_equal(buf_str(&b->out), what);
	buf_reset(&b->out);
}

static void go(struct bench *b, uint32_t n)
{
	sm_go(&b->sm, n);
	outgoing_run(b->o);
}

static void an_item_waits_for_its_go_and_what_is_behind_it_waits_too(void **state)
{
	struct bench *b = *state;

	sm_enable(&b->sm, 100);
	assert_int_equal(outgoing_stanza(b->o, "a"), 0);
	assert_int_equal(outgoing_item(b->o, 71, "B"), 0);
	assert_int_equal(outgoing_stanza(b->o, "c"), 0);
	assert_int_equal(outgoing_item(b->o, 72, "D"), 0);
	assert_int_equal(outgoing_item(b->o, 73, "E"), 0);
	happened(b, "a #71=2 #72=4 #73=5 ");
	assert_int_equal(b->sm.out, 1);
	go(b, 2);
	happened(b, "B c ");
	go(b, 5);
	happened(b, "D E ");
	assert_int_equal(b->sm.out, 5);
	assert_int_equal(outgoing_stanza(b->o, "f"), 0);
	happened(b, "f ");
}

static void a_go_for_numbers_that_were_never_given_lets_nothing_out(void **state)
{
	struct bench *b = *state;

	sm_enable(&b->sm, 100);
	go(b, 7);
	outgoing_item(b->o, 1, "A");
	go(b, 2);
	happened(b, "#1=1 ");
	go(b, 1);
	happened(b, "A ");
}

static void nothing_is_numbered_beyond_the_grant(void **state)
{
	struct bench *b = *state;

	sm_enable(&b->sm, 1);
	outgoing_item(b->o, 1, "A");
	outgoing_item(b->o, 2, "B");
	outgoing_stanza(b->o, "c");
	happened(b, "#1=1 ");
	go(b, 1);
	happened(b, "A ");
	sm_granted(&b->sm, 2);
	outgoing_run(b->o);
	happened(b, "#2=2 ");
	sm_granted(&b->sm, 9);
	go(b, 2);
	happened(b, "B c ");
}

static void without_stream_management_items_are_numbered_from_one(void **state)
{
	struct bench *b = *state;

	outgoing_stanza(b->o, "a");
	outgoing_item(b->o, 5, "B");
	outgoing_stanza(b->o, "c");
	outgoing_item(b->o, 6, "D");
	happened(b, "a #5=1 #6=2 ");
	go(b, 2);
	happened(b, "B c D ");
}

static void a_withdrawn_item_leaves_its_number_to_something_harmless(void **state)
{
	struct bench *b = *state;

	sm_enable(&b->sm, 100);
	outgoing_item(b->o, 1, "A");
	outgoing_item(b->o, 2, "B");
	assert_false(outgoing_withdraw(b->o, 3, "ping"));
	assert_true(outgoing_withdraw(b->o, 1, "ping"));
	go(b, 2);
	happened(b, "#1=1 #2=2 ping B ");
	assert_false(outgoing_withdraw(b->o, 2, "ping"));
}

static void a_withdrawn_item_is_nothing_where_nothing_counts(void **state)
{
	struct bench *b = *state;

	outgoing_item(b->o, 1, "A");
	outgoing_item(b->o, 2, "B");
	assert_true(outgoing_withdraw(b->o, 1, "ping"));
	go(b, 2);
	happened(b, "#1=1 #2=2 B ");
}

static void acked(struct bench *b, uint32_t n)
{
	assert_int_equal(sm_acked(&b->sm, n), 0);
	outgoing_run(b->o);
}

static void a_long_item_waits_until_what_is_on_its_way_has_arrived(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *half = xcalloc(1, ON_WAY_MAX / 2 + 1), *twice = xcalloc(1, 2 * ON_WAY_MAX + 1);

	memset(half, 'h', ON_WAY_MAX / 2);
	memset(twice, 't', 2 * ON_WAY_MAX);
	sm_enable(&b->sm, 100);
	outgoing_item(b->o, 1, twice); /* one at least */
	outgoing_item(b->o, 2, half);
	outgoing_item(b->o, 3, half);
	outgoing_item(b->o, 4, "D");
	outgoing_stanza(b->o, "e");
	go(b, 4);
	assert_int_equal(b->sm.out, 1);
	acked(b, 0);
	assert_int_equal(b->sm.out, 1);
	acked(b, 1);
	assert_int_equal(b->sm.out, 3); /* two halves are a whole */
	acked(b, 2);
	assert_int_equal(b->sm.out, 5);
	/* what is no item is not counted, and waits for nothing but its place */
	outgoing_stanza(b->o, twice);
	assert_int_equal(b->sm.out, 6);
}

static void no_more_are_on_their_way_than_there_is_room_for(void **state)
{
	struct bench *b = *state;

	assert_true(ON_WAY_ITEMS_MAX < LINK_SENDS_MAX);
	sm_enable(&b->sm, 1000);
	for (int i = 0; i < LINK_SENDS_MAX; i++)
		outgoing_item(b->o, 1, "A");
	go(b, LINK_SENDS_MAX);
	assert_int_equal(b->sm.out, ON_WAY_ITEMS_MAX);
	acked(b, 1);
	assert_int_equal(b->sm.out, ON_WAY_ITEMS_MAX + 1);
	acked(b, ON_WAY_ITEMS_MAX + 1);
	assert_int_equal(b->sm.out, LINK_SENDS_MAX);
}

static void the_flight_is_followed_over_the_wrap(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *most = xcalloc(1, ON_WAY_MAX + 1);

	memset(most, 'm', ON_WAY_MAX);
	assert_int_equal(sm_resumed(&b->sm, 0, UINT32_MAX - 1, 1000, UINT32_MAX - 1), 0);
	for (uint32_t i = 0; i < 3; i++)
		outgoing_item(b->o, i, most);
	go(b, 1);
	assert_int_equal(b->sm.out, UINT32_MAX);
	acked(b, UINT32_MAX);
	assert_int_equal(b->sm.out, 0);
	acked(b, 0);
	assert_int_equal(b->sm.out, 1);
}

static void the_server_is_asked_inside_a_long_burst(void **state)
{
	struct bench *b = *state;

	sm_enable(&b->sm, 100);
	for (int i = 0; i < ASK_BETWEEN + 2; i++)
		outgoing_item(b->o, 1, "A");
	buf_reset(&b->out);
	go(b, ASK_BETWEEN + 2);
	happened(b, "A A A A A A A A ? A A ");
}

static void what_waits_is_bounded(void **state)
{
	struct bench *b = *state;

	sm_enable(&b->sm, 10);
	for (int i = 0; i < LINK_SENDS_MAX; i++)
		assert_int_equal(outgoing_item(b->o, 1, "A"), 0);
	assert_int_equal(outgoing_item(b->o, 1, "A"), OUTGOING_E_FULL);
	for (int i = 0; i < WAITING_MAX; i++)
		assert_int_equal(outgoing_stanza(b->o, "b"), 0);
	assert_int_equal(outgoing_stanza(b->o, "b"), OUTGOING_E_FULL);
	buf_reset(&b->out);
	go(b, 1);
	assert_int_equal(outgoing_item(b->o, 1, "A"), 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(an_item_waits_for_its_go_and_what_is_behind_it_waits_too),
		STORY(a_go_for_numbers_that_were_never_given_lets_nothing_out),
		STORY(nothing_is_numbered_beyond_the_grant),
		STORY(without_stream_management_items_are_numbered_from_one),
		STORY(a_withdrawn_item_leaves_its_number_to_something_harmless),
		STORY(a_withdrawn_item_is_nothing_where_nothing_counts),
		STORY(a_long_item_waits_until_what_is_on_its_way_has_arrived),
		STORY(no_more_are_on_their_way_than_there_is_room_for),
		STORY(the_flight_is_followed_over_the_wrap),
		STORY(the_server_is_asked_inside_a_long_burst),
		STORY(what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
