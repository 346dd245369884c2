/*
 * Stream management (XEP-0198): the counters, and nothing else. Numbers are modulo 2^32: 2^32-1 is followed by 0, and
 * all comparison is by difference.
 *
 *   inbound   counted from <enabled/> (D6) or on from the committed number after <resumed/> (D7); what we tell the
 *             server is never more than what the keeper has committed
 *   outbound  counted from <enable/>, first stanza 1 (D2); after a resume on from the server's h: what it has not
 *             seen died with the old stream
 *
 * An outbound stanza is numbered first and written later: one of the outbox (an item) not before the keeper said GO,
 * whatever comes behind it not before it (wire/outgoing.h). Without stream management items alone are numbered, from
 * 1, and a ping sent behind them says what the server has.
 *
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Questions that are open at once: a burst of ON_WAY_ITEMS_MAX gives eight, and one is behind them. */
#define SM_ASKING_MAX 9

struct sm {
	bool counts_in;
	bool counts_out;
	uint32_t in; /* number of the last stanza received */
	uint32_t committed; /* the keeper has made durable up to here */
	uint32_t told; /* the h that we sent last */
	uint32_t numbered; /* the last number given */
	uint32_t go; /* items up to here may be written */
	uint32_t out; /* number of the last stanza written */
	uint32_t acked; /* the server has up to here */
	uint32_t asked; /* ${out} when we last asked */
	uint32_t grant; /* the keeper lets us number up to here */
	uint32_t item; /* the last item written, while ${item_waits} */
	bool item_waits; /* the server has not acknowledged that one */
	bool item_asked; /* we have asked since it was written */
	unsigned int asking; /* questions for the server's count that are unanswered */
	uint32_t asked_at[SM_ASKING_MAX]; /* ${out} at each of them */
};

/* The peer claims to have handled more than was sent (XEP-0198 section 4: handled-count-too-high). */
#define SM_E_TOO_HIGH 1

/* <enable/> goes out now; ${allowance} stanzas may follow before the keeper grants more. */
void sm_enable(struct sm *sm, uint32_t allowance);
/* <enabled/> came. */
void sm_enabled(struct sm *sm);
/* <enable/> was refused: nothing counts. */
void sm_refused(struct sm *sm);
/*
 * <resumed h='${h}'/> came. ${in} is the committed inbound number, ${acked} what the server had acknowledged,
 * ${grant} the highest number that an earlier stream may have sent. 0 or SM_E_TOO_HIGH.
 */
int sm_resumed(struct sm *sm, uint32_t in, uint32_t acked, uint32_t grant, uint32_t h);

/* A stanza came in: its number, 0 while nothing counts. */
uint32_t sm_received(struct sm *sm);
/* The keeper committed up to ${n}; numbers not received, or older than known, are ignored. */
void sm_committed(struct sm *sm, uint32_t n);
/* Enough is committed and not told for an unasked <a/> now. */
bool sm_ack_due(const struct sm *sm);
/* Something is committed and not told. */
bool sm_ack_owed(const struct sm *sm);
/* The h to send now; it is then told. */
uint32_t sm_tell(struct sm *sm);
/* So much is uncommitted that no more should be read. */
bool sm_full(const struct sm *sm);

/* May one more be numbered? Always while nothing counts. */
bool sm_may_number(const struct sm *sm);
/* The next number; 0 for what is no ${item} while nothing counts. */
uint32_t sm_number(struct sm *sm, bool item);
/* The keeper lets items up to ${n} go; numbers never given, or older than known, are ignored. */
void sm_go(struct sm *sm, uint32_t n);
/* Item ${n} may be written. */
bool sm_may_write(const struct sm *sm, uint32_t n);
/* Stanza ${n} (0: not numbered) is written. */
void sm_wrote(struct sm *sm, uint32_t n, bool item);
/* The keeper raises the grant; a lower one is ignored. */
void sm_granted(struct sm *sm, uint32_t n);
/* The grant runs out soon. */
bool sm_grant_low(const struct sm *sm);
/*
 * Time to ask for the server's count: at once behind an item, else after some stanzas; while a question is open only
 * after so many that a slow server would be silent too long. sm_requested() says that it is asked: by <r/>, or by a
 * ping while nothing counts.
 */
bool sm_request_due(const struct sm *sm);
/*
 * The same in the middle of a burst of items: a slow server that is heard of is told from a dead one, and a cut leaves
 * less in doubt.
 */
bool sm_request_due_between(const struct sm *sm);
void sm_requested(struct sm *sm);
/* <a h='${h}'/> came. 0 or SM_E_TOO_HIGH. */
int sm_acked(struct sm *sm, uint32_t h);
/* Nothing counts, and the ping that was sent behind number ${n} was answered. */
void sm_pong(struct sm *sm, uint32_t n);
