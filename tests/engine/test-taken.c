/*
 * A wire that was taken over (decisions/0016) says to the engine what the link lets through: any record, in any order, with any
 * values. The engine does not crash or run away, and the next wire, an honest one, brings the account in sync whatever was claimed.
 * More and other sequences: VARVE_TAKEN=20000 VARVE_TAKEN_FIRST=1 build/tests/engine/test-taken.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "story.h"
#include "link/link.h"
#include "sync/engine-priv.h"

#define RECORDS 250
#define QUERIES 8 /* that it remembers */

/* The world of such an engine: what it sends is listened to, for the numbers in it. */
struct evil {
	struct sim *s;
	struct engine *engine;
	unsigned int dice;
	int64_t timers[ENGINE_TIMERS];
	uint32_t queries[QUERIES], n_queries, request, grant, n;
	uint64_t item;
	char text[4][2048]; /* strings of the record under way */
	int n_text;
};

static unsigned int pick(struct evil *v, unsigned int n)
{
	return (unsigned int)rand_r(&v->dice) % n;
}

static int io_spawn(_unused_ void *userdata)
{
	return 0;
}

static void io_kill(_unused_ void *userdata)
{
}

static int io_send(void *userdata, const struct link_record *r)
{
	struct evil *v = userdata;

	if (r->kind == LINK_QUERY)
		v->queries[v->n_queries++ % QUERIES] = r->query.query;
	else if (r->kind == LINK_META_QUERY)
		v->queries[v->n_queries++ % QUERIES] = r->meta_query.query;
	else if (r->kind == LINK_REQUEST)
		v->request = r->request.request;
	else if (r->kind == LINK_SEND)
		v->item = r->send.item;
	else if (r->kind == LINK_GRANT)
		v->grant = r->grant.n;
	return 0;
}

static void io_timer(void *userdata, enum engine_timer which, int64_t at_us)
{
	((struct evil *)userdata)->timers[which] = at_us;
}

static int64_t io_boot_us(void *userdata)
{
	return ((struct evil *)userdata)->s->boot_us;
}

static int64_t io_real_us(void *userdata)
{
	return SIM_T0 + io_boot_us(userdata);
}

static uint32_t io_random(void *userdata)
{
	return pick(userdata, 1000000);
}

static void io_event(_unused_ void *userdata, _unused_ enum hub_event event)
{
}

static int io_second_spawn(_unused_ void *userdata, _unused_ const struct link_record *start)
{
	return 0;
}

static const struct engine_io evil_io = {
	.spawn = io_spawn, .kill = io_kill, .send = io_send, .timer = io_timer, .boot_us = io_boot_us, .real_us = io_real_us,
	.random = io_random, .event = io_event, .second_spawn = io_second_spawn, .second_kill = io_kill, .second_promote = io_kill,
};

/* ---- values ---- */

/* Mostly one of the last that were asked. */
static uint32_t any_query(struct evil *v)
{
	return v->n_queries ? v->queries[(v->n_queries - 1 - pick(v, pick(v, 3) + 1)) % QUERIES] : 0;
}

static uint32_t any_u32(struct evil *v)
{
	const uint32_t known[] = { 0, 1, 2, 3, 4, 5, 6, 7, v->request, v->grant, any_query(v), 99, 5000, INT32_MAX, UINT32_MAX };

	return known[pick(v, pick(v, 10) ? 11 : ARRAY_SIZE(known))];
}

static int64_t any_i64(struct evil *v)
{
	const int64_t known[] = { 0, 1, -1, SIM_T0, SIM_T0 - DAY, SIM_T0 + DAY, SIM_T0 + (int64_t)pick(v, 1000) * SIM_SEC,
				  SIM_T0 - (int64_t)pick(v, 1000) * HOUR, INT64_C(253402300799) * SIM_SEC, -INT64_C(62135596800) * SIM_SEC,
				  LINK_I64_MAX, -LINK_I64_MAX };

	/* Mostly what could be. */
	return known[pick(v, pick(v, 8) ? 8 : ARRAY_SIZE(known))];
}

static const char *any_text(struct evil *v, size_t max)
{
	static const char *const known[] = {
		"", "", "a", "e1", "e5", "e30", "e59", "me@sim.test", "me@sim.test/r", "c1@sim.test", "c1@sim.test/x", "@", "/", "x y",
		"chat", "groupchat", "error", "subscribe", "unsubscribe", "both", "item-not-found", "s1", "\n\n\n", "\x01\x7f", "!e1",
		"!=0123456789abcdef:e1",
	};
	char *to = v->text[v->n_text++ % 4];

	if (pick(v, 12) == 0) {
		size_t len = max < sizeof(v->text[0]) ? max : sizeof(v->text[0]) - 1;

		memset(to, 'a' + (int)pick(v, 26), len);
		to[len] = '\0';
		return to;
	}
	if (pick(v, 3) == 0) {
		snprintf(to, sizeof(v->text[0]), "e%u", pick(v, 80));
		return strlen(to) <= max ? to : "";
	}
	return known[pick(v, ARRAY_SIZE(known))];
}

