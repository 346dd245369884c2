#include "wire/sasl.h"

#include <errno.h>
#include <gsasl.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "wire/scram.h"

#define NONCE_BYTES 18 /* 24 characters, 144 bits: RFC 5802 leaves it open, GNU SASL uses 18 */

static const struct mechanism {
	const char *name;
	const char *digest; /* by wire/scram.c; NULL: by GNU SASL */
} mechanisms[] = {
	/* strongest first */
	{ "SCRAM-SHA-512", "SHA512" },
	{ "SCRAM-SHA-256", NULL },
	{ "SCRAM-SHA-1", NULL },
	{ "PLAIN", NULL },
};

struct sasl {
	const struct mechanism *mechanism;
	/* either */
	Gsasl *gsasl;
	Gsasl_session *session;
	/* or */
	struct scram *scram;
	bool plain;
	bool done; /* the server's proof was seen and is right */
};

const char *sasl_choose(const char *const *offered, size_t n, bool allow_plain)
{
	for (size_t m = 0; m < ARRAY_SIZE(mechanisms); m++) {
		if (strcmp(mechanisms[m].name, "PLAIN") == 0 && !allow_plain)
			continue;
		for (size_t i = 0; i < n; i++)
			if (strcmp(offered[i], mechanisms[m].name) == 0)
				return mechanisms[m].name;
	}
	return NULL;
}

static int new_scram(struct sasl *s, const char *user, const char *password)
{
	_cleanup_(freep) char *nonce = NULL;
	char raw[NONCE_BYTES];
	char *prepared = NULL;

	if (gsasl_nonce(raw, sizeof(raw)) != GSASL_OK || gsasl_base64_to(raw, sizeof(raw), &nonce, NULL) != GSASL_OK)
		return err_origin(-EIO);
	/* A password that SASLprep forbids is tried as it is: the server may have stored it so. */
	if (gsasl_saslprep(password, 0, &prepared, NULL) != GSASL_OK)
		prepared = NULL;
	s->scram = scram_new(s->mechanism->digest, user, prepared ? prepared : password, nonce);
	if (prepared) {
		explicit_bzero(prepared, strlen(prepared));
		gsasl_free(prepared);
	}
	return s->scram ? 0 : err_origin(-ENOTSUP);
}

static int new_gsasl(struct sasl *s, const char *user, const char *password)
{
	if (gsasl_init(&s->gsasl) != GSASL_OK ||
	    gsasl_client_start(s->gsasl, s->mechanism->name, &s->session) != GSASL_OK ||
	    gsasl_property_set(s->session, GSASL_AUTHID, user) != GSASL_OK ||
	    gsasl_property_set(s->session, GSASL_PASSWORD, password) != GSASL_OK)
		return err_origin(-ENOMEM);
	return 0;
}

int sasl_new(const char *mechanism, const char *user, const char *password, struct sasl **ret)
{
	_cleanup_(sasl_freep) struct sasl *s = xnew(struct sasl);
	int r;

	for (size_t m = 0; m < ARRAY_SIZE(mechanisms); m++)
		if (strcmp(mechanisms[m].name, mechanism) == 0)
			s->mechanism = &mechanisms[m];
	if (!s->mechanism)
		return err_origin(-EINVAL);
	s->plain = strcmp(mechanism, "PLAIN") == 0;
	r = s->mechanism->digest ? new_scram(s, user, password) : new_gsasl(s, user, password);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(s);
	return 0;
}

struct sasl *sasl_free(struct sasl *s)
{
	if (!s)
		return NULL;
	scram_free(s->scram);
	if (s->session)
		gsasl_finish(s->session);
	if (s->gsasl)
		gsasl_done(s->gsasl);
	free(s);
	return NULL;
}

static char *encode(const char *text)
{
	char *base64 = NULL;

	if (gsasl_base64_to(text, strlen(text), &base64, NULL) != GSASL_OK)
		abort();
	return base64;
}

/* The text of a server's message; NULL if it is no base64, or holds NUL. The caller frees. */
static char *decode(const char *base64)
{
	char *raw = NULL, *text = NULL;
	size_t len = 0;

	if (gsasl_base64_from(base64, strlen(base64), &raw, &len) != GSASL_OK)
		return NULL;
	if (!memchr(raw, '\0', len))
		text = xstrndup(raw, len); /* what it decodes has no NUL behind it */
	gsasl_free(raw);
	return text;
}

/* A step of GNU SASL. 0 or SASL_E_SERVER. */
static int step_gsasl(struct sasl *s, const char *in, char **ret_base64)
{
	char *out = NULL;
	int r = gsasl_step64(s->session, in, &out);

	if (r != GSASL_OK && r != GSASL_NEEDS_MORE) {
		log_debug("%s: %s", s->mechanism->name, gsasl_strerror(r));
		return SASL_E_SERVER;
	}
	if (r == GSASL_OK)
		s->done = true;
	*ret_base64 = out ? out : xstrdup("");
	return 0;
}

int sasl_initial(struct sasl *s, char **ret_base64)
{
	if (!s->scram)
		return step_gsasl(s, "", ret_base64) == 0 ? 0 : err_origin(-EIO);
	_cleanup_(freep) char *first = scram_first(s->scram);

	*ret_base64 = encode(first);
	return 0;
}

int sasl_step(struct sasl *s, const char *challenge_base64, char **ret_base64)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *final = NULL;

	if (s->done)
		return SASL_E_SERVER;
	if (!s->scram)
		return step_gsasl(s, challenge_base64, ret_base64);
	text = decode(challenge_base64);
	if (!text)
		return SASL_E_SERVER;
	/* The server's proof may come as a last challenge, answered by nothing (RFC 6120 section 6.4.3). */
	if (strncmp(text, "v=", 2) == 0) {
		if (scram_verify(s->scram, text) != 0)
			return SASL_E_SERVER;
		s->done = true;
		*ret_base64 = xstrdup("");
		return 0;
	}
	if (scram_final(s->scram, text, &final) != 0)
		return SASL_E_SERVER;
	*ret_base64 = encode(final);
	return 0;
}

int sasl_success(struct sasl *s, const char *data_base64)
{
	_cleanup_(freep) char *nothing = NULL;

	/* PLAIN proves nothing about the server but what TLS has proved. */
	if (!s->plain && *data_base64 && !s->done && sasl_step(s, data_base64, &nothing) != 0)
		return SASL_E_SERVER;
	return s->plain || s->done ? 0 : SASL_E_SERVER;
}
