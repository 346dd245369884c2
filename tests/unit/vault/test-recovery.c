/*
 * recovery.c: a code survives paper and a person, and a slip is called one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/mem.h"
#include "vault/recovery.h"

#define TEST(name) static void name(void **state _unused_)

static const uint8_t known[RECOVERY_SECRET] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
						0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
/* Computed by polynomial division in Python, from the description in docs/store.md. */
#define KNOWN "000G-40R4-0M30-F24S-NAXW-SQFE-ZZDB"

static int parse(const char *text, uint8_t out[RECOVERY_SECRET])
{
	memset(out, 0, RECOVERY_SECRET);
	return recovery_parse(text, strlen(text), out);
}

TEST(the_text_is_the_one_of_the_document)
{
	char text[RECOVERY_TEXT];
	uint8_t out[RECOVERY_SECRET];

	recovery_print(known, text);
	assert_string_equal(text, KNOWN);
	assert_int_equal(parse(text, out), 0);
	assert_memory_equal(out, known, sizeof(out));
}

TEST(it_may_be_typed_as_people_type)
{
	static const struct {
		const char *from, *to, *why;
	} rows[] = {
		{ "-", "", "no dashes" },
		{ "-", " ", "spaces" },
		{ "-", "\n", "one group a line" },
		{ "-", "\xe2\x80\x93", "a phone's keyboard makes an en dash" },
		{ "-", "\xc2\xa0", "copied from a page: no-break space" },
		{ "-", " - ", "both" },
		{ "0", "O", "letter for digit" },
		{ "0", "o", "small letter for digit" },
		{ "1", "I", "letter for digit" },
		{ "1", "l", "letter for digit" },
		{ "V", "u", "the alphabet has no U" },
	};
	uint8_t out[RECOVERY_SECRET];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[256] = "", *p = text;

		for (const char *k = KNOWN; *k; k++)
			p += *k == *rows[i].from ? sprintf(p, "%s", rows[i].to) : sprintf(p, "%c", *k);
		if (parse(text, out) != 0 || memcmp(out, known, sizeof(out)) != 0)
			fail_msg("%s: %s", rows[i].why, text);
		for (p = text; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		if (parse(text, out) != 0 || memcmp(out, known, sizeof(out)) != 0)
			fail_msg("%s, small: %s", rows[i].why, text);
	}
}

/* Every single wrong character, every two neighbours swapped, in many codes: all found. */
TEST(a_slip_is_found)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

	for (int round = 0; round < 50; round++) {
		uint8_t secret[RECOVERY_SECRET], out[RECOVERY_SECRET];
		char text[RECOVERY_TEXT];

		randombytes_buf(secret, sizeof(secret));
		recovery_print(secret, text);
		for (size_t i = 0; i < strlen(text); i++) {
			char c = text[i];

			for (const char *a = alphabet; c != '-' && *a; a++) {
				text[i] = *a;
				assert_int_equal(parse(text, out), *a == c ? 0 : RECOVERY_E_TYPO);
			}
			text[i] = c;
		}
		for (size_t i = 0; i + 1 < strlen(text); i++) {
			size_t j = text[i + 1] == '-' ? i + 2 : i + 1;
			char c = text[i];

			if (c == '-')
				continue;
			text[i] = text[j];
			text[j] = c;
			assert_int_equal(parse(text, out), text[i] == c ? 0 : RECOVERY_E_TYPO);
			text[j] = text[i];
			text[i] = c;
		}
	}
}

TEST(something_else_has_another_form)
{
	static const char *const texts[] = { "", "-", "hello", "0000-0000-0000-0000-0000-0000-000",
					     "0000-0000-0000-0000-0000-0000-00000", KNOWN "0", "@" KNOWN, KNOWN "!",
					     "correct horse battery staple", "\xe2\x80", "\xc2" };
	uint8_t out[RECOVERY_SECRET];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (parse(texts[i], out) != RECOVERY_E_FORM)
			fail_msg("%s", texts[i]);
	/* A NUL is a character like others, and the length counts. */
	assert_int_equal(recovery_parse(KNOWN "\0", sizeof(KNOWN), out), RECOVERY_E_FORM);
	assert_int_equal(recovery_parse(KNOWN, 20, out), RECOVERY_E_FORM);
	/* All zero is no code: the register starts with ones. */
	assert_int_equal(parse("0000-0000-0000-0000-0000-0000-0000", out), RECOVERY_E_TYPO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_is_the_one_of_the_document),
		cmocka_unit_test(it_may_be_typed_as_people_type),
		cmocka_unit_test(a_slip_is_found),
		cmocka_unit_test(something_else_has_another_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
