#include "wire/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "wire/offer.h"

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	char *domain;
	int verify_error; /* X509_V_ERR_*, the first that the chain met */
	char when[64]; /* of the certificate that failed: the end (or begin) of its validity */
	char now[32];  /* by our clock, then */
	char *error;
	tls_ticket_fn on_ticket;
	void *userdata;
};

static int verify_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static void note_time(struct tls *t, const ASN1_TIME *at)
{
	BIO *b = BIO_new(BIO_s_mem());
	int n;

	if (!b)
		return;
	ASN1_TIME_print(b, at);
	n = BIO_read(b, t->when, sizeof(t->when) - 1);
	t->when[n > 0 ? n : 0] = '\0';
	BIO_free(b);
}

/* A phone whose battery was empty boots in 1970: then it is not the certificate. */
static void note_now(struct tls *t)
{
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(t->now, sizeof(t->now), "%Y-%m-%d %H:%M", &tm);
}

/* Only looks: the verdict stays OpenSSL's. The certificate is not reachable any more after a failed handshake. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_ex_data(ssl, verify_index());
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (ok || t->verify_error)
		return ok;
	t->verify_error = X509_STORE_CTX_get_error(store);
	note_now(t);
	if (cert && t->verify_error == X509_V_ERR_CERT_HAS_EXPIRED)
		note_time(t, X509_get0_notAfter(cert));
	else if (cert && t->verify_error == X509_V_ERR_CERT_NOT_YET_VALID)
		note_time(t, X509_get0_notBefore(cert));
	return ok;
}

/* Whether what was loaded so far will do: a look at the chain that decides nothing. */
static bool chain_is_known(X509_STORE_CTX *store)
{
	X509_STORE_CTX *look = X509_STORE_CTX_new();
	bool known;

	if (!look || !X509_STORE_CTX_init(look, X509_STORE_CTX_get0_store(store), X509_STORE_CTX_get0_cert(store),
					  X509_STORE_CTX_get0_untrusted(store))) {
		X509_STORE_CTX_free(look);
		return false;
	}
	known = X509_verify_cert(look) == 1;
	X509_STORE_CTX_free(look);
	ERR_clear_error();
	return known;
}

/*
 * The system's authorities are a directory, where one is found by its hash, and a file, of which all 140 are parsed: 50 ms
 * here, several times that on a phone, at each connect. So the file is read only when the directory will not do. The
 * verdict is that of X509_verify_cert() over all that is loaded then, as always.
 */
static int verify_chain(X509_STORE_CTX *store, void *arg)
{
	struct tls *t = arg;

	if (!chain_is_known(store) && !SSL_CTX_set_default_verify_file(t->ctx))
		log_debug("no certificate file on this system");
	return X509_verify_cert(store) == 1;
}

