#include "wire/ht.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/buf.h"

static void mac(const char *token, const char *who, const void *binding, size_t len, unsigned char ret[HT_SIZE])
{
	_cleanup_(buf_deinit) struct buf text = { 0 };

	buf_adds(&text, who);
	buf_add(&text, binding, len);
	if (!HMAC(EVP_sha256(), token, (int)strlen(token), (const unsigned char *)text.data, text.len, ret, NULL))
		abort();
}

void ht_initiator(const char *token, const void *binding, size_t len, unsigned char ret[HT_SIZE])
{
	mac(token, "Initiator", binding, len, ret);
}

bool ht_responder_is(const char *token, const void *binding, size_t len, const void *said, size_t said_len)
{
	unsigned char want[HT_SIZE];

	mac(token, "Responder", binding, len, want);
	return said_len == HT_SIZE && CRYPTO_memcmp(want, said, HT_SIZE) == 0;
}
