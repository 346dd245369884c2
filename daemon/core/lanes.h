/*
 * How many archive pages to ask for at a time. One page a round trip wastes a link with a long delay: 50 messages per
 * 200 ms are 250 a second whatever the bandwidth. A page takes a round trip, in which the server is idle, and its
 * work: 1 + round trip / work lanes keep it busy, and more would only wait in its queue. The round trip is what the
 * fastest answer without a page took; the work is what the fastest page took beyond it, for others have waited behind
 * one another. So many are tried; what the rate of messages says is then kept, and what it does not say is tried
 * again later. So it is one where the server, the disk or the bandwidth is the bottleneck, and never more than the
 * policy's maximum. On a long link questions are spread over the time that a page takes. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LANES_QUICK_US (20 * 1000) /* a round trip is no longer: more lanes would mostly wait in the server */
#define LANES_MAX 16 /* polite: a server works on so many requests of one account at most */

struct lanes {
	unsigned int n;	  /* pages to keep in flight */
	unsigned int max;
	int64_t rtt_us; /* of the fastest small answer; 0 = none has come */
	/* the measurement under way: pages and messages since start_us with n lanes all in use */
	unsigned int settle; /* pages to let go by first: asked for with fewer lanes */
	unsigned int pages;
	uint64_t messages;
	int64_t start_us, page_us; /* page_us: time of pages from question to answer, summed up, */
	int64_t least_us;	   /* and the shortest: what a page takes that waits behind no other */
	unsigned int before;	   /* n is a trial: it was this many, which brought rate; 0 = it is none */
	uint64_t rate;		   /* messages a second; 0 = not measured */
	int64_t base_page_us;	   /* mean time of a page when the number was settled on */
	unsigned int hold;	   /* measurements to go until more are tried */
	/* spreading */
	int64_t takes_us; /* the fastest page lately, from question to answer; 0 = none has come */
	int64_t asked_us; /* boot clock: the last question */
};

void lanes_init(struct lanes *l, unsigned int max);
/* An answer of at most one message took ${us}. */
void lanes_small_answer(struct lanes *l, int64_t us);
/* The round trip is known, and below LANES_QUICK_US. */
bool lanes_is_quick(const struct lanes *l);
/* A page of ${messages} came at ${now_us} (boot clock), ${page_us} after it was asked for. */
void lanes_page(struct lanes *l, int64_t now_us, unsigned int messages, int64_t page_us);
/* Not all lanes are in use, because there is nothing more to ask: what is being measured says nothing. */
void lanes_idle(struct lanes *l);
/* A question leaves at ${now_us}. */
void lanes_asked(struct lanes *l, int64_t now_us);
/*
 * How long the next question waits, in us; 0 = it may leave. On a long link they are spread over the time that a page
 * takes: Prosody writes what it has to say to all that it has read at once when it is done with the last of it, so
 * answers would come together, questions leave together, and the server would be idle for a round trip after each
 * such burst.
 */
int64_t lanes_wait(const struct lanes *l, int64_t now_us);
/* The server refused or did not answer in time: one lane for a while. */
void lanes_trouble(struct lanes *l);
