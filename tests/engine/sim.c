#define _GNU_SOURCE
#include "sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "link/link.h"
#include "store/archive.h"
#include "store/db.h"
#include "store/read.h"
#include "store/schema.h"
#include "store/tokenizer.h"
#include "sync/engine-priv.h"
#include "vault/vault.h"

#define T0 (INT64_C(1700000000) * SIM_SEC)
#define WINDOW 2000 /* the wire stops reading with so many uncommitted */

/* ---- the world of the engine ---- */

static int io_spawn(void *userdata)
{
	struct sim *s = userdata;

	s->wire = true;
	s->wires++;
	s->announced = s->dead = s->no_address = s->hangs = s->no_word = false;
	s->probe = 0;
	s->given = 0;
	return 0;
}

static void detach(struct sim *s)
{
	sim_send_cut(s);
	sim_duel_forget(s);
	s->wire = false;
	s->attached = false;
	s->q_next = s->q_head;
}

static void io_kill(void *userdata)
{
	detach(userdata);
}

static int io_send(void *userdata, const struct link_record *r);

static void io_timer(void *userdata, enum engine_timer which, int64_t at_us)
{
	struct sim *s = userdata;

	s->timers[which] = at_us;
}

static int64_t io_boot_us(void *userdata)
{
	return ((struct sim *)userdata)->boot_us;
}

static int64_t io_real_us(void *userdata)
{
	struct sim *s = userdata;

	return T0 + s->boot_us + s->skew_us;
}

static uint32_t io_random(void *userdata)
{
	return (uint32_t)rand_r(&((struct sim *)userdata)->dice) * 2u;
}

static void io_event(_unused_ void *userdata, _unused_ enum hub_event event)
{
}

static const struct engine_io sim_io = {
	.spawn = io_spawn,
	.kill = io_kill,
	.send = io_send,
	.timer = io_timer,
	.boot_us = io_boot_us,
	.real_us = io_real_us,
	.random = io_random,
	.event = io_event,
	.second_spawn = sim_second_spawn,
	.second_kill = sim_second_kill,
	.second_promote = sim_second_promote,
};

/* ---- the server ---- */

static struct sim_stanza *push(struct sim *s, enum sim_kind kind)
{
	struct sim_stanza *z;

	if (s->q_head == s->q_tail)
		s->q_head = s->q_tail = s->q_next = 0;
	if (s->q_tail >= SIM_QUEUE_MAX)
		fail_msg("seed %u: the engine asks without end (%d questions)", s->seed, s->queries);
	z = &s->queue[s->q_tail++];
	*z = (struct sim_stanza){ .n = ++s->counter, .kind = kind, .wire = s->wires, .first = -1, .last = -1,
				   .ready_us = s->boot_us + s->delay_us };
	return z;
}

static int add(struct sim *s, const char *peer, bool out, const char *body, int64_t us)
{
	struct sim_message *m = &s->archive[s->n];

	assert_true(s->n < SIM_MESSAGES_MAX);
	*m = (struct sim_message){ 0 };
	snprintf(m->id, sizeof(m->id), "%c%d", s->prefix, s->n);
	snprintf(m->xid, sizeof(m->xid), "%.*sx%d", s->generation, "zzzzzzzz", s->n);
	snprintf(m->peer, sizeof(m->peer), "%s", peer);
	snprintf(m->body, sizeof(m->body), "%s", body);
	m->out = out;
	m->asks = out ? 0 : s->asks;
	if (s->jitter_us)
		us -= rand_r(&s->dice) % s->jitter_us;
	m->us = us - us % s->resolution_us;
	return s->n++;
}

int sim_archive(struct sim *s, const char *peer, bool out, const char *body, int64_t ago_us)
{
	return add(s, peer, out, body, T0 + s->boot_us - ago_us);
}

void sim_fill(struct sim *s, int n, int contacts, int64_t step_us)
{
	char peer[32], body[32];

	for (int i = 0; i < n; i++) {
		snprintf(peer, sizeof(peer), "c%d@sim.test", i % contacts);
		snprintf(body, sizeof(body), "text %d", s->n);
		sim_archive(s, peer, i % 7 == 3, body, (n - i) * step_us);
	}
}

