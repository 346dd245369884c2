/*
 * Random bytes never authenticate, so targets on sealed files take real ones and read the fuzzer's input as edits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Apply the edits of ${input} (7 bytes each: what, offset as u32, two bytes of argument; little-endian) to the ${size}
 * bytes at ${file}, which has room for ${size}: xor, zero, copy from elsewhere, cut. Returns the new size. */
size_t edits_apply(const uint8_t *input, size_t input_size, uint8_t *file, size_t size);
