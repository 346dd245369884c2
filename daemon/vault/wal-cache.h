/*
 * Pages of the log in clear, as this process wrote them into frames: a checkpoint reads every page that it copies, and
 * opening a frame costs 30 times as much as copying 4 kB. A cache and nothing else: what is not in it is read from the
 * disk. It knows frames by number alone, so vfs-wal.c says when the bytes behind a number are others.
 *
 * Ordinary memory, as the page cache of SQLite is (docs/store.md, "What is promised"), wiped before it is given back.
 */
#pragma once

#include "vault/page.h"

/*
 * The newest so many frames, 4 MB. The store lets its log grow to 2,500 frames (store_log_is_long()); the oldest are the
 * likeliest to be superseded, and are read from the disk.
 */
enum { WAL_CACHE_FRAMES = 1024 };

struct wal_cache;

/* Frame ${frame} (from 1) is now ${page} on the disk, all of it. *${c} is made when it is NULL; if there is no memory
 * it stays NULL and the page is not kept. */
void wal_cache_put(struct wal_cache **c, uint32_t frame, const uint8_t page[PAGE_SIZE]);
/* The page in frame ${frame}, valid until the next call; NULL: not here. NULL has none. */
const uint8_t *wal_cache_get(const struct wal_cache *c, uint32_t frame);
/* Nothing is known of ${frame} and those after it any more. NULL is fine. */
void wal_cache_forget_from(struct wal_cache *c, uint32_t frame);
/* Wipes, and gives the memory back to the kernel. NULL is fine. Returns NULL. */
struct wal_cache *wal_cache_free(struct wal_cache *c);