#define ANY_U32(v, max) any_u32(v)
#define ANY_U64(v, max) (pick(v, 2) ? (v)->item : any_u32(v))
#define ANY_I64(v, max) any_i64(v)
#define ANY_BOOL(v, max) (pick(v, 2) != 0)
#define ANY_STR(v, max) any_text(v, max)
#define ANY(type, name, max) to->name = ANY_##type(v, max);
#define FILL(NAME, name, tag, fields, dir)                           \
	static void fill_##name(struct evil *v, struct tag *to)      \
	{                                                            \
		fields(ANY)                                          \
	}
LINK_VOCABULARY(FILL)

static void fill(struct evil *v, struct link_record *r)
{
	switch (r->kind) {
#define CASE(NAME, name, tag, fields, dir)       \
	case LINK_##NAME:                        \
		fill_##name(v, &r->name);        \
		break;
		LINK_VOCABULARY(CASE)
	case LINK_KINDS:
		break;
	}
}

/* ---- what it says ---- */

static void say(struct evil *v, struct link_record *r)
{
	engine_record(v->engine, r);
}

static void say_phase(struct evil *v, uint32_t phase)
{
	struct link_record r;

	link_record_init(&r, LINK_PHASE);
	r.phase.phase = phase;
	say(v, &r);
}

/* As an honest one begins, for most of what follows needs that. */
static void comes_online(struct evil *v)
{
	struct link_record r;

	for (uint32_t phase = PHASE_RESOLVE; phase <= PHASE_BIND; phase++)
		say_phase(v, phase);
	link_record_init(&r, LINK_ONLINE);
	r.online.jid = "me@sim.test/r";
	r.online.sm_id = pick(v, 2) ? "evil" : "";
	r.online.counted = pick(v, 4) != 0;
	say(v, &r);
	link_record_init(&r, LINK_READY);
	r.ready.archive = ARCHIVE_EXTENDED;
	r.ready.stanza_ids = true;
	say(v, &r);
	v->n = 0;
}

/* Its stanza number; NULL: it has none. */
static uint32_t *number_of(struct link_record *r)
{
	switch (r->kind) {
	case LINK_MSG:
		return &r->msg.n;
	case LINK_FIN:
		return &r->fin.n;
	case LINK_META:
		return &r->meta.n;
	case LINK_QUERY_FAILED:
		return &r->query_failed.n;
	case LINK_ROSTER:
		return &r->roster.n;
	case LINK_RESULT:
		return &r->result.n;
	case LINK_PRESENCE:
		return &r->presence.n;
	case LINK_TYPING:
		return &r->typing.n;
	case LINK_BLOCKED:
		return &r->blocked.n;
	case LINK_READ:
		return &r->read.n;
	case LINK_IDLE:
		return &r->idle.n;
	default:
		return NULL;
	}
}

/* The numbers of what was asked and is next are the ones that get far. */
static void make_plausible(struct evil *v, struct link_record *r)
{
	uint32_t *n = number_of(r);

	if (n)
		*n = ++v->n;
	if (r->kind == LINK_MSG) {
		r->msg.query = any_query(v);
		r->msg.from = pick(v, 3) ? "c1@sim.test/x" : r->msg.from;
		r->msg.via = pick(v, 20) ? pick(v, 4) ? (uint32_t)VIA_ARCHIVE : pick(v, 2) : r->msg.via;
		r->msg.payload = pick(v, 20) ? pick(v, 8) : r->msg.payload;
		/* In order, as an archive is. */
		if (pick(v, 3)) {
			snprintf(v->text[0], sizeof(v->text[0]), "e%u", v->n % 80);
			r->msg.archive_id = v->text[0];
			r->msg.archive_us = SIM_T0 - HOUR + (int64_t)(v->n % 80) * 60 * SIM_SEC;
		}
	} else if (r->kind == LINK_FIN) {
		r->fin.query = any_query(v);
		r->fin.complete = pick(v, 6) == 0;
	} else if (r->kind == LINK_META) {
		r->meta.query = any_query(v);
	} else if (r->kind == LINK_QUERY_FAILED) {
		r->query_failed.query = any_query(v);
	}
}

