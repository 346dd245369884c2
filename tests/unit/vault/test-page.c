/*
 * page.c: what is sealed opens at its place and nowhere else, and says what docs/store.md says (test vectors).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/mem.h"
#include "vault/page.h"

#define TEST(name) static void name(void **state)

/* All that a seal is bound to. */
struct where {
	struct page_keys keys;
	uint8_t salts[WAL_SALTS];
	uint64_t place; /* page number, frame, offset, index */
};

/* The kinds behind one face: plain and sealed sizes, and calls that take everything from struct where. */
struct face {
	const char *name;
	size_t plain, sealed;
	uint64_t place;
	int (*seal)(const struct where *w, const uint8_t *plain, uint8_t *out);
	int (*open)(const struct where *w, const uint8_t *sealed, uint8_t *out);
};

static int seal_page(const struct where *w, const uint8_t *plain, uint8_t *out)
{
	return page_seal(&w->keys, (uint32_t)w->place, plain, out);
}

static int open_page(const struct where *w, const uint8_t *sealed, uint8_t *out)
{
	return page_open(&w->keys, (uint32_t)w->place, sealed, out);
}

static int seal_frame(const struct where *w, const uint8_t *plain, uint8_t *out)
{
	return frame_seal(&w->keys, w->salts, (uint32_t)w->place, plain, plain + FRAME_HEADER, out);
}

static int open_frame(const struct where *w, const uint8_t *sealed, uint8_t *out)
{
	return frame_open(&w->keys, w->salts, (uint32_t)w->place, sealed, out);
}

static int seal_record(const struct where *w, const uint8_t *plain, uint8_t *out)
{
	return record_seal(&w->keys, w->place, plain, out);
}

static int open_record(const struct where *w, const uint8_t *sealed, uint8_t *out)
{
	return record_open(&w->keys, w->place, sealed, out);
}

static int seal_block(const struct where *w, const uint8_t *plain, uint8_t *out)
{
	block_seal(w->keys.db, w->place, plain, out);
	return 0;
}

static int open_block(const struct where *w, const uint8_t *sealed, uint8_t *out)
{
	return block_open(w->keys.db, w->place, sealed, out);
}

static const struct face faces[] = {
	{ "page 1", PAGE_SIZE, PAGE_SIZE, 1, seal_page, open_page },
	{ "page", PAGE_SIZE, PAGE_SIZE, 2, seal_page, open_page },
	{ "frame", FRAME_SIZE, FRAME_SIZE, 3, seal_frame, open_frame },
	{ "record", RECORD_SIZE, RECORD_SIZE, 512, seal_record, open_record },
	{ "block", BLOCK_SIZE, BLOCK_SEALED, 0, seal_block, open_block },
};

static size_t page_at(const struct face *f)
{
	return f->open == open_frame ? FRAME_HEADER : f->open == open_record ? 4 : 0;
}

/* The bytes of docs/store.md, "Test vectors". */
static void pattern(const struct face *f, uint8_t *out)
{
	static const uint8_t head[24] = "SQLite format 3\0\x10\0\2\2\x30\x40\x20\x20";

	for (size_t i = 0; i < f->plain; i++)
		out[i] = (uint8_t)(i * 31 + 17);
	if (f->open != open_block)
		memset(out + page_at(f) + PAGE_BODY, 0, PAGE_RESERVE);
	if (f == &faces[0])
		memcpy(out, head, sizeof(head));
}

static struct where where_of(const struct face *f)
{
	struct where w = { .salts = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7 }, .place = f->place };
	uint8_t master[PAGE_KEY], id[FILE_ID];

	for (size_t i = 0; i < sizeof(master); i++)
		master[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)(0xf0 + i);
	page_keys_derive(&w.keys, master, id, 7);
	return w;
}

static void must_fail(const struct face *f, const struct where *w, const uint8_t *sealed, const char *why)
{
	static const uint8_t zero[FRAME_SIZE];
	uint8_t out[FRAME_SIZE];

	memset(out, 0xee, sizeof(out));
	if (f->open(w, sealed, out) != PAGE_E_FORGED)
		fail_msg("%s opened: %s", f->name, why);
	assert_memory_equal(out, zero, f->plain);
}

