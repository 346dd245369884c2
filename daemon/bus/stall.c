#include "bus/stall.h"

void stall_init(struct stall *s, int64_t now_us)
{
	*s = (struct stall){ .born_us = now_us, .moved_us = now_us, .came_us = now_us };
}

const char *stall_check(struct stall *s, const struct stall_look *look, int64_t now_us)
{
	if (!look->ready)
		return now_us - s->born_us > STALL_AUTH_US ? "did not authenticate" : NULL;
	if (look->coming == 0 || look->coming != s->coming)
		s->came_us = now_us;
	if (look->queued == 0 || look->queued != s->queued || look->outq != s->outq)
		s->moved_us = now_us;
	s->coming = look->coming;
	s->queued = look->queued;
	s->outq = look->outq;
	if (now_us - s->came_us > STALL_MAX_US)
		return "stopped in the middle of a call";
	return now_us - s->moved_us > STALL_MAX_US ? "is stuck" : NULL;
}
