/*
 * What makes the next login of an account shorter or safer: what its server offered last, the token that it gave
 * (XEP-0484), how strong a login it has shown (so that a weaker one can be refused), where it answered. None of it is
 * needed: without a row the login takes more round trips. Writes need an open transaction (store.h).
 *
 * The token is worth a password: it is in the encrypted archive, is never shown or exported, and is wiped in memory.
 */
#pragma once

#include "store/store.h"

/* Strings are owned by the struct, "" = absent, never NULL. */
struct login {
	char *user_agent;	 /* XEP-0388 section 2.3: a UUID v4, made once for this account in this archive */
	char *offer;		 /* wire/offer.h, in the wire's own words */
	uint32_t pin;		 /* enum strength of wire/choice.h: nothing weaker is used any more; 0 = not known */
	char *token;		 /* XEP-0484, as the server gave it */
	char *token_mechanism;	 /* what it was asked for, and is good for */
	int64_t token_expiry_us; /* 0 = not said */
	uint32_t avoid;		 /* token mechanisms that the server offers and does not answer; wire/offer.h */
	char *address;		 /* that answered last; wire/resolve.h */
	char *ticket;		 /* TLS session, in the wire's own words */
};

void login_deinit(struct login *l);
/* Take the token out, and wipe it. */
void login_drop_token(struct login *l);
/* The same with the ticket. */
void login_drop_ticket(struct login *l);
/* Everything but the user agent is gone: the next login is as the first. */
void login_forget(struct login *l);

/* All "" and 0 when there is no row. */
int login_load(struct store *s, int64_t account, struct login *ret);
int login_save(struct store *s, int64_t account, const struct login *l);
