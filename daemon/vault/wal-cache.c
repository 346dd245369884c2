/*
 * A ring over frame numbers. One mapping of its own and not malloc(): only what is touched takes memory, and it really
 * goes back when it is freed. Reuse without freeing is what makes it worth while, because a page of new memory costs
 * two thirds of what the cache saves for it.
 */
#include "vault/wal-cache.h"

#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "vault/secret.h"

struct wal_cache {
	uint8_t pages[WAL_CACHE_FRAMES][PAGE_SIZE];
	uint32_t frames[WAL_CACHE_FRAMES]; /* whose page is in the slot; 0: nobody's */
	uint32_t used; /* slots from the first on that hold or held content */
};

static uint32_t slot_of(uint32_t frame)
{
	return (frame - 1) % WAL_CACHE_FRAMES;
}

static struct wal_cache *make(void)
{
	void *p = mmap(NULL, sizeof(struct wal_cache), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		log_debug("no memory to keep pages of the log");
		return NULL;
	}
	return p;
}

void wal_cache_put(struct wal_cache **c, uint32_t frame, const uint8_t page[PAGE_SIZE])
{
	uint32_t slot = slot_of(frame);

	if (!*c)
		*c = make();
	if (!*c)
		return;
	memcpy((*c)->pages[slot], page, PAGE_SIZE);
	(*c)->frames[slot] = frame;
	if ((*c)->used <= slot)
		(*c)->used = slot + 1;
}

const uint8_t *wal_cache_get(const struct wal_cache *c, uint32_t frame)
{
	return c && c->frames[slot_of(frame)] == frame ? c->pages[slot_of(frame)] : NULL;
}

void wal_cache_forget_from(struct wal_cache *c, uint32_t frame)
{
	for (uint32_t i = 0; c && i < c->used; i++)
		if (c->frames[i] >= frame)
			c->frames[i] = 0;
}

struct wal_cache *wal_cache_free(struct wal_cache *c)
{
	if (!c)
		return NULL;
	secret_wipe(c->pages, (size_t)c->used * PAGE_SIZE);
	munmap(c, sizeof(*c));
	return NULL;
}
