#include "ipc/ctl/page.h"

#include <string.h>

#include "ipc/ctl/ctl.h"

void page_deinit(struct page *p)
{
	for (size_t i = 0; i < p->n_sets; i++)
		varve_messages_unref(p->sets[i]);
	free(p->sets);
	free(p->rows);
	*p = (struct page){ 0 };
}

int page_get(struct ctl *c, const struct varve_history_query *q, struct page *ret)
{
	struct varve_messages *set;
	struct page p = { 0 };
	int r = varve_history(c->account, q, &set);

	if (r < 0)
		return ctl_fail_call(c, r);
	p.sets = xcalloc(1, sizeof(*p.sets));
	p.sets[p.n_sets++] = set;
	p.n = varve_messages_count(set);
	p.rows = xcalloc(p.n, sizeof(*p.rows));
	for (size_t i = 0; i < p.n; i++)
		p.rows[i] = varve_messages_get(set, i);
	p.edges = varve_messages_edges(set);
	p.seq = varve_messages_seq(set);
	*ret = p;
	return EXIT_OK;
}

/* The rows of ${second} behind those of ${first}; it is emptied. */
static void join(struct page *first, struct page *second)
{
	first->rows = xrealloc(first->rows, first->n + second->n, sizeof(*first->rows));
	first->sets = xrealloc(first->sets, first->n_sets + second->n_sets, sizeof(*first->sets));
	if (second->n > 0)
		memcpy(first->rows + first->n, second->rows, second->n * sizeof(*second->rows));
	if (second->n_sets > 0)
		memcpy(first->sets + first->n_sets, second->sets, second->n_sets * sizeof(*second->sets));
	first->n += second->n;
	first->n_sets += second->n_sets;
	free(second->rows);
	free(second->sets);
	second->rows = NULL;
	second->sets = NULL;
	second->n = second->n_sets = 0;
}

void page_append(struct page *p, struct page *more)
{
	join(p, more);
}

void page_prepend(struct page *p, struct page *more)
{
	uint32_t edges = p->edges;
	uint64_t seq = p->seq;

	join(more, p);
	*p = *more;
	p->edges = edges;
	p->seq = seq;
	*more = (struct page){ 0 };
}

void page_drop(struct page *p, size_t n)
{
	p->n -= n;
	memmove(p->rows, p->rows + n, p->n * sizeof(*p->rows));
}

void page_cut(struct page *p, size_t n)
{
	if (p->n > n)
		p->n = n;
}
