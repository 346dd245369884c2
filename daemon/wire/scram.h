/*
 * The client's half of SCRAM (RFC 5802) without channel binding, for any digest that OpenSSL has. GNU SASL does
 * SHA-1 and SHA-256; servers whose accounts are stored with SHA-512 (ejabberd: auth_scram_hash) offer only that, so
 * this is used for it. Pure: the nonce is passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct scram;

/* The server's message is not as RFC 5802 section 7 says, or its proof is wrong. */
#define SCRAM_E_SERVER 1

/* ${digest}: "SHA1" "SHA256" "SHA512". ${password} is SASLprep'd already. All are copied. NULL: no such digest. */
struct scram *scram_new(const char *digest, const char *user, const char *password, const char *nonce);
struct scram *scram_free(struct scram *s);
DEFINE_CLEANUP(struct scram *, scram_free);

/* client-first-message; the caller frees. */
char *scram_first(const struct scram *s);
/* server-first-message in, client-final-message out (the caller frees). 0 or SCRAM_E_SERVER. */
int scram_final(struct scram *s, const char *server_first, char **ret);
/* server-final-message: 0 only if the server's signature is right. */
int scram_verify(const struct scram *s, const char *server_final);
