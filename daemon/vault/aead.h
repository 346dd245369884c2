/*
 * XChaCha20-Poly1305-IETF with a detached tag (draft-irtf-cfrg-xchacha): one stretch of bytes, bound to associated
 * data. By OpenSSL's ChaCha20-Poly1305, with the subkey that HChaCha20 makes, because libsodium's takes five times as
 * long; where OpenSSL has none, all of it by libsodium. The bytes are the same (test-aead.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AEAD_KEY = 32, AEAD_NONCE = 24, AEAD_TAG = 16, AEAD_FORGED = 1 };

/* What is authenticated beside the ciphertext. */
struct aead_bound {
	const uint8_t *bytes;
	size_t len;
};

/*
 * Seal ${len} bytes (at most INT_MAX) of ${plain} into ${cipher}, which may be the same place; a fresh random nonce and
 * the tag go to ${nonce_tag}, AEAD_NONCE + AEAD_TAG bytes.
 */
void aead_seal(const uint8_t key[AEAD_KEY], struct aead_bound bound, const uint8_t *plain, size_t len, uint8_t *cipher,
	       uint8_t *nonce_tag);
/* 0, or AEAD_FORGED: then what is in ${plain} is nothing, and the caller wipes it. ${plain} may be ${cipher}. */
int aead_open(const uint8_t key[AEAD_KEY], struct aead_bound bound, const uint8_t *cipher, size_t len,
	      const uint8_t *nonce_tag, uint8_t *plain);

/* From here on libsodium does all of it (${on} false: OpenSSL again, if it can). For tests of both. */
void aead_by_sodium(bool on);