void sim_archive_anew(struct sim *s)
{
	sim_cut(s);
	sim_forget_session(s);
	s->n = s->expired = 0;
	s->generation++;
}

void sim_archive_moved(struct sim *s, char prefix)
{
	sim_cut(s);
	sim_forget_session(s);
	s->prefix = prefix;
	for (int i = 0; i < s->n; i++)
		snprintf(s->archive[i].id, sizeof(s->archive[i].id), "%c%d", prefix, i);
}

int sim_live(struct sim *s, const char *peer, const char *body)
{
	int i = sim_archive(s, peer, false, body, 0);

	if (*s->session)
		push(s, SIM_LIVE)->message = i;
	return i;
}

void sim_live_turned(struct sim *s, const char *peer, const char *one, const char *two)
{
	int first = sim_archive(s, peer, false, one, 0), second = sim_archive(s, peer, false, two, 0);

	if (!*s->session)
		return;
	push(s, SIM_LIVE)->message = second;
	push(s, SIM_LIVE)->message = first;
}

static int index_of(const struct sim *s, const char *id)
{
	int i = atoi(id + 1);

	return *id == s->prefix && i >= s->expired && i < s->n && !s->archive[i].deleted ? i : -1;
}

static void fail_query(struct sim *s, uint32_t query)
{
	push(s, SIM_FAILED)->query = query;
}

static bool in_window(const struct sim *s, const struct link_query *q, int i)
{
	return !s->archive[i].deleted && (!q->start_us || s->archive[i].us >= q->start_us) &&
	       (!q->end_us || s->archive[i].us <= q->end_us) && (!*q->with || strcmp(q->with, s->archive[i].peer) == 0);
}

static void answer_page(struct sim *s, const struct link_query *q)
{
	int top = s->n - 1, low = s->expired, n = 0, max = (int)(q->max < s->page_cap ? q->max : s->page_cap);
	int found[SIM_PAGE_MAX];
	struct sim_stanza *z;
	bool more = false;

	s->queries++;
	if ((int)query_count(s->engine->asked) > s->lanes_seen)
		s->lanes_seen = (int)query_count(s->engine->asked);
	if (s->empty_fins) {
		push(s, SIM_FIN)->query = q->query;
		return;
	}
	if (*q->cursor) {
		top = index_of(s, q->cursor) - 1;
		if (top < -1) {
			if (s->item_not_found) {
				fail_query(s, q->query);
				return;
			}
			top = atoi(q->cursor + 1) - 1;
		}
	}
	if (s->never_complete)
		top = s->n - 1;
	/* Newest first: those in the window, each by its own stamp, for the server's clock may have stepped back. */
	for (int i = top; i >= low && n < max; i--)
		if (in_window(s, q, i))
			found[n++] = i;
	for (int i = n ? found[n - 1] - 1 : top; i >= low && !more; i--)
		more = in_window(s, q, i);
	for (int i = n; i-- > 0;) {
		z = push(s, SIM_RESULT);
		z->query = q->query;
		z->message = found[i];
	}
	z = push(s, SIM_FIN);
	z->query = q->query;
	z->complete = !more && !s->never_complete;
	if (n) {
		z->first = found[n - 1];
		z->last = found[0];
		z->results = n;
	}
}

/* What it says is of now, not of when it is read. */
static void answer_metadata(struct sim *s, uint32_t query)
{
	struct sim_stanza *z = push(s, SIM_META);

	z->query = query;
	z->first = s->n > s->expired ? s->expired : -1;
	z->last = s->n - 1;
}

static bool is_stored(struct sim *s, int message)
{
	int64_t us, row;

	/* A receipt is a place without a row. */
	return read_aid_time(s->store, s->engine->archive, s->archive[message].id, &us, &row) == 0 &&
	       (row || s->archive[message].receipt);
}

/* The engine holds this stanza in memory alone. */
static bool in_memory(const struct sim *s, const struct sim_stanza *z)
{
	const struct query *lists[] = { s->engine->asked, s->engine->whole, s->engine->aside };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next)
			for (size_t k = 0; q->id == z->query && k < q->n; k++)
				if (q->numbers[k] == z->n)
					return true;
	return false;
}

