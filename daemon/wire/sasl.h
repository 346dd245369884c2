/*
 * SASL for one login: SCRAM (wire/scram.h), HT (wire/ht.h) and PLAIN (RFC 4616). Base64 in and out, as it stands in
 * XMPP. Which of them may be used is decided in wire/choice.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct sasl;

/* sasl_step(), sasl_success(): the server does not know the secret, or does not speak the mechanism. */
#define SASL_E_SERVER 2
/* sasl_step(): what it says that it offered is not what arrived here (XEP-0474). */
#define SASL_E_OFFER 3

struct sasl_login {
	const char *mechanism; /* SCRAM-SHA-{1,256,512}{,-PLUS} HT-SHA-256-{NONE,ENDP,EXPR} PLAIN */
	const char *user;      /* localpart */
	const char *secret;    /* password, or token for HT */
	const char *gs2;       /* SCRAM: as for scram_new() */
	const void *binding;
	size_t binding_len;
};

/* All of ${login} is copied; the secret is wiped when freed. 0 or -errno. */
int sasl_new(const struct sasl_login *login, struct sasl **ret);
struct sasl *sasl_free(struct sasl *s);
DEFINE_CLEANUP(struct sasl *, sasl_free);

/* As scram_expect_offer(); nothing for other mechanisms. */
void sasl_expect_offer(struct sasl *s, const char *lists, bool must);
/* The initial response. The caller frees. */
char *sasl_initial(struct sasl *s);
/* Answer a <challenge/>. The caller frees *ret_base64. 0, SASL_E_SERVER, SASL_E_OFFER. */
int sasl_step(struct sasl *s, const char *challenge_base64, char **ret_base64);
/*
 * <success/> came with ${data_base64} ("" for none). 0 only if the server has proved that it knows the secret, which
 * SCRAM (RFC 5802 section 5) and HT demand; else SASL_E_SERVER.
 */
int sasl_success(struct sasl *s, const char *data_base64);
