/*
 * sidecar.c, sidecar-parse.c: one text for a struct; whatever else is damage, or newer, or forged, and never accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/mem.h"
#include "vault/sidecar.h"

#define TEST(name) static void name(void **state _unused_)

static const uint8_t key[KDF_KEY] = { 1, 2, 3 };

static void fill(uint8_t *p, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i);
}

/* One slot of each type. */
static void sample(struct sidecar *s)
{
	static const enum slot_type types[] = { SLOT_KEYFILE, SLOT_PASSPHRASE, SLOT_CREDENTIAL, SLOT_RECOVERY };
	static const char *const paths[] = { "archive-01020304.key", "", "varve", "" };

	*s = (struct sidecar){ .database = xstrdup("archive.db"), .epoch = 1, .ready = true, .next_slot = 3 };
	fill(s->vault_id, sizeof(s->vault_id), 0x10);
	fill(s->file_id, sizeof(s->file_id), 0x20);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct sidecar_slot *slot = sidecar_add(s, types[i], i ? "a \"label\" \\ of p\xc3\xa4per" : "", paths[i],
							1700000000000000 + (int64_t)i);

		assert_non_null(slot);
		if (types[i] == SLOT_PASSPHRASE) {
			slot->ops = 12;
			slot->mem = 64 << 20;
		}
		fill(slot->salt, sizeof(slot->salt), 0x30);
		fill(slot->nonce, sizeof(slot->nonce), 0x40);
		fill(slot->wrapped, sizeof(slot->wrapped), 0x50);
	}
}

static char *sample_text(void)
{
	struct sidecar s;
	char *text;

	sample(&s);
	text = sidecar_print(&s, key);
	sidecar_deinit(&s);
	return text;
}

/* The text with a "check" line that is right again. The caller frees. */
static char *seal_again(const char *text, size_t len)
{
	uint8_t sum[16];
	char hex[33];

	crypto_generichash(sum, sizeof(sum), (const uint8_t *)text, len - 39, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	return xasprintf("%.*scheck %s\n", (int)(len - 39), text, hex);
}

TEST(what_was_printed_is_read)
{
	_cleanup_(freep) char *text = sample_text(), *again = NULL, *why = NULL;
	struct sidecar s, t;

	sample(&s);
	assert_int_equal(sidecar_parse(text, strlen(text), &t, &why), 0);
	assert_true(sidecar_authentic(&t, key));
	assert_string_equal(t.database, "archive.db");
	assert_memory_equal(t.vault_id, s.vault_id, sizeof(s.vault_id));
	assert_memory_equal(t.file_id, s.file_id, sizeof(s.file_id));
	assert_int_equal(t.epoch, 1);
	assert_true(t.ready);
	assert_int_equal(t.next_slot, 7);
	assert_int_equal(t.n_slots, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(t.slots[i].id, 3 + i);
		assert_int_equal(t.slots[i].type, s.slots[i].type);
		assert_string_equal(t.slots[i].label, s.slots[i].label);
		assert_string_equal(t.slots[i].path, s.slots[i].path);
		assert_int_equal(t.slots[i].created_us, s.slots[i].created_us);
		assert_int_equal(t.slots[i].ops, s.slots[i].ops);
		assert_int_equal(t.slots[i].mem, s.slots[i].mem);
		assert_memory_equal(t.slots[i].salt, s.slots[i].salt, KDF_SALT);
		assert_memory_equal(t.slots[i].nonce, s.slots[i].nonce, SLOT_NONCE);
		assert_memory_equal(t.slots[i].wrapped, s.slots[i].wrapped, SLOT_WRAPPED);
	}
	again = sidecar_print(&t, key);
	assert_string_equal(again, text);
	sidecar_deinit(&s);
	sidecar_deinit(&t);
}

/* Golden: format 1 stays readable, and the document's example is one. */
TEST(format_1_stays)
{
	static const char golden[] =
#include "sidecar-1.inc"
		;
	_cleanup_(freep) char *text = sample_text(), *why = NULL;
	struct sidecar s;

	assert_string_equal(text, golden);
	assert_int_equal(sidecar_parse(golden, strlen(golden), &s, &why), 0);
	assert_true(sidecar_authentic(&s, key));
	sidecar_deinit(&s);
}

/* Each bit of each byte. The check sum at the end finds all. */
TEST(no_flipped_bit_is_accepted)
{
	_cleanup_(freep) char *text = sample_text();
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			_cleanup_(freep) char *why = NULL;
			struct sidecar s;
			int r;

			text[i] = (char)(text[i] ^ (1 << bit));
			r = sidecar_parse(text, len, &s, &why);
			if (r != SIDECAR_E_DAMAGED || !why)
				fail_msg("byte %zu bit %d: %d", i, bit, r);
			text[i] = (char)(text[i] ^ (1 << bit));
		}
}

