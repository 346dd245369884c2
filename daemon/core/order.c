#include "core/order.h"

/* Stamps as keys, each at least one above the one before, starting above ${floor}. */
static void ascend(const int64_t *us, size_t n, int64_t floor, int64_t *keys)
{
	for (size_t i = 0; i < n; i++) {
		keys[i] = us[i] > floor ? us[i] : floor + 1;
		floor = keys[i];
	}
}

/* Push keys down until they fit under ${ceiling}. */
static void press(int64_t *keys, size_t n, int64_t ceiling)
{
	for (size_t i = n; i-- > 0;) {
		if (keys[i] >= ceiling)
			keys[i] = ceiling - 1;
		ceiling = keys[i];
	}
}

bool order_place(const int64_t *us, size_t n, int64_t lo, int64_t hi, bool touches_lo, int64_t *keys)
{
	int64_t room;

	if (n == 0)
		return true;
	ascend(us, n, INT64_MIN, keys);
	press(keys, n, hi);
	if (keys[0] > lo)
		return true;
	/* Natural places collide with what is older. Directly above it if we touch it... */
	if (touches_lo) {
		ascend(us, n, lo, keys);
		press(keys, n, hi);
		return keys[0] > lo;
	}
	/* ... else leave room for what is still missing in between: half of the interval, or a fixed stretch. */
	room = hi == INT64_MAX ? ORDER_ROOM : (hi - lo) / 2;
	if (room > ORDER_ROOM)
		room = ORDER_ROOM;
	if (hi != INT64_MAX && hi - lo - room <= (int64_t)n)
		return false;
	ascend(us, n, lo + room, keys);
	if (hi != INT64_MAX)
		press(keys, n, hi);
	return keys[0] > lo;
}
