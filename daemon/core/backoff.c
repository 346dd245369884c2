#include "core/backoff.h"

int64_t backoff_next(struct backoff *b, uint32_t random)
{
	int64_t step = BACKOFF_FIRST_US;

	for (unsigned int i = 0; i < b->tries && step < BACKOFF_CAP_US; i++)
		step *= 2;
	if (step > BACKOFF_CAP_US)
		step = BACKOFF_CAP_US;
	b->tries++;
	return step / 2 + (int64_t)((uint64_t)(step / 2) * random / UINT32_MAX);
}

void backoff_reset(struct backoff *b)
{
	b->tries = 0;
}