/* The same by somebody who makes the check sum right: damaged, newer or forged; accepted by no key. */
TEST(no_flipped_bit_is_authentic)
{
	_cleanup_(freep) char *text = sample_text();
	size_t len = strlen(text), damaged = 0, newer = 0, forged = 0;

	for (size_t i = 0; i < len - 39; i++)
		for (int bit = 0; bit < 8; bit++) {
			_cleanup_(freep) char *why = NULL, *sealed = NULL;
			struct sidecar s;
			int r;

			text[i] = (char)(text[i] ^ (1 << bit));
			if (text[i]) {
				sealed = seal_again(text, len);
				r = sidecar_parse(sealed, strlen(sealed), &s, &why);
				damaged += r == SIDECAR_E_DAMAGED;
				newer += r == SIDECAR_E_NEWER;
				if (r < 0)
					fail_msg("byte %zu bit %d: %d", i, bit, r);
				if (r == 0) {
					forged++;
					if (sidecar_authentic(&s, key))
						fail_msg("byte %zu bit %d: accepted", i, bit);
					sidecar_deinit(&s);
				}
			}
			text[i] = (char)(text[i] ^ (1 << bit));
		}
	/* All three happen: hexadecimal digits to others, words to unknown ones, the rest. */
	assert_true(forged > 500 && damaged > 500 && newer > 50);
}

TEST(no_part_and_no_more_is_accepted)
{
	_cleanup_(freep) char *text = sample_text(), *more = xasprintf("%s\n", text), *twice = xasprintf("%s%s", text, text);
	_cleanup_(freep) char *why = NULL;
	size_t len = strlen(text);
	struct sidecar s;

	for (size_t i = 0; i < len; i++) {
		_cleanup_(freep) char *part = NULL;

		assert_int_equal(sidecar_parse(text, i, &s, &part), SIDECAR_E_DAMAGED);
		assert_non_null(part);
	}
	assert_int_equal(sidecar_parse(more, len + 1, &s, &why), SIDECAR_E_DAMAGED);
	free(TAKE_PTR(why));
	assert_int_equal(sidecar_parse(text, len + 1, &s, &why), SIDECAR_E_DAMAGED);
	free(TAKE_PTR(why));
	assert_int_equal(sidecar_parse(twice, 2 * len, &s, &why), SIDECAR_E_DAMAGED);
}

/* ${text} with the first ${from} replaced by ${to} and the check sum right. */
static char *changed(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	_cleanup_(freep) char *s = NULL;

	assert_non_null(at);
	s = xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return seal_again(s, strlen(s));
}