TEST(what_is_sealed_opens)
{
	(void)state;
	for (const struct face *f = faces; f < faces + ARRAY_SIZE(faces); f++) {
		uint8_t plain[FRAME_SIZE], sealed[FRAME_SIZE + 16], again[FRAME_SIZE + 16], out[FRAME_SIZE];
		struct where w = where_of(f);

		pattern(f, plain);
		assert_int_equal(f->seal(&w, plain, sealed), 0);
		assert_int_equal(f->seal(&w, plain, again), 0);
		assert_memory_not_equal(sealed + 64, again + 64, 64); /* another nonce */
		assert_int_equal(f->open(&w, sealed, out), 0);
		assert_memory_equal(out, plain, f->plain);
	}
}

TEST(a_flipped_bit_anywhere_is_seen)
{
	(void)state;
	for (const struct face *f = faces; f < faces + ARRAY_SIZE(faces); f++) {
		uint8_t plain[FRAME_SIZE], sealed[FRAME_SIZE + 16];
		struct where w = where_of(f);

		pattern(f, plain);
		assert_int_equal(f->seal(&w, plain, sealed), 0);
		for (size_t i = 0; i < f->sealed; i++) {
			uint8_t bit = (uint8_t)(1u << (i % 8));

			sealed[i] ^= bit;
			must_fail(f, &w, sealed, "a bit was flipped");
			sealed[i] ^= bit;
		}
		memset(sealed, 0, sizeof(sealed));
		must_fail(f, &w, sealed, "all zero");
	}
}

TEST(at_another_place_nothing_opens)
{
	(void)state;
	for (const struct face *f = faces; f < faces + ARRAY_SIZE(faces); f++) {
		uint8_t plain[FRAME_SIZE], sealed[FRAME_SIZE + 16];
		struct where w = where_of(f), v;
		bool block = f->open == open_block;

		pattern(f, plain);
		assert_int_equal(f->seal(&w, plain, sealed), 0);
		for (int bit = 0; bit < (f->place == 512 || block ? 64 : 32); bit++) {
			v = w;
			v.place ^= UINT64_C(1) << bit;
			if (v.place != 0 || block)
				must_fail(f, &v, sealed, "another place");
		}
		for (int i = 0; i < PAGE_KEY; i++) {
			v = w;
			v.keys.db[i] ^= 1;
			v.keys.wal[i] ^= 1;
			v.keys.journal[i] ^= 1;
			must_fail(f, &v, sealed, "another key");
		}
		for (int i = 0; i < FILE_ID && !block; i++) {
			v = w;
			v.keys.file_id[i] ^= 1;
			must_fail(f, &v, sealed, "another file");
		}
		for (int i = 0; i < WAL_SALTS && f->open == open_frame; i++) {
			v = w;
			v.salts[i] ^= 1;
			must_fail(f, &v, sealed, "another generation of the log");
		}
	}
}

/* With one key for all, so that it is the associated data that tells them apart. */
TEST(no_kind_passes_for_another)
{
	uint8_t plain[FRAME_SIZE] = { 0 }, sealed[2 * FRAME_SIZE] = { 0 };
	struct where w = where_of(&faces[1]);

	(void)state;
	memcpy(w.keys.wal, w.keys.db, PAGE_KEY);
	memcpy(w.keys.journal, w.keys.db, PAGE_KEY);
	for (const struct face *f = faces; f < faces + ARRAY_SIZE(faces); f++)
		for (const struct face *g = faces; g < faces + ARRAY_SIZE(faces); g++) {
			if (f == g || (f->open == g->open))
				continue;
			pattern(f, plain);
			assert_int_equal(f->seal(&w, plain, sealed + 64), 0);
			/* wherever the other kind's ciphertext would begin */
			for (int shift = -24; shift <= 24; shift += 4)
				must_fail(g, &w, sealed + 64 + shift, f->name);
		}
}

