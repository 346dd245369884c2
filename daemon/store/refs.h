/*
 * What one message says about another: corrections (XEP-0308), retractions (XEP-0424), reactions (XEP-0444), receipts
 * (XEP-0184), markers (XEP-0333), errors (RFC 6120 section 8.3). Applied to the row of the target in any order of
 * arrival, after a check of who says so:
 *
 *   correction   by the author of the target; the newest by sort key stays, also when an older one comes later (H2)
 *   retraction   by the author; final: the text is gone, corrections and reactions after it have no effect (H4)
 *   reaction     by anybody in the conversation; each author's newest set replaces the one before
 *   receipt, marker   by the other side, for messages of ours: sent -> delivered -> displayed, never back
 *   own marker   by another device of ours: everything up to the target is read
 *   own read     the same by XEP-0490, which names the archive id of the target
 *   error        by the other side, for a message of ours that did not arrive: failed
 *
 * A target is named by its id or origin-id, in rooms also by the room's stanza-id; a correction's own id also names
 * what it corrected. Of several that have the name it is the newest one before the reference (C3). What has no target yet
 * waits in pending.c, also while others have its name. A private message of a room is by its occupant: the full JID.
 */
#pragma once

#include "store/put.h"

#define REFS_CORRECTIONS_MAX 200 /* ids kept a message: who corrects more often names the first id anyway */
#define REFS_REACTORS_MAX 500	 /* authors a message: a large room; about 40 kB in a row at most */

enum ref_kind {
	REF_CORRECTION = 0,
	REF_REACTION = 1,
	REF_RETRACTION = 2,
	REF_RECEIPT = 3,
	REF_MARKER = 4,
	REF_OWN_MARKER = 5,
	REF_OWN_READ = 6, /* target: refs_read_target() */
};

/* Strings are not owned. */
struct ref {
	enum ref_kind kind;
	int64_t conv;
	const char *target;
	const char *author;	/* as struct item has it */
	const char *id;		/* its own id, by which another copy of it is known; "" = none */
	const char *value;	/* corrections: the new body; reactions: emoji separated by tabs */
	const char *encryption; /* of a correction */
	int64_t key;
	int64_t time_us;
	bool archived; /* that is the archive's stamp */
	bool room;
};

/*
 * Apply to the target: 1 applied (or without effect for good), 0 if there is no target here about which this author
 * may say that (H5), or -errno.
 */
int refs_apply(struct put *p, const struct ref *ref);
/* How the archive id ${id} stands as the target of REF_OWN_READ, apart from all message ids; the caller frees. */
char *refs_read_target(const char *id);
/* A room's own retraction (XEP-0425) names its stanza-id ${id}, apart from all message ids; the caller frees. */
#define REFS_BY_ROOM '\002'
char *refs_moderated_target(const char *id);
/* Store ${it}, which is one of these payloads: apply it or let it wait. 1 if it did or may do something, 0 if not. */
int refs_put(struct put *p, struct item *it);
/* The row that ${it}, a reference in conversation it->conv, names now; *ret 0 if there is none. */
int refs_target(struct put *p, struct item *it, int64_t *ret_msg);
/* The text of ${msg} is gone (also for a tombstone in the archive). */
int refs_retract(struct put *p, int64_t msg);