TEST(what_is_wrong_is_said_with_its_line)
{
	static const struct {
		const char *from, *to;
		int want;
		const char *says;
	} rows[] = {
		{ "varve archive keys, format 1", "varve archive keys, format 01", SIDECAR_E_DAMAGED, "line 1: varve does not" },
		{ "varve archive keys, format 1", "varve archive keys, format 2", SIDECAR_E_NEWER, "format 2" },
		{ "varve archive keys, format 1", "varve archive keys, format 0", SIDECAR_E_DAMAGED, "line 1" },
		{ "varve archive keys, format 1", "varve archive keys, format", SIDECAR_E_DAMAGED, "line 1" },
		{ "varve archive keys, format 1", "varve archive keys, format 99999999999999999999", SIDECAR_E_DAMAGED, "line 1" },
		{ "varve", "Varve", SIDECAR_E_DAMAGED, "line 1: this is no key store" },
		{ "# Without", "# With", SIDECAR_E_DAMAGED, "line 2" },
		{ "vault 10", "vault 1", SIDECAR_E_DAMAGED, "line 3" },
		{ "vault 10", "vault  10", SIDECAR_E_DAMAGED, "line 3" },
		{ "1a1b1c", "1A1b1c", SIDECAR_E_DAMAGED, "line 3: varve does not write it" },
		{ "\"archive.db\"", "\"../archive.db\"", SIDECAR_E_DAMAGED, "line 4: it is not the name" },
		{ "\"archive.db\"", "\"\"", SIDECAR_E_DAMAGED, "line 4" },
		{ "\"archive.db\"", "\"..\"", SIDECAR_E_DAMAGED, "line 4" },
		{ "\"archive.db\"", "\"arch\\ive.db\"", SIDECAR_E_DAMAGED, "line 4: varve does not write it" },
		{ "\"archive.db\"", "\"arch\"ive.db\"", SIDECAR_E_DAMAGED, "line 4: varve does not write it" },
		{ "\"archive.db\"", "\"archive.db\\\"", SIDECAR_E_DAMAGED, "line 4" },
		{ "\"archive.db\"", "archive.db", SIDECAR_E_DAMAGED, "line 4: it is not a text in quotes" },
		{ "epoch 1", "epoch 0", SIDECAR_E_DAMAGED, "line 6: the number is too small" },
		{ "epoch 1", "epoch 4294967296", SIDECAR_E_DAMAGED, "line 6: the number is too large" },
		{ "epoch 1", "epoch -1", SIDECAR_E_DAMAGED, "line 6: a number belongs here" },
		{ "epoch 1", "epoch 1 ", SIDECAR_E_DAMAGED, "line 6: there is something after" },
		{ "epoch 1", "epoch 1\r", SIDECAR_E_DAMAGED, "line 6" },
		{ "page 4096", "page 8192", SIDECAR_E_DAMAGED, "line 7" },
		{ "reserve 48", "reserve 40", SIDECAR_E_DAMAGED, "line 8" },
		{ "alg xchacha20-poly1305", "alg aegis-256", SIDECAR_E_NEWER, "line 9: this version does not know" },
		{ "state ready", "state sleeping", SIDECAR_E_NEWER, "line 10" },
		{ "next-slot 7", "next-slot 6", SIDECAR_E_DAMAGED, "out of order" },
		{ "next-slot 7", "next-slot 4294967296", SIDECAR_E_DAMAGED, "line 11" },
		{ "slots 4", "slots 5", SIDECAR_E_DAMAGED, "another line belongs here" },
		{ "slots 4", "slots 3", SIDECAR_E_DAMAGED, "another line belongs here" },
		{ "slots 4", "slots 0", SIDECAR_E_DAMAGED, "line 12: the number is too small" },
		{ "slots 4", "slots 17", SIDECAR_E_DAMAGED, "line 12: the number is too large" },
		{ "slot 4\n", "slot 3\n", SIDECAR_E_DAMAGED, "line 22: the number of the slot is out of order" },
		{ "type keyfile", "type fingerprint", SIDECAR_E_NEWER, "line 14" },
		{ "type passphrase", "type recovery", SIDECAR_E_NEWER, "line 27" },
		{ "created 17", "created 99999917", SIDECAR_E_DAMAGED, "line 15: the number is too large" },
		{ "\"archive-01020304.key\"", "\"\"", SIDECAR_E_DAMAGED, "line 17: this is no path" },
		{ "path \"\"", "path \"x\"", SIDECAR_E_DAMAGED, "line 26: this is no path" },
		{ "\"varve\"", "\"a/b\"", SIDECAR_E_DAMAGED, "line 35: this is no path" },
		{ "p\xc3\xa4per", "p\xc3per", SIDECAR_E_DAMAGED, "line 25: the text is not UTF-8" },
		{ "p\xc3\xa4per", "p\xc2\x85per", SIDECAR_E_DAMAGED, "line 25: the text is not UTF-8" },
		{ "p\xc3\xa4per", "p\tper", SIDECAR_E_DAMAGED, "line 25: the text is not UTF-8" },
		{ "argon2id 12 67108864", "argon2id 65 67108864", SIDECAR_E_DAMAGED, "line 27: the number is too large" },
		{ "argon2id 12 67108864", "argon2id 12 1073741825", SIDECAR_E_DAMAGED, "line 27: the number is too large" },
		{ "argon2id 12 67108864", "argon2id 0 67108864", SIDECAR_E_DAMAGED, "line 27: the numbers are too small" },
		{ "argon2id 12 67108864", "argon2id 12 8191", SIDECAR_E_DAMAGED, "line 27: the numbers are too small" },
		{ "argon2id 12 67108864", "argon2id 12", SIDECAR_E_DAMAGED, "line 27: two numbers" },
		{ "argon2id 12 67108864", "argon2id 12 67108864 1", SIDECAR_E_DAMAGED, "line 27" },
		{ "argon2id 12 67108864", "scrypt 12 67108864", SIDECAR_E_NEWER, "line 27" },
		{ "kdf blake2b", "kdf blake3", SIDECAR_E_NEWER, "line 18" },
		{ "mac ", "mic ", SIDECAR_E_DAMAGED, "another line belongs here" },
	};
	_cleanup_(freep) char *text = sample_text();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *bad = changed(text, rows[i].from, rows[i].to), *why = NULL, *torn_why = NULL;
		struct sidecar s;
		int r = sidecar_parse(bad, strlen(bad), &s, &why);

		if (r != rows[i].want || !strstr(why, rows[i].says))
			fail_msg("%s -> %s: %d, %s", rows[i].from, rows[i].to, r, str_or_empty(why));
		/* Nothing is newer that is not whole. */
		bad[strlen(bad) - 2] ^= 1;
		assert_int_equal(sidecar_parse(bad, strlen(bad), &s, &torn_why), SIDECAR_E_DAMAGED);
	}
}

