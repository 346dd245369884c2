/*
 * The SQLite connection behind struct store: open with every pragma set and read back, prepared statements by name,
 * one transaction at a time, and SQLite's result codes turned into errno. Private to store/: nothing above sees
 * SQLite, and nothing here sees a cipher: that is the VFS below db_open().
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "store/disk.h"
#include "store/sql.h"
#include "store/store.h"
#include "vault/page.h"

/* The newest SQLite that all suites ran against (tests/newer-sqlite.sh); a newer one is told in the log, because it may
 * use its files in a way that the cipher VFS refuses (facts/db.md section 9). */
#define DB_SQLITE_TESTED 3054001

#define SQL_ENUM(name, text) SQL_##name,
enum sql { STORE_SQL(SQL_ENUM) SQL_N };

/* Limits that tests lower to reach them; the defaults are in store.c. */
struct store_limits {
	uint32_t pending_refs; /* rows of pending_ref an account */
	uint32_t tombstones;   /* rows of tombstone an account */
	uint32_t purge_rows;   /* rows deleted in one transaction when an account goes, at most */
	uint32_t count_rows;   /* ids that are counted in a transaction, some 3 ms; about so many are counted at a start */
	uint32_t log_frames;   /* pages in the log that are worth a checkpoint at idle */
	uint32_t log_long;     /* ... and in the middle of work: store_log_is_long() */
	int64_t recount;       /* of so few unread messages all are counted whenever one comes */
};
extern const struct store_limits store_limits_default;

/* index.c, search.c: what they learnt about this machine, and what tests change. */
struct index_pace {
	int64_t rows;	  /* a batch */
	int64_t pages;	  /* a merge step */
	bool merge_idle;  /* the last merge step found nothing to do, and nothing was written since */
	int64_t walk_rows; /* rows that a search reads one by one before it asks the index */
	bool damaged;	  /* FTS5 said so; index_step() then begins anew */
	bool unread;	  /* the last failure may be a damaged page: of the index, or of the messages that it reads */
	bool hard;	  /* it cannot be emptied row by row: index-mend.h */
	struct mend *mend;
	int64_t retry_us;   /* CLOCK_BOOTTIME: not before; of a repair that failed, or would be the next one too soon */
	int64_t rebuild_us; /* no rebuild for damage before */
	int rebuilds;	    /* for damage, since the store was opened */
	const char *trouble; /* why it waits for retry_us, a literal; NULL: it does not */
	int64_t samples;    /* left of the pass that index_sample() is in */
	int64_t sampled_us; /* when that pass ended */
	bool stale;	  /* FTS5 may hold words of a transaction that failed: index_forget_words() comes first */
	int64_t worst_us, worst_cpu_us; /* longest transaction, for the bench */
};

enum ids_of { IDS_MSG, IDS_OUTBOX, IDS_OF_N };
struct ids_taken { /* store/ids.h: taken in advance; next == end: none is */
	int64_t next, end;
};

struct queue_low { /* outbox_low(): nothing of the account waits in a row below ${id} */
	int64_t account, id;
};
enum { QUEUE_LOWS = 32 }; /* as many as there are accounts: what is forgotten is found again */

struct known_list { /* store/known.h: of the last call of this transaction, good as long as nothing else is written; owned */
	struct known **list;
	size_t n;
	int64_t account, changes; /* sqlite3_total_changes64() after that call */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmts[SQL_N]; /* prepared on first use, kept */
	char *path;		    /* of the database file, absolute */
	const struct page_keys *keys; /* the vault's */
	bool plain;   /* for benches and tests that compare with plain SQLite; store_open() never sets it */
	char *epoch;
	bool in_tx;
	int64_t last_mod; /* the last feed position that was taken, of any account */
	bool ahead; /* this transaction wrote how far ids or positions are taken in advance */
	struct ids_taken ids[IDS_OF_N];
	int64_t upkeep_rows; /* upkeep.c: so many fit into half a slice when that was last measured */
	struct queue_low queue_lows[QUEUE_LOWS];
	size_t queue_lows_at; /* the next one to take */
	int64_t none_account; /* has no rows of ${none}, enum put_none; 0 = not known of any account */
	unsigned int none;
	int64_t outbox_account; /* has an outbox, or had one when it was last looked; 0 = not known of any account */
	int64_t begun_account;	/* account.first_msg of this one is set; 0 = not known of any account */
	int64_t own_account, own_archive; /* archive_id() of the account's own archive, the last one asked for; 0 = none */
	struct known_list known;
	/* Positions of the feed of feed_account (0: of none) that are used, and up to where the file has them as used. */
	int64_t feed_account, feed_mod, feed_end;
	int64_t clock_off_us, clock_off_kept_us; /* our clock was off by so much, or more: store_clock_was_off(); what the file says */
	int64_t done_noted_us; /* when the outbox was last looked through for what is done */
	bool relaxed; /* commits may be waiting for no disk: only those of store_begin_relaxed() may */
	bool copying; /* there is a struct copy */
	bool frozen;  /* a successor is complete: what were written now would be missing from it (store/copy.h) */
	int tx_error; /* first failure inside the transaction: it can then only be rolled back */
	struct tokenizer *tokenizer; /* for search outside of the index */
	struct index_pace index;
	struct search *searching;    /* holds a statement open from slice to slice: search_let_go() */
	uint32_t key_shifts;	     /* how often sort keys of many rows moved up: a search begins anew */
	int log_seen; /* pages written to the log when it was last checkpointed at idle */
	struct store_limits limits;
	struct disk_id file, log; /* of the files that are open: store_files() */
};

