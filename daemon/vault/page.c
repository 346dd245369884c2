/*
 * Format 1, byte by byte: docs/store.md. Every kind is one AEAD call over one stretch of bytes:
 *
 *   page 1    24 clear | ciphertext                          | nonce 24 | tag 16 | trailer 8
 *   page      ciphertext                                     | nonce 24 | tag 16 | trailer 8
 *   frame     16 clear | ciphertext of checksum 8, body      | nonce 24 | tag 16 | trailer 8
 *   record     4 clear | ciphertext of body, checksum 4      | nonce 24 | tag 16 | trailer 8
 *   block     ciphertext                                     | nonce 24 | tag 16
 *
 * The clear bytes are all authenticated. A frame's checksum is the last field of SQLite's header, right before the
 * page; a record's is the last of all and moves before the nonce: so both lie in one stretch with the body.
 */
#include "vault/page.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "vault/aead.h"
#include "vault/secret.h"

enum {
	NONCE = AEAD_NONCE,
	TAG = AEAD_TAG,
	TRAILER = 8,
	P1_CLEAR = 24, /* page 1: magic and what SQLite calls the file format */
	FRAME_CLEAR = 16, /* page number, commit size, salts */
	FRAME_CIPHER = FRAME_HEADER - FRAME_CLEAR + PAGE_BODY,
	RECORD_CLEAR = 4, /* page number */
	RECORD_CIPHER = PAGE_BODY + 4,
	DOMAIN = 8,
	AD_MAX = 80,
};
static_assert(NONCE + TAG + TRAILER == PAGE_RESERVE, "the reserve area is nonce, tag, trailer");
static_assert(BLOCK_SEALED == BLOCK_SIZE + NONCE + TAG, "a block has no trailer");
static_assert((int)PAGE_KEY == (int)AEAD_KEY && PAGE_KEY == crypto_kdf_KEYBYTES, "keys");
static_assert(RECORD_CLEAR + RECORD_CIPHER + PAGE_RESERVE == RECORD_SIZE, "sealed records are as long as plain ones");

static const uint8_t zero_reserve[PAGE_RESERVE];
/* Bytes 0 to 23 of SQLite's page 1, without the read and write versions (18, 19): section 1.3 of its file format. */
static const uint8_t sqlite_magic[16] = "SQLite format 3";
static const uint8_t sqlite_sizes[] = { PAGE_SIZE >> 8, PAGE_SIZE & 0xff };
/* Bytes 0 to 7 of a sealed page 1; the first half of the file id follows. For file(1) and for people: nothing here is
 * taken from them. */
static const uint8_t varve_magic[8] = "varve\0\0\1";

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

/* Associated data as it grows: fixed fields only, so no two of one kind can run into each other. */
struct ad {
	uint8_t bytes[AD_MAX];
	size_t len;
};

static void ad_add(struct ad *ad, const void *p, size_t len)
{
	memcpy(ad->bytes + ad->len, p, len);
	ad->len += len;
}

static void ad_add32(struct ad *ad, uint32_t v)
{
	put_le32(ad->bytes + ad->len, v);
	ad->len += 4;
}

static void ad_add64(struct ad *ad, uint64_t v)
{
	put_le64(ad->bytes + ad->len, v);
	ad->len += 8;
}

static void ad_begin(struct ad *ad, const char domain[DOMAIN], const struct page_keys *k,
		     const uint8_t trailer[TRAILER])
{
	ad->len = 0;
	ad_add(ad, domain, DOMAIN);
	ad_add(ad, trailer, TRAILER);
	ad_add(ad, k->file_id, FILE_ID);
}

static void trailer_put(const struct page_keys *k, uint8_t out[TRAILER])
{
	out[0] = PAGE_ALG_XCHACHA20;
	out[1] = PAGE_FORMAT;
	out[2] = 0;
	out[3] = 0;
	put_le32(out + 4, k->epoch);
}

/* ${nonce_tag}: where nonce and tag go. ${plain} may be ${cipher}. */
static void seal(const uint8_t key[PAGE_KEY], const struct ad *ad, const uint8_t *plain, size_t len, uint8_t *cipher,
		 uint8_t *nonce_tag)
{
	aead_seal(key, (struct aead_bound){ ad->bytes, ad->len }, plain, len, cipher, nonce_tag);
}

/* 0 or PAGE_E_FORGED. */
static int unseal(const uint8_t key[PAGE_KEY], const struct ad *ad, const uint8_t *cipher, size_t len,
		  const uint8_t *nonce_tag, uint8_t *plain)
{
	int r = aead_open(key, (struct aead_bound){ ad->bytes, ad->len }, cipher, len, nonce_tag, plain);

	return r ? PAGE_E_FORGED : 0;
}

/* The verdict on what authenticated: is it of a format that we know? Zeroes ${out} if anything is wrong. */
static int judge(int r, const struct page_keys *k, const uint8_t trailer[TRAILER], uint8_t *out, size_t size)
{
	uint8_t want[TRAILER];

	trailer_put(k, want);
	if (r == 0 && memcmp(trailer, want, TRAILER) != 0)
		r = PAGE_E_FORMAT;
	if (r != 0)
		memset(out, 0, size);
	return r;
}

