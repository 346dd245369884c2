/*
 * Our own open requests: an <iq/> of type result or error is believed only if both its id and its from are those of
 * a request that is open (I8). Our table, not libstrophe's: that one leaks 65 bytes for each id.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strophe.h>

#include "base/mem.h"

struct iq_table;

/* How a request ended. */
struct iq_answer {
	xmpp_stanza_t *iq; /* NULL: nothing came in time */
	bool ok; /* type='result' and not over a limit */
	const char *condition; /* RFC 6120 section 8.3.3 when not ok */
	uint32_t n; /* XEP-0198 number of the answer */
};

/* The request is forgotten already when this runs: it may send others. */
typedef void (*iq_done_fn)(void *userdata, uint32_t cookie, const struct iq_answer *a);

/* ${own_bare} is copied; an answer without from is from there (RFC 6120 section 8.1.2.1). */
struct iq_table *iq_table_new(const char *own_bare);
/* Open requests are forgotten without a word. */
struct iq_table *iq_table_free(struct iq_table *t);
DEFINE_CLEANUP(struct iq_table *, iq_table_free);

/* The bare JID turned out to be written otherwise. Copied. */
void iq_table_set_own(struct iq_table *t, const char *own_bare);

/* An id that this process has not used, random in front so that no other process has either. The caller frees. */
char *iq_new_id(struct iq_table *t);
/*
 * Expect the answer to request ${id}, sent to ${to} ("" = own account), until ${deadline_us}. False if too many are
 * open already: do not send it then.
 */
bool iq_expect(struct iq_table *t, const char *id, const char *to, int64_t deadline_us, iq_done_fn done,
	       void *userdata, uint32_t cookie);
/* An <iq/> of type result or error came, ${dropped} as from wire/xml.h. True if it answered a request. */
bool iq_settle(struct iq_table *t, xmpp_stanza_t *iq, const char *dropped, uint32_t n);
/* End what is overdue at ${now_us}. Returns the earliest deadline left, 0 if nothing is open. */
int64_t iq_expire(struct iq_table *t, int64_t now_us);
