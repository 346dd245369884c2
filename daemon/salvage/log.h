/*
 * The log of a database (archive.db-wal) as it is after a crash or on a bad disk: which of its frames still belong to
 * the archive. SQLite's recovery (fileformat2.html, section 4) stops at the first frame that does not check; this goes
 * on behind it, because a frame that authenticates was written by varve at that place of that log.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "vault/page.h"

struct wal_log;

struct wal_counts {
	uint32_t frames;     /* in the file */
	uint32_t good;	     /* authenticate and are part of a committed transaction */
	uint32_t bad;	     /* do not authenticate, and something committed comes after them: content is lost */
	uint32_t unfinished; /* after the last commit: a transaction that was cut off, remains of older logs */
	bool header_lost;    /* the first 32 bytes do not check */
};

/*
 * Read the log in ${fd}; ${fd} stays the caller's and open. ${keys} stay valid until wal_log_free(). 0 or -errno.
 *
 * Good are the frames up to the last one that commits, without those that do not authenticate. Where two neighbours
 * authenticate and the second does not continue the checksum of the first, the log ends between them: what follows is
 * of a transaction that was rolled back and overwritten in part.
 */
int wal_log_new(int fd, const struct page_keys *keys, struct wal_log **ret);
struct wal_counts wal_log_counts(const struct wal_log *l);
/* Pages of the database after the last commit; 0 if the log commits nothing. */
uint32_t wal_log_pages(const struct wal_log *l);
/* Good frame ${i} (from 0, in the order of writing): its page number and content. 0, or -errno. */
int wal_log_read(const struct wal_log *l, uint32_t i, uint32_t *ret_pgno, uint8_t page[PAGE_SIZE]);
struct wal_log *wal_log_free(struct wal_log *l);
DEFINE_CLEANUP(struct wal_log *, wal_log_free);
