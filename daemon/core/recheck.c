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

void recheck_note_late(struct recheck *r, int64_t since_us)
{
	if (!r->late_us || since_us < r->late_us)
		r->late_us = since_us;
}

void recheck_done(struct recheck *r, bool settled, int64_t now_us)
{
	int64_t wait = RECHECK_FIRST_US;

	if (settled) {
		recheck_load(r, r->late_us, now_us);
		return;
	}
	r->late_us = 0;
	r->tries++;
	for (unsigned int i = 0; i < r->tries && wait < RECHECK_CAP_US; i++)
		wait *= 2;
	r->due_us = now_us + (wait < RECHECK_CAP_US ? wait : RECHECK_CAP_US);
}

void recheck_put_off(struct recheck *r, int64_t now_us)
{
	r->due_us = now_us + RECHECK_FIRST_US;
}