static void acknowledge(struct sim *s, uint32_t n)
{
	/* Promise 1: never beyond what was sent, and nothing unacknowledged is dropped that is not durable. */
	assert_true((int32_t)(s->counter - n) >= 0);
	s->committed = n;
	while (s->q_head < s->q_tail && (int32_t)(n - s->queue[s->q_head].n) >= 0) {
		const struct sim_stanza *z = &s->queue[s->q_head];

		if (z->kind == SIM_RESULT && z->wire == s->wires && in_memory(s, z) && !is_stored(s, z->message))
			fail_msg("seed %u: a result was acknowledged before it was stored", s->seed);
		if (z->kind == SIM_LIVE && sim_count(s, s->archive[z->message].body) != 1)
			fail_msg("seed %u: acknowledged but not stored once: %s", s->seed, s->archive[z->message].body);
		s->q_head++;
	}
	if (s->q_next < s->q_head)
		s->q_next = s->q_head;
}

static void note_request(struct sim *s, const struct link_request *q)
{
	struct sim_request *to = &s->requests[s->n_requests++ % SIM_REQUESTS_MAX];

	*to = (struct sim_request){ .number = q->request, .kind = q->kind };
	snprintf(to->jid, sizeof(to->jid), "%s", q->jid);
	snprintf(to->name, sizeof(to->name), "%s", q->name);
}

static int io_send(void *userdata, const struct link_record *r)
{
	struct sim *s = userdata;

	if (!s->wire)
		return -ENOTCONN;
	if (sim_send_record(s, r) || sim_duel_record(s, r))
		return 0;
	switch (r->kind) {
	case LINK_START:
		s->start = *r;
		snprintf(s->start_sm_id, sizeof(s->start_sm_id), "%s", r->start.sm_id);
		break;
	case LINK_COMMITTED:
		acknowledge(s, r->committed.n);
		break;
	case LINK_QUERY:
		answer_page(s, &r->query);
		break;
	case LINK_META_QUERY:
		if (s->no_metadata)
			fail_query(s, r->meta_query.query);
		else
			answer_metadata(s, r->meta_query.query);
		break;
	case LINK_REQUEST:
		note_request(s, &r->request);
		break;
	case LINK_STOP:
		if (r->stop.final)
			*s->session = '\0';
		break;
	default:
		break;
	}
	return 0;
}

/* ---- the wire ---- */

static void say(struct sim *s, struct link_record *r)
{
	engine_record(s->engine, r);
}

static void announce(struct sim *s)
{
	bool resume = *s->session && strcmp(s->start_sm_id, s->session) == 0 && !s->session_lost;
	uint32_t h = s->start.start.sm_in;
	struct link_record r;
	char jid[64];

	s->announced = true;
	for (uint32_t phase = PHASE_RESOLVE; phase <= PHASE_BIND; phase++) {
		link_record_init(&r, LINK_PHASE);
		r.phase.phase = phase;
		say(s, &r);
	}
	if (!resume) {
		if (*s->start_sm_id) {
			link_record_init(&r, LINK_RESUME_REFUSED);
			r.resume_refused.condition = "item-not-found";
			r.resume_refused.has_h = s->keeps_h;
			r.resume_refused.h = s->h;
			say(s, &r);
			if (!s->wire)
				return;
		}
		sim_send_bound(s);
		snprintf(s->session, sizeof(s->session), "s%d", ++s->sessions);
		s->q_head = s->q_tail = s->q_next = 0;
		s->counter = 0;
		s->binds++;
	} else if (s->h_too_high) {
		/* The server claims more than was sent: the wire ends the stream (XEP-0198 section 4). */
		s->h_too_high = 0;
		link_record_init(&r, LINK_FAILED);
		r.failed.failure = FAILURE_PROTOCOL;
		r.failed.condition = "handled-count-too-high";
		say(s, &r);
		return;
	} else {
		sim_send_resumed(s);
		acknowledge(s, h);
		s->q_next = s->q_head;
		s->resumes++;
	}
	s->attached = true;
	s->session_lost = false;
	link_record_init(&r, LINK_ONLINE);
	r.online.resumed = resume;
	snprintf(jid, sizeof(jid), "%s/r", s->own);
	r.online.jid = jid;
	r.online.sm_id = s->session;
	r.online.counted = true;
	r.online.sm_in = resume ? h : 0;
	r.online.sm_out = s->h;
	r.online.mechanism = "SIM";
	say(s, &r);
	if (!s->wire)
		return;
	s->engine->policy.slice = s->slice;
	s->engine->policy.horizon_us = s->horizon_us;
	s->engine->policy.metered_us = s->metered_us;
	s->engine->policy.screens_gap = s->screens_gap;
	if (s->force_lanes) {
		s->engine->lanes.n = (unsigned int)s->force_lanes;
		s->engine->lanes.hold = 1000000;
	}
	link_record_init(&r, LINK_READY);
	r.ready.archive = s->no_archive ? ARCHIVE_NONE : ARCHIVE_EXTENDED;
	r.ready.stanza_ids = !s->no_stanza_ids;
	r.ready.features = str_or_empty(s->features);
	r.ready.untold = s->untold && !resume;
	say(s, &r);
}

