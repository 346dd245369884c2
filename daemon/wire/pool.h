/*
 * Memory for libstrophe's stanzas, by its own way of being given an allocator (xmpp_mem_t). A result of an archive is a hundred
 * little blocks that are freed right after: what is freed is kept by size, and given out again (docs/decisions/0035).
 */
#pragma once

#include <stddef.h>
#include <strophe.h>

#include "base/mem.h"

struct pool;

struct pool *pool_new(void);
/* Nothing of it may be used any more. */
struct pool *pool_free(struct pool *p);
DEFINE_CLEANUP(struct pool *, pool_free);

/* What xmpp_ctx_new() takes; the pool's. Its functions never answer NULL, which libstrophe does not expect in places. */
const xmpp_mem_t *pool_mem(const struct pool *p);
/*
 * What is allocated now stays for good. Whenever all else has been freed, what a large stanza took goes back: an idle stream keeps
 * no more than a piece.
 */
void pool_settle(struct pool *p);
/* Bytes that it holds in pieces. */
size_t pool_size(const struct pool *p);
