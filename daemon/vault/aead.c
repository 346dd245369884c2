#include "vault/aead.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { SUBNONCE = 12, HEAD = 16 }; /* of the nonce 16 bytes make the subkey, the others are the inner nonce's end */

static_assert(AEAD_KEY == crypto_aead_xchacha20poly1305_ietf_KEYBYTES &&
		      AEAD_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
		      AEAD_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "libsodium's sizes");

/* Made once a process: fetching a cipher takes longer than sealing a page. The keeper has one thread. */
static struct {
	EVP_CIPHER_CTX *seal, *open; /* NULL: by libsodium */
	bool tried, off;
} openssl;

static EVP_CIPHER_CTX *make(const EVP_CIPHER *cipher, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, encrypt, NULL) == 1 &&
	    EVP_CIPHER_CTX_get_key_length(ctx) == AEAD_KEY && EVP_CIPHER_CTX_get_iv_length(ctx) == SUBNONCE)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static void try(void)
{
	EVP_CIPHER *cipher;

	openssl.tried = true;
	/* No openssl.cnf: what is there is about TLS and engines, and takes a millisecond to read. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return;
	cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	if (cipher) {
		openssl.seal = make(cipher, 1);
		openssl.open = make(cipher, 0);
	}
	EVP_CIPHER_free(cipher);
	if (!openssl.seal || !openssl.open)
		log_debug("OpenSSL has no ChaCha20-Poly1305: libsodium's is slower");
}

static EVP_CIPHER_CTX *context(bool encrypt)
{
	if (openssl.off)
		return NULL;
	if (!openssl.tried)
		try();
	return encrypt ? openssl.seal : openssl.open;
}

void aead_by_sodium(bool on)
{
	openssl.off = on;
}

/* Key and nonce of the inner cipher into ${ctx}: section 2.3 of the draft. */
static bool begin(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, struct aead_bound bound)
{
	uint8_t subkey[AEAD_KEY], subnonce[SUBNONCE] = { 0 };
	bool ok;
	int n;

	crypto_core_hchacha20(subkey, nonce, key, NULL);
	memcpy(subnonce + SUBNONCE - (AEAD_NONCE - HEAD), nonce + HEAD, AEAD_NONCE - HEAD);
	ok = EVP_CipherInit_ex2(ctx, NULL, subkey, subnonce, -1, NULL) == 1 &&
	     EVP_CipherUpdate(ctx, NULL, &n, bound.bytes, (int)bound.len) == 1;
	sodium_memzero(subkey, sizeof(subkey));
	return ok;
}

static bool run(EVP_CIPHER_CTX *ctx, const uint8_t *in, size_t len, uint8_t *out)
{
	int n = 0, end = 0;

	return EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 && (size_t)n == len &&
	       EVP_CipherFinal_ex(ctx, out + n, &end) == 1 && end == 0;
}

void aead_seal(const uint8_t key[AEAD_KEY], struct aead_bound bound, const uint8_t *plain, size_t len, uint8_t *cipher,
	       uint8_t *nonce_tag)
{
	EVP_CIPHER_CTX *ctx = context(true);

	randombytes_buf(nonce_tag, AEAD_NONCE);
	if (!ctx) {
		crypto_aead_xchacha20poly1305_ietf_encrypt_detached(cipher, nonce_tag + AEAD_NONCE, NULL, plain, len,
								    bound.bytes, bound.len, NULL, nonce_tag, key);
		return;
	}
	/* It fails for want of memory alone, as malloc() would; half a seal must never be written. */
	if (begin(ctx, key, nonce_tag, bound) && run(ctx, plain, len, cipher) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, nonce_tag + AEAD_NONCE) == 1)
		return;
	log_error("OpenSSL cannot seal a page");
	abort();
}

int aead_open(const uint8_t key[AEAD_KEY], struct aead_bound bound, const uint8_t *cipher, size_t len,
	      const uint8_t *nonce_tag, uint8_t *plain)
{
	EVP_CIPHER_CTX *ctx = context(false);
	uint8_t tag[AEAD_TAG];

	if (!ctx)
		return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(plain, NULL, cipher, len, nonce_tag + AEAD_NONCE,
									   bound.bytes, bound.len, nonce_tag, key) == 0 ?
			       0 :
			       AEAD_FORGED;
	memcpy(tag, nonce_tag + AEAD_NONCE, AEAD_TAG);
	if (begin(ctx, key, nonce_tag, bound) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) == 1 && run(ctx, cipher, len, plain))
		return 0;
	return AEAD_FORGED;
}