static void fill_message(const struct sim *s, const struct sim_stanza *z, struct message *m, char *from)
{
	const struct sim_message *a = &s->archive[z->message];

	message_init(m);
	m->n = z->n;
	m->via = z->kind == SIM_RESULT ? VIA_ARCHIVE : a->out || a->carbon ? VIA_CARBON : VIA_LIVE;
	m->query = z->query;
	m->type = "chat";
	m->id = s->no_ids ? "" : a->xid;
	m->origin_id = a->own ? a->xid : "";
	m->asks = a->asks;
	if (a->receipt) {
		m->payload = PAYLOAD_RECEIPT;
		m->target_id = s->archive[z->message - 1].xid;
		m->body = "";
	}
	m->body = a->body;
	snprintf(from, 64, "%s/other", a->out ? s->own : a->peer);
	m->from = from;
	m->to = a->out ? a->peer : s->own;
	if (z->kind == SIM_RESULT || (!s->no_stanza_ids && !s->no_ids))
		m->archive_id = a->id;
	if (z->kind == SIM_RESULT && !(s->stampless && z->message % s->stampless == 0))
		m->archive_us = a->us;
}

static void deliver(struct sim *s, const struct sim_stanza *z)
{
	bool mine = z->wire == s->wires;
	struct link_record r;
	char from[64];

	if (z->kind == SIM_LIVE || (z->kind == SIM_RESULT && mine)) {
		link_record_init(&r, LINK_MSG);
		fill_message(s, z, &r.msg, from);
	} else if (z->kind == SIM_FIN && mine) {
		link_record_init(&r, LINK_FIN);
		r.fin.n = z->n;
		r.fin.query = z->query;
		r.fin.complete = z->complete;
		r.fin.stable = !s->unsettled;
		r.fin.first = z->first < 0 ? "" : s->archive[z->first].id;
		r.fin.last = z->last < 0 ? "" : s->archive[z->last].id;
		r.fin.results = (uint32_t)z->results;
	} else if (z->kind == SIM_META && mine) {
		link_record_init(&r, LINK_META);
		r.meta.n = z->n;
		r.meta.query = z->query;
		r.meta.empty = z->first < 0;
		if (!r.meta.empty) {
			r.meta.start_id = s->archive[z->first].id;
			r.meta.start_us = s->archive[z->first].us;
			r.meta.end_id = s->archive[z->last].id;
			r.meta.end_us = s->archive[z->last].us;
		}
	} else if (z->kind == SIM_FAILED && mine) {
		link_record_init(&r, LINK_QUERY_FAILED);
		r.query_failed.n = z->n;
		r.query_failed.query = z->query;
		r.query_failed.condition = "item-not-found";
	} else {
		link_record_init(&r, LINK_IDLE);
		r.idle.n = z->n;
	}
	say(s, &r);
}

bool sim_step(struct sim *s)
{
	struct sim_stanza z;

	if (!s->wire || s->mute)
		return false;
	if (sim_duel_step(s))
		return true;
	if (s->no_word || (!s->announced && s->second_ready_us > s->boot_us))
		return false;
	if (!s->announced) {
		announce(s);
		return true;
	}
	if (sim_send_step(s))
		return true;
	if (s->dead || !s->attached || s->q_next >= s->q_tail || s->queue[s->q_next].n - s->committed > WINDOW ||
	    s->queue[s->q_next].ready_us > s->boot_us)
		return false;
	z = s->queue[s->q_next++];
	deliver(s, &z);
	if (s->breaks_after && ++s->given >= s->breaks_after)
		sim_cut(s);
	return true;
}

