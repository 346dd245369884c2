#define _GNU_SOURCE
#include "torture.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "core/message.h"
#include "sync/engine-priv.h"

#define STEPS_MAX 5000

/* ---- the end ---- */

/* No fault from here on; what kind of server it is stays. */
static void faults_end(struct sim *s)
{
	s->never_complete = s->empty_fins = s->session_lost = s->mute = false;
	/* Two that are answered with silence wait for ever; a server that is well takes them. */
	s->mute_poison = s->mute_poison && !s->falls_silent;
	s->no_acks = s->no_numbers = s->forgets_poison = s->falls_silent = false;
	s->dead = s->no_address = s->hangs = s->second_breaks = false;
	s->h_too_high = s->breaks_after = 0;
	/* Who wants less of the past than there is has less in the end. */
	s->horizon_us = 0;
	s->delay_us = 0;
	s->stanza_us = 1000;
	s->reach = -1;
	s->net_us = SIM_NET_US;
	if (s->page_cap < 5)
		s->page_cap = 5;
	/* The old session's process works off what it has, and ends. */
	sim_send_linger(s, s->n_lingering);
	s->lingers = false;
}

struct row {
	char *body, *id;
	uint32_t direction, state;
	bool text;
};

struct rows {
	struct row *list;
	size_t n;
};

static int take_row(void *userdata, const struct message_row *m)
{
	struct rows *x = userdata;
	char body[sizeof(((struct sim_message *)0)->body)];

	/* The simulated archive keeps the beginning only. */
	snprintf(body, sizeof(body), "%s", m->body);
	x->list = xrealloc(x->list, x->n + 1, sizeof(*x->list));
	x->list[x->n++] = (struct row){
		.body = xstrdup(body), .id = xstrdup(m->client_id), .direction = m->direction, .state = m->state,
		.text = strcmp(m->kind, "text") == 0,
	};
	return 0;
}

/* What the archive says at index ${i} is to be seen as a message: no receipt, and the first copy of our own (C1). */
static bool is_row(const struct sim *s, int i)
{
	for (int j = 0; s->archive[i].own && j < i; j++)
		if (s->archive[j].own && strcmp(s->archive[j].xid, s->archive[i].xid) == 0)
			return false;
	return !s->archive[i].receipt;
}

static int in_archive(const struct sim *s, const char *body, int from)
{
	int n = 0;

	for (int i = from; i < s->n; i++)
		n += is_row(s, i) && strcmp(s->archive[i].body, body) == 0;
	return n;
}

/* Each message that the archive still has stands here once, and in its order. */
static void check_archive(const struct sim *s, const struct rows *x)
{
	size_t at = 0;

	for (size_t k = 0; k < x->n; k++) {
		size_t here = 0;
		const char *body = x->list[k].body;

		for (size_t i = 0; i < x->n; i++)
			here += strcmp(x->list[i].body, body) == 0;
		/* What has expired there is kept here, or was never fetched. */
		if (in_archive(s, body, 0) && here > (size_t)in_archive(s, body, 0))
			fail_msg("\"%s\" is stored %zu times", body, here);
	}
	for (int i = s->expired; i < s->n; i++) {
		if (!is_row(s, i))
			continue;
		while (at < x->n && (in_archive(s, x->list[at].body, s->expired) == 0))
			at++;
		if (at == x->n)
			fail_msg("\"%s\" is missing, or stands before its time", s->archive[i].body);
		if (strcmp(x->list[at].body, s->archive[i].body) != 0)
			fail_msg("\"%s\" stands where \"%s\" should", x->list[at].body, s->archive[i].body);
		at++;
	}
}

/* What was accepted is there once, or it is said why not. */
static void check_sent(const struct sim *s, const struct rows *x)
{
	for (int i = 0; i < s->n_sent; i++)
		if (*s->sent[i].id && sim_received(s, s->sent[i].id, NULL) > 1 + s->bounced && !s->no_archive)
			fail_msg("\"%s\" (%s) arrived %d times", s->sent[i].body, s->sent[i].id,
				 sim_received(s, s->sent[i].id, NULL));
	for (size_t k = 0; k < x->n; k++) {
		const struct row *r = &x->list[k];
		int there = *r->id ? sim_received(s, r->id, NULL) : 0;

		if (r->direction != DIRECTION_OUT || !*r->id || !r->text)
			continue;
		if (r->state == STATE_QUEUED || r->state == STATE_SENDING)
			fail_msg("\"%s\" is still to be sent", r->body);
		if (r->state == STATE_CANCELLED && there)
			fail_msg("\"%s\" was cancelled and arrived", r->body);
		if (r->state != STATE_CANCELLED && r->state != STATE_FAILED && !there)
			fail_msg("\"%s\" is said to be sent and did not arrive", r->body);
	}
}

