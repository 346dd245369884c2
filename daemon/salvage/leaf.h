/*
 * Leaf pages of tables, and the records on them, in SQLite's file format (fileformat2.html, sections 1.6 and 2.1): read
 * without the pages above, so that rows come back when those are damaged. Pure, and safe on any bytes: what does not
 * check is not there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/page.h"

enum {
	LEAF_COLUMNS_MAX = 64,		  /* widest table of the schema has 25; room for later versions */
	LEAF_RECORD_MAX = 16 * 1024 * 1024, /* bytes; a body has at most 256 kB */
};

/* A row as it lies on its page. */
struct leaf_cell {
	int64_t rowid;
	const uint8_t *data; /* first bytes of the record, inside of the page */
	size_t here;	     /* how many */
	size_t total;	     /* of the whole record; the rest is on overflow pages */
	uint32_t overflow;   /* first of these, 0 if there is none */
};

/* Number of rows on page ${pgno}; 0 when it is no leaf of a table. */
size_t leaf_count(const uint8_t page[PAGE_SIZE], uint32_t pgno);
/* Row ${i}; false when it does not lie on the page as it should. */
bool leaf_cell(const uint8_t page[PAGE_SIZE], uint32_t pgno, size_t i, struct leaf_cell *ret);

enum leaf_type { LEAF_NULL, LEAF_INT, LEAF_FLOAT, LEAF_TEXT, LEAF_BLOB };

struct leaf_value {
	enum leaf_type type;
	int64_t i;	     /* LEAF_INT */
	const uint8_t *data; /* LEAF_TEXT, LEAF_BLOB: into the record, not terminated */
	size_t len;	     /* bytes at hand */
	bool cut;	     /* there were more: their overflow page is lost */
};

/* The columns of a record of which the first ${have} bytes of ${total} are at hand. How many; 0 when it is none, or
 * wider than LEAF_COLUMNS_MAX. */
size_t leaf_record(const uint8_t *data, size_t have, size_t total, struct leaf_value ret[LEAF_COLUMNS_MAX]);

/* The payload of an overflow page: bytes 4 to PAGE_BODY; its first four bytes name the next one. */
enum { LEAF_OVERFLOW_BYTES = PAGE_BODY - 4 };

/* A big-endian integer of the format. */
uint32_t leaf_u32(const uint8_t *p);
