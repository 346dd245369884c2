/* Opening and closing the connection: keys, pragmas, switches. */
#include "store/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/index-mend.h"
#include "store/known.h"
#include "store/search.h"
#include "store/tokenizer.h"
#include "vault/vfs.h"

/*
 * All of facts/db.md section 7, in the order in which they must be given: page size and locking before the first
 * access, a journal in memory before WAL so that a new file never has a journal file. ${want} is what reading back
 * must give. cache_spill is the one that matters most: SQLite before 3.50.2 loses committed transactions after a
 * spill (facts/db.md section 2.3). wal_autocheckpoint is the last resort: store_shorten_log() and upkeep come before it.
 */
static const struct pragma {
	const char *name;
	const char *set;
	const char *want;
	bool fresh_only;
} pragmas[] = {
	{ "page_size", "4096", "4096", true },
	{ "auto_vacuum", "NONE", "0", true },
	{ "locking_mode", "EXCLUSIVE", "exclusive", false },
	{ "temp_store", "MEMORY", "2", false },
	{ "mmap_size", "0", "0", false },
	{ "trusted_schema", "OFF", "0", false },
	{ "cell_size_check", "ON", "1", false },
	{ "journal_mode", "MEMORY", "memory", true },
	{ "journal_mode", "WAL", "wal", false },
	{ "synchronous", "FULL", "2", false },
	{ "cache_size", "-8000", "-8000", false },
	{ "cache_spill", "OFF", "0", false },
	{ "secure_delete", "ON", "1", false },
	{ "wal_autocheckpoint", "3500", "3500", false },
	{ "journal_size_limit", "16777216", "16777216", false },
	{ "foreign_keys", "ON", "1", false },
};

static int set_pragmas(struct store *s, bool fresh, const char **ret_what)
{
	char sql[96], got[64];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++) {
		const struct pragma *p = &pragmas[i];

		if (p->fresh_only && !fresh)
			continue;
		snprintf(sql, sizeof(sql), "PRAGMA %s=%s", p->name, p->set);
		r = db_text(s, sql, got, sizeof(got));
		if (r < 0)
			return err_trace(r);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++) {
		const struct pragma *p = &pragmas[i];

		/* Superseded by a later line for the same pragma. */
		if (i + 1 < ARRAY_SIZE(pragmas) && strcmp(p->name, pragmas[i + 1].name) == 0)
			continue;
		snprintf(sql, sizeof(sql), "PRAGMA %s", p->name);
		r = db_text(s, sql, got, sizeof(got));
		if (r < 0)
			return err_trace(r);
		if (strcmp(got, p->want) != 0) {
			log_debug("pragma %s is \"%s\" and not \"%s\"", p->name, got, p->want);
			*ret_what = p->name;
			return STORE_E_ENGINE;
		}
	}
	return 0;
}

/*
 * Switches of the connection: {what, wanted, name}. NO_CKPT_ON_CLOSE holds until the database is accepted. QPSG: plans
 * do not depend on bound values, so that newer versions do not prepare a statement anew each time it is used
 * (test-db.c).
 */
static int set_config(struct store *s, const char **ret_what)
{
	static const struct {
		int op;
		int want;
		const char *name;
	} config[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1, "defensive" },
		{ SQLITE_DBCONFIG_DQS_DML, 0, "dqs_dml" },
		{ SQLITE_DBCONFIG_DQS_DDL, 0, "dqs_ddl" },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, "load_extension" },
		{ SQLITE_DBCONFIG_ENABLE_QPSG, 1, "enable_qpsg" },
		{ SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, "no_ckpt_on_close" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(config); i++) {
		int got = -1;

		if (sqlite3_db_config(s->db, config[i].op, config[i].want, NULL) != SQLITE_OK ||
		    sqlite3_db_config(s->db, config[i].op, -1, &got) != SQLITE_OK || got != config[i].want) {
			*ret_what = config[i].name;
			return STORE_E_ENGINE;
		}
	}
	return 0;
}

