/*
 * Conversation rows: the newest message, what is unread, since when. They follow from the messages and are brought up
 * to date once at the end of each call that wrote messages, so that a page of 250 messages costs one update.
 *
 * The unread rule. An incoming text message is unread unless it sorts at or below
 *   - the newest message that this account sent into the conversation, from whatever device, or
 *   - the newest message that one of its devices marked as displayed (XEP-0333).
 * What was in the archive before the account was added here (everything that sorts up to the account's first message)
 * is backlog: of it at most the newest CONV_BACKLOG_MAX of a conversation are unread. So a first sync of ten years
 * does not report thousands of unread messages, and what came in last without an answer still shows.
 */
#pragma once

#include "store/put.h"

#define CONV_BACKLOG_MAX 20	/* messages: about a screen */
#define CONV_UNREAD_MAX 10000	/* messages: the count stops there, so that its cost is bounded */
#define CONV_SETTLE_MAX 5000	/* rows marked as read at a time; the rest the next time */

/* The conversation of ${it} into it->conv, made if it is not there; it stays invisible until it has a message. */
int conv_get(struct put *p, struct item *it);
/* Look only: it->conv stays 0 if there is none. */
int conv_find(struct put *p, struct item *it);
/* The conversation ${jid}, *ret 0 if there is none. */
int conv_look_up(struct put *p, const char *jid, int64_t *ret, bool *ret_room);
/* Something in it changed: settle it at the end of the call. */
void conv_dirty(struct put *p, int64_t conv);
/* The same, for a row that is new and unread: nothing that was there before it is touched. */
void conv_dirty_unread(struct put *p, int64_t conv);
/* Everything up to message ${msg} is read; never moves back. */
int conv_read_to(struct put *p, int64_t conv, int64_t msg);
/* What is here unread below ${key} is read; what comes to stand there later is not. 1, 0 if nothing was unread. */
int conv_read_present(struct put *p, int64_t conv, int64_t key);
/* As conv_read_to(), for a place that has no message. */
int conv_read_to_key(struct put *p, int64_t conv, int64_t key);
/* The other side has displayed our message ${msg}; never back. */
int conv_seen(struct put *p, int64_t conv, int64_t msg);
/* Our other devices know that all is read up to ${msg}; never back. */
int conv_told(struct put *p, int64_t conv, int64_t msg);
/* The row changed in something that its messages do not say. */
int conv_touch(struct put *p, int64_t conv);
/* Coverage changed: which conversations have a hole above their oldest message (CONV_HAS_GAP)? */
int conv_gaps(struct store *s, int64_t account);
/* conv-settle.c: bring all dirty conversations up to date; forgets them. */
int conv_settle(struct put *p);
/* Something of ${jid} in the roster changed that its conversation shows: title, blocked, whether typing is told. */
int conv_renamed(struct store *s, int64_t account, const char *jid);