void page_keys_derive(struct page_keys *ret, const uint8_t master[PAGE_KEY], const uint8_t file_id[FILE_ID],
		      uint32_t epoch)
{
	static const char what[16] = "varve page keys";
	static const char context[crypto_kdf_CONTEXTBYTES] = "varvepag";
	uint8_t in[sizeof(what) + FILE_ID + 4], file_key[PAGE_KEY];

	if (sodium_init() < 0)
		abort();
	memcpy(in, what, sizeof(what));
	memcpy(in + sizeof(what), file_id, FILE_ID);
	put_le32(in + sizeof(what) + FILE_ID, epoch);
	crypto_generichash(file_key, sizeof(file_key), in, sizeof(in), master, PAGE_KEY);
	crypto_kdf_derive_from_key(ret->db, PAGE_KEY, 1, context, file_key);
	crypto_kdf_derive_from_key(ret->wal, PAGE_KEY, 2, context, file_key);
	crypto_kdf_derive_from_key(ret->journal, PAGE_KEY, 3, context, file_key);
	memcpy(ret->file_id, file_id, FILE_ID);
	ret->epoch = epoch;
	secret_wipe(file_key, sizeof(file_key));
}

/* Whether SQLite left our bytes alone. They are not zero exactly when a plain database is copied in by the backup API
 * or VACUUM changes the page size: sealing would then destroy content (facts/db.md section 1.2). */
static bool reserve_free(const uint8_t page[PAGE_SIZE])
{
	return memcmp(page + PAGE_BODY, zero_reserve, PAGE_RESERVE) == 0;
}

static bool page1_ours(const uint8_t page[PAGE_SIZE])
{
	return memcmp(page, sqlite_magic, sizeof(sqlite_magic)) == 0 &&
	       memcmp(page + 16, sqlite_sizes, sizeof(sqlite_sizes)) == 0 && page[20] == PAGE_RESERVE;
}

static void ad_page(struct ad *ad, const struct page_keys *k, uint32_t pgno, const uint8_t sealed[PAGE_SIZE])
{
	ad_begin(ad, "varve/db", k, sealed + PAGE_SIZE - TRAILER);
	ad_add32(ad, pgno);
	if (pgno == 1)
		ad_add(ad, sealed, P1_CLEAR);
}

int page_seal(const struct page_keys *k, uint32_t pgno, const uint8_t plain[PAGE_SIZE], uint8_t out[PAGE_SIZE])
{
	size_t clear = pgno == 1 ? P1_CLEAR : 0;
	struct ad ad;

	if (pgno == 0 || !reserve_free(plain) || (pgno == 1 && !page1_ours(plain)))
		return err_origin(-EINVAL);
	if (pgno == 1) {
		memcpy(out, varve_magic, sizeof(varve_magic));
		memcpy(out + 8, k->file_id, 8);
		memcpy(out + 16, plain + 16, P1_CLEAR - 16);
	}
	trailer_put(k, out + PAGE_SIZE - TRAILER);
	ad_page(&ad, k, pgno, out);
	seal(k->db, &ad, plain + clear, PAGE_BODY - clear, out + clear, out + PAGE_BODY);
	return 0;
}

int page_open(const struct page_keys *k, uint32_t pgno, const uint8_t sealed[PAGE_SIZE], uint8_t out[PAGE_SIZE])
{
	size_t clear = pgno == 1 ? P1_CLEAR : 0;
	struct ad ad;
	int r;

	ad_page(&ad, k, pgno, sealed);
	r = unseal(k->db, &ad, sealed + clear, PAGE_BODY - clear, sealed + PAGE_BODY, out + clear);
	if (pgno == 1) {
		memcpy(out, sqlite_magic, sizeof(sqlite_magic));
		memcpy(out + 16, sealed + 16, P1_CLEAR - 16);
	}
	/* Zero again for SQLite: its WAL checksum covers the area (facts/db.md section 1.2). */
	memset(out + PAGE_BODY, 0, PAGE_RESERVE);
	return judge(r, k, sealed + PAGE_SIZE - TRAILER, out, PAGE_SIZE);
}

void page_header_synthesize(uint8_t out[DB_HEADER])
{
	memset(out, 0, DB_HEADER);
	memcpy(out, sqlite_magic, sizeof(sqlite_magic));
	memcpy(out + 16, sqlite_sizes, sizeof(sqlite_sizes));
	out[18] = out[19] = 2; /* WAL */
	out[20] = PAGE_RESERVE;
	out[21] = 64; /* payload fractions: SQLite's file format 1.3.4 */
	out[22] = out[23] = 32;
}

