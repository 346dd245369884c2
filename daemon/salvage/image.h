/*
 * A plain SQLite file with every page of an encrypted archive that authenticates: first those of the database file,
 * then those of its log. What is lost is zero.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "salvage/log.h"
#include "vault/page.h"

struct image;

struct image_counts {
	uint32_t pages;	    /* of the database, as far as that is known */
	uint32_t good;
	uint32_t bad;	    /* do not authenticate */
	uint32_t missing;   /* the file ends before them */
	uint32_t format;    /* of the bad: written in a format of a newer varve */
	uint32_t from_log;  /* of the good */
	bool header_made;   /* page 1 is lost: made anew, see image_new() */
	struct wal_counts log;
};

/*
 * Read the database in ${db_fd} and its log in ${log_fd} (-1: there is none), write to ${out_fd} (empty, readable too).
 * All three stay the caller's and open until image_free(). 0 or -errno (then ${out_fd} holds a part).
 *
 * Page 1 says "no log" and the right size afterwards, so that any SQLite opens the file. If it is lost, one is made:
 * the tables are found again when the pages with their names are readable (which are others, as they do not fit on
 * one).
 */
int image_new(int db_fd, int log_fd, const struct page_keys *keys, int out_fd, struct image **ret);
struct image_counts image_counts(const struct image *im);
/* Page ${pgno} (from 1) is there as it was written. */
bool image_has(const struct image *im, uint32_t pgno);
/* Read it. 0, -ENODATA if it is lost, or -errno. */
int image_read(const struct image *im, uint32_t pgno, uint8_t page[PAGE_SIZE]);
struct image *image_free(struct image *im);
DEFINE_CLEANUP(struct image *, image_free);

/* SQLite never writes the page at 1 GiB, where its locks are. */
bool image_is_lock_page(uint32_t pgno);
