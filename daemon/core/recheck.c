#include "core/recheck.h"

void recheck_load(struct recheck *r, int64_t since_us, int64_t now_us)
{
	*r = (struct recheck){ .since_us = since_us, .due_us = since_us ? now_us + RECHECK_FIRST_US : 0 };
}

bool recheck_note(struct recheck *r, int64_t since_us, int64_t now_us)
{
	if (r->since_us && r->since_us <= since_us)
		return false;
	if (!r->since_us)
		recheck_put_off(r, now_us);
	r->since_us = since_us;
	return true;
}

void recheck_done(struct recheck *r, bool settled, int64_t now_us)
{
	int64_t wait = RECHECK_FIRST_US;

	if (settled) {
		*r = (struct recheck){ 0 };
		return;
	}
	r->tries++;
	for (unsigned int i = 0; i < r->tries && wait < RECHECK_CAP_US; i++)
		wait *= 2;
	r->due_us = now_us + (wait < RECHECK_CAP_US ? wait : RECHECK_CAP_US);
}

void recheck_put_off(struct recheck *r, int64_t now_us)
{
	r->due_us = now_us + RECHECK_FIRST_US;
}
