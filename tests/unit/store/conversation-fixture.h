/*
 * What the suites of conversations and contacts share: what a user does with them, each in a transaction of its own, the list
 * of conversations and the feed as one string.
 */
#pragma once

#include "fixture.h"
#include "store/conversation.h"

void open_conv(struct fx *fx, const char *jid);
/* Outcomes of conversation_set(), conversation_mark_read() (of Bob's) and conversation_delete(). */
int set(struct fx *fx, const char *jid, struct conversation_change c);
int mark_read(struct fx *fx, int64_t msg);
int delete_conv(struct fx *fx, const char *jid);
/* The oldest message that has this body. */
void delete_message(struct fx *fx, const char *body);
/* Until nothing is left to do. */
void upkeep(struct fx *fx);

/* Titles of all pages of the list, in order; valid until the next call. */
const char *list(struct fx *fx, struct conversation_query q);
/*
 * What changed since, in order: "Mbody", "Cjid" with '!' blocked and '-' without a message, "Rjid:subscription" with '?'
 * asking, '!' blocked and '-' not in the roster, "-kind:key" removed. Valid until the next call.
 */
const char *feed(struct fx *fx, uint64_t since);