static void settle(struct sim *s, const char *when)
{
	engine_connect(s->engine);
	if (!sim_settle(s, 12 * HOUR))
		fail_msg("does not settle %s", when);
}

static void converge(struct sim *s)
{
	struct rows x = { 0 };

	faults_end(s);
	settle(s, "after the kill");
	sim_live(s, "afterwards@sim.test", "afterwards, in");
	sim_send(s, "afterwards@sim.test", "afterwards", "afterwards, out");
	settle(s, "afterwards");
	engine_sync_now(s->engine);
	settle(s, "after sync now");
	sim_history(s, take_row, &x);
	check_sent(s, &x);
	/*
	 * Without an archive, what came while we were away is nowhere. Without any id, neither the sender's nor the
	 * archive's, the copy in the archive cannot be known for the one that came live. And of an archive that was another one
	 * too often nothing is promised until it is verified (decision 0019).
	 */
	if (s->no_archive || s->no_ids || s->contradicts)
		return;
	check_archive(s, &x);
	sim_expect_honest(s);
	assert_true(cover_is_live(&s->engine->cover));
	assert_int_equal(cover_count_gaps(&s->engine->cover, false), 0);
}

/* ---- lives ---- */

static void run_story(const struct CMUnitTest *t)
{
	void *state = t->initial_state;

	if (t->setup_func && t->setup_func(&state) != 0)
		fail_msg("setup");
	t->test_func(&state);
	if (t->teardown_func)
		t->teardown_func(&state);
}

static void second_life(struct sim *s)
{
	sim_survive(s);
	converge(s);
	sim_deinit(s);
}

/* In a process of its own, killed at step ${n} (0: not). True if it was; false if it came to its end; else 2. */
static int in_process(const struct CMUnitTest *t, struct sim *s, int n)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char text[16];

		snprintf(text, sizeof(text), "%d", n);
		setenv("VARVE_STEP_KILL", text, 1);
		if (t)
			run_story(t);
		else
			second_life(s);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return 1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 2;
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

static void clean_up(struct sim *s)
{
	if (*s->dir)
		nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	*s->dir = '\0';
}

/* How many steps the story has; each is a line of its own. */
static int count_steps(const struct CMUnitTest *t)
{
	char path[] = "/tmp/varve-steps-XXXXXX";
	int fd = mkstemp(path), n = 0, c;
	FILE *f;

	assert_true(fd >= 0);
	setenv("VARVE_STEP_LOG", path, 1);
	if (in_process(t, NULL, 0) != 0)
		fail_msg("%s fails without a kill", t->name);
	unsetenv("VARVE_STEP_LOG");
	f = fdopen(fd, "r");
	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	unlink(path);
	return n;
}

/* False: the end is not the same. */
static bool kill_at(const struct CMUnitTest *t, int n)
{
	struct sim *s = story_share();
	bool good = true;

	memset(s, 0, sizeof(*s));
	/* Killed between two servers of a story: nothing is left to go on with. */
	if (in_process(t, NULL, n) == 1 && *s->dir)
		good = in_process(NULL, s, 0) == 0;
	if (!good)
		fprintf(stderr, "%s, killed at step %d: the end is not the same\n", t->name, n);
	clean_up(s);
	return good;
}

static int torture(const struct CMUnitTest *t, int sample)
{
	const char *one = getenv("VARVE_STEP");
	int steps, first, bad = 0, killed = 0;

	if (one)
		return kill_at(t, atoi(one)) ? 0 : 1;
	story_share();
	steps = count_steps(t);
	if (steps > STEPS_MAX)
		steps = STEPS_MAX;
	/* A sample keeps clear of the steps that made the archive: they are the same in each story. */
	first = sample && steps > STORY_STEPS + sample ? STORY_STEPS + 1 : 1;
	for (int i = 0; i < (sample ? sample : steps); i++) {
		int n = sample ? first + (int)((int64_t)(steps - first + 1) * i / sample) : 1 + i;

		if (i && sample && n == first + (int)((int64_t)(steps - first + 1) * (i - 1) / sample))
			continue;
		bad += !kill_at(t, n);
		killed++;
	}
	printf("%s: %d steps, killed at %d\n", t->name, steps, killed);
	return bad;
}

int torture_main(const struct CMUnitTest *stories, size_t n)
{
	const char *how = getenv("VARVE_TORTURE"), *one = getenv("VARVE_STORY");
	int bad = 0;

	if (!getenv("VARVE_LOG"))
		log_set_level(LOG_LEVEL_ERROR);
	else
		log_init("sim");
	if (!how)
		return _cmocka_run_group_tests("stories", stories, n, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		if (!one || strcmp(one, stories[i].name) == 0)
			bad += torture(&stories[i], atoi(how));
	return bad != 0;
}