static int add_anchors(SSL_CTX *ctx, const char *pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *b = BIO_new_mem_buf(pem, -1);
	int found = 0;
	X509 *cert;

	if (!b)
		return err_origin(-ENOMEM);
	while ((cert = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		found += X509_STORE_add_cert(store, cert);
		X509_free(cert);
	}
	BIO_free(b);
	/* The end of the list is an error of its own kind; anything but that means a damaged file. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		found = 0;
	ERR_clear_error();
	return found > 0 ? 0 : TLS_E_CA;
}

static int set_host(struct tls *t)
{
	unsigned char address[16];

	SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (inet_pton(AF_INET, t->domain, address) == 1 || inet_pton(AF_INET6, t->domain, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), t->domain);
	/* RFC 6066 section 3: no server name for an address. */
	return SSL_set1_host(t->ssl, t->domain) && SSL_set_tlsext_host_name(t->ssl, t->domain);
}

int tls_new(const char *domain, const char *ca_pem, bool direct, struct tls **ret)
{
	static const unsigned char alpn[] = "\x0bxmpp-client";
	_cleanup_(tls_freep) struct tls *t = xnew(struct tls);
	int r;

	t->domain = xstrdup(domain);
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t->ctx)
		return err_origin(-ENOMEM);
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, on_verify);
	/* Without a store on the system the account's own anchors may still do. */
	if (!SSL_CTX_set_default_verify_dir(t->ctx))
		log_debug("no certificate directory on this system");
	SSL_CTX_set_cert_verify_callback(t->ctx, verify_chain, t);
	r = *ca_pem ? add_anchors(t->ctx, ca_pem) : 0;
	if (r != 0)
		return r;
	t->ssl = SSL_new(t->ctx);
	if (!t->ssl || !SSL_set_ex_data(t->ssl, verify_index(), t) || !set_host(t))
		return err_origin(-ENOMEM);
	if (direct && SSL_set_alpn_protos(t->ssl, alpn, sizeof(alpn) - 1) != 0)
		return err_origin(-ENOMEM);
	*ret = TAKE_PTR(t);
	return 0;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_get_ex_data(ssl, verify_index());
	int len = i2d_SSL_SESSION(session, NULL);
	unsigned char *raw, *p;
	char *text;

	/* Only what was verified; a session that is not resumable would be of no use. */
	if (len <= 0 || !t->on_ticket || !SSL_SESSION_is_resumable(session) || SSL_get_verify_result(ssl) != X509_V_OK)
		return 0;
	p = raw = xcalloc(1, (size_t)len);
	text = xcalloc(1, (size_t)len * 2 + 8);
	i2d_SSL_SESSION(session, &p);
	EVP_EncodeBlock((unsigned char *)text, raw, len);
	t->on_ticket(t->userdata, text);
	OPENSSL_cleanse(raw, (size_t)len);
	OPENSSL_cleanse(text, strlen(text));
	free(raw);
	free(text);
	return 0;
}

void tls_on_ticket(struct tls *t, tls_ticket_fn fn, void *userdata)
{
	t->on_ticket = fn;
	t->userdata = userdata;
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->ctx, on_session);
}

static bool still_good(const struct tls *t, const SSL_SESSION *session)
{
	X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
	unsigned char address[16];
	bool ip = inet_pton(AF_INET, t->domain, address) == 1 || inet_pton(AF_INET6, t->domain, address) == 1;

	return cert && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 &&
	       (ip ? X509_check_ip_asc(cert, t->domain, 0) :
		     X509_check_host(cert, t->domain, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL)) == 1;
}

void tls_use_ticket(struct tls *t, const char *ticket)
{
	size_t len = strlen(ticket);
	unsigned char *raw;
	const unsigned char *p;
	SSL_SESSION *session;
	int n;

	if (len == 0 || len % 4 != 0)
		return;
	p = raw = xcalloc(1, len);
	n = EVP_DecodeBlock(raw, (const unsigned char *)ticket, (int)len);
	/* Filling bytes at the end do not matter to DER. */
	session = n > 0 ? d2i_SSL_SESSION(NULL, &p, n) : NULL;
	if (session && still_good(t, session) && !SSL_set_session(t->ssl, session))
		log_debug("the TLS ticket is not taken");
	SSL_SESSION_free(session);
	OPENSSL_cleanse(raw, len);
	free(raw);
	ERR_clear_error();
}

struct tls *tls_free(struct tls *t)
{
	if (!t)
		return NULL;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	free(t->domain);
	free(t->error);
	free(t);
	return NULL;
}

int tls_attach(struct tls *t, int fd)
{
	if (!SSL_set_fd(t->ssl, fd))
		return err_origin(-ENOMEM);
	SSL_set_connect_state(t->ssl);
	return 0;
}

static const struct verdict {
	int error;
	const char *condition;
	const char *text; /* %s: domain; for the first two the date, and ours */
} verdicts[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, "expired", "the certificate of %s expired on %s; the clock here says %s UTC" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "not-yet-valid", "the certificate of %s is not valid before %s; the clock here says %s UTC" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed",
	  "the certificate of %s is self-signed, vouched for by nobody%s%s" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "unknown-ca",
	  "the certificate of %s is signed by an authority that this system does not trust%s%s" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown-ca",
	  "the certificate of %s is signed by an authority that this system does not know%s%s" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unknown-ca",
	  "the certificate of %s is signed by an authority that this system does not know%s%s" },
	{ X509_V_ERR_HOSTNAME_MISMATCH, "wrong-host", "the server's certificate is not for %s%s%s" },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, "wrong-host", "the server's certificate is not for %s%s%s" },
	{ X509_V_ERR_CERT_REVOKED, "revoked", "the certificate of %s is revoked%s%s" },
};

