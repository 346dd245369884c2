/*
 * What a server that knows the secrets would say: without it random bytes would never get past the first challenge. Written
 * from RFC 5802 and XEP-0484, not from the wire's code.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define LOGIN_PASSWORD "pw-8d7c3a91"
#define LOGIN_TOKEN "tok-55e0b6f2"
#define LOGIN_USER "alice"

struct login_server {
	char mechanism[32]; /* of the login under way, "" before */
	char *initial;	    /* its initial response, decoded */
	size_t initial_len;
	char *challenge;    /* ours, not encoded */
	char *response;	    /* the client's last, decoded */
};

void login_server_deinit(struct login_server *l);

/* Base64 between ${at} and the next '<', decoded, with a NUL behind it; NULL: it is none. The caller frees. */
char *login_decode(const char *at, size_t *ret_len);

/* Base64 of the challenge that continues the login, "" if there is none. The caller frees these. */
char *login_challenge(struct login_server *l);
/*
 * Base64 of the proof that we know the password or the token, on a channel with ${binding}; "" if the client has not come that
 * far, or has not proved that it knows it. ${hash}: XEP-0474 is a matter of the challenge, so not here.
 */
char *login_proof(struct login_server *l, const void *binding, size_t binding_len);
