#include "core/ackline.h"

#include <string.h>

void ackline_init(struct ackline *a, uint32_t h)
{
	memset(a, 0, sizeof(*a));
	a->h = h;
	a->seen = h;
}

void ackline_rewind(struct ackline *a)
{
	a->seen = a->h;
}

static bool get_bit(const struct ackline *a, uint32_t k)
{
	return a->done[k / 64] >> (k % 64) & 1;
}

/* Move h over the durable prefix, shifting the window. */
static void advance(struct ackline *a)
{
	uint32_t run = 0;

	while (run < ACKLINE_WINDOW && get_bit(a, run))
		run++;
	if (run == 0)
		return;
	a->h += run;
	a->ahead -= run;
	if (run >= 64) {
		uint32_t words = run / 64;

		memmove(a->done, a->done + words, sizeof(a->done) - words * sizeof(a->done[0]));
		memset((uint8_t *)a->done + sizeof(a->done) - words * sizeof(a->done[0]), 0,
		       words * sizeof(a->done[0]));
	}
	run %= 64;
	if (run == 0)
		return;
	for (size_t i = 0; i < ACKLINE_WINDOW / 64; i++) {
		a->done[i] >>= run;
		if (i + 1 < ACKLINE_WINDOW / 64)
			a->done[i] |= a->done[i + 1] << (64 - run);
	}
}

static void set_bit(struct ackline *a, uint32_t n)
{
	uint32_t k = n - a->h - 1;

	if (k >= ACKLINE_WINDOW || get_bit(a, k))
		return;
	a->done[k / 64] |= UINT64_C(1) << (k % 64);
	a->ahead++;
}

bool ackline_seen(struct ackline *a, uint32_t n, bool *ret_bad)
{
	uint32_t k = n - a->h - 1;

	*ret_bad = false;
	/* Behind h: a server that repeats more than it needs to, or nothing is counted (n = h). */
	if (k >= UINT32_MAX / 2)
		return true;
	if (k >= ACKLINE_WINDOW) {
		*ret_bad = true;
		return true;
	}
	for (uint32_t m = a->seen + 1; (int32_t)(n - m) > 0; m++)
		set_bit(a, m);
	if ((int32_t)(n - a->seen) > 0)
		a->seen = n;
	if (get_bit(a, k))
		return true;
	return false;
}

void ackline_done(struct ackline *a, uint32_t n)
{
	set_bit(a, n);
	advance(a);
}

size_t ackline_save(const struct ackline *a, uint8_t *buf, size_t max_numbers)
{
	size_t count = 0;

	for (uint32_t k = 0; k < ACKLINE_WINDOW && count < a->ahead && count < max_numbers; k++) {
		uint32_t n = a->h + 1 + k;

		if (!get_bit(a, k))
			continue;
		for (int b = 0; b < 4; b++)
			buf[count * 4 + (size_t)b] = (uint8_t)(n >> (8 * b));
		count++;
	}
	return count;
}

void ackline_load(struct ackline *a, uint32_t h, const uint8_t *buf, size_t n_numbers)
{
	ackline_init(a, h);
	for (size_t i = 0; i < n_numbers; i++) {
		uint32_t n = 0;

		for (int b = 0; b < 4; b++)
			n |= (uint32_t)buf[i * 4 + (size_t)b] << (8 * b);
		set_bit(a, n);
	}
}
