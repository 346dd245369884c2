/*
 * SASL for one login: SCRAM (RFC 5802, 7677) and PLAIN by GNU SASL; SCRAM-SHA-512, which GNU SASL 2.2 does not have,
 * by wire/scram.c. Base64 in and out, as it stands in XMPP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct sasl;

/* sasl_choose(): nothing that we may use is offered. */
#define SASL_E_NONE 1
/* sasl_step(), sasl_success(): the server does not know the password, or does not speak the mechanism. */
#define SASL_E_SERVER 2

/*
 * The strongest of the ${n} names ${offered} that may be used: SCRAM-SHA-512, -256, -1, then PLAIN if ${allow_plain}.
 * NULL if none. Static.
 */
const char *sasl_choose(const char *const *offered, size_t n, bool allow_plain);

/*
 * Log in as ${user} (localpart) with ${mechanism} from sasl_choose(). ${password} is copied, and wiped when freed.
 * 0 or -errno.
 */
int sasl_new(const char *mechanism, const char *user, const char *password, struct sasl **ret);
struct sasl *sasl_free(struct sasl *s);
DEFINE_CLEANUP(struct sasl *, sasl_free);

/* The initial response. The caller frees *ret_base64. 0, -errno. */
int sasl_initial(struct sasl *s, char **ret_base64);
/* Answer a <challenge/>. 0, SASL_E_SERVER. */
int sasl_step(struct sasl *s, const char *challenge_base64, char **ret_base64);
/*
 * <success/> came with ${data_base64} ("" for none). 0 only if the server has proved that it knows the password, which
 * SCRAM demands (RFC 5802 section 5); else SASL_E_SERVER.
 */
int sasl_success(struct sasl *s, const char *data_base64);
