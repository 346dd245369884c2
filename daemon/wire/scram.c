#include "wire/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/buf.h"

/*
 * Iterations a server may ask for: it makes us compute. Servers use 4,096 to 10,000 (RFC 7677 section 4 says at least
 * 4,096); OWASP's figure of 2023 for SHA-1 is 1,300,000.
 */
#define ITERATIONS_MAX 2000000
#define SALT_MAX 1024 /* bytes; servers use 16 to 36 */
#define NONCE_MAX 1024 /* bytes; servers add 16 to 64 to ours */

struct scram {
	const EVP_MD *md;
	char *user;
	char *password;
	char *nonce;
	char *gs2;
	unsigned char binding[SCRAM_BINDING_MAX];
	size_t binding_len;
	char *lists; /* NULL: not compared */
	bool must_hash;
	unsigned char server_signature[EVP_MAX_MD_SIZE];
	bool has_signature;
};

struct scram *scram_new(const char *digest, const char *user, const char *password, const char *nonce,
			const char *gs2, const void *binding, size_t binding_len)
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	struct scram *s;

	if (!md || binding_len > SCRAM_BINDING_MAX)
		return NULL;
	s = xnew(struct scram);
	s->md = md;
	s->user = xstrdup(user);
	s->password = xstrdup(password);
	s->nonce = xstrdup(nonce);
	s->gs2 = xstrdup(gs2);
	if (binding_len)
		memcpy(s->binding, binding, binding_len);
	s->binding_len = binding_len;
	return s;
}

struct scram *scram_free(struct scram *s)
{
	if (!s)
		return NULL;
	OPENSSL_cleanse(s->password, strlen(s->password));
	OPENSSL_cleanse(s->server_signature, sizeof(s->server_signature));
	free(s->user);
	free(s->password);
	free(s->nonce);
	free(s->gs2);
	free(s->lists);
	free(s);
	return NULL;
}

void scram_expect_offer(struct scram *s, const char *lists, bool must)
{
	str_set(&s->lists, lists);
	s->must_hash = must;
}

/* "n=user,r=nonce", with ',' and '=' of the name escaped (RFC 5802 section 5.1). */
static void first_bare(const struct scram *s, struct buf *out)
{
	buf_adds(out, "n=");
	for (const char *p = s->user; *p; p++) {
		if (*p == ',')
			buf_adds(out, "=2C");
		else if (*p == '=')
			buf_adds(out, "=3D");
		else
			buf_add(out, p, 1);
	}
	buf_adds(out, ",r=");
	buf_adds(out, s->nonce);
}

char *scram_first(const struct scram *s)
{
	struct buf out = { 0 };

	buf_adds(&out, s->gs2);
	first_bare(s, &out);
	return buf_steal(&out);
}

/* The value of attribute ${name} at the start of *at, which is moved behind it and its comma. NULL if it is another. */
static char *take(const char **at, char name)
{
	const char *value = *at + 2, *end;

	if ((*at)[0] != name || (*at)[1] != '=')
		return NULL;
	end = strchr(value, ',');
	*at = end ? end + 1 : value + strlen(value);
	return end ? xstrndup(value, (size_t)(end - value)) : xstrdup(value);
}

/* Base64 into ${out} of ${max} bytes. The length, or -1. */
static int decode(const char *base64, unsigned char *out, size_t max)
{
	size_t len = strlen(base64);
	_cleanup_(freep) unsigned char *raw = NULL;
	int n;

	if (len == 0 || len % 4 != 0 || len / 4 * 3 > max + 2)
		return -1;
	raw = xcalloc(1, len);
	n = EVP_DecodeBlock(raw, (const unsigned char *)base64, (int)len);
	if (n < 0)
		return -1;
	n -= (base64[len - 1] == '=') + (base64[len - 2] == '=');
	if ((size_t)n > max)
		return -1;
	memcpy(out, raw, (size_t)n);
	return n;
}

static void hmac(const struct scram *s, const unsigned char *key, const char *text, size_t len, unsigned char *out)
{
	if (!HMAC(s->md, key, EVP_MD_get_size(s->md), (const unsigned char *)text, len, out, NULL))
		abort();
}

