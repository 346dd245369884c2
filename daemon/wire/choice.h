/*
 * How to log in, from what is offered. Pure: every rule that keeps somebody who controls the link, or the server, from
 * talking us into a weaker login is in here.
 *
 *   strength   an account's password is never used in a weaker way than once before (the pin): PLAIN after SCRAM, SHA-1
 *              after SHA-256, no channel binding after one
 *   binding    XEP-0440 section 3: lists that contradict themselves were tampered with
 *   token      is used only as it was asked for, and asked for only with a channel binding at least as strong as that of
 *              the login that earns it, or that was ever used: else a token would be the way around the binding
 */
#pragma once

#include "wire/offer.h"

enum strength { STRENGTH_NONE, STRENGTH_PLAIN, STRENGTH_SHA1, STRENGTH_SHA2, STRENGTH_SHA1_PLUS, STRENGTH_SHA2_PLUS };

struct choice_limits {
	bool allow_plain;
	uint32_t pin;		     /* enum strength */
	uint32_t bindings;	     /* what this TLS connection can compute: CB_* */
	const char *token_mechanism; /* of the token that we have; "" without */
	uint32_t avoid;		     /* HT_*: not to be asked for */
	bool may_ask;		     /* we have a user agent's id, so that tokens can be had */
};

struct choice {
	enum profile profile;
	const char *mechanism;	    /* static */
	const char *gs2;	    /* as for scram_new(); static */
	uint32_t binding;	    /* CB_*, 0 for none */
	enum strength strength;	    /* 0 with a token */
	bool token;
	bool must_hash;		    /* go on only if the server's list is proved by XEP-0474 */
	const char *request_token;  /* mechanism to ask a token for; NULL: ask for none */
};

enum {
	CHOICE_E_NONE = 1, /* nothing that we may use */
	CHOICE_E_WEAKER,   /* only weaker than the pin */
	CHOICE_E_LISTS,	   /* mechanisms and channel bindings contradict each other */
};

/* 0 or one of these. */
int choice_make(const struct offer *o, const struct choice_limits *l, struct choice *ret);
/* The same login: what was sent for ${a} needs no second try for ${b}. */
bool choice_same(const struct choice *a, const struct choice *b);
/* May go out before the server has offered it on this stream: nothing that a wrong server could use. */
bool choice_may_guess(const struct choice *c);
