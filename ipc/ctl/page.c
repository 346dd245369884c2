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

int page_try(struct ctl *c, const struct varve_history_query *q, struct page *ret)
{
	struct varve_messages *set;
	struct page p = { 0 };
	int r = varve_history(c->account, q, &set);

	if (r < 0)
		return r;
	p.sets = xcalloc(1, sizeof(*p.sets));
	p.sets[p.n_sets++] = set;
	p.n = varve_messages_count(set);
	p.rows = xcalloc(p.n, sizeof(*p.rows));
	for (size_t i = 0; i < p.n; i++)
		p.rows[i] = varve_messages_get(set, i);
	p.edges = varve_messages_edges(set);
	p.seq = varve_messages_seq(set);
	*ret = p;
	return 0;
}

int page_get(struct ctl *c, const struct varve_history_query *q, struct page *ret)
{
	int r = page_try(c, q, ret);

	return r < 0 ? ctl_fail_call(c, r) : EXIT_OK;
}

/* The rows beyond row ${i} of ${p}: 1; 0 if that has gone or may have moved; or a negative error of the call. */
static int beyond(struct ctl *c, struct varve_history_query *q, const struct varve_message *from, bool older, struct page *ret)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };
	const struct varve_message *anchor;
	int r;

	q->value = from->id;
	r = page_try(c, q, ret);
	if (r < 0) {
		failure_take(c, r, &f);
		return failure_is(&f, VARVE_ERROR_NOT_FOUND) || failure_is(&f, VARVE_ERROR_NO_SUCH_CONVERSATION) ? 0 : r;
	}
	anchor = ret->n > 0 ? ret->rows[older ? ret->n - 1 : 0] : NULL;
	/* Whoever moves changes. */
	if (anchor && anchor->id == from->id && anchor->mod == from->mod)
		return 1;
	page_deinit(ret);
	return 0;
}

/* Of ${p} what the ${n} outermost rows of ${have} are. */
static void drop_known(struct page *p, const struct page *have, bool older, size_t n)
{
	size_t from = older ? 0 : have->n - n, kept = 0;

	for (size_t i = 0; i < p->n; i++) {
		bool known = false;

		for (size_t k = from; k < from + n && !known; k++)
			known = have->rows[k]->id == p->rows[i]->id;
		if (!known)
			p->rows[kept++] = p->rows[i];
	}
	p->n = kept;
}

int page_beyond(struct ctl *c, const struct varve_history_query *q, const struct page *p, bool older, uint32_t n,
		struct page *ret)
{
	struct varve_history_query next = *q;
	size_t in = 0;
	int r = 0;

	next.anchor = "message";
	/* The outermost, as a rule. Who deletes, or reads, changes many in a row: then some further in, in ever longer steps. */
	for (; in < p->n && in < PAGE_ROWS_MAX - 1; in = 2 * in + 1) {
		size_t want = n + in < PAGE_ROWS_MAX ? n + in : PAGE_ROWS_MAX - 1;

		next.before = older ? (uint32_t)want : 0;
		next.after = older ? 0 : (uint32_t)want;
		r = beyond(c, &next, p->rows[older ? in : p->n - 1 - in], older, ret);
		if (r != 0)
			break;
	}
	if (r < 0)
		return ctl_fail_call(c, r);
	if (r == 0)
		return PAGE_LOST;
	drop_known(ret, p, older, in + 1);
	if (ret->n > 0 || ret->edges & (older ? VARVE_EDGE_OLDEST : VARVE_EDGE_NEWEST))
		return EXIT_OK;
	/* There is more, and it does not come: never half of the messages as if they were all. */
	page_deinit(ret);
	return in > 0 ? PAGE_LOST : ctl_bad_reply(c, "GetHistory");
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
