/*
 * An archive may say that what it answers is not settled yet (XEP-0313 section 4.3.2, stable='false'): messages may be
 * missing in a page, or stand elsewhere. Such a page is stored like any other, and looked at again later: when, and
 * down to where. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RECHECK_FIRST_US (INT64_C(600) * 1000000)   /* ten minutes: most clusters that were split are whole again */
#define RECHECK_CAP_US (INT64_C(86400) * 1000000)   /* one that is never sure costs a page a day */
#define RECHECK_ALL INT64_C(1) /* in place of a stamp: all of the archive */

struct recheck {
	int64_t since_us;   /* archive's stamp of the oldest message that an unsettled page can have had; 0 = there was none */
	int64_t due_us;	    /* boot clock: when to look again; 0 = not */
	unsigned int tries; /* looked, and it was not settled yet */
	int64_t late_us;    /* since_us of what came while it is looked, which may pass it by; 0 = nothing */
};

/* As stored: it is looked at again after the first wait. */
void recheck_load(struct recheck *r, int64_t since_us, int64_t now_us);
/* A page that reaches down to ${since_us} was not settled. True: since_us changes, and has to be stored. */
bool recheck_note(struct recheck *r, int64_t since_us, int64_t now_us);
/* The same while it is looked. */
void recheck_note_late(struct recheck *r, int64_t since_us);
/*
 * It was looked at again: everything was settled, or not everything. What came meanwhile is looked at in its turn:
 * since_us is late_us then.
 */
void recheck_done(struct recheck *r, bool settled, int64_t now_us);
/* Now is no time for it: wait once more, no longer than the first time. */
void recheck_put_off(struct recheck *r, int64_t now_us);
