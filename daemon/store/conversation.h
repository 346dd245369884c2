/*
 * What a user does with a conversation: open it, pin, archive or mute it, leave a draft in it, read it, delete it or
 * messages of it on this machine. What follows from messages alone is store/conv.h. All need an open transaction; a
 * conversation is named by its bare JID.
 *
 * Deleting. The rows of messages are gone, with their words (the search index erases them at idle), and leave
 * tombstones in the feed. Their archive ids stay as places without a message, and what another copy could still be
 * recognised by stays in table gone: so neither a page of the archive nor a stanza that is sent again brings them back.
 * What older pages bring of a conversation that was deleted is not stored either; newer messages make it anew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define CONVERSATION_DRAFT_MAX (64 * 1024) /* bytes: as long as a message may be (store/outbox.h) */
/*
 * Messages deleted by one call, and the time after which it is enough; the rest at idle. In an archive of a million each one
 * reads pages of eight trees that nobody has read lately: a thousand took 0.8 s.
 */
#define CONVERSATION_DELETE_ROWS 1000
#define CONVERSATION_DELETE_LEAST 50
#define CONVERSATION_DELETE_US 10000
#define GONE_MAX 100000			   /* rows of table gone; the oldest go first */

enum { CONVERSATION_E_NONE = 1, CONVERSATION_E_NO_MESSAGE };

/* What is set changes; the rest stays. */
struct conversation_change {
	bool set_pinned, pinned, set_archived, archived, set_muted, set_draft;
	int64_t muted_until_us; /* INT64_MAX: for good; 0: not */
	const char *draft;
};

/* It exists from now on, also without a message. *ret_id (caller frees): its id, ${jid} as it is stored. */
int conversation_open(struct store *s, int64_t account, const char *jid, int64_t now_us, char **ret_id);
/* CONVERSATION_E_NONE, 0. */
int conversation_set(struct store *s, int64_t account, const char *id, const struct conversation_change *c);
/*
 * Everything up to message ${msg} (0: everything) is read; never back, so an older one changes nothing. *ret_msg: the
 * row up to which it was asked for, 0 in an empty conversation: outbox_owe_read() tells the others.
 */
int conversation_mark_read(struct store *s, int64_t account, const char *id, int64_t msg, int64_t *ret_msg);
/* Rows that are not of the account are left out. What never left of them is cancelled. */
int conversation_delete_messages(struct store *s, int64_t account, const int64_t *ids, size_t n, int64_t now_us);
/* With what the user set. The newest messages at once, as far as that is quick, older ones by store_upkeep(). */
int conversation_delete(struct store *s, int64_t account, const char *id, int64_t now_us);