static void ad_frame(struct ad *ad, const struct page_keys *k, const uint8_t wal_salts[WAL_SALTS], uint32_t frame,
		     const uint8_t sealed[FRAME_SIZE])
{
	ad_begin(ad, "varve/wl", k, sealed + FRAME_SIZE - TRAILER);
	ad_add(ad, wal_salts, WAL_SALTS);
	ad_add32(ad, frame);
	ad_add(ad, sealed, FRAME_CLEAR);
}

int frame_seal(const struct page_keys *k, const uint8_t wal_salts[WAL_SALTS], uint32_t frame,
	       const uint8_t header[FRAME_HEADER], const uint8_t plain[PAGE_SIZE], uint8_t out[FRAME_SIZE])
{
	struct ad ad;

	if (!reserve_free(plain))
		return err_origin(-EINVAL);
	/* SQLite hands over header and page apart: put together first, sealed in place. */
	memcpy(out, header, FRAME_HEADER);
	memcpy(out + FRAME_HEADER, plain, PAGE_BODY);
	trailer_put(k, out + FRAME_SIZE - TRAILER);
	ad_frame(&ad, k, wal_salts, frame, out);
	seal(k->wal, &ad, out + FRAME_CLEAR, FRAME_CIPHER, out + FRAME_CLEAR, out + FRAME_HEADER + PAGE_BODY);
	return 0;
}

int frame_open(const struct page_keys *k, const uint8_t wal_salts[WAL_SALTS], uint32_t frame,
	       const uint8_t sealed[FRAME_SIZE], uint8_t out[FRAME_SIZE])
{
	struct ad ad;
	int r;

	ad_frame(&ad, k, wal_salts, frame, sealed);
	r = unseal(k->wal, &ad, sealed + FRAME_CLEAR, FRAME_CIPHER, sealed + FRAME_HEADER + PAGE_BODY,
		   out + FRAME_CLEAR);
	memcpy(out, sealed, FRAME_CLEAR);
	memset(out + FRAME_HEADER + PAGE_BODY, 0, PAGE_RESERVE);
	return judge(r, k, sealed + FRAME_SIZE - TRAILER, out, FRAME_SIZE);
}

static void ad_record(struct ad *ad, const struct page_keys *k, uint64_t offset, const uint8_t sealed[RECORD_SIZE])
{
	ad_begin(ad, "varve/jr", k, sealed + RECORD_SIZE - TRAILER);
	ad_add64(ad, offset);
	ad_add(ad, sealed, RECORD_CLEAR);
}

int record_seal(const struct page_keys *k, uint64_t offset, const uint8_t plain[RECORD_SIZE],
		uint8_t out[RECORD_SIZE])
{
	struct ad ad;

	if (!reserve_free(plain + RECORD_CLEAR))
		return err_origin(-EINVAL);
	memcpy(out, plain, RECORD_CLEAR + PAGE_BODY);
	memcpy(out + RECORD_CLEAR + PAGE_BODY, plain + RECORD_CLEAR + PAGE_SIZE, 4);
	trailer_put(k, out + RECORD_SIZE - TRAILER);
	ad_record(&ad, k, offset, out);
	seal(k->journal, &ad, out + RECORD_CLEAR, RECORD_CIPHER, out + RECORD_CLEAR,
	     out + RECORD_CLEAR + RECORD_CIPHER);
	return 0;
}

int record_open(const struct page_keys *k, uint64_t offset, const uint8_t sealed[RECORD_SIZE],
		uint8_t out[RECORD_SIZE])
{
	struct ad ad;
	int r;

	ad_record(&ad, k, offset, sealed);
	r = unseal(k->journal, &ad, sealed + RECORD_CLEAR, RECORD_CIPHER, sealed + RECORD_CLEAR + RECORD_CIPHER,
		   out + RECORD_CLEAR);
	memcpy(out, sealed, RECORD_CLEAR);
	memcpy(out + RECORD_CLEAR + PAGE_SIZE, out + RECORD_CLEAR + PAGE_BODY, 4);
	memset(out + RECORD_CLEAR + PAGE_BODY, 0, PAGE_RESERVE);
	return judge(r, k, sealed + RECORD_SIZE - TRAILER, out, RECORD_SIZE);
}

static void ad_block(struct ad *ad, uint64_t index)
{
	ad->len = 0;
	ad_add(ad, "varve/tm", DOMAIN);
	ad_add64(ad, index);
}

void block_seal(const uint8_t key[PAGE_KEY], uint64_t index, const uint8_t plain[BLOCK_SIZE],
		uint8_t out[BLOCK_SEALED])
{
	struct ad ad;

	ad_block(&ad, index);
	seal(key, &ad, plain, BLOCK_SIZE, out, out + BLOCK_SIZE);
}

int block_open(const uint8_t key[PAGE_KEY], uint64_t index, const uint8_t sealed[BLOCK_SEALED],
	       uint8_t out[BLOCK_SIZE])
{
	struct ad ad;
	int r;

	ad_block(&ad, index);
	r = unseal(key, &ad, sealed, BLOCK_SIZE, sealed + BLOCK_SIZE, out);
	if (r != 0)
		memset(out, 0, BLOCK_SIZE);
	return r;
}
