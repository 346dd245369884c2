/*
 * Stanzas that say something of the moment, not for the archive: presence, chat states, the block list, how far other
 * devices have read. Pure: a stanza in, records out. All the checks that decide whose word is believed are here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <strophe.h>

#include "link/link.h"
#include "wire/record.h"

/* Where records go. A list carries the stanza's number on its last record alone: it is durable when that is. */
struct notice_sink {
	void (*emit)(void *userdata, const struct link_record *r);
	void *userdata;
};

/* A <presence/> with number ${n}: PRESENCE, or nothing (no address, or a type that is none). */
void notice_presence(const struct record_context *c, xmpp_stanza_t *presence, const char *dropped, uint32_t n,
		     const struct notice_sink *to);
/*
 * The chat state (XEP-0085) in a <message/> that is addressed to us: TYPING. Nobody types in a carbon, a delayed
 * message, an error or a room, and what our own account does elsewhere is of no interest. ${n}: 0 if a record named
 * the stanza's number already.
 */
void notice_typing(const struct record_context *c, xmpp_stanza_t *message, const char *dropped, uint32_t n,
		   const struct notice_sink *to);
/*
 * A <message/> that is an event of one of our own account's nodes (XEP-0163): READ for what it says of read states
 * (XEP-0490). True if it is one, whether or not it said anything: then it is no message of anybody.
 */
bool notice_event(const struct record_context *c, xmpp_stanza_t *message, const char *dropped, uint32_t n,
		  const struct notice_sink *to);
/* The answer to the question for all read states: READ for each. */
void notice_read_states(const struct record_context *c, xmpp_stanza_t *iq, uint32_t n, const struct notice_sink *to);
/* The whole block list (XEP-0191), answered: BLOCKED, at least one. */
void notice_blocklist(xmpp_stanza_t *iq, uint32_t n, const struct notice_sink *to);
/* A change of it, pushed; the caller has seen that it is from our own account. False: ${iq} is no such thing. */
bool notice_block_push(xmpp_stanza_t *iq, uint32_t n, const struct notice_sink *to);
