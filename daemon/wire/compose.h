/*
 * What the keeper wants said -> stanzas. Pure. Every string is escaped, and one that XML cannot carry (RFC 6120 section
 * 11.1: no control characters) is refused: a stream dies of it, and everything behind it.
 */
#pragma once

#include "link/vocab.h"

/* It cannot be sent as it is: *ret_condition as in RFC 6120 section 8.3.3, *ret_text for people; both static. */
#define COMPOSE_E_UNSENDABLE 1

/*
 * The stanza of ${send}. ${own_bare}: us, as the server writes it. ${configured}: the node of our read states is as it
 * should be, so that publishing need not make it. *ret: the caller frees. 0 or COMPOSE_E_UNSENDABLE.
 */
int compose_send(const struct link_send *send, const char *own_bare, bool configured, char **ret,
		 const char **ret_condition, const char **ret_text);

/* A chat state on its own. As above. */
int compose_chat_state(const struct link_chat_state *state, char **ret, const char **ret_condition,
		       const char **ret_text);
/* The stanza of ${request}, an iq with ${id} or a presence. As above. */
int compose_request(const struct link_request *request, const char *id, char **ret, const char **ret_condition,
		    const char **ret_text);
/* The iq that makes the node of our read states as it should be, or makes an existing one so. The caller frees. */
char *compose_read_node(const char *id, bool create);
/* Our presence, to everybody. Strings as in REQUEST_PRESENCE. The caller frees. NULL: they are no XML. */
char *compose_presence(const char *show, const char *status);
