#include "sync/query.h"

#include <string.h>

#include "base/mem.h"
#include "core/recheck.h"

struct query *query_new(uint32_t id, const struct plan *p, const struct cover *cover)
{
	struct query *q = xnew(struct query);
	const struct span *s = p->step == PLAN_BEFORE ? &cover->spans[p->span] : NULL;

	q->id = id;
	q->with = xstrdup("");
	q->step = p->step;
	q->by_time = p->by_time;
	q->cursor = xstrdup(p->cursor);
	q->start_us = p->start_us;
	q->after_us = p->after_us;
	q->end_us = p->end_us;
	q->below_id = xstrdup(p->below_id);
	q->above_id = xstrdup(s ? s->first.id : "");
	q->above_us = s ? s->first.us : 0;
	q->run = s && s->flags & SPAN_RUN;
	return q;
}

struct query *query_new_aside(uint32_t id, enum query_use use, const char *with, const char *cursor, int64_t start_us,
			      int64_t end_us)
{
	struct query *q = xnew(struct query);

	q->id = id;
	q->use = use;
	q->with = xstrdup(with);
	q->cursor = xstrdup(cursor);
	q->start_us = start_us;
	q->end_us = end_us;
	q->below_id = xstrdup("");
	q->above_id = xstrdup("");
	return q;
}

struct query *query_free(struct query *q)
{
	if (!q)
		return NULL;
	for (size_t i = 0; i < q->n; i++)
		free(q->items[i]);
	free(q->items);
	free(q->numbers);
	free(q->stamps);
	free(q->above_id);
	free(q->below_id);
	free(q->cursor);
	free(q->with);
	free(q->first);
	free(q->last);
	free(q);
	return NULL;
}

bool query_is_below_id(const struct query *q)
{
	return q->step == PLAN_BEFORE && !q->by_time;
}

bool query_shows_next(const struct query *q)
{
	const char *id = q->n ? q->items[0]->archive_id : "";

	if (!query_is_below_id(q) || q->use != FOR_PLAN || q->run || q->sliced || !*id || strcmp(id, q->above_id) == 0)
		return false;
	/* Where the span below ends, as far as stamps say. */
	return q->stamps[0] > q->after_us;
}

void query_add(struct query *q, const struct message *m, uint32_t n)
{
	if (q->n == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 64;
		q->items = xrealloc(q->items, q->cap, sizeof(*q->items));
		q->numbers = xrealloc(q->numbers, q->cap, sizeof(*q->numbers));
		q->stamps = xrealloc(q->stamps, q->cap, sizeof(*q->stamps));
	}
	q->items[q->n] = message_copy(m);
	q->stamps[q->n] = m->archive_us;
	q->numbers[q->n++] = n;
	q->bytes += message_size(m);
}

static void fill_stamps(struct query *q)
{
	int64_t us = 0;

	for (size_t i = q->n; i-- > 0; us = q->items[i]->archive_us)
		if (q->items[i]->archive_us == 0)
			q->items[i]->archive_us = us;
	for (size_t i = 1; i < q->n; i++)
		if (q->items[i]->archive_us == 0)
			q->items[i]->archive_us = q->items[i - 1]->archive_us;
}

/* Down to where the answer may lack something. A complete one says that nothing is older. */
static int64_t lowest(const struct query *q, bool complete)
{
	int64_t low = INT64_MAX;

	if (complete || q->n == 0)
		return q->start_us ? q->start_us : RECHECK_ALL;
	for (size_t i = 0; i < q->n; i++)
		if (q->stamps[i] && q->stamps[i] < low)
			low = q->stamps[i];
	return low == INT64_MAX ? RECHECK_ALL : low;
}

void query_finish(struct query *q, const struct link_fin *f)
{
	q->complete = f->complete;
	if (!f->stable)
		q->unsettled_us = lowest(q, f->complete);
	q->fin_n = f->n;
	q->first = xstrdup(f->first);
	q->last = xstrdup(f->last);
	fill_stamps(q);
}

struct cover_page query_page(const struct query *q, size_t from, struct cover_item **ret_items)
{
	struct cover_item *items = xnewn(struct cover_item, q->n - from + 2);
	size_t n = 0;

	if (from == 0 && *q->first && (q->n == 0 || strcmp(q->items[0]->archive_id, q->first) != 0))
		items[n++] = (struct cover_item){ q->first, q->n ? q->stamps[0] : 0 };
	for (size_t i = from; i < q->n; i++)
		items[n++] = (struct cover_item){ q->items[i]->archive_id, q->stamps[i] };
	if (!q->sliced && *q->last && (n == 0 || strcmp(items[n - 1].id, q->last) != 0)) {
		items[n] = (struct cover_item){ q->last, n ? items[n - 1].us : 0 };
		n++;
	}
	*ret_items = items;
	return (struct cover_page){ items, n, q->start_us };
}

void query_rename(struct query *q, size_t i, const char *id)
{
	struct message *old = q->items[i];
	struct message renamed = *old;

	renamed.archive_id = id;
	q->bytes -= message_size(old);
	if (strcmp(q->first, old->archive_id) == 0 && i == 0)
		str_set(&q->first, id);
	if (strcmp(q->last, old->archive_id) == 0 && i == q->n - 1)
		str_set(&q->last, id);
	q->items[i] = message_copy(&renamed);
	q->bytes += message_size(q->items[i]);
	free(old);
}

void query_drop_before(struct query *q, size_t to)
{
	for (size_t i = 0; i < to; i++) {
		q->bytes -= message_size(q->items[i]);
		free(q->items[i]);
	}
	q->n -= to;
	memmove(q->items, q->items + to, q->n * sizeof(*q->items));
	memmove(q->numbers, q->numbers + to, q->n * sizeof(*q->numbers));
	memmove(q->stamps, q->stamps + to, q->n * sizeof(*q->stamps));
	str_set(&q->first, q->n ? q->items[0]->archive_id : "");
}

void query_cut_at(struct query *q, size_t from)
{
	if (from < q->n)
		str_set(&q->above_id, q->items[from]->archive_id);
	q->sliced = true;
	while (q->n > from) {
		q->bytes -= message_size(q->items[q->n - 1]);
		free(q->items[--q->n]);
	}
}

void query_push(struct query **list, struct query *q)
{
	while (*list)
		list = &(*list)->next;
	q->next = NULL;
	*list = q;
}

struct query *query_find(struct query *list, uint32_t id)
{
	while (list && list->id != id)
		list = list->next;
	return list;
}

struct query *query_take(struct query **list, uint32_t id)
{
	struct query *q;

	while (*list && (*list)->id != id)
		list = &(*list)->next;
	q = *list;
	if (q)
		*list = q->next;
	return q;
}

size_t query_count(const struct query *list)
{
	size_t n = 0;

	for (; list; list = list->next)
		n++;
	return n;
}