TEST(the_greatest_one_is_within_the_limit)
{
	static char path[SIDECAR_PATH_MAX + 1], label[SIDECAR_LABEL_MAX + 1];
	_cleanup_(freep) char *text = NULL, *why = NULL;
	struct sidecar s = { .epoch = UINT32_MAX, .next_slot = UINT32_MAX - 16 }, t;

	memset(path, '\\', sizeof(path) - 1);
	memset(label, '"', sizeof(label) - 1);
	s.database = xstrdup("archive.db");
	for (int i = 0; i < VAULT_SLOTS_MAX; i++)
		assert_non_null(sidecar_add(&s, SLOT_KEYFILE, label, path, INT64_MAX));
	assert_null(sidecar_add(&s, SLOT_KEYFILE, label, path, 0));
	text = sidecar_print(&s, key);
	assert_true(strlen(text) <= SIDECAR_MAX);
	assert_int_equal(sidecar_parse(text, strlen(text), &t, &why), 0);
	assert_true(sidecar_authentic(&t, key));
	sidecar_deinit(&s);
	sidecar_deinit(&t);
}

TEST(slots_come_and_go)
{
	struct sidecar s, copy;

	sample(&s);
	sidecar_copy(&copy, &s);
	sidecar_remove(&s, 4);
	sidecar_remove(&s, 99);
	assert_int_equal(s.n_slots, 3);
	assert_null(sidecar_find(&s, 4));
	assert_int_equal(sidecar_find(&s, 6)->type, SLOT_RECOVERY);
	sidecar_remove(&s, 6);
	/* An id is not used again. */
	assert_int_equal(sidecar_add(&s, SLOT_RECOVERY, NULL, NULL, -5)->id, 7);
	assert_int_equal(sidecar_find(&s, 7)->created_us, 0);
	assert_int_equal(copy.n_slots, 4);
	assert_int_equal(sidecar_find(&copy, 4)->type, SLOT_PASSPHRASE);
	sidecar_deinit(&s);
	sidecar_deinit(&copy);
}

TEST(what_a_user_may_call_things)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{ "", true },
		{ "at home", true },
		{ "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x91", true },
		{ "tab\there", false },
		{ "\x7f", false },
		{ "\xc2\x9b", false },
		{ "\xe2\x80\xae" "evil", false },
		{ "\xe2\x81\xa6" "evil", false },
		{ "\xe2\x80\xa8", false },
		{ "\xff", false },
		{ "\xc0\xaf", false },
		{ "\xe0\x80\xaf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf0\x9f\x94", false },
		{ "0123456789", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (sidecar_text_ok(rows[i].text, 9 + (rows[i].text[0] > '9' || rows[i].text[0] < '0') * 20) !=
		    rows[i].ok)
			fail_msg("row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_printed_is_read),
		cmocka_unit_test(format_1_stays),
		cmocka_unit_test(no_flipped_bit_is_accepted),
		cmocka_unit_test(no_flipped_bit_is_authentic),
		cmocka_unit_test(no_part_and_no_more_is_accepted),
		cmocka_unit_test(what_is_wrong_is_said_with_its_line),
		cmocka_unit_test(the_greatest_one_is_within_the_limit),
		cmocka_unit_test(slots_come_and_go),
		cmocka_unit_test(what_a_user_may_call_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
