/* core/lanes: how many pages at a time, against a model of a link and a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/lanes.h"

#define MS INT64_C(1000)
#define PAGE 50

/*
 * A server that works on one page at a time for ${work_us}, behind a link with a round trip of ${rtt_us}. Pages are
 * asked for as soon as there is a lane. Runs ${pages}; returns how long it took.
 */
struct model {
	int64_t rtt_us, work_us, now_us, free_us;
	int64_t asked[LANES_MAX], due[LANES_MAX];
	unsigned int flying;
};

static void ask(struct model *m)
{
	int64_t arrives = m->now_us + m->rtt_us / 2;

	m->free_us = (m->free_us > arrives ? m->free_us : arrives) + m->work_us;
	m->asked[m->flying] = m->now_us;
	m->due[m->flying++] = m->free_us + m->rtt_us / 2;
}

static int64_t drive(struct model *m, struct lanes *l, unsigned int pages)
{
	int64_t began = m->now_us;

	for (unsigned int done = 0; done < pages; done++) {
		int64_t asked;

		while (m->flying < l->n)
			ask(m);
		m->now_us = m->due[0];
		asked = m->asked[0];
		m->flying--;
		for (unsigned int i = 0; i < m->flying; i++) {
			m->due[i] = m->due[i + 1];
			m->asked[i] = m->asked[i + 1];
		}
		lanes_page(l, m->now_us, PAGE, m->now_us - asked);
	}
	return m->now_us - began;
}

static void a_long_link_is_filled(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 1 * MS, .now_us = 1 };
	struct lanes l;
	int64_t took;

	lanes_init(&l, LANES_MAX);
	assert_int_equal(l.n, 1);
	took = drive(&m, &l, 400);
	assert_int_equal(l.n, LANES_MAX);
	/* One lane takes 400 round trips; growing costs a few. */
	assert_true(took * 8 < 400 * 201 * MS);
}

static void one_lane_where_the_server_is_the_bottleneck(_unused_ void **state)
{
	struct model m = { .rtt_us = 1 * MS, .work_us = 20 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	drive(&m, &l, 20);
	assert_int_equal(l.n, 1);
	/* It is tried again now and then, and is one again. */
	drive(&m, &l, 500);
	assert_true(l.n <= 2);
}

static void as_many_as_the_server_can_serve(_unused_ void **state)
{
	struct model m = { .rtt_us = 100 * MS, .work_us = 25 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	drive(&m, &l, 60);
	/* 5 fill it: 4 are too few to be worth less than half, 8 bring little more. */
	assert_in_range(l.n, 4, 8);
}

static void a_server_that_slows_down_is_left_alone(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 1 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	drive(&m, &l, 200);
	assert_int_equal(l.n, LANES_MAX);
	m.work_us = 100 * MS;
	drive(&m, &l, 400);
	assert_true(l.n <= 8);
}

static void trouble_means_one_for_a_while(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 1 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	drive(&m, &l, 200);
	lanes_trouble(&l);
	assert_int_equal(l.n, 1);
	m.flying = 0;
	drive(&m, &l, 10);
	assert_int_equal(l.n, 1);
	drive(&m, &l, 200);
	assert_true(l.n > 1);
}

static void the_maximum_is_kept(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 1 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, 5);
	drive(&m, &l, 200);
	assert_int_equal(l.n, 5);
	lanes_init(&l, 0);
	assert_int_equal(l.max, 1);
	lanes_init(&l, 1000);
	assert_int_equal(l.max, LANES_MAX);
}

/* Where answers without a page are quick, a page is the server's work: no more lanes are even tried. */
static void a_quick_link_is_not_tried(_unused_ void **state)
{
	struct model m = { .rtt_us = 1 * MS, .work_us = 20 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 4 * MS);
	lanes_small_answer(&l, 2 * MS);
	lanes_small_answer(&l, 9 * MS);
	assert_int_equal(l.rtt_us, 2 * MS);
	for (int i = 0; i < 500; i++) {
		drive(&m, &l, 1);
		assert_int_equal(l.n, 1);
	}
}

/* Where pages are quick the time between an answer and the next question is a part of them: a second lane fills it, or goes. */
static void a_quick_page_has_a_second_lane(_unused_ void **state)
{
	struct model m = { .rtt_us = 800, .work_us = 5 * MS, .now_us = 1 }, busy = { .rtt_us = 100, .work_us = 5 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 800);
	drive(&m, &l, 60);
	assert_int_equal(l.n, 2);
	/* None waits: there is no round trip to speak of. */
	lanes_asked(&l, m.now_us);
	assert_int_equal(lanes_wait(&l, m.now_us), 0);
	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 100);
	while (l.n < 2)
		drive(&busy, &l, 1);
	drive(&busy, &l, 8);
	assert_int_equal(l.n, 1);
}