TEST(what_would_be_destroyed_is_refused)
{
	(void)state;
	for (const struct face *f = faces; f < faces + ARRAY_SIZE(faces); f++) {
		uint8_t plain[FRAME_SIZE], sealed[FRAME_SIZE + 16];
		struct where w = where_of(f);

		if (f->open == open_block)
			continue;
		for (size_t i = 0; i < PAGE_RESERVE; i++) {
			pattern(f, plain);
			plain[page_at(f) + PAGE_BODY + i] = 1;
			assert_true(f->seal(&w, plain, sealed) < 0);
		}
	}
}

TEST(page_1_must_be_that_of_a_database_of_ours)
{
	/* magic, page size, reserve */
	static const uint8_t at[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20 };
	uint8_t plain[PAGE_SIZE], sealed[PAGE_SIZE];
	struct where w = where_of(&faces[0]);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		pattern(&faces[0], plain);
		plain[at[i]] ^= 1;
		assert_true(page_seal(&w.keys, 1, plain, sealed) < 0);
		if (at[i] != 0)
			assert_int_equal(page_seal(&w.keys, 2, plain, sealed), 0);
	}
	pattern(&faces[0], plain);
	plain[18] = plain[19] = 1; /* not WAL: a copy that is being made */
	assert_int_equal(page_seal(&w.keys, 1, plain, sealed), 0);
	assert_true(page_seal(&w.keys, 0, plain, sealed) < 0);
}

TEST(no_part_of_the_plaintext_is_in_the_sealed_form)
{
	(void)state;
	for (const struct face *f = faces; f < faces + ARRAY_SIZE(faces); f++) {
		uint8_t plain[FRAME_SIZE], sealed[FRAME_SIZE + 16];
		struct where w = where_of(f);
		/* what is in clear: the file's format, page number, commit size and salts, page number */
		size_t clear = f == faces ? 24 : f->open == open_frame ? 16 : f->open == open_record ? 4 : 0;
		size_t same = 0;

		pattern(f, plain);
		assert_int_equal(f->seal(&w, plain, sealed), 0);
		for (size_t i = clear; i < f->plain; i++)
			same += plain[i] == sealed[i];
		assert_true(same < 60); /* 16 of 4096 by chance */
	}
}

/* A page as a later version may write it: format byte 2, everything else the same. Built here by hand. */
TEST(a_later_format_is_told_from_damage)
{
	uint8_t plain[PAGE_SIZE], sealed[PAGE_SIZE], ad[36] = "varve/db", out[PAGE_SIZE];
	struct where w = where_of(&faces[1]);

	(void)state;
	for (int what = 0; what < 4; what++) {
		static const uint8_t trailers[4][8] = {
			{ 1, 1, 0, 0, 7 }, { 1, 2, 0, 0, 7 }, { 2, 1, 0, 0, 7 }, { 1, 1, 0, 0, 8 }
		};

		pattern(&faces[1], plain);
		memcpy(ad + 8, trailers[what], 8);
		memcpy(ad + 16, w.keys.file_id, FILE_ID);
		ad[32] = 2;
		memset(sealed + PAGE_BODY, 0x55, 24);
		crypto_aead_xchacha20poly1305_ietf_encrypt_detached(sealed, sealed + PAGE_BODY + 24, NULL, plain,
								    PAGE_BODY, ad, sizeof(ad), NULL,
								    sealed + PAGE_BODY, w.keys.db);
		memcpy(sealed + PAGE_SIZE - 8, trailers[what], 8);
		assert_int_equal(page_open(&w.keys, 2, sealed, out), what ? PAGE_E_FORMAT : 0);
		assert_int_equal(out[0], what ? 0 : plain[0]);
		sealed[100] ^= 1;
		assert_int_equal(page_open(&w.keys, 2, sealed, out), PAGE_E_FORGED);
	}
}