static const struct verdict *verdict_of(const struct tls *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (verdicts[i].error == t->verify_error)
			return &verdicts[i];
	return NULL;
}

const char *tls_condition(const struct tls *t)
{
	const struct verdict *v = verdict_of(t);

	return v ? v->condition : "untrusted";
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the table above, each with three %s */
static enum tls_result refuse(struct tls *t)
{
	const struct verdict *v = verdict_of(t);

	free(t->error);
	if (v)
		t->error = xasprintf(v->text, t->domain, t->when, v < verdicts + 2 ? t->now : "");
	else
		t->error = xasprintf("the certificate of %s is not acceptable: %s", t->domain,
				     X509_verify_cert_error_string(t->verify_error));
	return TLS_CERT;
}
#pragma GCC diagnostic pop

static enum tls_result result_of(struct tls *t, int r)
{
	int e = SSL_get_error(t->ssl, r);
	int saved = errno;
	unsigned long code;
	const char *reason;

	if (e == SSL_ERROR_WANT_READ)
		return TLS_WANT_READ;
	if (e == SSL_ERROR_WANT_WRITE)
		return TLS_WANT_WRITE;
	if (e == SSL_ERROR_ZERO_RETURN)
		return TLS_CLOSED;
	if (t->verify_error)
		return refuse(t);
	code = ERR_peek_error();
	ERR_clear_error();
	if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING || (e == SSL_ERROR_SYSCALL && !saved))
		return TLS_CLOSED;
	reason = code ? ERR_reason_error_string(code) : NULL;
	free(t->error);
	t->error = xstrdup(reason ? reason : strerror(saved ? saved : EPROTO));
	return e == SSL_ERROR_SYSCALL ? TLS_CLOSED : TLS_BROKEN;
}

enum tls_result tls_handshake(struct tls *t)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(t->ssl);
	return r == 1 ? TLS_OK : result_of(t, r);
}

enum tls_result tls_read(struct tls *t, void *data, size_t len, size_t *ret_n)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_read_ex(t->ssl, data, len, ret_n);
	return r == 1 ? TLS_OK : result_of(t, r);
}

enum tls_result tls_write(struct tls *t, const void *data, size_t len, size_t *ret_n)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_write_ex(t->ssl, data, len, ret_n);
	return r == 1 ? TLS_OK : result_of(t, r);
}

const char *tls_error(const struct tls *t)
{
	return str_or_empty(t->error);
}

unsigned int tls_round_trips(const struct tls *t)
{
	return SSL_version(t->ssl) >= TLS1_3_VERSION ? 1 : 2;
}

/* RFC 9266 section 2; before TLS 1.3 it needs the extended master secret (section 4.2). */
static size_t exporter(const struct tls *t, unsigned char *ret)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	const size_t size = 32;

	if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
		return 0;
	if (SSL_export_keying_material(t->ssl, ret, size, label, sizeof(label) - 1, (const unsigned char *)"", 0, 1) != 1)
		return 0;
	return size;
}

/* RFC 5929 section 4.1: the hash of the signature's algorithm, SHA-256 for those that are too weak. */
static size_t end_point(const struct tls *t, unsigned char *ret)
{
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	unsigned char hash[EVP_MAX_MD_SIZE];
	int digest = NID_undef;
	unsigned int len = 0;
	const EVP_MD *md;

	if (!cert)
		return 0;
	if (!X509_get_signature_info(cert, &digest, NULL, NULL, NULL))
		digest = NID_undef;
	if (digest == NID_md5 || digest == NID_sha1)
		digest = NID_sha256;
	md = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
	if (!md || !X509_digest(cert, md, hash, &len) || len > TLS_BINDING_MAX)
		len = 0;
	memcpy(ret, hash, len);
	X509_free(cert);
	return len;
}

size_t tls_binding(const struct tls *t, unsigned int type, unsigned char *ret)
{
	return type == CB_EXPR ? exporter(t, ret) : type == CB_ENDP ? end_point(t, ret) : 0;
}