/*
 * Open ${s}->path (it exists, 0600) through the cipher VFS with ${s}->keys and set and read back every pragma of
 * facts/db.md section 7. ${fresh}: the file is empty and becomes a database. Nothing is written to a file that is not
 * fresh. Returns 0, STORE_E_ENGINE with the name of what did not take in *ret_what (a literal), or -errno. On failure
 * the caller still runs db_close(), which also unbinds the keys.
 */
int db_open(struct store *s, bool fresh, const char **ret_what);
/* Finish all statements and close. ${keep_log}: leave the -wal file as it is (the database was not accepted, or nobody
 * needs it any more). */
void db_close(struct store *s, bool keep_log);
/* Note which files are open, for store_files(); the log is there by now. */
void db_note_files(struct store *s);
/* Read one pragma as an integer: for user_version, application_id and tests. */
int db_pragma(struct store *s, const char *name, int64_t *ret);
/* The first column of ${sql}'s first row as text into ${buf}, "" if there is none. */
int db_text(struct store *s, const char *sql, char *buf, size_t size);
/* A failure of the connection as -errno, remembered so that a half-done transaction can never be committed. */
int db_fail(struct store *s, int code);
/* What was read from the file and kept in memory is of a transaction that is undone, or of another file. */
void store_forget(struct store *s);
/* Run SQL that has no parameters and no rows: schema and migrations. */
int db_exec(struct store *s, const char *sql);
/* SQLite's (extended) result code as -errno: FULL -ENOSPC, IOERR -EIO, READONLY -EROFS, CORRUPT, NOTADB and IOERR_DATA
 * (a page that does not authenticate) -EBADMSG. */
int db_errno(int code);
/* The same for what just failed; of an IOERR the system's reason where that tells a user what to do: -EDQUOT, -ENOSPC, -EROFS. */
int db_cause(int code);
/* Make the cipher VFS known, if it is not yet, and bind ${path} to ${keys}. 0, -ENOMEM, -ENOSPC. */
int db_bind(const char *path, const struct page_keys *keys);
/*
 * store_begin() for a transaction that need not outlive a power cut: its commit does not wait for the disk. The caller
 * ends it with store_commit() or store_rollback() as any other, and then asks for db_durable(). Should that fail, or
 * this, no store_begin() succeeds before the disk is waited for again: an ack must not follow such a commit.
 */
int store_begin_relaxed(struct store *s);
int db_durable(struct store *s);

/* clock-off.c: read what is kept; in a transaction that commits, write what is new; it has committed. */
int clock_off_load(struct store *s);
int clock_off_keep(struct store *s);
void clock_off_kept(struct store *s);
/* The first column of ${sql}'s first row on any connection as a number, 0 if there is none; -errno. */
int db_number(sqlite3 *db, const char *sql, int64_t *ret);

/* SQLite's quick_check of everything: *ret_text (caller frees) is the first thing that is wrong, or NULL; -errno. Pages
 * that nothing uses are not wrong. */
int db_quick_check(sqlite3 *db, char **ret_text);

/* One use of a prepared statement. Parameters are put in the order of their numbers; the first failure sticks. */
struct stmt {
	struct store *s;
	sqlite3_stmt *st;
	int at; /* parameters put so far */
	int r;	/* first failure */
};

/* Take statement ${id}; release it with stmt_done(), before it is taken again. */
struct stmt db_use(struct store *s, enum sql id);
void stmt_done(struct stmt *q);
void put_i(struct stmt *q, int64_t v);
/* Text, which must stay alive until stmt_done(). put_n: "" becomes NULL. */
void put_t(struct stmt *q, const char *v);
void put_n(struct stmt *q, const char *v);
void put_blob(struct stmt *q, const void *data, size_t len);
void put_null(struct stmt *q);
/* The next row: 1, 0 at the end, or -errno. */
int db_row(struct stmt *q);
/* Run to the end, ignoring rows: 0 or -errno. */
int db_run(struct stmt *q);
/* Run an INSERT of one row to its end: its rowid. */
int db_insert(struct stmt *q, int64_t *ret_id);
/* The first column of the first row, ${fallback} if there is none or it is NULL. */
int db_int(struct stmt *q, int64_t fallback, int64_t *ret);

/*
 * Hold one state of the file until stmt_done(): SQLite would begin and end a read with each statement. Nothing may be
 * written meanwhile. Held already: that one counts. A failure is that of the statements that follow.
 */
struct stmt db_hold(struct store *s);

/* Column ${i} of the present row; text is "" for NULL and dies with the next db_row() or stmt_done(). */
int64_t col_i(struct stmt *q, int i);
const char *col_t(struct stmt *q, int i);