static void warn_untested(void)
{
	static bool warned;

	if (warned || sqlite3_libversion_number() <= DB_SQLITE_TESTED)
		return;
	warned = true;
	log_warning("SQLite %s is newer than what varve was tested with (%d.%d.%d); if the archive does not open, tell us",
		    sqlite3_libversion(), DB_SQLITE_TESTED / 1000000, DB_SQLITE_TESTED / 1000 % 1000,
		    DB_SQLITE_TESTED % 1000);
}

/*
 * The keeper has one thread, and nobody reads how much memory SQLite has: a lock and the books for each little
 * allocation are a tenth of the instructions of outbox_put() (Debian's SQLite has no lookaside memory). Only before SQLite's
 * first use in the process: else, as in a test, it refuses and stays as it was, which is slower and not wrong.
 */
static void run_alone(void)
{
	static bool tried;
	int locks, books;

	if (tried)
		return;
	tried = true;
	locks = sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	books = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (locks != SQLITE_OK || books != SQLITE_OK)
		log_debug("SQLite takes locks or counts its memory: %d, %d", locks, books);
}

int db_bind(const char *path, const struct page_keys *keys)
{
	int r;

	run_alone();
	/* Not again: a test may have put a disk of its own below it. */
	if (!sqlite3_vfs_find(VAULT_VFS)) {
		r = vfs_register(NULL);
		if (r < 0)
			return err_trace(r);
	}
	r = vfs_bind(path, keys);
	return r < 0 ? err_trace(r) : 0;
}

/* Room for nonce and tag on every page, before the first one is written; an existing file must have it. */
static int set_reserve(struct store *s, const char **ret_what)
{
	int want = PAGE_RESERVE, got = -1;

	if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &want) == SQLITE_OK &&
	    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &got) == SQLITE_OK && got == PAGE_RESERVE)
		return 0;
	*ret_what = "reserve_bytes";
	return STORE_E_ENGINE;
}

int db_open(struct store *s, bool fresh, const char **ret_what)
{
	int code, r;

	warn_untested();
	if (!s->plain) {
		r = db_bind(s->path, s->keys);
		if (r < 0)
			return err_trace(r);
	}
	/* Not NOFOLLOW, which SQLite means for every directory above too. The file itself was seen to be no symlink. */
	code = sqlite3_open_v2(s->path, &s->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			       s->plain ? NULL : VAULT_VFS);
	if (code != SQLITE_OK)
		return db_fail(s, code);
	r = s->plain ? 0 : set_reserve(s, ret_what);
	if (r == 0)
		r = set_config(s, ret_what);
	if (r != 0)
		return r;
	r = set_pragmas(s, fresh, ret_what);
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		return r;
	/* SQLite opens what it may not write for reading only, without a word. */
	if (sqlite3_db_readonly(s->db, "main") != 0)
		return err_origin(-EROFS);
	r = tokenizer_register(s->db);
	if (r == 0)
		r = tokenizer_new(s->db, &s->tokenizer);
	return r < 0 ? err_trace(r) : 0;
}

void db_note_files(struct store *s)
{
	_cleanup_(freep) char *log = xasprintf("%s-wal", s->path);

	s->file = disk_id(s->path);
	s->log = disk_id(log);
}

void db_close(struct store *s, bool keep_log)
{
	search_let_go(s);
	known_drop(s);
	for (size_t i = 0; i < SQL_N; i++)
		sqlite3_finalize(s->stmts[i]);
	memset(s->stmts, 0, sizeof(s->stmts));
	s->index.mend = mend_free(s->index.mend);
	s->tokenizer = tokenizer_free(s->tokenizer);
	if (s->db)
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep_log ? 1 : 0, NULL);
	sqlite3_close(s->db);
	s->db = NULL;
	if (!s->plain)
		vfs_unbind(s->path);
}
