/* Chance that can be repeated: splitmix64 from a seed. Every torture program takes all its chance from one of these. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct chance {
	uint64_t state;
};

static inline uint64_t chance_next(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* 0 .. n-1 */
static inline uint32_t chance_below(struct chance *c, uint32_t n)
{
	return (uint32_t)(chance_next(c) % n);
}

/* ${from} .. ${to}, both included */
static inline uint32_t chance_between(struct chance *c, uint32_t from, uint32_t to)
{
	return from + chance_below(c, to - from + 1);
}

static inline bool chance_percent(struct chance *c, uint32_t percent)
{
	return chance_below(c, 100) < percent;
}

static inline void chance_fill(struct chance *c, void *buf, size_t len)
{
	uint8_t *to = buf;

	for (; len >= 8; len -= 8, to += 8) {
		uint64_t v = chance_next(c);

		memcpy(to, &v, 8);
	}
	if (len > 0) {
		uint64_t v = chance_next(c);

		memcpy(to, &v, len);
	}
}
