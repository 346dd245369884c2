#include "login-server.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"

#define SALT "salt"

void login_server_deinit(struct login_server *l)
{
	free(l->initial);
	free(l->challenge);
	free(l->response);
	*l = (struct login_server){ .mechanism = "" };
}

char *login_decode(const char *at, size_t *ret_len)
{
	size_t len = strcspn(at, "<");
	char *raw = NULL, *copy;

	if (gsasl_base64_from(at, len, &raw, ret_len) != GSASL_OK)
		return NULL;
	copy = xcalloc(1, *ret_len + 1);
	memcpy(copy, raw, *ret_len);
	gsasl_free(raw);
	return copy;
}

static char *encode(const void *data, size_t len)
{
	char *out = NULL;

	must(gsasl_base64_to(data, len, &out, NULL) == GSASL_OK, "no base64");
	return out;
}

/* client-first-message-bare. */
static const char *first_bare(const struct login_server *l)
{
	const char *at = l->initial ? strstr(l->initial, ",,n=") : NULL;

	return at ? at + 2 : NULL;
}

char *login_challenge(struct login_server *l)
{
	const char *bare = first_bare(l), *nonce = bare ? strstr(bare, ",r=") : NULL;

	if (!nonce)
		return xstrdup("");
	free(l->challenge);
	l->challenge = xasprintf("r=%sserver,s=c2FsdA==,i=2", nonce + 3);
	return encode(l->challenge, strlen(l->challenge));
}

static const EVP_MD *digest_of(const char *mechanism)
{
	return strstr(mechanism, "SHA-512") ? EVP_sha512() : strstr(mechanism, "SHA-256") ? EVP_sha256() : EVP_sha1();
}

static void mac(const EVP_MD *md, const void *key, int key_len, const char *text, size_t len, unsigned char *ret)
{
	must(HMAC(md, key, key_len, (const unsigned char *)text, len, ret, NULL) != NULL, "no HMAC");
}

static char *token_proof(const struct login_server *l, const void *binding, size_t binding_len)
{
	_cleanup_(buf_deinit) struct buf want = { 0 }, say = { 0 };
	unsigned char hash[EVP_MAX_MD_SIZE];
	size_t user = strlen(LOGIN_USER) + 1;

	buf_adds(&want, "Initiator");
	buf_add(&want, binding, binding_len);
	mac(EVP_sha256(), LOGIN_TOKEN, (int)strlen(LOGIN_TOKEN), want.data, want.len, hash);
	must(l->initial_len == user + 32 && memcmp(l->initial, LOGIN_USER, user) == 0 && memcmp(l->initial + user, hash, 32) == 0,
	     "a token is shown in a wrong way");
	buf_adds(&say, "Responder");
	buf_add(&say, binding, binding_len);
	mac(EVP_sha256(), LOGIN_TOKEN, (int)strlen(LOGIN_TOKEN), say.data, say.len, hash);
	return encode(hash, 32);
}

char *login_proof(struct login_server *l, const void *binding, size_t binding_len)
{
	const EVP_MD *md = digest_of(l->mechanism);
	_cleanup_(buf_deinit) struct buf auth = { 0 }, out = { 0 };
	unsigned char salted[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE], signature[EVP_MAX_MD_SIZE];
	const char *proof = l->response ? strstr(l->response, ",p=") : NULL, *bare = first_bare(l);
	char *text;
	int size = EVP_MD_get_size(md);

	if (strncmp(l->mechanism, "HT-", 3) == 0)
		return token_proof(l, binding, binding_len);
	if (!proof || !bare || !l->challenge)
		return xstrdup("");
	buf_addf(&auth, "%s,%s,", bare, l->challenge);
	buf_add(&auth, l->response, (size_t)(proof - l->response));
	must(PKCS5_PBKDF2_HMAC(LOGIN_PASSWORD, -1, (const unsigned char *)SALT, 4, 2, md, size, salted) == 1, "no PBKDF2");
	mac(md, salted, size, "Server Key", 10, key);
	mac(md, key, size, auth.data, auth.len, signature);
	text = encode(signature, (size_t)size);
	buf_addf(&out, "v=%s", text);
	free(text);
	return encode(out.data, out.len);
}
