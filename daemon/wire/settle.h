/*
 * The first requests of a session: carbons, what server and account can do, roster, presence. Sent in one flight;
 * READY when both disco answers are there. What they say the server can do is asked for then: the block list, and how
 * far other devices have read. Nothing of it after a resume, when all of it still holds (D23).
 */
#pragma once

#include <stdbool.h>
#include <strophe.h>

#include "base/mem.h"
#include "wire/mam.h"

struct settle;

/* ${context} and ${iqs} stay the caller's and outlive it; strings and ${ops} are copied. */
struct settle *settle_new(const char *domain, const struct record_context *context, struct iq_table *iqs,
			  const struct mam_ops *ops);
struct settle *settle_free(struct settle *s);
DEFINE_CLEANUP(struct settle *, settle_free);

/* The archive (enum link_archive_kind) of the session before: it still holds if the account's disco answer is an error. */
void settle_know(struct settle *s, uint32_t archive);
/* Send everything: carbons before presence, so that no message goes past this device (XEP-0280). */
void settle_begin(struct settle *s);
/*
 * The session is resumed: READY's values come from START. Answers to the requests of the stream before may still be
 * repeated by the server; those with a fixed id are expected.
 */
void settle_resumed(struct settle *s, const struct link_start *start);
/* With how many stanzas the session in ${start} began to settle, numbers 1 and on: fewer, and the server has not all. */
uint32_t settle_stanzas(const struct link_start *start);
/* The stream's features have CSI (XEP-0352): kept as a feature of the server, as a resume may show none. */
void settle_csi(struct settle *s);
/* Server or account have ${feature}. */
bool settle_has(const struct settle *s, const char *feature);
/* Both disco answers are in, or their deadline passed. */
bool settle_is_done(const struct settle *s);
/* READY as it stands; strings are ${s}'s. */
void settle_fill_ready(const struct settle *s, struct link_ready *ret);

/* A roster push or result ${iq}, number ${n}, as ROSTER records. ${full}: what is not named is gone. */
void settle_emit_roster(struct settle *s, xmpp_stanza_t *iq, uint32_t n, bool full);