TEST(a_made_up_header_is_a_header)
{
	uint8_t h[DB_HEADER];

	(void)state;
	page_header_synthesize(h);
	assert_memory_equal(h, "SQLite format 3\0\x10\0\2\2\x30\x40\x20\x20", 24);
}

static const char *hex(const uint8_t *p, size_t n)
{
	static char s[4][129];
	static unsigned next;

	return sodium_bin2hex(s[next++ % 4], sizeof(s[0]), p, n);
}

/* Nonces 40 41 42 ...: as docs/store.md says for the vectors. */
static const char *counting_name(void)
{
	return "counting";
}

static void counting_buf(void *buf, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buf)[i] = (uint8_t)(0x40 + i);
}

static uint32_t counting_random(void)
{
	return 4;
}

TEST(test_vectors)
{
	static const struct {
		const char *tag, *digest; /* of the sealed form, BLAKE2b-256 */
	} want[] = {
		{ "c2bb45758f34fa76561e78d5b6074e30",
		  "8395868ed363bd40bfbc779c836a9a8962a1f6da15ee920d80d1d7ec24827266" },
		{ "fe2eb3d086c1cfa9f2c50d5529e43479",
		  "c31ae554a952a4df441362c1c9f34c3f1d8a539ad4cc2538f436916bfce99fa4" },
		{ "7f916f24dea8d4dad3da65398a9dcd4f",
		  "a324dde756d6f7d8ebb173894acecbe69c4ca003613116266bcbace74331902b" },
		{ "da3dfb676efbf25a7fd8ddef9eed09fc",
		  "6e81aa0b0fd284b8e6060ce0e9d310e080ca5e8ac5be572f8ef8f573cb6a297d" },
		{ "c5cc87385fb31a5cb53d364bfc2dda32",
		  "1a8a68c112b5294a5bddcae98988c80d0640961c83132ce6e874fe2445fc8de5" },
	};
	static struct randombytes_implementation counting = { .implementation_name = counting_name,
							      .random = counting_random,
							      .buf = counting_buf };
	struct where w = where_of(&faces[0]);

	(void)state;
	assert_string_equal(hex(w.keys.db, PAGE_KEY),
			    "be67e712ef4910e73caaed6e4a0d1c6781ce1867033f4160dca411f5af416574");
	assert_string_equal(hex(w.keys.wal, PAGE_KEY),
			    "d0f06029aa4cd278a78c4855c4efedccf893c3028e7f7c9d8dac3c3f462c0041");
	assert_string_equal(hex(w.keys.journal, PAGE_KEY),
			    "1182b8e90b8911f9a3fcb62b7661c08e78a4546b7cb0fd3517af0fdc2956fe0c");
	randombytes_set_implementation(&counting);
	for (size_t i = 0; i < ARRAY_SIZE(faces); i++) {
		const struct face *f = &faces[i];
		size_t tag = f->open == open_block ? BLOCK_SEALED - 16 : f->sealed - 24;
		uint8_t plain[FRAME_SIZE], sealed[FRAME_SIZE + 16], digest[32];

		w.place = f->place;
		pattern(f, plain);
		assert_int_equal(f->seal(&w, plain, sealed), 0);
		crypto_generichash(digest, sizeof(digest), sealed, f->sealed, NULL, 0);
		assert_string_equal(hex(sealed + tag, 16), want[i].tag);
		assert_string_equal(hex(digest, sizeof(digest)), want[i].digest);
	}
	randombytes_set_implementation(&randombytes_sysrandom_implementation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens),
		cmocka_unit_test(a_flipped_bit_anywhere_is_seen),
		cmocka_unit_test(at_another_place_nothing_opens),
		cmocka_unit_test(no_kind_passes_for_another),
		cmocka_unit_test(what_would_be_destroyed_is_refused),
		cmocka_unit_test(page_1_must_be_that_of_a_database_of_ours),
		cmocka_unit_test(no_part_of_the_plaintext_is_in_the_sealed_form),
		cmocka_unit_test(a_later_format_is_told_from_damage),
		cmocka_unit_test(a_made_up_header_is_a_header),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