/* ---- time ---- */

static int next_timer(const struct sim *s)
{
	int best = -1;

	for (int i = 0; i < ENGINE_TIMERS; i++)
		if (s->timers[i] && (best < 0 || s->timers[i] < s->timers[best]))
			best = i;
	return best;
}

/* Of two times, where 0 is never. */
static int64_t sooner(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* When the stanza that is on its way arrives; 0 = none is. */
static int64_t next_ready(const struct sim *s)
{
	int64_t sent = s->wire && !s->mute ? sim_send_ready(s) : 0, duel = s->wire && !s->mute ? sim_duel_ready(s) : 0;

	sent = sooner(sent, duel);
	if (!s->wire || s->mute || s->dead || !s->attached || s->q_next >= s->q_tail ||
	    s->queue[s->q_next].ready_us <= s->boot_us)
		return sent;
	return sooner(sent, s->queue[s->q_next].ready_us);
}

void sim_run(struct sim *s, int64_t us)
{
	int64_t until = s->boot_us + us;

	for (;;) {
		int t = next_timer(s);

		/* A timer that is due goes first: commits fall into the middle of pages. */
		if ((t < 0 || s->timers[t] > s->boot_us) && s->boot_us <= until && sim_step(s)) {
			s->boot_us += s->stanza_us;
			continue;
		}
		if (next_ready(s) && next_ready(s) <= until && (t < 0 || s->timers[t] > next_ready(s))) {
			s->boot_us = next_ready(s);
			continue;
		}
		if (t < 0 || s->timers[t] > until)
			break;
		if (s->timers[t] > s->boot_us)
			s->boot_us = s->timers[t];
		s->timers[t] = 0;
		engine_timer(s->engine, (enum engine_timer)t);
	}
	if (s->boot_us < until)
		s->boot_us = until;
}

bool sim_settle(struct sim *s, int64_t us)
{
	int64_t until = s->boot_us + us;
	struct account_status st;

	while (s->boot_us < until) {
		sim_run(s, SIM_SEC);
		engine_status(s->engine, &st);
		if (st.caught_up && s->q_next >= s->q_tail && st.queued + st.sending == 0)
			return true;
	}
	return false;
}

void sim_cut(struct sim *s)
{
	if (!s->wire)
		return;
	detach(s);
	engine_wire_gone(s->engine, "cut");
}

void sim_close(struct sim *s)
{
	struct link_record r;

	if (!s->wire)
		return;
	sim_send_cut(s);
	link_record_init(&r, LINK_FAILED);
	r.failed.failure = FAILURE_LOST;
	r.failed.condition = s->falls_silent ? "" : "closed";
	r.failed.text = "the server closed the connection";
	engine_record(s->engine, &r);
}

void sim_forget_session(struct sim *s)
{
	*s->session = '\0';
	s->q_head = s->q_tail = s->q_next = 0;
}

/* ---- life ---- */

static void begin_engine(struct sim *s)
{
	struct engine_policy policy = {
		.page_max = 250, .deadline_us = 15 * SIM_SEC, .lanes = (unsigned int)s->lanes, .slice = s->slice,
	};

	memset(s->timers, 0, sizeof(s->timers));
	assert_int_equal(engine_new(s->store, &s->account, &policy, &sim_io, s, &s->engine), 0);
}

static void add_account(struct sim *s)
{
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(account_add(s->store, &s->account), 0);
	assert_int_equal(store_commit(s->store), 0);
}

static void open_store(struct sim *s)
{
	_cleanup_(freep) struct account *list = NULL;
	_cleanup_(freep) char *why = NULL;
	size_t n = 0;

	if (s->guest) {
		begin_engine(s);
		return;
	}
	if (store_find(s->dir, s->dir, &s->vault, &why) != 0 || store_open(s->vault, &s->store, &why) != 0)
		fail_msg("store: %s", why ? why : "?");
	assert_int_equal(account_list(s->store, &list, &n), 0);
	if (n == 0) {
		add_account(s);
	} else {
		s->account.id = list[0].id;
		account_deinit(&list[0]);
	}
	begin_engine(s);
}

static void close_store(struct sim *s)
{
	if (s->guest)
		return;
	s->store = store_free(s->store);
	s->vault = vault_free(s->vault);
}

static void make_account(struct sim *s)
{
	s->account = (struct account){
		.jid = xstrdup(s->own), .password = xstrdup("x"), .enabled = true, .host = xstrdup(""),
		.ca_pem = xstrdup(""), .nick = xstrdup(""), .resource = xstrdup("r"),
		.push_service = xstrdup(""),
	};
}

static void begin(struct sim *s, unsigned int seed)
{
	memset(s, 0, offsetof(struct sim, archive));
	s->seed = seed;
	s->dice = seed;
	s->page_cap = 50;
	s->prefix = 'a';
	s->resolution_us = SIM_SEC;
	s->item_not_found = true;
	s->stanza_us = 5000;
	s->reach = -1;
	s->net_us = SIM_NET_US;
	s->alive_us = 30000;
	s->held_us = 80000;
}

void sim_init(struct sim *s, unsigned int seed)
{
	begin(s, seed);
	snprintf(s->own, sizeof(s->own), "me@sim.test");
	snprintf(s->dir, sizeof(s->dir), "/dev/shm/varve-sim-XXXXXX");
	if (!mkdtemp(s->dir)) {
		snprintf(s->dir, sizeof(s->dir), "/tmp/varve-sim-XXXXXX");
		assert_non_null(mkdtemp(s->dir));
	}
	make_account(s);
	open_store(s);
}

void sim_init_guest(struct sim *s, unsigned int seed, struct store *store)
{
	begin(s, seed);
	snprintf(s->own, sizeof(s->own), "me%u@sim.test", seed);
	s->guest = true;
	s->store = store;
	make_account(s);
	add_account(s);
	begin_engine(s);
}

struct store *sim_memory_store(void)
{
	struct store *s = xnew(struct store);

	s->plain = true;
	s->path = xstrdup(":memory:");
	s->limits = store_limits_default;
	assert_int_equal(sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
					 SQLITE_OPEN_EXRESCODE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_db_config(s->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 1200, 400), SQLITE_OK);
	assert_int_equal(db_exec(s, "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
			    "PRAGMA secure_delete=OFF"), 0);
	assert_int_equal(tokenizer_register(s->db), 0);
	assert_int_equal(tokenizer_new(s->db, &s->tokenizer), 0);
	assert_int_equal(schema_apply(s, true), 0);
	str_set(&s->epoch, "simulated");
	return s;
}

void sim_survive(struct sim *s)
{
	s->engine = NULL;
	s->store = NULL;
	s->vault = NULL;
	detach(s);
	make_account(s);
	open_store(s);
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

/* Make room for another account; what it had stays, as other accounts' rows do in any archive. */
static void leave(struct sim *s)
{
	assert_int_equal(store_begin(s->store), 0);
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s->store, SQL_ACCOUNT_HIDE);

		put_i(&q, s->account.id);
		assert_int_equal(db_run(&q), 0);
	}
	assert_int_equal(store_commit(s->store), 0);
}

