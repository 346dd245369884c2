/*
 * The XML stream, read by expat: bytes in, stanzas out, every size limited (wire/limits.h). Differences to
 * libstrophe's own parser, which all were attacks on it (docs/decisions/0002): the namespace of an attribute is not
 * forgotten, so a prefixed 'from' is no 'from'; a long tag does not hold back what follows; text is collected once,
 * not once a line; DTDs, comments and processing instructions end the stream, as RFC 6120 section 11.1 wants.
 *
 * A stanza over a limit arrives as what is left of it (its addresses and ids) with the reason beside it: it still
 * counts (XEP-0198), so that the server does not repeat it for ever.
 *
 * Names that expat interns stay until the parser is renewed; a peer who invents millions of them meets RLIMIT_DATA.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <strophe.h>

#include "base/mem.h"

struct xml;

enum xml_event_kind {
	XML_NOTHING, /* feed more */
	XML_OPENED, /* <stream:stream>: ${element} has its attributes */
	XML_STANZA, /* a whole child of the stream */
	XML_CLOSED, /* </stream:stream> */
	XML_BROKEN, /* ${condition} is a stream error (RFC 6120 section 4.9.3); nothing follows */
};

struct xml_event {
	enum xml_event_kind kind;
	xmpp_stanza_t *element; /* the caller releases */
	const char *dropped; /* XML_STANZA: NULL, or which limit it broke; static */
	const char *condition; /* XML_BROKEN; static */
	const char *text; /* XML_BROKEN; for people; static */
};

/* ${ctx} stays the caller's and outlives the reader. */
struct xml *xml_new(xmpp_ctx_t *ctx);
struct xml *xml_free(struct xml *x);
DEFINE_CLEANUP(struct xml *, xml_free);

/* Our bare JID (copied): iq results from it, or without a from, get the larger limits of a roster. */
void xml_set_own(struct xml *x, const char *bare);

/* Parse ${len} bytes; what they complete waits for xml_next(). Any ${len}. */
void xml_feed(struct xml *x, const char *data, size_t len);
/* Take the oldest event. */
enum xml_event_kind xml_next(struct xml *x, struct xml_event *ret);
/*
 * Forget everything, also events not taken: the next byte begins a new stream. After <proceed/> this is what keeps
 * plaintext that an attacker put behind it from being read as if it had come through TLS (CVE-2011-0411 class).
 */
void xml_restart(struct xml *x);