/* It is known from the first measurement how many are worth a try: faster than by doubling. */
static void a_long_link_is_filled_sooner(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 1 * MS, .now_us = 1 }, doubling = m;
	struct lanes l, unknown;

	lanes_init(&l, LANES_MAX);
	lanes_init(&unknown, LANES_MAX);
	lanes_small_answer(&l, 200 * MS);
	/* One page and the round trip are all that it takes. */
	drive(&m, &l, 1);
	assert_in_range(l.n, LANES_MAX / 2, LANES_MAX);
	drive(&m, &l, 29);
	drive(&doubling, &unknown, 30);
	assert_int_equal(l.n, LANES_MAX);
	assert_true(m.now_us < doubling.now_us);
}

/* The round trip promises more than the server can do: what the rate showed is kept of it, not nothing. */
static void what_a_trial_brought_is_kept(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 60 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 200 * MS);
	drive(&m, &l, 60);
	assert_in_range(l.n, 2, 5);
}

/* A page of Prosody's took 25 ms beyond the round trip, of which it worked 13: nine lanes, which that says, kept it half idle. */
static void what_is_no_work_is_not_taken_for_it(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 13 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 188 * MS);
	drive(&m, &l, 100);
	assert_int_equal(l.n, LANES_MAX);
}

/* Half of it is a guess. Where the rate says that eight are too many, those that wait in the server go again, and stay away. */
static void what_waits_in_the_server_goes_again(_unused_ void **state)
{
	struct model m = { .rtt_us = 100 * MS, .work_us = 30 * MS, .now_us = 1 };
	unsigned int most = 0, many = 0;
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 100 * MS);
	for (int i = 0; i < 200; i++) {
		drive(&m, &l, 1);
		most = l.n > most ? l.n : most;
		many += l.n > 5;
	}
	assert_in_range(l.n, 4, 5);
	assert_int_equal(most, 8);
	assert_in_range(many, 1, 50);
}

static void trouble_does_not_forget_the_round_trip(_unused_ void **state)
{
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 30 * MS);
	lanes_trouble(&l);
	assert_int_equal(l.rtt_us, 30 * MS);
}

/*
 * A server that reads all that has come, works on it, and says at the end what it has to say to all of it, as Prosody does. In
 * steps of 1 ms; returns how long ${pages} took.
 */
static int64_t drive_bursts(struct lanes *l, int rtt, int work, unsigned int pages)
{
	struct { int asked, due; } flying[LANES_MAX];
	unsigned int n = 0, done = 0;
	int now = 0, free_at = 0;

	while (done < pages) {
		unsigned int read = 0;

		now++;
		/* Asked: due is 0 until the server has read it. */
		while (n < l->n && lanes_wait(l, now * MS) == 0) {
			flying[n].asked = now;
			flying[n++].due = 0;
			lanes_asked(l, now * MS);
		}
		for (unsigned int i = 0; now >= free_at && i < n; i++)
			read += flying[i].due == 0 && flying[i].asked + rtt / 2 <= now;
		for (unsigned int i = 0; read && i < n; i++)
			if (flying[i].due == 0 && flying[i].asked + rtt / 2 <= now)
				flying[i].due = now + (int)read * work + rtt / 2;
		if (read)
			free_at = now + (int)read * work;
		for (unsigned int i = 0; i < n;) {
			if (flying[i].due == 0 || flying[i].due > now) {
				i++;
				continue;
			}
			lanes_page(l, now * MS, PAGE, (now - flying[i].asked) * MS);
			done++;
			flying[i] = flying[--n];
		}
	}
	return now * MS;
}

/* Questions that leave together come back together, and the server is idle for a round trip. They do not. */
static void questions_are_spread(_unused_ void **state)
{
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 200 * MS);
	/* 400 pages are 4 s of work; in bursts of eight, and more do not seem to help, they take 14. */
	assert_true(drive_bursts(&l, 200, 10, 400) < 8000 * MS);
	assert_in_range(l.n, 12, LANES_MAX);
}

