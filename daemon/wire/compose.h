/*
 * What the keeper wants said -> stanzas. Pure. Every string is escaped, and one that XML cannot carry (RFC 6120 section
 * 11.1: no control characters) is refused: a stream dies of it, and everything behind it.
 */
#pragma once

#include "link/vocab.h"

/* It cannot be sent as it is: *ret_condition as in RFC 6120 section 8.3.3, *ret_text for people; both static. */
#define COMPOSE_E_UNSENDABLE 1

/*
 * The stanza of ${send}. ${own_bare}: us, as the server writes it. *ret: the caller frees. 0 or COMPOSE_E_UNSENDABLE.
 */
int compose_send(const struct link_send *send, const char *own_bare, char **ret, const char **ret_condition,
		 const char **ret_text);
