/*
 * Reading libstrophe's stanzas: thin names over its public API, with "" instead of NULL and with the namespace always
 * compared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strophe.h>

#include "base/mem.h"

/* ${el} is <name xmlns='ns'/>. NULL is not. */
bool element_is(xmpp_stanza_t *el, const char *name, const char *ns);
/* The first child <name xmlns='ns'/>, or NULL. */
xmpp_stanza_t *element_child(xmpp_stanza_t *el, const char *name, const char *ns);
/* The next sibling <name xmlns='ns'/> after ${el}, or NULL. */
xmpp_stanza_t *element_next(xmpp_stanza_t *el, const char *name, const char *ns);
/* The value of an unprefixed attribute ("xml:lang" is kept under that name), "" without. The stanza's. */
const char *element_attr(xmpp_stanza_t *el, const char *name);
/* The xs:unsignedInt of an attribute; false, and *ret as it was: there is none, or it is no such number. */
bool element_u32(xmpp_stanza_t *el, const char *name, uint32_t *ret);
/* Name and namespace, "" without. */
const char *element_name(xmpp_stanza_t *el);
const char *element_ns(xmpp_stanza_t *el);
/* All text directly inside, "" without or for NULL; the caller frees. Never NULL. */
char *element_text(xmpp_stanza_t *el);
/* The same for a child. */
char *element_child_text(xmpp_stanza_t *el, const char *name, const char *ns);
/*
 * The RFC 6120 error condition inside ${error} (a stanza, stream or SASL error): the name of the first child in ${ns}
 * that is not <text/>; "undefined-condition" if there is none. The stanza's.
 */
const char *element_condition(xmpp_stanza_t *error, const char *ns);

static inline void element_releasep(xmpp_stanza_t **el)
{
	if (*el)
		xmpp_stanza_release(*el);
}
