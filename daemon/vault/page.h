/*
 * One page, WAL frame, journal record or temporary block under XChaCha20-Poly1305: format 1 of docs/store.md. Pure:
 * bytes in, bytes out; the only outside is libsodium's random generator (a fresh 192-bit nonce for every seal).
 *
 * A sealed page is PAGE_SIZE bytes: ciphertext, nonce, tag, trailer. The last PAGE_RESERVE bytes are what SQLite leaves
 * free on every page (reserved bytes); a page that SQLite hands over must be zero there. Associated data binds a page
 * to its place (docs/store.md has each layout), so that a page moved to another place, file or kind does not open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PAGE_SIZE = 4096,
	PAGE_RESERVE = 48, /* nonce 24, tag 16, trailer 8 (alg, format, 0, 0, key epoch as u32 little-endian) */
	PAGE_BODY = PAGE_SIZE - PAGE_RESERVE,
	RECORD_SIZE = 4 + PAGE_SIZE + 4, /* rollback journal: page number, page, checksum */
	FRAME_HEADER = 24,		 /* SQLite's WAL frame header: page number, commit size, salts, checksum */
	FRAME_SIZE = FRAME_HEADER + PAGE_SIZE,
	WAL_HEADER = 32,
	WAL_SALTS = 8,
	DB_HEADER = 100, /* what SQLite reads of a file before it knows anything of it */
	BLOCK_SIZE = 4096,
	BLOCK_SEALED = BLOCK_SIZE + 40, /* ciphertext, nonce, tag */
	PAGE_KEY = 32,
	FILE_ID = 16,
};

/* Values of the alg byte. AEGIS-256 is reserved for a libsodium >= 1.0.19 (facts/db.md section 9). */
enum page_alg { PAGE_ALG_XCHACHA20 = 1, PAGE_ALG_AEGIS256 = 2 };
enum { PAGE_FORMAT = 1 };

/*
 * The keys of one database file. Derived, never stored (page_keys_derive); lives in locked memory (vault/secret.h)
 * wherever it is kept for longer than a call.
 */
struct page_keys {
	uint8_t db[PAGE_KEY], wal[PAGE_KEY], journal[PAGE_KEY];
	uint8_t file_id[FILE_ID]; /* from the sidecar, never from page 1 (facts/db.md section 1.5 rule 3) */
	uint32_t epoch;		  /* key epoch, raised by every rotation; in the trailer of each page */
};

/* Sub-keys of the file ${file_id} from the master key: docs/store.md, "Derivation". */
void page_keys_derive(struct page_keys *ret, const uint8_t master[PAGE_KEY], const uint8_t file_id[FILE_ID],
		      uint32_t epoch);

/* Outcomes of every _open: > 0, and ${out} is then all zero. No _open and no _seal may overlap its arguments. */
enum {
	PAGE_E_FORGED = 1, /* does not authenticate: damaged, moved, or another key */
	PAGE_E_FORMAT,	   /* authenticates, but its trailer has an alg or format that this version does not know */
};

/* Page ${pgno} (from 1) of the main database. -EINVAL: not a page of ours to seal (reserve area not zero; for page 1:
 * magic, page size or reserve byte are wrong); ${out} is then untouched. */
int page_seal(const struct page_keys *k, uint32_t pgno, const uint8_t plain[PAGE_SIZE], uint8_t out[PAGE_SIZE]);
int page_open(const struct page_keys *k, uint32_t pgno, const uint8_t sealed[PAGE_SIZE], uint8_t out[PAGE_SIZE]);
/* The first 100 bytes of a database as SQLite must see them at open when page 1 is torn (section 1.5 rule 2). */
void page_header_synthesize(uint8_t out[DB_HEADER]);

/*
 * A WAL frame: SQLite's 24-byte header and its page, sealed and written as one. The header's checksum is a linear
 * function of the plaintext: it is encrypted with the page. ${wal_salts}: bytes 16 to 23 of the WAL's own header, not
 * the frame's, which are zero while SQLite still owes the checksums (section 1.3). ${frame}: from 1. -EINVAL as above.
 */
int frame_seal(const struct page_keys *k, const uint8_t wal_salts[WAL_SALTS], uint32_t frame,
	       const uint8_t header[FRAME_HEADER], const uint8_t plain[PAGE_SIZE], uint8_t out[FRAME_SIZE]);
int frame_open(const struct page_keys *k, const uint8_t wal_salts[WAL_SALTS], uint32_t frame,
	       const uint8_t sealed[FRAME_SIZE], uint8_t out[FRAME_SIZE]);

/* A record of the rollback journal at byte ${offset}: page number, page, checksum (encrypted too). The plain and the
 * sealed form are of one size. -EINVAL as above. */
int record_seal(const struct page_keys *k, uint64_t offset, const uint8_t plain[RECORD_SIZE],
		uint8_t out[RECORD_SIZE]);
int record_open(const struct page_keys *k, uint64_t offset, const uint8_t sealed[RECORD_SIZE],
		uint8_t out[RECORD_SIZE]);

/* Block ${index} (from 0) of a temporary file, under a key that lives as long as the file is open: no trailer, no
 * file id. */
void block_seal(const uint8_t key[PAGE_KEY], uint64_t index, const uint8_t plain[BLOCK_SIZE],
		uint8_t out[BLOCK_SEALED]);
int block_open(const uint8_t key[PAGE_KEY], uint64_t index, const uint8_t sealed[BLOCK_SEALED],
	       uint8_t out[BLOCK_SIZE]);