/* What ends the stream is rare, or no story would be long. */
static void say_something(struct evil *v)
{
	static const enum link_kind often[] = {
		LINK_MSG, LINK_MSG, LINK_MSG, LINK_MSG, LINK_MSG, LINK_MSG, LINK_MSG, LINK_FIN, LINK_FIN, LINK_META, LINK_QUERY_FAILED, LINK_ROSTER,
		LINK_NUMBERED, LINK_ACKED, LINK_READ, LINK_BLOCKED, LINK_PRESENCE, LINK_RESULT,
	};
	struct link_record r;

	link_record_init(&r, pick(v, 15) ? often[pick(v, ARRAY_SIZE(often))] : (enum link_kind)pick(v, LINK_KINDS));
	fill(v, &r);
	if (pick(v, 40))
		make_plausible(v, &r);
	say(v, &r);
}

/* Timers that are due within ${us}; an engine that arms one for now without end runs away. */
static void let_pass(struct evil *v, int64_t us)
{
	int64_t until = v->s->boot_us + us;

	for (int rounds = 0;; rounds++) {
		int first = -1;

		for (int i = 0; i < ENGINE_TIMERS; i++)
			if (v->timers[i] && v->timers[i] <= until && (first < 0 || v->timers[i] < v->timers[first]))
				first = i;
		if (first < 0)
			break;
		if (rounds > 20000)
			fail_msg("seed %u: timer %d never rests", v->s->seed, first);
		v->s->boot_us = v->timers[first] > v->s->boot_us ? v->timers[first] : v->s->boot_us;
		v->timers[first] = 0;
		engine_timer(v->engine, (enum engine_timer)first);
	}
	v->s->boot_us = until;
}

static void attack(struct sim *s, unsigned int seed)
{
	struct engine_policy policy = { .page_max = 250, .deadline_us = 15 * SIM_SEC, .lanes = 16 };
	struct evil v = { .s = s, .dice = seed };

	sim_send(s, BOB, "mine", "hello");
	engine_free(s->engine);
	assert_int_equal(engine_new(s->store, &s->account, &policy, &evil_io, &v, &v.engine), 0);
	s->engine = v.engine;
	engine_connect(v.engine);
	comes_online(&v);
	for (int i = 0; i < RECORDS; i++) {
		say_something(&v);
		if (pick(&v, 10) == 0)
			let_pass(&v, (int64_t)pick(&v, 2000) * 1000);
		if (!v.engine->wire) {
			engine_connect(v.engine);
			comes_online(&v);
		}
	}
	let_pass(&v, 100 * SIM_SEC);
	s->engine = NULL;
	engine_free(v.engine);
}

static void an_honest_wire_follows(struct sim *s)
{
	struct engine_policy policy = { .page_max = 250, .deadline_us = 15 * SIM_SEC };

	memset(s->timers, 0, sizeof(s->timers));
	assert_int_equal(engine_new(s->store, &s->account, &policy, &sim_io, s, &s->engine), 0);
	engine_connect(s->engine);
	if (!sim_settle(s, 48 * HOUR))
		fail_msg("seed %u: does not come in sync: %s %s", s->seed, s->engine->reason_name, s->engine->reason_text);
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : otherwise;
}

static void whatever_it_says(_unused_ void **state)
{
	unsigned int first = number("VARVE_TAKEN_FIRST", 1), n = number("VARVE_TAKEN", 60);
	struct store *store = sim_memory_store();
	struct sim *s = story_memory();

	for (unsigned int seed = first; seed < first + n; seed++) {
		sim_init_guest(s, seed, store);
		s->item_not_found = seed % 2;
		s->no_metadata = seed % 5 == 0;
		sim_fill(s, 60, 3, 60 * SIM_SEC);
		if (getenv("VARVE_TAKEN_SAY"))
			fprintf(stderr, "seed %u\n", seed);
		attack(s, seed);
		an_honest_wire_follows(s);
		sim_deinit(s);
	}
	story_forget(s);
	store_free(store);
}

/* A full roster is kept until its last item has come: a wire that goes on and on does not fill the keeper's memory. */
static void a_roster_without_end(void **state)
{
	static char groups[8192 + 1];
	struct sim *s = *state;
	struct link_record r;
	int n = 0;

	memset(groups, 'g', sizeof(groups) - 1);
	comes_in_sync(s);
	link_record_init(&r, LINK_ROSTER);
	r.roster.jid = BOB;
	r.roster.subscription = "both";
	r.roster.groups = groups;
	for (r.roster.reset = true; s->wire && n < 5000; r.roster.reset = false, n++)
		engine_record(s->engine, &r);
	/* The wire itself passes 2 MB. */
	assert_in_range(n, 2 * 1024 * 1024 / 8192, 5000 - 1);
	/* Nothing of it is left in the way of a roster as it should be. */
	comes_in_sync(s);
	r.roster.reset = r.roster.last = true;
	r.roster.groups = "";
	engine_record(s->engine, &r);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_true(s->wire);
	assert_int_equal(s->engine->roster_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whatever_it_says), STORY(a_roster_without_end) };

	log_set_level(0); /* most of what it says is an error */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