/* The proofs of both sides over ${auth} (RFC 5802 section 3). ${proof} gets the client's. */
static int prove(struct scram *s, const unsigned char *salt, int salt_len, int iterations, const struct buf *auth,
		 unsigned char *proof)
{
	unsigned char salted[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
	unsigned char signature[EVP_MAX_MD_SIZE];
	int size = EVP_MD_get_size(s->md);

	if (!PKCS5_PBKDF2_HMAC(s->password, (int)strlen(s->password), salt, salt_len, iterations, s->md, size,
			       salted))
		return SCRAM_E_SERVER;
	hmac(s, salted, "Client Key", 10, key);
	if (!EVP_Digest(key, (size_t)size, stored, NULL, s->md, NULL))
		abort();
	hmac(s, stored, auth->data, auth->len, signature);
	for (int i = 0; i < size; i++)
		proof[i] = key[i] ^ signature[i];
	hmac(s, salted, "Server Key", 10, key);
	hmac(s, key, auth->data, auth->len, s->server_signature);
	s->has_signature = true;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(stored, sizeof(stored));
	return 0;
}

/* The optional attributes ${at} behind the three of server-first-message; XEP-0474's is "h". */
static int check_offer(const struct scram *s, const char *at)
{
	unsigned char ours[EVP_MAX_MD_SIZE], theirs[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	bool seen = false;

	while (s->lists && *at) {
		char name = *at;
		_cleanup_(freep) char *value = take(&at, name);

		if (!value)
			return SCRAM_E_SERVER;
		if (name != 'h')
			continue;
		if (!EVP_Digest(s->lists, strlen(s->lists), ours, &size, s->md, NULL))
			abort();
		if (decode(value, theirs, sizeof(theirs)) != (int)size || CRYPTO_memcmp(ours, theirs, size) != 0)
			return SCRAM_E_OFFER;
		seen = true;
	}
	return s->must_hash && !seen ? SCRAM_E_OFFER : 0;
}

/* "c=": the GS2 header and the binding, in base64. */
static void add_binding(const struct scram *s, struct buf *out)
{
	size_t gs2_len = strlen(s->gs2), len = gs2_len + s->binding_len;
	_cleanup_(freep) unsigned char *raw = xcalloc(1, len + 1);
	_cleanup_(freep) char *base64 = xcalloc(1, len * 2 + 8);

	memcpy(raw, s->gs2, gs2_len);
	memcpy(raw + gs2_len, s->binding, s->binding_len);
	EVP_EncodeBlock((unsigned char *)base64, raw, (int)len);
	buf_addf(out, "c=%s", base64);
}

int scram_final(struct scram *s, const char *server_first, char **ret)
{
	const char *at = server_first;
	_cleanup_(freep) char *nonce = take(&at, 'r');
	_cleanup_(freep) char *salt64 = nonce ? take(&at, 's') : NULL;
	_cleanup_(freep) char *count = salt64 ? take(&at, 'i') : NULL;
	_cleanup_(buf_deinit) struct buf auth = { 0 }, out = { 0 };
	unsigned char salt[SALT_MAX], proof[EVP_MAX_MD_SIZE];
	char proof64[EVP_MAX_MD_SIZE * 2];
	size_t ours = strlen(s->nonce);
	int salt_len, size = EVP_MD_get_size(s->md);
	long iterations;
	int r;

	/* The server must continue our nonce with something of its own (RFC 5802 section 5.1). */
	if (!count || strncmp(nonce, s->nonce, ours) != 0 || !nonce[ours] || strlen(nonce) > NONCE_MAX)
		return SCRAM_E_SERVER;
	iterations = strtol(count, NULL, 10);
	salt_len = decode(salt64, salt, sizeof(salt));
	if (iterations < 1 || iterations > ITERATIONS_MAX || salt_len < 1)
		return SCRAM_E_SERVER;
	/* Before anything is computed from the password. */
	r = check_offer(s, at);
	if (r != 0)
		return r;
	add_binding(s, &out);
	buf_addf(&out, ",r=%s", nonce);
	first_bare(s, &auth);
	buf_addf(&auth, ",%s,%s", server_first, out.data);
	if (prove(s, salt, salt_len, (int)iterations, &auth, proof) != 0)
		return SCRAM_E_SERVER;
	EVP_EncodeBlock((unsigned char *)proof64, proof, size);
	buf_addf(&out, ",p=%s", proof64);
	*ret = buf_steal(&out);
	return 0;
}

int scram_verify(const struct scram *s, const char *server_final)
{
	const char *at = server_final;
	_cleanup_(freep) char *value = take(&at, 'v');
	unsigned char theirs[EVP_MAX_MD_SIZE];
	int size = EVP_MD_get_size(s->md);

	if (!s->has_signature || !value || decode(value, theirs, sizeof(theirs)) != size)
		return SCRAM_E_SERVER;
	return CRYPTO_memcmp(theirs, s->server_signature, (size_t)size) == 0 ? 0 : SCRAM_E_SERVER;
}
