#include "core/duel.h"

/* A second was not needed. */
static void rest(struct duel *d, int64_t now_us)
{
	int64_t wait = DUEL_REST_US;

	for (unsigned int i = 0; i < d->vain && wait < DUEL_REST_CAP_US; i++)
		wait *= 2;
	d->rest_until_us = now_us + (wait < DUEL_REST_CAP_US ? wait : DUEL_REST_CAP_US);
	d->vain++;
}

static void over(struct duel *d)
{
	d->asked_us = d->due_us = d->moved_us = d->ready_us = 0;
	d->wanted = d->second = false;
}

bool duel_ask(struct duel *d, int64_t now_us, int64_t answer_us, bool resumable)
{
	int64_t due_us = now_us + answer_us;
	bool second = d->second;

	/* Who owes an answer already does not get more time for it. */
	if (d->asked_us && d->due_us < due_us)
		due_us = d->due_us;
	if (second)
		rest(d, now_us);
	else if (now_us >= d->rest_until_us + DUEL_REST_CAP_US)
		d->vain = 0;
	over(d);
	d->asked_us = now_us;
	d->due_us = due_us;
	d->wanted = resumable;
	return second;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* When the first is over. */
static int64_t cut_us(const struct duel *d)
{
	int64_t hangs = d->due_us + DUEL_SLACK_US, beaten;

	if (!d->second || !d->ready_us)
		return hangs;
	beaten = later(d->asked_us + DUEL_FAIR_US, d->ready_us + DUEL_GRACE_US);
	return beaten < hangs ? beaten : hangs;
}

enum duel_move duel_move(const struct duel *d, int64_t now_us)
{
	if (!d->asked_us)
		return DUEL_WAIT;
	if (now_us >= cut_us(d))
		return DUEL_CUT;
	return d->wanted && now_us >= d->rest_until_us ? DUEL_START : DUEL_WAIT;
}

int64_t duel_next_us(const struct duel *d)
{
	int64_t cut;

	if (!d->asked_us)
		return 0;
	cut = cut_us(d);
	return d->wanted && d->rest_until_us < cut ? d->rest_until_us : cut;
}

void duel_started(struct duel *d, int64_t now_us)
{
	d->wanted = false;
	d->second = true;
	d->moved_us = now_us;
}

void duel_moved(struct duel *d, int64_t now_us, bool ready)
{
	if (!d->second)
		return;
	d->moved_us = now_us;
	if (ready && !d->ready_us)
		d->ready_us = now_us;
}

void duel_failed(struct duel *d, int64_t now_us)
{
	if (!d->second)
		return;
	d->second = false;
	d->ready_us = 0;
	rest(d, now_us);
}

bool duel_answered(struct duel *d, int64_t now_us)
{
	bool second = d->second;

	if (second)
		rest(d, now_us);
	over(d);
	return second;
}

bool duel_first_ended(struct duel *d, int64_t now_us)
{
	bool takes_over = d->second && (d->ready_us || now_us < d->moved_us + DUEL_STUCK_US);

	over(d);
	if (takes_over)
		d->vain = 0;
	return takes_over;
}

void duel_rest(struct duel *d, int64_t until_us)
{
	d->rest_until_us = later(d->rest_until_us, until_us);
}

bool duel_end(struct duel *d)
{
	bool second = d->second;

	over(d);
	return second;
}
