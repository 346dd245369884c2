/*
 * What a function leaves behind: run it on a stack of its own, then look for bytes in all of this process's memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Whether that can be done: AddressSanitizer has memory of its own that must not be touched. */
#ifdef __SANITIZE_ADDRESS__
#define RESIDUE_WORKS 0
#else
#define RESIDUE_WORKS 1
#endif

/* Run ${run} on another stack, which keeps what it left there until the next call. */
void residue_run(void (*run)(void *userdata), void *userdata);
/* A needle must not itself be found: it is kept masked. */
void residue_mask(uint8_t *ret, const void *from, size_t len);
/* How often the ${len} bytes of a masked needle stand in writable memory. */
int residue_count(const uint8_t *masked, size_t len);
