#include "wire/pool.h"

#include <stdint.h>
#include <string.h>

#define GRAIN 16 /* bytes; what malloc() aligns to */
#define GRAINS_MAX 16 /* of a block that is kept; larger ones are malloc()'s */
#define PIECE_SIZE (32 * 1024)

/* Before the content of each block. */
struct block {
	size_t grains; /* with this; 0: it is malloc()'s */
	struct block *next; /* among the free ones */
};

#define HEAD GRAIN
_Static_assert(sizeof(struct block) <= HEAD, "the content is aligned");

struct piece {
	struct piece *next;
	size_t used;
	_Alignas(GRAIN) char bytes[PIECE_SIZE];
};

struct pool {
	xmpp_mem_t mem;
	struct block *kept[GRAINS_MAX + 1]; /* by their grains */
	struct piece *pieces; /* the one that is being filled first */
	size_t n_pieces;
	size_t in_use; /* blocks of pieces */
	size_t settled, settled_used; /* blocks that stay, and how much of the last piece they fill */
};

static struct piece *add_piece(struct pool *p)
{
	struct piece *piece = xrealloc(NULL, 1, sizeof(*piece));

	piece->next = p->pieces;
	piece->used = 0;
	p->pieces = piece;
	p->n_pieces++;
	return piece;
}

static struct block *fresh(struct pool *p, size_t grains)
{
	struct piece *piece = p->pieces;
	struct block *b;

	if (!piece || PIECE_SIZE - piece->used < grains * GRAIN)
		piece = add_piece(p);
	b = (struct block *)(void *)(piece->bytes + piece->used);
	piece->used += grains * GRAIN;
	b->grains = grains;
	return b;
}

static void *pool_alloc(size_t size, void *userdata)
{
	struct pool *p = userdata;
	size_t grains = (size + HEAD + GRAIN - 1) / GRAIN;
	struct block *b;

	if (size > (GRAINS_MAX - 1) * GRAIN) {
		b = xrealloc(NULL, 1, HEAD + size);
		b->grains = 0;
	} else if (p->kept[grains]) {
		b = p->kept[grains];
		p->kept[grains] = b->next;
		p->in_use++;
	} else {
		b = fresh(p, grains);
		p->in_use++;
	}
	return (char *)b + HEAD;
}

/* Nothing is in use but what stays. */
static void start_over(struct pool *p)
{
	struct piece *next;

	for (; p->n_pieces > 1; p->n_pieces--) {
		next = p->pieces->next;
		free(p->pieces);
		p->pieces = next;
	}
	p->pieces->used = p->settled_used;
	memset(p->kept, 0, sizeof(p->kept));
}

static void pool_release(void *at, void *userdata)
{
	struct pool *p = userdata;
	struct block *b = at ? (struct block *)(void *)((char *)at - HEAD) : NULL;

	if (!b)
		return;
	if (!b->grains) {
		free(b);
		return;
	}
	b->next = p->kept[b->grains];
	p->kept[b->grains] = b;
	if (--p->in_use == p->settled && p->settled && p->n_pieces > 1)
		start_over(p);
}

static void *pool_realloc(void *at, size_t size, void *userdata)
{
	struct block *b = at ? (struct block *)(void *)((char *)at - HEAD) : NULL;
	size_t room = b ? b->grains * GRAIN - HEAD : 0;
	void *to;

	if (b && !b->grains) {
		b = xrealloc(b, 1, HEAD + size);
		return (char *)b + HEAD;
	}
	if (b && size <= room)
		return at;
	to = pool_alloc(size, userdata);
	if (b)
		memcpy(to, at, room);
	pool_release(at, userdata);
	return to;
}

struct pool *pool_new(void)
{
	struct pool *p = xnew(struct pool);

	p->mem = (xmpp_mem_t){ .alloc = pool_alloc, .free = pool_release, .realloc = pool_realloc, .userdata = p };
	return p;
}

struct pool *pool_free(struct pool *p)
{
	struct piece *next;

	if (!p)
		return NULL;
	for (; p->pieces; p->pieces = next) {
		next = p->pieces->next;
		free(p->pieces);
	}
	free(p);
	return NULL;
}

const xmpp_mem_t *pool_mem(const struct pool *p)
{
	return &p->mem;
}

void pool_settle(struct pool *p)
{
	p->settled = p->in_use;
	p->settled_used = p->n_pieces == 1 ? p->pieces->used : 0;
	if (p->n_pieces != 1)
		p->settled = 0;
}

size_t pool_size(const struct pool *p)
{
	return p->n_pieces * sizeof(struct piece);
}
