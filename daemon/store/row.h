/*
 * Message rows: making them, finding them by an id, and the few ways in which a row changes.
 */
#pragma once

#include "store/put.h"
#include "store/read.h"

#define ROW_CANDIDATES_MAX 256 /* newest rows of a side looked at for one id: a peer that reuses ids must not cost more (C3) */
#define ROW_TURNED_US (INT64_C(10) * 1000000) /* two live messages that came the other way round: milliseconds */
#define ROW_REPLIES_MAX 100    /* earlier-stored answers that a late message can be linked to */

enum row_kind { ROW_TEXT = 0, ROW_RETRACTED = 1, ROW_DROPPED = 2 };

/* A row that may be the one an id names; strings die when the callback returns. */
struct candidate {
	int64_t id, key;
	const char *sender, *xmpp_id, *origin_id;
	bool out;
	uint32_t state;
	enum row_kind kind;
	int64_t time_us;
	enum put_clock clock;
	uint64_t hash;
	bool archived; /* it has an archive id */
	bool ours;     /* our outbox sent it: no other message has its id */
};
typedef void (*candidate_fn)(void *userdata, const struct candidate *c);

/*
 * Can ${c} stand before a reference of ${ref_us} to it, though its sort key says otherwise? As far as clocks and late
 * deliveries turn things round (store/identity.h); of what the archive has, live delivery at most.
 */
bool row_may_precede(const struct candidate *c, int64_t ref_us);
/* Whose: what a contact sends under an id of ours must not crowd ours out. */
enum row_side { ROW_IN = DIRECTION_IN, ROW_OUT = DIRECTION_OUT, ROW_BOTH = 2 };
enum row_side row_side(bool out);
/* Each row of ${conv}, of that side, whose id or origin-id is ${id}; ${fn} must not touch the store. */
int row_candidates(struct put *p, int64_t conv, const char *id, enum row_side side, candidate_fn fn, void *userdata);
/* The same for one row by its number. */
int row_candidate(struct put *p, int64_t conv, int64_t msg, candidate_fn fn, void *userdata);

/*
 * Insert ${it} with its key, and its archive id, which is not known yet; ${placed}: the key is final. What waited for
 * the message is applied.
 */
int row_add(struct put *p, struct item *it, bool placed, int64_t *ret_msg);
/*
 * What names the new row ${msg} by one of its ids and came before it: answers are linked, what waited is applied. Part of
 * row_add(), but for p->late.
 */
int row_welcome(struct put *p, const struct item *it, int64_t msg);
/* The row arrived again as ${it}: the archive's stamp wins (C9). */
int row_seen_again(struct put *p, const struct item *it, int64_t msg);
/* A new state, and why it failed ("" otherwise). */
int row_set_state(struct put *p, int64_t msg, uint32_t state, const char *error, const char *error_text);
/* ${msg}, called ${id}, goes: what answers it answers nothing that is here. */
int row_unlink_replies(struct put *p, int64_t conv, const char *id, int64_t msg);
/* Its place follows from its placed archive ids: the earliest. No change if it has none. */
int row_rekey(struct put *p, int64_t msg);
/* Where the row is, and whether that is final. */
int row_key(struct put *p, int64_t msg, int64_t *ret_key, bool *ret_placed);
/* Whether the archive has another content for an incoming row than it was first received with. */
int row_differs(struct put *p, const struct item *it, int64_t msg, bool *ret);
/* The greatest sort key in use, INT64_MIN if none. */
int row_top_key(struct put *p, int64_t *ret);
