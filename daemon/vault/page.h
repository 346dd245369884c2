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
	FRAME_HEADER = 24, /* SQLite's WAL frame header */
	WAL_HEADER = 32,
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
	uint8_t db[PAGE_KEY], wal[PAGE_KEY], journal[PAGE_KEY], mask[PAGE_KEY];
	uint8_t file_id[FILE_ID]; /* from the sidecar, never from page 1 (facts/db.md section 1.5 rule 3) */
	uint32_t epoch;		  /* key epoch, raised by every rotation; in the trailer of each page */
};

/* Sub-keys of the file ${file_id} from the master key: docs/store.md, "Derivation". */
void page_keys_derive(struct page_keys *ret, const uint8_t master[PAGE_KEY], const uint8_t file_id[FILE_ID],
		      uint32_t epoch);

/* Outcomes of every _open: > 0, and ${out} is then all zero. */
enum {
	PAGE_E_FORGED = 1, /* does not authenticate: damaged, moved, or another key */
	PAGE_E_FORMAT,	   /* a format, alg or epoch byte that this version does not know (they are authenticated too) */
};

/* Page ${pgno} (from 1) of the main database. ${out} and ${plain} do not overlap. -EINVAL: not a page of ours to seal
 * (reserve area not zero; for page 1: magic, page size or reserve byte are wrong). Seals 0. */
int page_seal(const struct page_keys *k, uint32_t pgno, const uint8_t plain[PAGE_SIZE], uint8_t out[PAGE_SIZE]);
int page_open(const struct page_keys *k, uint32_t pgno, const uint8_t sealed[PAGE_SIZE], uint8_t out[PAGE_SIZE]);
/* The first 100 bytes of a database as SQLite must see them at open when page 1 is torn (section 1.5 rule 2). */
void page_header_synthesize(uint8_t out[100]);

/* A WAL frame: SQLite's 24-byte header (its checksum masked in the sealed form) and page. ${wal_salts}: bytes 16 to 23
 * of the WAL's own header; ${frame}: from 1. header and page are sealed and written as one. */
int frame_seal(const struct page_keys *k, const uint8_t wal_salts[8], uint32_t frame,
	       const uint8_t header[FRAME_HEADER], const uint8_t plain[PAGE_SIZE], uint8_t out[FRAME_HEADER + PAGE_SIZE]);
int frame_open(const struct page_keys *k, const uint8_t wal_salts[8], uint32_t frame,
	       const uint8_t sealed[FRAME_HEADER + PAGE_SIZE], uint8_t out[FRAME_HEADER + PAGE_SIZE]);
