/*
 * The client's half of SCRAM (RFC 5802), for any digest that OpenSSL has, with channel binding and with the check of
 * XEP-0474. Our own because GNU SASL 2.2 has neither SHA-512 (ejabberd: auth_scram_hash), nor tls-server-end-point, nor
 * a way to see the server's other attributes. Pure: nonce and binding are passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct scram;

/* The server's message is not as RFC 5802 section 7 says, or its proof is wrong. */
#define SCRAM_E_SERVER 1
/* What the server says that it offered is not what arrived (XEP-0474 section 6.2), or it should say and does not. */
#define SCRAM_E_OFFER 2

#define SCRAM_BINDING_MAX 256 /* bytes; tls-exporter has 32, a hash 64 at most */

/*
 * ${digest}: "SHA1" "SHA256" "SHA512". ${password} is SASLprep'd already. ${gs2}: the GS2 header, "n,," or "y,," or
 * "p=tls-exporter,,", for the last with the ${binding_len} bytes ${binding} (else 0). All are copied. NULL: no such
 * digest, or too long a binding.
 */
struct scram *scram_new(const char *digest, const char *user, const char *password, const char *nonce,
			const char *gs2, const void *binding, size_t binding_len);
struct scram *scram_free(struct scram *s);
DEFINE_CLEANUP(struct scram *, scram_free);

/*
 * ${lists}: what the server offered, in the words of XEP-0474 section 6.1, to compare with its hash; ${must}: it must
 * give one. Before scram_final(); without this call its hash is not looked at. Copied.
 */
void scram_expect_offer(struct scram *s, const char *lists, bool must);

/* client-first-message; the caller frees. */
char *scram_first(const struct scram *s);
/* server-first-message in, client-final-message out (the caller frees). 0, SCRAM_E_SERVER, SCRAM_E_OFFER. */
int scram_final(struct scram *s, const char *server_first, char **ret);
/* server-final-message: 0 only if the server's signature is right. */
int scram_verify(const struct scram *s, const char *server_final);