void sim_deinit(struct sim *s)
{
	engine_free(s->engine);
	close_store(s);
	if (s->guest)
		leave(s);
	else
		nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	account_deinit(&s->account);
}

void sim_kill(struct sim *s)
{
	struct engine *e = s->engine;

	/* What a killed process would have had in memory only. */
	for (size_t i = 0; i < e->n_pending; i++)
		free(e->pending[i]);
	e->n_pending = 0;
	e->dirty = false;
	e->ack_due = false;
	e->n_unsendable = 0;
	e->flight.n = 0;
	e->store_failing = true; /* so that the question in flight does not make the row dirty again */
	detach(s);
	e->wire = false;
	e->counted = false;
	catchup_drop_all(e);
	engine_free(e);
	close_store(s);
	open_store(s);
}

void sim_disk_full(_unused_ struct sim *s, bool full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = full ? 4096 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

void sim_restart(struct sim *s)
{
	engine_suspend(s->engine);
	engine_free(s->engine);
	close_store(s);
	open_store(s);
}

/* ---- looking ---- */

struct seen {
	struct sim *s;
	const char *body;
	int count;
	char **bodies;
	size_t n;
};

static int see(void *userdata, const struct message_row *row)
{
	struct seen *x = userdata;

	if (x->body) {
		x->count += strcmp(row->body, x->body) == 0;
		return 0;
	}
	x->bodies = xrealloc(x->bodies, x->n + 1, sizeof(char *));
	x->bodies[x->n++] = xstrdup(row->body);
	x->count = (int)row->id;
	return 0;
}

static void read_all(struct sim *s, struct seen *x)
{
	struct history_query q = {
		.account = s->account.id, .conversation = "", .anchor = ANCHOR_OLDEST, .after = 499, .across_gaps = true,
	};
	uint32_t edges = 0;
	uint64_t seq;
	size_t before;

	do {
		before = x->n;
		assert_int_equal(read_history(s->store, &q, see, x, &edges, &seq), 0);
		if (q.anchor == ANCHOR_MESSAGE && x->n > before) {
			/* The anchor itself comes again. */
			free(x->bodies[before]);
			memmove(&x->bodies[before], &x->bodies[before + 1], (x->n - before - 1) * sizeof(char *));
			x->n--;
		}
		q.anchor = ANCHOR_MESSAGE;
		q.value = x->count;
	} while (x->n > before && !(edges & EDGE_NEWEST));
}

int sim_count(struct sim *s, const char *body)
{
	struct seen x = { .s = s };
	int count = 0;

	read_all(s, &x);
	for (size_t i = 0; i < x.n; i++) {
		count += strcmp(x.bodies[i], body) == 0;
		free(x.bodies[i]);
	}
	free(x.bodies);
	return count;
}

/* The archive has other ids now; it is stored under the first ones. */
static bool held_before_it_moved(struct sim *s, int64_t archive, int k)
{
	int64_t us, msg;
	char id[16];

	snprintf(id, sizeof(id), "a%d", k);
	return s->prefix != 'a' && read_aid_time(s->store, archive, id, &us, &msg) == 0;
}

void sim_expect_honest(struct sim *s)
{
	int64_t archive, us, msg;
	const struct cover *c = engine_cover(s->engine, &archive);

	assert_true(cover_valid(c));
	for (size_t i = 0; i < c->n; i++) {
		const struct span *sp = &c->spans[i];

		/* A run claims only what the session delivered, and only while it lasts. What is of an archive before this
		 * one is for the story to look at. */
		if (sp->flags & (SPAN_EMPTY | SPAN_RUN) || cover_is_old(sp->last.id))
			continue;
		for (int k = cover_is_old(sp->first.id) ? 0 : atoi(sp->first.id + 1); k <= atoi(sp->last.id + 1); k++)
			if ((read_aid_time(s->store, archive, s->archive[k].id, &us, &msg) != 0 ||
			     (!msg && !s->archive[k].receipt)) && !held_before_it_moved(s, archive, k))
				fail_msg("seed %u: span %s..%s claims %s which is not stored", s->seed, sp->first.id,
					 sp->last.id, s->archive[k].id);
	}
}

void sim_expect_all(struct sim *s, int from)
{
	struct seen x = { .s = s };
	size_t want = (size_t)(s->n - from);

	read_all(s, &x);
	for (size_t i = 0; i < want && i < x.n; i++)
		if (strcmp(x.bodies[i], s->archive[from + (int)i].body) != 0)
			fail_msg("seed %u: place %zu of the archive: \"%s\" stands where \"%s\" should (stored %d times); "
				 "%zu stored, %zu in the archive", s->seed, i, x.bodies[i],
				 s->archive[from + (int)i].body, sim_count(s, s->archive[from + (int)i].body), x.n, want);
	if (x.n != want)
		fail_msg("seed %u: %zu messages stored, the archive has %zu", s->seed, x.n, want);
	for (size_t i = 0; i < x.n; i++)
		free(x.bodies[i]);
	free(x.bodies);
	sim_expect_honest(s);
}
