/*
 * Read states that we publish for our other devices (XEP-0490): what becomes of them. A publication is refused where
 * the node was made with other options than ours (XEP-0060 section 7.1.5), or where the server does not know one of
 * them there (ejabberd 23: max_items). Then the node is made or configured, once a stream, and what was refused is
 * published again with no more conditions than that it is private. Any further error is the end of it: the next read
 * state says more than this one did.
 */
#pragma once

#include "link/link.h"
#include "wire/iq.h"
#include "wire/mam.h"

struct mds;

/* ${own_bare} is copied; ${iqs} stays the caller's and outlives it; ${ops} is copied. */
struct mds *mds_new(const char *own_bare, struct iq_table *iqs, const struct mam_ops *ops);
struct mds *mds_free(struct mds *m);
DEFINE_CLEANUP(struct mds *, mds_free);
/* The bare JID turned out to be written otherwise. Copied. */
void mds_set_own(struct mds *m, const char *own_bare);

/* The node is known to be as it should be: compose_send() need not say it all. */
bool mds_is_configured(const struct mds *m);
/* ${send}, of kind OUT_READ, is on its way as compose_send() made it. */
void mds_published(struct mds *m, const struct link_send *send);
