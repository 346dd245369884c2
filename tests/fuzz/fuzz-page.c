/*
 * What authenticates is what was sealed, at its place, and nothing else; what does not is all zero.
 *
 * Input: kind, page number (u32), then 0: the rest is the sealed thing as it is; or 1: edits (tests/fuzz/edits.h) of one
 * that was sealed from a page of which the input is the beginning.
 */
#include <string.h>

#include "edits.h"
#include "fuzz.h"
#include "vault/page.h"

enum { HEAD = 6, SEALED_MAX = BLOCK_SEALED /* the longest */ };
enum kind { DB, FRAME, RECORD, BLOCK, KINDS };

static const uint8_t master[PAGE_KEY] = { 1 }, file_id[FILE_ID] = { 2 }, salts[WAL_SALTS] = { 3 };
static const size_t sizes[KINDS] = { PAGE_SIZE, FRAME_SIZE, RECORD_SIZE, BLOCK_SEALED };
static struct page_keys keys;

static int seal(enum kind kind, uint32_t at, const uint8_t *plain, uint8_t *out)
{
	switch (kind) {
	case DB:
		return page_seal(&keys, at, plain, out);
	case FRAME:
		return frame_seal(&keys, salts, at, plain, plain + FRAME_HEADER, out);
	case RECORD:
		return record_seal(&keys, at, plain, out);
	case BLOCK:
		block_seal(keys.db, at, plain, out);
		return 0;
	case KINDS:
		break;
	}
	return -1;
}

static int open_it(enum kind kind, uint32_t at, const uint8_t *sealed, uint8_t *out)
{
	switch (kind) {
	case DB:
		return page_open(&keys, at, sealed, out);
	case FRAME:
		return frame_open(&keys, salts, at, sealed, out);
	case RECORD:
		return record_open(&keys, at, sealed, out);
	case BLOCK:
		return block_open(keys.db, at, sealed, out);
	case KINDS:
		break;
	}
	return -1;
}

static size_t plain_size(enum kind kind)
{
	return kind == BLOCK ? BLOCK_SIZE : sizes[kind];
}

/* A page that SQLite could hand over: the reserve is free, page 1 begins as it must. */
static void make_plain(enum kind kind, uint32_t at, const uint8_t *data, size_t size, uint8_t *plain)
{
	size_t body = kind == FRAME ? FRAME_HEADER : kind == RECORD ? 4 : 0;

	memset(plain, 0, SEALED_MAX);
	memcpy(plain, data, size < plain_size(kind) ? size : plain_size(kind));
	if (kind != BLOCK)
		memset(plain + body + PAGE_BODY, 0, PAGE_RESERVE);
	if (kind == DB && at == 1)
		page_header_synthesize(plain);
}

static void assert_zero(const uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		must(out[i] == 0, "a forged page gives something away");
}

static void edited(enum kind kind, uint32_t at, const uint8_t *data, size_t size)
{
	uint8_t plain[SEALED_MAX], sealed[SEALED_MAX], before[SEALED_MAX], out[SEALED_MAX];
	int r;

	make_plain(kind, at, data, size, plain);
	must(seal(kind, at, plain, sealed) == 0, "not sealed");
	memcpy(before, sealed, sizes[kind]);
	must(edits_apply(data, size, sealed, sizes[kind]) <= sizes[kind], "an edit grew it");
	r = open_it(kind, at, sealed, out);
	if (memcmp(before, sealed, sizes[kind]) == 0) {
		must(r == 0 && memcmp(out, plain, plain_size(kind)) == 0, "what was sealed does not come back");
		/* At any other place it does not open. */
		r = open_it(kind, at + 1, sealed, out);
	}
	must(r == PAGE_E_FORGED, "something altered was opened");
	assert_zero(out, plain_size(kind));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	uint8_t sealed[SEALED_MAX] = { 0 }, out[SEALED_MAX];
	enum kind kind;
	uint32_t at;

	if (size < HEAD)
		return;
	page_keys_derive(&keys, master, file_id, 7);
	kind = data[0] % KINDS;
	at = (uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 | (uint32_t)data[4] << 24;
	at += at == 0;
	if (data[5] & 1) {
		edited(kind, at, data + HEAD, size - HEAD);
		return;
	}
	size -= HEAD;
	memcpy(sealed, data + HEAD, size < sizes[kind] ? size : sizes[kind]);
	must(open_it(kind, at, sealed, out) == PAGE_E_FORGED, "bytes of the fuzzer authenticate");
	assert_zero(out, plain_size(kind));
}
