/*
 * What of the outbox is with the wire: how much of it at a time, in which order numbers come back, what a broken stream
 * says about it. Decisions only; sync/sending.c acts. Pure.
 *
 *                 SEND               NUMBERED              stored, GO               ACKED
 *      (waits) ---------> OFFERED -------------> NUMBERED -------------> GONE ----------------> (done)
 *                            |  UNSENDABLE
 *                            +-----------> (failed)
 *
 * A *burst* is what is OFFERED or NUMBERED. It becomes durable in one transaction and leaves with one GO; the next one
 * is offered after that, so whatever was sent meanwhile shares a transaction.
 *
 * Poison: a server may end the stream over a stanza (policy-violation, not-well-formed ...). It does not say over
 * which. So after such an end the suspects, those that may have been on their way, are sent again one at a time: a
 * message that cannot be sent then fails alone, and nothing else fails with it. Networks break streams too, without a
 * word: that makes us careful only if it happens again and again without one ack.
 *
 * A server that only closes the connection says no more than a bad network does. Such an end is held against a message
 * only by experiment: when the other end has closed FLIGHT_SOON_MAX streams in a row right after this message went
 * alone, the next stream has to stand for FLIGHT_STEADY_US without it (other conversations go on) and to answer a
 * question; only then it goes, and only if the other end closes that one too, at once, it is a strike. A stream that
 * does not stand so long speaks for the message: it is the link, and all begins anew.
 *
 * A server that falls silent, or closes later, says even less, and never fails a message. But when FLIGHT_SOON_MAX
 * streams ended over a message that went alone, it is *late*: the others go first. It rests while streams stand, for
 * twice as long each time, so that whatever it does to the stream costs the others less and less; a message that was
 * merely unlucky goes half a minute later. A stream that ends before it has stood for FLIGHT_STEADY_US, with nothing on
 * its way, speaks for all that are late: where streams end by themselves, the next may be the one that carries it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cover.h"

#define FLIGHT_ITEMS_MAX 100		    /* items with the wire and not acknowledged: what a lost session leaves in doubt */
#define FLIGHT_BYTES_MAX (512 * 1024)	    /* or so much text: a minute of a 2G link */
#define FLIGHT_FRUITLESS_MAX 3		    /* streams that broke over items without one ack, until we are careful */

#define FLIGHT_SOON_US (INT64_C(5) * 1000000)	    /* between a message and the close that may be about it */
#define FLIGHT_SOON_MAX 3			    /* such closes in a row before the experiment */
#define FLIGHT_STEADY_US (INT64_C(30) * 1000000)    /* a stream that works: six times as long as the other has to break */

#define FLIGHT_REST_US (INT64_C(30) * 1000000)	    /* the first rest of what is late: as long as the experiment's */
#define FLIGHT_REST_CAP_US (INT64_C(600) * 1000000) /* a server that was mended is tried so soon */
#define FLIGHT_VAIN_MAX 32 /* messages of which it is known; with more, those known the longest begin anew */

enum flight_state { FLIGHT_OFFERED, FLIGHT_NUMBERED, FLIGHT_GONE };

struct flight_item {
	int64_t id;
	enum flight_state state;
	uint32_t n; /* XEP-0198 number, from NUMBERED on */
	int64_t seq; /* its place when it was offered */
	size_t bytes;
	bool alone; /* nothing else is offered as long as it is here */
	bool withdrawn; /* NUMBERED: it was cancelled meanwhile, or changed; with GO it is gone from here */
};

/* A message that went alone, without an answer. */
struct flight_vain {
	int64_t id;
	unsigned int streams; /* that ended over it */
	int64_t rest_us;      /* how long it is still kept back, on streams that stand */
};

struct flight {
	struct flight_item items[FLIGHT_ITEMS_MAX]; /* in the order of offers */
	size_t n;
	size_t bytes;
	uint32_t last;	/* the newest number, if ${has_last} */
	bool has_last;
	bool careful;		/* there are suspects; survives the stream */
	unsigned int fruitless; /* streams in a row */
	int64_t suspect;	/* went alone before the other end closed */
	unsigned int soon;	/* streams in a row that ended so */
	int64_t stands_us;	/* since when the stream has a session, 0 = it has none */
	int64_t went_us;	/* of the last GO */
	struct flight_vain vain[FLIGHT_VAIN_MAX]; /* the one known the longest first */
	size_t n_vain;
};

/* A stream has its session: what was with the wire before is forgotten. */
void flight_begin(struct flight *f, int64_t now_us);
/* How long this item is kept back on this stream, 0 = not. */
int64_t flight_hold(const struct flight *f, int64_t id, int64_t now_us);
/* How many are late: the others go first. */
size_t flight_late(const struct flight *f);

/* May this item be offered now? ${again}: it may have left before; ${strikes}: streams ended over it alone. */
bool flight_may(const struct flight *f, size_t bytes, bool again, uint32_t strikes);
/* It was offered; flight_may() said yes. */
void flight_offer(struct flight *f, int64_t id, int64_t seq, size_t bytes, bool again, uint32_t strikes);
/* Its number came. False: it was not offered, is out of order, or the number is not above the last one. */
bool flight_numbered(struct flight *f, int64_t id, uint32_t n);
/* It can never be sent. False: it was not offered. */
bool flight_unsendable(struct flight *f, int64_t id);
/* Every item of the burst has its number, and there is one. */
bool flight_whole(const struct flight *f);
/* Nothing is offered or waits to become durable. */
bool flight_idle(const struct flight *f);
/* The burst is durable: it has GONE, what is withdrawn is forgotten. Returns the last number, for GO. */
uint32_t flight_go(struct flight *f, int64_t now_us);
/* The server has everything up to ${n}, modulo 2^32. Returns how many items that were. */
size_t flight_acked(struct flight *f, uint32_t n);
/* Items that have GONE and are not acknowledged. */
size_t flight_gone(const struct flight *f);
/*
 * The stream is over. ${condition}: its error, "" = none (RFC 6120 section 4.9.3). ${closed}: the other end closed the
 * connection, and we know that. Returns whether that is held against what had gone. Forgets all items.
 */
bool flight_over(struct flight *f, const char *condition, bool closed, int64_t now_us);
/* Nothing waits any more: whoever was suspected has passed, or is gone. */
void flight_calm(struct flight *f);

/* The stream error says that what we sent was bad. */
bool flight_blames_us(const char *condition);
/*
 * The delay stamp of an item (XEP-0203): when it was written, if it may have left before; 0 for the first time, if the clock
 * says that it is not written yet (E3), and if it was written by a clock that nobody had set: others would file it under 1970.
 */
#define FLIGHT_CLOCK_SET_US INT64_C(1420070400000000) /* 2015: clocks without a battery begin in 1970, 1980, 2000 or 2010 */
int64_t flight_delay(bool again, int64_t written_us, int64_t now_us);

/*
 * The anchor of what is numbered now: the newest id that is held for certain, "" = none. Not that of a run, which a
 * lost session forgets.
 */
const char *doubt_anchor(const struct cover *c);
/*
 * Whether an own message that was not met in the archive is not in it either (docs/decisions/0008): the archive's end
 * is known, and nothing is open from the anchor to there. ${from}: the first span with the anchor below it (0: there
 * was no anchor, so nothing may be open down to the archive's beginning; cover->n: it lies in the newest). What is lost
 * for good holds nobody up: the server cannot tell any more, and never to send would be worse than twice.
 */
bool doubt_is_over(const struct cover *c, size_t from);
