/*
 * How long a stream may be silent before it is asked whether it is still there; learned for each network. Whoever asks
 * too rarely loses the stream to a NAT that forgets it, whoever asks too often keeps a radio awake. Pure: time is
 * passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PING_FIRST_US (INT64_C(300) * 1000000) /* carriers forget after 4.5 min to an hour (facts/eco.md 3.4) */
#define PING_MIN_US (INT64_C(60) * 1000000)    /* what forgets sooner has a user who knows */
#define PING_MAX_US (INT64_C(1800) * 1000000)  /* half an hour: a server that lost us keeps the session longer */
#define PING_FORGET_US (INT64_C(86400) * 1000000) /* a death may have been the server's: tried again a day later */
#define PING_NETWORKS 16		       /* remembered; home, work, some trains */

struct ping {
	int64_t interval_us;
	int64_t dead_us; /* the shortest silence that a stream did not survive; 0 = none */
	int64_t died_us; /* boot clock: when */
};

struct ping_book {
	struct {
		uint64_t print;
		struct ping ping;
		int64_t used_us;
	} networks[PING_NETWORKS];
	size_t n;
};

/* What is known of the network with that fingerprint; the one not used for the longest time makes room for a new one. */
struct ping *ping_of(struct ping_book *b, uint64_t print, int64_t now_us);
/* After ${silence_us} a stream was found alive, or dead. True if the interval is another one now. */
bool ping_survived(struct ping *p, int64_t silence_us, int64_t now_us);
bool ping_died(struct ping *p, int64_t silence_us, int64_t now_us);
/* Whether a ping that is answered after so long a silence could make the interval longer. */
bool ping_would_grow(int64_t interval_us, int64_t silence_us);
/*
 * When to ask, if nothing is heard after ${heard_us}: about half an interval to a whole one later, so that all streams
 * with one interval come to ask at the same moments, the multiples of the interval. One early ping, and they stay
 * together.
 */
int64_t ping_due(int64_t heard_us, int64_t interval_us);
/*
 * The wire tells its keeper that it heard something, if nothing was told for so long; so in a sound stream the keeper hears
 * a word each time a ping is answered, in that very moment. Whoever hears nothing for ping_patience() asks the wire.
 */
#define PING_TOLD_PART 4
int64_t ping_patience(int64_t interval_us);
