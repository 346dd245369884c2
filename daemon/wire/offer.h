/*
 * What a server offers before the login, as numbers: read from <stream:features/>, or from what an earlier stream
 * remembered of it (LOGIN in link/vocab.h). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <strophe.h>

#include "base/mem.h"

enum { /* SASL mechanisms */
	MECH_PLAIN = 1,
	MECH_SHA1 = 2,
	MECH_SHA256 = 4,
	MECH_SHA512 = 8,
	MECH_SHA1_PLUS = 16,
	MECH_SHA256_PLUS = 32,
	MECH_SHA512_PLUS = 64,
	MECH_OTHER_PLUS = 128, /* with channel binding, but not one of ours */
};
#define MECH_ANY_PLUS (MECH_SHA1_PLUS | MECH_SHA256_PLUS | MECH_SHA512_PLUS | MECH_OTHER_PLUS)

enum { /* channel bindings (XEP-0440); larger is stronger among ours */
	CB_ENDP = 1, /* tls-server-end-point, RFC 5929 */
	CB_EXPR = 2, /* tls-exporter, RFC 9266 */
	CB_OTHER = 4,
};

enum { /* token mechanisms (XEP-0484); the same order */
	HT_NONE = 1,
	HT_ENDP = 2,
	HT_EXPR = 4,
};

enum profile { SASL1, SASL2, PROFILES }; /* RFC 6120 section 6, XEP-0388 */

struct offer {
	uint32_t mechanisms[PROFILES];
	uint32_t bindings;
	uint32_t fast;
	bool resume;	   /* inline in SASL2 (XEP-0198 section 9.2) */
	bool bind;	   /* inline in SASL2 (XEP-0386) */
	bool bind_sm;	   /* and stream management in it */
	bool bind_carbons; /* and carbons */
	bool sm;	   /* among the features after the login */
	char *lists[PROFILES]; /* in the words of XEP-0474 section 6.1; NULL unless read from features */
};

void offer_deinit(struct offer *o);
/* From <stream:features/> before the login. */
void offer_read(struct offer *o, xmpp_stanza_t *features);

/* Write down and read back; without lists. OFFER_MAX of link/vocab.h holds it. */
char *offer_text(const struct offer *o);
/* False: ${text} is nothing that offer_text() wrote. */
bool offer_parse(struct offer *o, const char *text);

/* The bit of a mechanism's name, 0 if we do not know it. */
uint32_t offer_token_mechanism(const char *name);
