/*
 * JIDs as byte strings (RFC 7622): split, check, fold. The keeper compares what servers send, which is normalised by
 * them; ASCII is folded here too, so that what a user types finds its row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A valid bare JID with a localpart and a domain ("alice@example.org"). */
bool jid_is_bare_user(const char *s);
/* Any valid JID: [local@]domain[/resource], parts of 1 to 1023 bytes, UTF-8, no control characters or spaces. */
bool jid_is_valid(const char *s);
/* The bare JID of ${s} with ASCII folded to lower case; the caller frees. Never NULL; "" for "". */
char *jid_bare(const char *s);
/* The domain of ${s}, a copy, folded. */
char *jid_domain(const char *s);
/* Points into ${s} behind the '/', or "" if there is none. */
const char *jid_resource(const char *s);
/* ${full} (any JID) has the bare JID ${bare}, which is already folded. */
bool jid_bare_equal(const char *full, const char *bare);
