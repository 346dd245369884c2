/*
 * aead.c: OpenSSL's way and libsodium's write the same bytes, and neither opens what was changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "vault/aead.h"

#define TEST(name) static void name(void **state)

enum { MAX = 5000, END = AEAD_NONCE + AEAD_TAG };

struct text {
	uint8_t key[AEAD_KEY], bound[100], plain[MAX], cipher[MAX], end[END], back[MAX];
	struct aead_bound with;
	size_t len;
};

static void text_fill(struct text *t, size_t len, size_t bound)
{
	randombytes_buf(t, sizeof(*t));
	t->with = (struct aead_bound){ t->bound, bound };
	t->len = len;
}

static void seal(struct text *t, bool sodium)
{
	aead_by_sodium(sodium);
	aead_seal(t->key, t->with, t->plain, t->len, t->cipher, t->end);
	aead_by_sodium(false);
}

static int open(struct text *t, bool sodium)
{
	int r;

	aead_by_sodium(sodium);
	memset(t->back, 0xee, MAX);
	r = aead_open(t->key, t->with, t->cipher, t->len, t->end, t->back);
	aead_by_sodium(false);
	return r;
}

/* Appendix A.3.1 of draft-irtf-cfrg-xchacha-03. */
TEST(the_vector_of_the_draft)
{
	static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
				    "sunscreen would be it.";
	static const uint8_t bound[] = { 0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7 };
	static const uint8_t tag[AEAD_TAG] = { 0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79,
					       0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49 };
	static const uint8_t begins[] = { 0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b };
	uint8_t key[AEAD_KEY], end[END], cipher[sizeof(plain) - 1], back[sizeof(cipher)];

	(void)state;
	for (int i = 0; i < AEAD_KEY; i++)
		key[i] = (uint8_t)(0x80 + i);
	for (int i = 0; i < AEAD_NONCE; i++)
		end[i] = (uint8_t)(0x40 + i);
	memcpy(end + AEAD_NONCE, tag, AEAD_TAG);
	crypto_aead_xchacha20poly1305_ietf_encrypt_detached(cipher, back, NULL, (const uint8_t *)plain, sizeof(cipher), bound,
							    sizeof(bound), NULL, end, key);
	assert_memory_equal(back, tag, AEAD_TAG);
	assert_memory_equal(cipher, begins, sizeof(begins));
	assert_int_equal(aead_open(key, (struct aead_bound){ bound, sizeof(bound) }, cipher, sizeof(cipher), end, back), 0);
	assert_memory_equal(back, plain, sizeof(back));
}

TEST(both_write_the_same)
{
	static struct text t;

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		text_fill(&t, i % 4 ? i : 4056 + i % 97, i % 81);
		for (int way = 0; way < 4; way++) {
			seal(&t, way & 1);
			assert_int_equal(open(&t, way & 2), 0);
			assert_memory_equal(t.back, t.plain, t.len);
			/* not a byte further */
			assert_int_equal(t.back[t.len], 0xee);
		}
	}
}

TEST(in_place)
{
	static struct text t, u;

	(void)state;
	text_fill(&t, 4056, 60);
	u = t;
	aead_seal(u.key, t.with, u.plain, u.len, u.plain, u.end);
	assert_memory_not_equal(u.plain, t.plain, t.len);
	memcpy(t.cipher, u.plain, t.len);
	memcpy(t.end, u.end, END);
	assert_int_equal(open(&t, true), 0);
	assert_memory_equal(t.back, t.plain, t.len);
	assert_int_equal(aead_open(u.key, t.with, u.plain, u.len, u.end, u.plain), 0);
	assert_memory_equal(u.plain, t.plain, t.len);
}

TEST(nothing_that_was_changed_opens)
{
	static struct text t;
	uint8_t *parts[] = { t.key, t.bound, t.cipher, t.end };
	const size_t sizes[] = { AEAD_KEY, 60, 300, END };

	(void)state;
	text_fill(&t, 300, 60);
	for (int sodium = 0; sodium < 2; sodium++) {
		seal(&t, !sodium);
		for (size_t k = 0; k < 4; k++)
			for (size_t i = 0; i < 8 * sizes[k]; i++) {
				parts[k][i / 8] ^= (uint8_t)(1 << i % 8);
				assert_int_equal(open(&t, sodium), AEAD_FORGED);
				parts[k][i / 8] ^= (uint8_t)(1 << i % 8);
			}
		/* and after all those failures it works as before */
		assert_int_equal(open(&t, sodium), 0);
	}
}

TEST(nonces_are_fresh)
{
	static struct text t;
	uint8_t before[END];

	(void)state;
	text_fill(&t, 100, 10);
	seal(&t, false);
	memcpy(before, t.end, END);
	seal(&t, false);
	assert_memory_not_equal(t.end, before, AEAD_NONCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vector_of_the_draft), cmocka_unit_test(both_write_the_same),
		cmocka_unit_test(in_place),		   cmocka_unit_test(nothing_that_was_changed_opens),
		cmocka_unit_test(nonces_are_fresh),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
