/* sim.h: store and engine begin, are killed, restarted and closed. */
#define _GNU_SOURCE
#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "store/db.h"
#include "store/schema.h"
#include "store/tokenizer.h"
#include "sync/engine-priv.h"
#include "vault/vault.h"

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
	sim_detach(s);
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
	sim_detach(s);
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
