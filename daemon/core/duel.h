/*
 * Two wires at once: something has happened to the network, or the server owes an answer. The *first* wire, which
 * carries the stream, is asked for a sign of life; a *second* one secures a connection meanwhile and waits with the
 * resume for a word. Who wins? Pure: time is passed in (docs/decisions/0013).
 *
 *   the first answers                             it stays, the second goes
 *   the second is ready, and the first silent     the first is cut off, the second resumes
 *   the first ends                                the second resumes, if it got on lately
 *   the second ends                               the first has until its answer is due
 *
 * A second that was not needed is followed by a rest, which doubles: while a network flaps, the first is asked each
 * time, and that is all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DUEL_FAIR_US (INT64_C(500) * 1000)  /* the first has so long in any case: a radio wakes up, a server is busy */
#define DUEL_GRACE_US (INT64_C(150) * 1000) /* and so long after the second is ready: their answers may travel together */
#define DUEL_STUCK_US (INT64_C(1500) * 1000) /* a second without progress for so long is no better than a new one */
#define DUEL_SLACK_US (INT64_C(2) * 1000000) /* a wire says itself that nobody answers; later than this it hangs */
#define DUEL_REST_US (INT64_C(5) * 1000000)  /* after a second that was not needed; doubles */
#define DUEL_REST_CAP_US (INT64_C(300) * 1000000) /* as the longest wait between two tries to connect */

struct duel {
	int64_t asked_us;   /* the first was asked; 0 = no duel */
	int64_t due_us;	    /* its answer is due */
	bool wanted;	    /* a second is to be started */
	bool second;	    /* it runs */
	int64_t moved_us;   /* when it got on last */
	int64_t ready_us;   /* it waits for a word since then; 0 = not yet */
	unsigned int vain;  /* seconds in a row that were not needed */
	int64_t rest_until_us;
};

enum duel_move {
	DUEL_WAIT,  /* until duel_next_us() */
	DUEL_START, /* a second: then duel_started() */
	DUEL_CUT,   /* the first is over */
};

/*
 * The first is asked now and has ${answer_us}, or what is left of the time it had. ${resumable}: there is something
 * that a second could take over. True: a second that runs belongs to what was before, and has to go.
 */
bool duel_ask(struct duel *d, int64_t now_us, int64_t answer_us, bool resumable);
enum duel_move duel_move(const struct duel *d, int64_t now_us);
/* When to look again; 0 = not at all. */
int64_t duel_next_us(const struct duel *d);

void duel_started(struct duel *d, int64_t now_us);
/* The second got a step further; ${ready}: that was the last before the resume. */
void duel_moved(struct duel *d, int64_t now_us, bool ready);
/* The second has ended. */
void duel_failed(struct duel *d, int64_t now_us);
/* The first has answered. True: a second runs, and has to go. */
bool duel_answered(struct duel *d, int64_t now_us);
/* The first has ended. True: the second takes over; else one that runs has to go. */
bool duel_first_ended(struct duel *d, int64_t now_us);
/* No second before ${until_us}. */
void duel_rest(struct duel *d, int64_t until_us);
/* Nobody wants to know any more, and it says nothing of the network. True: a second runs, and has to go. */
bool duel_end(struct duel *d);
