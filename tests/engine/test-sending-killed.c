/*
 * A story of sending, killed at every step(): the process really dies there, with SIGKILL, while server and wire go on in
 * shared memory; another one goes on from the disk, and must come to the same end. VARVE_STEP=N: that step alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "story.h"
#include "store/outbox.h"
#include "sync/engine-priv.h"

#define STEPS_MAX 2000
#define MESSAGES 16

struct shared {
	struct sim sim;
	int act; /* that is being played; it is played again after a kill, so each can be */
	int live; /* the message that asks for a receipt, -1 = not there yet */
};

static void send_from_to(struct sim *s, int from, int to)
{
	for (int i = from; i <= to; i++)
		send_n(s, BOB, i);
}

static void settle(struct sim *s)
{
	engine_connect(s->engine);
	if (!sim_settle(s, 6 * HOUR))
		fail_msg("does not settle");
}

/* Three are on their way, nobody has acknowledged them, and the link breaks: two of them arrive. */
static void break_off(struct sim *s, int first, bool session_lost, bool with_h)
{
	settle(s);
	s->no_acks = true;
	s->net_us = 60 * SIM_SEC;
	send_from_to(s, first, first + 2);
	for (int i = 0; i < 2000 && flight_gone(&s->engine->flight) == 0; i++)
		sim_run(s, 1000);
	s->reach = 2;
	s->session_lost = session_lost;
	s->keeps_h = with_h;
	sim_cut(s);
	s->reach = -1;
	s->no_acks = false;
	s->net_us = 20000;
	settle(s);
}

/* The same on a link that dies in silence: a second wire takes the session over. */
static void hand_over(struct sim *s, int first)
{
	settle(s);
	link_swallows(s, 2);
	s->dead = true;
	send_from_to(s, first, first + 2);
	for (int i = 0; i < 2000 && flight_gone(&s->engine->flight) == 0; i++)
		sim_run(s, 1000);
	engine_network(s->engine, true);
	sim_run(s, SIM_SEC);
	link_is_whole(s);
	settle(s);
}

static void receive(struct shared *x)
{
	struct sim *s = &x->sim;

	settle(s);
	given_contact(s, BOB, "both");
	if (x->live < 0) {
		s->asks = ASKS_RECEIPT;
		x->live = sim_live(s, BOB, "hello");
		s->asks = 0;
	}
	settle(s);
}

static void cancel(struct sim *s)
{
	int64_t msg;
	int r;

	s->mute = true;
	sim_cut(s);
	msg = sim_send(s, BOB, "cancelled", "never mind");
	assert_int_equal(store_begin(s->store), 0);
	r = outbox_cancel(s->store, s->account.id, msg);
	assert_true(r == 0 || r == OUTBOX_E_STATE);
	assert_int_equal(store_commit(s->store), 0);
	s->mute = false;
	settle(s);
}

static void play(struct shared *x)
{
	struct sim *s = &x->sim;

	s->no_acks = s->mute = s->session_lost = s->dead = false;
	s->net_us = 20000;
	s->reach = -1;
	switch (x->act) {
	case 0:
		if (s->n == 0)
			sim_fill(s, 20, 2, 60 * SIM_SEC);
		settle(s);
		break;
	case 1:
		receive(x);
		break;
	case 2:
		send_from_to(s, 0, 2);
		settle(s);
		break;
	case 3:
		break_off(s, 3, false, false);
		break;
	case 4:
		break_off(s, 6, true, true);
		break;
	case 5:
		break_off(s, 9, true, false);
		break;
	case 6:
		sim_send(s, "eve@sim.test", "poison", "poison");
		send_from_to(s, 12, 12);
		settle(s);
		break;
	case 7:
		cancel(s);
		break;
	case 8:
		hand_over(s, 13);
		break;
	default:
		settle(s);
		engine_sync_now(s->engine);
		settle(s);
		break;
	}
}

#define ACTS 10

static void check(struct shared *x)
{
	struct sim *s = &x->sim;
	int next = 0, receipts = 0;
	char id[16];

	for (int i = 0; i < s->n_sent; i++) {
		const struct sim_sent *z = &s->sent[i];

		receipts += z->kind == OUT_RECEIPT && strcmp(z->target, s->archive[x->live].xid) == 0;
		if (z->kind != OUT_TEXT)
			continue;
		snprintf(id, sizeof(id), "m%d", next++);
		if (strcmp(z->id, id) != 0)
			fail_msg("%s arrived where %s should", z->id, id);
	}
	if (next != MESSAGES || receipts != 1)
		fail_msg("%d messages arrived, %d receipts", next, receipts);
	for (int i = 0; i < s->n; i++)
		if (sim_count(s, s->archive[i].body) != 1)
			fail_msg("\"%s\" is stored %d times", s->archive[i].body, sim_count(s, s->archive[i].body));
	assert_int_equal(sim_count(s, "poison"), 1);
	assert_int_equal(sim_count(s, "never mind"), 1);
	sim_expect_honest(s);
}

static void play_all(struct shared *x)
{
	for (; x->act < ACTS; x->act++)
		play(x);
	check(x);
}

/* Run ${fn} in a process. True if it was killed; false if it came to its end. */
static bool in_process(struct shared *x, void (*fn)(struct shared *x), int kill_at)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		char n[16];

		snprintf(n, sizeof(n), "%d", kill_at);
		setenv("VARVE_STEP_KILL", n, 1);
		fn(x);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "killed at step %d, act %d: the end is not the same\n", kill_at, x->act);
		exit(1);
	}
	return false;
}

static void first_life(struct shared *x)
{
	sim_init(&x->sim, 1);
	play_all(x);
}

static void second_life(struct shared *x)
{
	sim_survive(&x->sim);
	play_all(x);
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

/* True if the story has a step ${n}. */
static bool kill_at(int n)
{
	struct shared *x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool killed;

	assert_true(x != MAP_FAILED);
	x->live = -1;
	killed = in_process(x, first_life, n);
	if (killed && in_process(x, second_life, 0))
		fail_msg("killed without a step");
	nftw(x->sim.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	munmap(x, sizeof(*x));
	return killed;
}

int main(void)
{
	const char *one = getenv("VARVE_STEP");
	int n = 1;

	if (getenv("VARVE_LOG"))
		log_init("sim");
	else
		log_set_level(LOG_LEVEL_ERROR);
	if (one) {
		kill_at(atoi(one));
		return 0;
	}
	while (n < STEPS_MAX && kill_at(n))
		n++;
	printf("a story of %d steps, killed at each\n", n - 1);
	return n > 60 && n < STEPS_MAX ? 0 : 1;
}
