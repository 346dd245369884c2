/*
 * How many archive pages to ask for at a time. One page a round trip wastes a link with a long delay: 50 messages per
 * 200 ms are 250 a second whatever the bandwidth. A page takes a round trip, in which the server is idle, and its work:
 * 1 + round trip / work lanes keep it busy, and more would only wait in its queue. The round trip is what the fastest answer
 * without a page took. So many are tried; what the rate of messages says is then kept, and what it does not say is tried again
 * later. So it is one where the server, the disk or the bandwidth is the bottleneck, and never more than the policy's maximum.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LANES_MAX 16 /* polite: a server works on so many requests of one account at most */

struct lanes {
	unsigned int n;	  /* pages to keep in flight */
	unsigned int max;
	int64_t rtt_us; /* of the fastest small answer; 0 = none has come */
	/* the measurement under way: pages and messages since start_us with n lanes all in use */
	unsigned int settle; /* pages to let go by first: asked for with fewer lanes */
	unsigned int pages;
	uint64_t messages;
	int64_t start_us, page_us; /* page_us: time of pages from question to answer, summed up */
	unsigned int before;	   /* n is a trial: it was this many, which brought rate; 0 = it is none */
	uint64_t rate;		   /* messages a second; 0 = not measured */
	int64_t base_page_us;	   /* mean time of a page when the number was settled on */
	unsigned int hold;	   /* measurements to go until more are tried */
};

void lanes_init(struct lanes *l, unsigned int max);
/* An answer of at most one message took ${us}. */
void lanes_small_answer(struct lanes *l, int64_t us);
/* A page of ${messages} came at ${now_us} (boot clock), ${page_us} after it was asked for. */
void lanes_page(struct lanes *l, int64_t now_us, unsigned int messages, int64_t page_us);
/* Not all lanes are in use, because there is nothing more to ask: what is being measured says nothing. */
void lanes_idle(struct lanes *l);
/* The server refused or did not answer in time: one lane for a while. */
void lanes_trouble(struct lanes *l);
