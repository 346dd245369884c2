#include "core/lanes.h"

#define PAGES_LEAST 3	 /* of one measurement */
#define GAIN_PERCENT 30	 /* twice the lanes must bring so much more: a server at its limit brings nothing */
#define GAIN_SECOND 10	 /* ... the second of a quick link: it works while we read the first one's answer and ask again */
#define WORK_PERCENT 50 /* of what a page takes beyond the round trip: the rest is jitter, the way, and our own time */
#define WASTE_PERCENT 75 /* of the lanes of a trial that was worth it: if fewer bring as much, so many stay */
#define GROWTH_MOST 8	 /* times at once: what a page takes with one lane is a guess of what it takes with many */
#define GROWTH_QUICK 2	 /* ... on a quick link, where what TLS cost the server may be most of the round trip that it shows */
#define LOSS_PERCENT 70	 /* less than this of the old rate: somebody else needs the link or the server */
#define SLOW_FACTOR 3	 /* pages take so much longer than they did: the server is busy */
#define HOLD 16		 /* measurements between two attempts to use more */
#define HOLD_SHORT 4	 /* ... where the round trip says that more would help: it was chance, or will pass */
#define SPREAD_PERCENT 80 /* of the time a page takes: so questions are spread, and do not hold up what could be faster */
#define LATELY 16	  /* pages: what the fastest of them took rises by such a part with each that took longer */

bool lanes_is_quick(const struct lanes *l)
{
	return l->rtt_us && l->rtt_us < LANES_QUICK_US;
}

static void restart(struct lanes *l)
{
	l->pages = 0;
	l->messages = 0;
	l->page_us = 0;
	l->least_us = 0;
	l->start_us = 0;
}

static void use(struct lanes *l, unsigned int n)
{
	l->settle = n > l->n ? n : l->n;
	l->n = n;
}

void lanes_init(struct lanes *l, unsigned int max)
{
	*l = (struct lanes){ .n = 1, .max = max < 1 ? 1 : max > LANES_MAX ? LANES_MAX : max };
}

void lanes_idle(struct lanes *l)
{
	restart(l);
}

void lanes_trouble(struct lanes *l)
{
	*l = (struct lanes){ .n = 1, .max = l->max, .rtt_us = l->rtt_us, .hold = HOLD };
}

void lanes_small_answer(struct lanes *l, int64_t us)
{
	if (us > 0 && (l->rtt_us == 0 || us < l->rtt_us))
		l->rtt_us = us;
}

/*
 * How many would keep the server busy if a page that waits behind no other takes ${page_us}; without a round trip to go
 * by, twice as many as now.
 */
static unsigned int worth_trying(const struct lanes *l, int64_t page_us)
{
	int64_t beyond_us = page_us > l->rtt_us ? page_us - l->rtt_us : 1;
	int64_t work_us = lanes_is_quick(l) ? beyond_us : beyond_us * WORK_PERCENT / 100 + 1;
	int64_t n = l->rtt_us ? 1 + (l->rtt_us + work_us / 2) / work_us : 2 * (int64_t)l->n, most;

	/* The server is idle while we read and ask, too: of a page that is quick that is a part worth filling. */
	if (lanes_is_quick(l) && page_us < LANES_QUICK_US && n < 2)
		n = 2;
	most = lanes_is_quick(l) ? GROWTH_QUICK : GROWTH_MOST;
	n = n < most * l->n ? n : most * l->n;
	return n < l->max ? (unsigned int)n : l->max;
}

/* Was using more than ${before} worth it? If not, as many as what it brought is worth. */
static void judge_trial(struct lanes *l, uint64_t rate, int64_t page_us)
{
	unsigned int before = l->before, more = l->n - before;
	unsigned int worth = l->rate ? (unsigned int)(before * rate / l->rate) : 0;
	unsigned int gain = before == 1 && lanes_is_quick(l) ? GAIN_SECOND : GAIN_PERCENT;

	l->before = 0;
	if (rate * 100 * before >= l->rate * (100 * before + gain * more)) {
		l->rate = rate;
		l->base_page_us = page_us;
		/* Far more than what is being worked on would wait in the server. */
		if (worth > 0 && (worth + 1) * 100 < l->n * WASTE_PERCENT) {
			use(l, worth + 1);
			l->hold = HOLD;
		}
		return;
	}
	use(l, worth > before && worth < l->n ? worth : before);
	l->hold = l->rtt_us ? HOLD_SHORT : HOLD;
}

/* Does the number still work as well as it did? */
static void judge_hold(struct lanes *l, uint64_t rate, int64_t page_us)
{
	bool slow = l->base_page_us && page_us > l->base_page_us * SLOW_FACTOR;
	bool poor = rate * 100 < l->rate * LOSS_PERCENT;

	if (slow && poor && l->n > 1) {
		use(l, l->n / 2);
		l->hold = HOLD;
		return;
	}
	if (l->hold)
		l->hold--;
	/* Slowly, so that a decline in small steps is seen too. */
	l->rate = l->rate ? (3 * l->rate + rate) / 4 : rate;
	if (l->base_page_us == 0)
		l->base_page_us = page_us;
}

static int64_t apart_us(const struct lanes *l)
{
	return l->n > 1 && !lanes_is_quick(l) ? l->takes_us * SPREAD_PERCENT / 100 / l->n : 0;
}

void lanes_asked(struct lanes *l, int64_t now_us)
{
	/* Those that are late, because we were storing, are not caught up with: that would be a burst again. */
	l->asked_us = now_us;
}

int64_t lanes_wait(const struct lanes *l, int64_t now_us)
{
	int64_t due_us = l->asked_us + apart_us(l);

	return due_us > now_us ? due_us - now_us : 0;
}

/* With a long round trip it is known from one page what one lane brings; else, and of several, answers come in bursts. */
static unsigned int pages_needed(const struct lanes *l)
{
	if (l->n == 1)
		return l->rtt_us && !lanes_is_quick(l) && l->hold == 0 ? 1 : PAGES_LEAST;
	return 2 * l->n;
}

void lanes_page(struct lanes *l, int64_t now_us, unsigned int messages, int64_t page_us)
{
	unsigned int wanted;
	int64_t least_us;
	uint64_t rate;

	l->takes_us += l->takes_us / LATELY;
	l->takes_us = l->takes_us && l->takes_us < page_us ? l->takes_us : page_us;
	if (l->settle) {
		l->settle--;
		return;
	}
	/* One lane was idle before this page; of several, the page before starts the clock. */
	if (l->start_us == 0 && l->n == 1)
		l->start_us = now_us - page_us;
	if (l->start_us == 0) {
		l->start_us = now_us;
		return;
	}
	l->pages++;
	l->messages += messages;
	l->page_us += page_us;
	l->least_us = l->least_us && l->least_us < page_us ? l->least_us : page_us;
	if (l->pages < pages_needed(l) || now_us <= l->start_us)
		return;
	rate = l->messages * UINT64_C(1000000) / (uint64_t)(now_us - l->start_us);
	page_us = l->page_us / l->pages;
	least_us = l->least_us;
	restart(l);
	l->start_us = now_us;
	if (l->before)
		judge_trial(l, rate, page_us);
	else
		judge_hold(l, rate, page_us);
	wanted = worth_trying(l, least_us);
	if (l->before == 0 && l->hold == 0 && wanted > l->n) {
		l->before = l->n;
		use(l, wanted);
		l->start_us = 0;
	}
}