/* One lane waits for nothing, nor does what has waited. */
static void nothing_waits_longer_than_it_must(_unused_ void **state)
{
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_page(&l, 300 * MS, PAGE, 200 * MS);
	lanes_asked(&l, 300 * MS);
	assert_int_equal(lanes_wait(&l, 300 * MS), 0);
	l.n = 4;
	assert_in_range(lanes_wait(&l, 300 * MS), 25 * MS, 50 * MS);
	assert_int_equal(lanes_wait(&l, 350 * MS), 0);
	/* A page that took long says little: another was quick. */
	lanes_page(&l, 900 * MS, PAGE, 800 * MS);
	assert_in_range(lanes_wait(&l, 300 * MS), 25 * MS, 60 * MS);
	/* Until they all take so long. */
	for (int i = 0; i < 100; i++)
		lanes_page(&l, 1000 * MS, PAGE, 800 * MS);
	l.n = 4;
	assert_in_range(lanes_wait(&l, 300 * MS), 120 * MS, 200 * MS);
	lanes_trouble(&l);
	assert_int_equal(lanes_wait(&l, 300 * MS), 0);
}

/* A trial that failed by chance is made again soon, where the round trip says that more would help. */
static void chance_is_tried_again(_unused_ void **state)
{
	struct model m = { .rtt_us = 200 * MS, .work_us = 2 * MS, .now_us = 1 };
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 200 * MS);
	while (l.n < LANES_MAX / 2)
		drive(&m, &l, 1);
	m.work_us = 100 * MS;
	drive(&m, &l, 3 * LANES_MAX);
	assert_true(l.n < LANES_MAX);
	m.work_us = 2 * MS;
	m.free_us = 0;
	drive(&m, &l, 3 * LANES_MAX);
	assert_int_equal(l.n, LANES_MAX);
}

/* A trial that brought three times the rate with eight times the lanes leaves three. */
static void a_trial_that_brought_little_leaves_as_many(_unused_ void **state)
{
	int64_t now = 1000 * MS;
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 200 * MS);
	lanes_page(&l, now, PAGE, 210 * MS);
	assert_int_equal(l.n, 8);
	for (int i = 0; i < 8 + 1 + 16; i++)
		lanes_page(&l, now += 68 * MS, PAGE, 500 * MS);
	assert_int_equal(l.n, 3);
}

/* Those that waited behind another lane's say nothing of the server's work: the fastest does. */
static void the_fastest_page_says_what_the_work_is(_unused_ void **state)
{
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	lanes_small_answer(&l, 200 * MS);
	l.n = 4;
	for (int i = 1; i <= 9; i++)
		lanes_page(&l, i * 60 * MS, PAGE, (i == 5 ? 210 : 300) * MS);
	assert_true(l.n > 4);
}

/* What is measured while there was nothing more to ask decides nothing. */
static void idle_lanes_are_no_measurement(_unused_ void **state)
{
	struct lanes l;

	lanes_init(&l, LANES_MAX);
	for (int i = 1; i < 100; i++) {
		lanes_page(&l, i * 100 * MS, PAGE, 100 * MS);
		lanes_idle(&l);
	}
	assert_int_equal(l.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_link_is_filled),
		cmocka_unit_test(one_lane_where_the_server_is_the_bottleneck),
		cmocka_unit_test(as_many_as_the_server_can_serve),
		cmocka_unit_test(a_server_that_slows_down_is_left_alone),
		cmocka_unit_test(trouble_means_one_for_a_while),
		cmocka_unit_test(the_maximum_is_kept),
		cmocka_unit_test(a_quick_link_is_not_tried),
		cmocka_unit_test(a_quick_page_has_a_second_lane),
		cmocka_unit_test(a_long_link_is_filled_sooner),
		cmocka_unit_test(what_a_trial_brought_is_kept),
		cmocka_unit_test(what_is_no_work_is_not_taken_for_it),
		cmocka_unit_test(what_waits_in_the_server_goes_again),
		cmocka_unit_test(trouble_does_not_forget_the_round_trip),
		cmocka_unit_test(questions_are_spread),
		cmocka_unit_test(nothing_waits_longer_than_it_must),
		cmocka_unit_test(chance_is_tried_again),
		cmocka_unit_test(a_trial_that_brought_little_leaves_as_many),
		cmocka_unit_test(the_fastest_page_says_what_the_work_is),
		cmocka_unit_test(idle_lanes_are_no_measurement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
