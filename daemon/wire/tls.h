/*
 * TLS over a connected, non-blocking socket (OpenSSL): at least 1.2, certificate and host name always verified. There
 * is no way to switch verification off.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/mem.h"

struct tls;

enum tls_result {
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_CLOSED, /* by the peer, orderly or not */
	TLS_CERT, /* the certificate is not acceptable: tls_condition(), tls_error() */
	TLS_BROKEN, /* anything else: tls_error() */
};

/* tls_new(): ${ca_pem} is not a list of PEM certificates. */
#define TLS_E_CA 1

/*
 * For a server that must prove to be ${domain} (the JID's, whatever host was dialled: RFC 6120 section 13.7.2), signed
 * by the system's authorities or one of ${ca_pem} ("" = none more). ${direct}: announce "xmpp-client" by ALPN
 * (XEP-0368 section 3). 0, TLS_E_CA, -errno.
 */
int tls_new(const char *domain, const char *ca_pem, bool direct, struct tls **ret);
struct tls *tls_free(struct tls *t);
DEFINE_CLEANUP(struct tls *, tls_free);

/*
 * Offer to go on with ${ticket} from tls_on_ticket(), instead of a whole handshake. Nothing happens when it is
 * unreadable, or its certificate has expired since or is for another host: it was verified when the ticket was made,
 * and is not again. Never sends early data. Before tls_attach().
 */
void tls_use_ticket(struct tls *t, const char *ticket);
/* Call ${fn} with each ticket that the server gives; it is a secret, and wiped when ${fn} returns. */
typedef void (*tls_ticket_fn)(void *userdata, const char *ticket);
void tls_on_ticket(struct tls *t, tls_ticket_fn fn, void *userdata);

/* ${fd} stays the caller's. */
int tls_attach(struct tls *t, int fd);
/* Call again when readable or writable as wanted, until TLS_OK. */
enum tls_result tls_handshake(struct tls *t);
/* At most ${len} bytes; *ret_n is set with TLS_OK. */
enum tls_result tls_read(struct tls *t, void *data, size_t len, size_t *ret_n);
enum tls_result tls_write(struct tls *t, const void *data, size_t len, size_t *ret_n);
/* Round trips that the handshake took: 1 with TLS 1.3, 2 before. For the count of flights. */
unsigned int tls_round_trips(const struct tls *t);

/*
 * Channel binding of the finished handshake, ${type} a CB_* of wire/offer.h, into ${ret} of TLS_BINDING_MAX bytes. Its
 * length; 0: this connection has none of that type.
 */
#define TLS_BINDING_MAX 64
size_t tls_binding(const struct tls *t, unsigned int type, unsigned char *ret);

/* After TLS_CERT: expired not-yet-valid self-signed wrong-host unknown-ca revoked untrusted. Static. */
const char *tls_condition(const struct tls *t);
/* After TLS_CERT or TLS_BROKEN: a sentence for people. Lives as long as ${t}. */
const char *tls_error(const struct tls *t);
