#include "core/ping.h"

#define WORD_LATE_US (INT64_C(30) * 1000000) /* until a ping is answered, and somebody has time to say so */

struct ping *ping_of(struct ping_book *b, uint64_t print, int64_t now_us)
{
	size_t at = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (b->networks[i].print == print) {
			b->networks[i].used_us = now_us;
			return &b->networks[i].ping;
		}
		if (b->networks[i].used_us < b->networks[at].used_us)
			at = i;
	}
	if (b->n < PING_NETWORKS)
		at = b->n++;
	b->networks[at].print = print;
	b->networks[at].ping = (struct ping){ .interval_us = PING_FIRST_US };
	b->networks[at].used_us = now_us;
	return &b->networks[at].ping;
}

static int64_t grown(int64_t silence_us)
{
	return silence_us < PING_MAX_US / 3 * 2 ? silence_us + silence_us / 2 : PING_MAX_US;
}

bool ping_would_grow(int64_t interval_us, int64_t silence_us)
{
	return grown(silence_us) > interval_us;
}

/*
 * From the silence and not from the interval: two accounts that are found alive, or dead, in the same moment say the
 * same thing, and it counts once.
 */
bool ping_survived(struct ping *p, int64_t silence_us, int64_t now_us)
{
	int64_t to = grown(silence_us);

	/* Who survives that longer silence shows that it was not the network. */
	if (silence_us >= p->dead_us || now_us - p->died_us > PING_FORGET_US)
		p->dead_us = 0;
	if (p->dead_us && to > p->dead_us - p->dead_us / 8)
		to = p->dead_us - p->dead_us / 8;
	if (to <= p->interval_us)
		return false;
	p->interval_us = to;
	return true;
}

bool ping_died(struct ping *p, int64_t silence_us, int64_t now_us)
{
	int64_t to = silence_us / 2 > PING_MIN_US ? silence_us / 2 : PING_MIN_US;

	/* Longer than it was to be: the machine slept meanwhile, or the interval is shorter already. */
	if (silence_us > p->interval_us + p->interval_us / 4)
		return false;
	if (!p->dead_us || silence_us < p->dead_us)
		p->dead_us = silence_us;
	p->died_us = now_us;
	if (to >= p->interval_us)
		return false;
	p->interval_us = to;
	return true;
}

/* A quarter untold, a whole one until the ping, which may be late, and the time of its answer. */
int64_t ping_patience(int64_t interval_us)
{
	return interval_us + interval_us / 2 + WORD_LATE_US;
}

int64_t ping_due(int64_t heard_us, int64_t interval_us)
{
	int64_t last = heard_us + interval_us, half = interval_us / 2, whole = last - last % interval_us;

	/* An answer comes some time after its question: who asked at a half is to ask at the next whole. */
	if (whole - heard_us >= half - half / 8)
		return whole;
	/* That is still within an interval. */
	return whole + half;
}
