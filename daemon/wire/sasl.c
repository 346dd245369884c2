#include "wire/sasl.h"

#include <errno.h>
#include <gsasl.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/ht.h"
#include "wire/scram.h"

#define NONCE_BYTES 18 /* 24 characters, 144 bits: RFC 5802 leaves it open, GNU SASL uses 18 */

enum kind { KIND_SCRAM, KIND_HT, KIND_PLAIN };

static const struct mechanism {
	const char *name;
	enum kind kind;
	const char *digest;
} mechanisms[] = {
	{ "SCRAM-SHA-512-PLUS", KIND_SCRAM, "SHA512" },
	{ "SCRAM-SHA-512", KIND_SCRAM, "SHA512" },
	{ "SCRAM-SHA-256-PLUS", KIND_SCRAM, "SHA256" },
	{ "SCRAM-SHA-256", KIND_SCRAM, "SHA256" },
	{ "SCRAM-SHA-1-PLUS", KIND_SCRAM, "SHA1" },
	{ "SCRAM-SHA-1", KIND_SCRAM, "SHA1" },
	{ "HT-SHA-256-EXPR", KIND_HT, NULL },
	{ "HT-SHA-256-ENDP", KIND_HT, NULL },
	{ "HT-SHA-256-NONE", KIND_HT, NULL },
	{ "PLAIN", KIND_PLAIN, NULL },
};

struct sasl {
	const struct mechanism *mechanism;
	struct scram *scram;
	/* the others: */
	char *user;
	char *secret;
	unsigned char binding[SCRAM_BINDING_MAX];
	size_t binding_len;
	bool answered; /* the challenge was: there is one (RFC 5802 section 3), and each costs a PBKDF2 */
	bool done; /* the server's proof was seen and is right */
};

static int new_scram(struct sasl *s, const struct sasl_login *l)
{
	char raw[NONCE_BYTES], *nonce = NULL, *prepared = NULL;

	if (gsasl_nonce(raw, sizeof(raw)) != GSASL_OK || gsasl_base64_to(raw, sizeof(raw), &nonce, NULL) != GSASL_OK)
		return err_origin(-EIO);
	/* A password that SASLprep forbids is tried as it is: the server may have stored it so. */
	if (gsasl_saslprep(l->secret, 0, &prepared, NULL) != GSASL_OK)
		prepared = NULL;
	s->scram = scram_new(s->mechanism->digest, l->user, prepared ? prepared : l->secret, nonce, l->gs2, l->binding,
			     l->binding_len);
	gsasl_free(nonce);
	if (prepared) {
		explicit_bzero(prepared, strlen(prepared));
		gsasl_free(prepared);
	}
	return s->scram ? 0 : err_origin(-ENOTSUP);
}

int sasl_new(const struct sasl_login *l, struct sasl **ret)
{
	_cleanup_(sasl_freep) struct sasl *s = xnew(struct sasl);
	int r;

	for (size_t m = 0; m < ARRAY_SIZE(mechanisms); m++)
		if (strcmp(mechanisms[m].name, l->mechanism) == 0)
			s->mechanism = &mechanisms[m];
	if (!s->mechanism || l->binding_len > sizeof(s->binding))
		return err_origin(-EINVAL);
	if (s->mechanism->kind == KIND_SCRAM) {
		r = new_scram(s, l);
		if (r < 0)
			return err_trace(r);
	} else {
		s->user = xstrdup(l->user);
		s->secret = xstrdup(l->secret);
		if (l->binding_len)
			memcpy(s->binding, l->binding, l->binding_len);
		s->binding_len = l->binding_len;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

struct sasl *sasl_free(struct sasl *s)
{
	if (!s)
		return NULL;
	scram_free(s->scram);
	if (s->secret)
		explicit_bzero(s->secret, strlen(s->secret));
	free(s->user);
	free(s->secret);
	free(s);
	return NULL;
}

void sasl_expect_offer(struct sasl *s, const char *lists, bool must)
{
	if (s->scram)
		scram_expect_offer(s->scram, lists, must);
}

static char *encode(const void *data, size_t len)
{
	char *base64 = NULL;

	if (gsasl_base64_to(data, len, &base64, NULL) != GSASL_OK)
		abort();
	return base64;
}

/* The ${*ret_len} bytes of a server's message, with a NUL behind; NULL if it is no base64. The caller frees. */
static char *decode(const char *base64, size_t *ret_len)
{
	char *raw = NULL, *copy;

	if (gsasl_base64_from(base64, strlen(base64), &raw, ret_len) != GSASL_OK)
		return NULL;
	copy = xcalloc(1, *ret_len + 1); /* what it decodes has no NUL behind it */
	memcpy(copy, raw, *ret_len);
	gsasl_free(raw);
	return copy;
}

char *sasl_initial(struct sasl *s)
{
	_cleanup_(freep) char *first = NULL;
	_cleanup_(buf_deinit) struct buf b = { 0 };
	unsigned char hash[HT_SIZE];
	char *base64;

	switch (s->mechanism->kind) {
	case KIND_SCRAM:
		first = scram_first(s->scram);
		return encode(first, strlen(first));
	case KIND_HT:
		ht_initiator(s->secret, s->binding, s->binding_len, hash);
		buf_add(&b, s->user, strlen(s->user) + 1);
		buf_add(&b, hash, sizeof(hash));
		return encode(b.data, b.len);
	case KIND_PLAIN:
		buf_add(&b, "", 1);
		buf_add(&b, s->user, strlen(s->user) + 1);
		buf_adds(&b, s->secret);
		base64 = encode(b.data, b.len);
		explicit_bzero(b.data, b.len);
		return base64;
	}
	abort();
}

int sasl_step(struct sasl *s, const char *challenge_base64, char **ret_base64)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *final = NULL;
	size_t len = 0;
	int r;

	/* The others are one message and no more. */
	if (s->done || !s->scram)
		return SASL_E_SERVER;
	text = decode(challenge_base64, &len);
	if (!text || strlen(text) != len)
		return SASL_E_SERVER;
	/* The server's proof may come as a last challenge, answered by nothing (RFC 6120 section 6.4.3). */
	if (strncmp(text, "v=", 2) == 0) {
		if (scram_verify(s->scram, text) != 0)
			return SASL_E_SERVER;
		s->done = true;
		*ret_base64 = xstrdup("");
		return 0;
	}
	if (s->answered)
		return SASL_E_SERVER;
	s->answered = true;
	r = scram_final(s->scram, text, &final);
	if (r != 0)
		return r == SCRAM_E_OFFER ? SASL_E_OFFER : SASL_E_SERVER;
	*ret_base64 = encode(final, strlen(final));
	return 0;
}

static bool ht_proved(const struct sasl *s, const char *data_base64)
{
	size_t len = 0;
	_cleanup_(freep) char *said = decode(data_base64, &len);

	return said && ht_responder_is(s->secret, s->binding, s->binding_len, said, len);
}

int sasl_success(struct sasl *s, const char *data_base64)
{
	_cleanup_(freep) char *nothing = NULL;

	switch (s->mechanism->kind) {
	case KIND_SCRAM:
		if (*data_base64 && !s->done && sasl_step(s, data_base64, &nothing) != 0)
			return SASL_E_SERVER;
		return s->done ? 0 : SASL_E_SERVER;
	case KIND_HT:
		return ht_proved(s, data_base64) ? 0 : SASL_E_SERVER;
	case KIND_PLAIN:
		/* It proves nothing about the server but what TLS has proved. */
		return 0;
	}
	return SASL_E_SERVER;
}
