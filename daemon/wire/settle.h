/*
 * The first requests of a session: carbons, what server and account can do, roster, presence. Sent in one flight;
 * READY when both disco answers are there. Not after a resume, when all of it still holds (D23).
 */
#pragma once

#include <stdbool.h>
#include <strophe.h>

#include "base/mem.h"
#include "wire/mam.h"

struct settle;

/* ${iqs} stays the caller's and outlives it; strings and ${ops} are copied. */
struct settle *settle_new(const char *domain, struct iq_table *iqs, const struct mam_ops *ops);
struct settle *settle_free(struct settle *s);
DEFINE_CLEANUP(struct settle *, settle_free);

/* Send everything: carbons before presence, so that no message goes past this device (XEP-0280). */
void settle_begin(struct settle *s);
/*
 * The session is resumed: READY's values come from START. The answer to the roster request of the stream before may
 * still be repeated by the server; it is expected under its fixed id.
 */
void settle_resumed(struct settle *s, const struct link_start *start);
/* Both disco answers are in, or their deadline passed. */
bool settle_is_done(const struct settle *s);
/* READY as it stands; strings are ${s}'s. */
void settle_fill_ready(const struct settle *s, struct link_ready *ret);

/* A roster push or result ${iq}, number ${n}, as ROSTER records. ${full}: what is not named is gone. */
void settle_emit_roster(struct settle *s, xmpp_stanza_t *iq, uint32_t n, bool full);
