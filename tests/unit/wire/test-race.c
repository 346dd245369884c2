/* wire/race.c with real sockets on loopback; the dead address is a listener whose queue is full. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wire-test.h"
#include "wire/limits.h"
#include "wire/race.h"

#define QUEUE 1

struct run {
	sd_event *event;
	struct race *race;
	unsigned int tried, asked;
	int error;
	int won; /* port, 0 if lost */
	struct endpoint more[2];
	size_t n_more;
};

static int port_of(const struct endpoint *e)
{
	return ntohs(((const struct sockaddr_in *)(const void *)&e->address)->sin_port);
}

/* A listener on a port of the kernel's choice, or a port where nobody listens. */
static int listener(bool open, struct endpoint *ret)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	if (open)
		assert_int_equal(listen(fd, QUEUE), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret = (struct endpoint){ .len = len };
	memcpy(&ret->address, &a, len);
	return fd;
}

static void on_trying(void *userdata, _unused_ const struct endpoint *e)
{
	((struct run *)userdata)->tried++;
}

static void on_more(void *userdata)
{
	struct run *r = userdata;

	r->asked++;
	race_add(r->race, r->more, r->n_more, true);
}

static void on_won(void *userdata, int fd, const struct endpoint *e)
{
	struct run *r = userdata;

	close(fd);
	r->won = port_of(e);
	sd_event_exit(r->event, 0);
}

static void on_lost(void *userdata, int error, _unused_ const struct endpoint *last)
{
	struct run *r = userdata;

	r->error = error;
	sd_event_exit(r->event, 0);
}

static const struct race_ops ops = { on_trying, on_more, on_won, on_lost };

/* How long it took, in ms. */
static int64_t run(struct run *r, const struct endpoint *e, size_t n, bool complete)
{
	int64_t begin_us = clock_boot_us();

	assert_true(sd_event_new(&r->event) >= 0);
	assert_int_equal(race_new(r->event, &ops, r, &r->race), 0);
	race_add(r->race, e, n, complete);
	assert_true(sd_event_loop(r->event) >= 0);
	race_free(r->race);
	sd_event_unref(r->event);
	return (clock_boot_us() - begin_us) / 1000;
}

/* Connections that nobody accepts, until the kernel takes no more. */
static void fill(const struct endpoint *e, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fds[i], (const struct sockaddr *)(const void *)&e->address, e->len);
	}
}

TEST(a_refusal_is_followed_by_the_next_at_once)
{
	struct run r = { 0 };
	struct endpoint e[3];
	int a = listener(false, &e[0]), b = listener(false, &e[1]), c = listener(true, &e[2]);

	assert_true(run(&r, e, 3, true) < 200);
	assert_int_equal(r.won, port_of(&e[2]));
	assert_int_equal(r.tried, 3);
	close(a);
	close(b);
	close(c);
}

TEST(silence_is_not_waited_for)
{
	struct run r = { 0 };
	struct endpoint e[2];
	int dead = listener(true, &e[0]), alive = listener(true, &e[1]), fds[8];
	int64_t took;

	fill(&e[0], fds, ARRAY_SIZE(fds));
	took = run(&r, e, 2, true);
	assert_int_equal(r.won, port_of(&e[1]));
	assert_in_range(took, RACE_SAME_US / 1000, CONNECT_TIMEOUT_US / 1000 - 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(dead);
	close(alive);
}

TEST(when_all_refuse_it_is_lost)
{
	struct run r = { 0 };
	struct endpoint e[2];
	int a = listener(false, &e[0]), b = listener(false, &e[1]);

	run(&r, e, 2, true);
	assert_int_equal(r.won, 0);
	assert_int_equal(r.error, ECONNREFUSED);
	close(a);
	close(b);
}

TEST(more_is_asked_for_once_and_the_known_is_not_tried_again)
{
	struct run r = { 0 };
	struct endpoint e[2];
	int a = listener(false, &e[0]), b = listener(true, &e[1]);

	r.more[0] = e[0];
	r.more[1] = e[1];
	r.n_more = 2;
	run(&r, e, 1, false);
	assert_int_equal(r.won, port_of(&e[1]));
	assert_int_equal(r.asked, 1);
	assert_int_equal(r.tried, 2);
	close(a);
	close(b);
}

TEST(what_answers_is_not_asked_about)
{
	struct run r = { 0 };
	struct endpoint e;
	int a = listener(true, &e);

	run(&r, &e, 1, false);
	assert_int_equal(r.won, port_of(&e));
	assert_int_equal(r.asked, 0);
	close(a);
}

TEST(without_any_address_it_is_lost)
{
	struct run r = { 0 };

	run(&r, NULL, 0, false);
	assert_int_equal(r.asked, 1);
	assert_int_equal(r.won, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_refusal_is_followed_by_the_next_at_once),
		RUN(silence_is_not_waited_for),
		RUN(when_all_refuse_it_is_lost),
		RUN(more_is_asked_for_once_and_the_known_is_not_tried_again),
		RUN(what_answers_is_not_asked_about),
		RUN(without_any_address_it_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
