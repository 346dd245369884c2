/*
 * Memory for keys: locked, guarded, kept out of core dumps, wiped when freed (sodium_malloc). One allocation an
 * archive: every small one costs a locked page (facts/db.md section 6).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* ${size} bytes of zero; aborts when memory is out. Whether the kernel really locked it is checked (sodium_malloc
 * does not): if not, one warning a process that names RLIMIT_MEMLOCK. */
void *secret_alloc(size_t size);
/* Wipes and frees; NULL is fine. Returns NULL. */
void *secret_free(void *p);
static inline void secret_freep(void *p)
{
	secret_free(*(void **)p);
}
/* Wipe ${size} bytes on the stack or in a buffer; never optimised away. */
void secret_wipe(void *p, size_t size);
/* Wipe what functions that have returned left on the stack: libsodium 1.0.18 leaves the output of BLAKE2b there. */
void secret_wipe_stack(void);
