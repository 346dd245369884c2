/*
 * FNV-1a, 64 bits: for telling things apart, never against somebody who looks for collisions. Some of these values are
 * in archive files (msg.hash, outbox.hash): they stay as they are.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN UINT64_C(14695981039346656037)
#define HASH_PRIME UINT64_C(1099511628211)

/* ${h}: HASH_BEGIN, or what came before. */
static inline uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *at = (const unsigned char *)data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ at[i]) * HASH_PRIME;
	return h;
}
