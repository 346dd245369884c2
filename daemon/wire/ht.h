/*
 * HT-SHA-256 (draft-schmaus-kitten-sasl-ht-09): a login in one round trip with a token that the server gave earlier
 * (XEP-0484). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HT_SIZE 32 /* bytes of HMAC-SHA-256 */

/* What the client says of ${token} on a channel with the ${len} bytes ${binding} (none: 0). */
void ht_initiator(const char *token, const void *binding, size_t len, unsigned char ret[HT_SIZE]);
/* Whether ${said} (${said_len} bytes) is what only a server that knows ${token} can answer, on the same channel. */
bool ht_responder_is(const char *token, const void *binding, size_t len, const void *said, size_t said_len);
