#include "ipc/ctl/page.h"

#include <string.h>

#include "ipc/ctl/ctl.h"

void page_deinit(struct page *p)
{
	for (size_t i = 0; i < p->n; i++)
		message_deinit(&p->rows[i]);
	free(p->rows);
	*p = (struct page){ 0 };
}

static int read_rows(sd_bus_message *reply, struct page *p)
{
	int r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_MESSAGE);

	while (r >= 0) {
		struct message row;

		r = message_read(reply, &row);
		if (r <= 0)
			break;
		p->rows = xrealloc(p->rows, p->n + 1, sizeof(*p->rows));
		p->rows[p->n++] = row;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "ut", &p->edges, &p->seq);
	return r;
}

int page_get(struct ctl *c, const struct page_query *q, struct page *ret)
{
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	struct page p = { 0 };
	int r;

	if (q->across_gaps)
		r = ctl_call(c, VARVE_IFACE_ARCHIVE, "GetHistory", &reply, "sstuua{sv}", q->conversation, q->anchor,
			     q->value, q->before, q->after, 1, "across-gaps", "b", 1);
	else
		r = ctl_call(c, VARVE_IFACE_ARCHIVE, "GetHistory", &reply, "sstuua{sv}", q->conversation, q->anchor,
			     q->value, q->before, q->after, 0);
	if (r != EXIT_OK)
		return r;
	if (read_rows(reply, &p) < 0) {
		page_deinit(&p);
		return ctl_bad_reply(c, "GetHistory");
	}
	*ret = p;
	return EXIT_OK;
}

static void join(struct page *first, struct page *second)
{
	if (second->n > 0) {
		first->rows = xrealloc(first->rows, first->n + second->n, sizeof(*first->rows));
		memcpy(first->rows + first->n, second->rows, second->n * sizeof(*second->rows));
	}
	first->n += second->n;
	free(second->rows);
	second->rows = NULL;
	second->n = 0;
}

void page_append(struct page *p, struct page *more)
{
	join(p, more);
}

void page_prepend(struct page *p, struct page *more)
{
	struct message *rows;
	size_t n;

	join(more, p);
	rows = more->rows;
	n = more->n;
	more->rows = NULL;
	more->n = 0;
	p->rows = rows;
	p->n = n;
}

void page_drop(struct page *p, size_t n)
{
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		message_deinit(&p->rows[i]);
	p->n -= n;
	memmove(p->rows, p->rows + n, p->n * sizeof(*p->rows));
}

void page_cut(struct page *p, size_t n)
{
	while (p->n > n)
		message_deinit(&p->rows[--p->n]);
}
