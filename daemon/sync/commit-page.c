/* sync/engine-priv.h, commit_page() and its like: a page of the archive in a transaction with what it proves. */
#include "sync/engine-priv.h"

#include <errno.h>

#include "base/err.h"
#include "base/step.h"

/* Receipts for what is new of [from, n) of ${q}; *new_messages: how many are. In the transaction. */
static int put_owed(struct engine *e, const struct query *q, size_t from, const struct put_outcome *out,
		    uint64_t *new_messages)
{
	int r = 0;

	*new_messages = 0;
	for (size_t i = from; i < q->n && r >= 0; i++) {
		const struct put_outcome *o = &out[i - from];

		*new_messages += o->result == PUT_NEW;
		if ((o->result == PUT_NEW || o->corrected) && !owed_answered(e, q, q->items[i]))
			r = owed_receipt(e, q->items[i], o);
	}
	return r < 0 ? err_trace(r) : 0;
}

static void page_stored(struct engine *e, size_t n, uint64_t new_messages)
{
	step("page.commit");
	e->messages += new_messages;
	commit_succeeded(e);
	if (n)
		e->io->event(e->userdata, HUB_FEED);
}

/* By our clock the archive's newest message, as far as we know of any, is so old. */
static int64_t since_newest_us(const struct engine *e, const struct query *q)
{
	int64_t newest = e->meta_end_us;

	for (size_t i = 0; i < e->cover.n; i++)
		newest = e->cover.spans[i].last.us > newest ? e->cover.spans[i].last.us : newest;
	for (size_t i = 0; i < q->n; i++)
		newest = q->stamps[i] > newest ? q->stamps[i] : newest;
	return newest ? e->io->real_us(e->userdata) - newest : 0;
}

int commit_aside(struct engine *e, struct query *q, size_t from, const struct archive_page *page,
		 struct put_outcome *out)
{
	struct archive_page stored = *page;
	struct ackline line = e->line;
	uint64_t new_messages = 0;
	struct recheck recheck;
	int r;

	stored.ahead_us = since_newest_us(e, q);
	r = store_begin(e->store);
	if (r >= 0)
		r = archive_put(e->store, e->account.id, e->archive, e->account.jid, &stored, e->io->real_us(e->userdata), out);
	if (r > 0) {
		renew_look(e, q, from, out);
		store_rollback(e->store);
		if (!e->another)
			return r;
		renew_archive(e);
		return -EAGAIN;
	}
	if (r >= 0)
		r = put_owed(e, q, from, out, &new_messages);
	if (r >= 0)
		r = recheck_put(e, q, &recheck);
	for (size_t i = 0; r >= 0 && e->counted && i < q->n; i++)
		if (q->numbers[i])
			ackline_done(&line, q->numbers[i]);
	if (r >= 0 && e->counted && q->fin_n)
		ackline_done(&line, q->fin_n);
	if (r >= 0)
		r = commit_finish(e, &line, NULL);
	if (r < 0)
		return commit_failed(e, r);
	recheck_put_done(e, &recheck);
	page_stored(e, page->n, new_messages);
	return 0;
}

/* What a page brought. */
struct news {
	uint64_t messages;
	size_t ids; /* archive ids that were not known */
};

/* The messages [from, n) of ${q} in the transaction, and their numbers in ${line}; ${ret} grows. As archive_put(). */
static int put_page(struct engine *e, const struct query *q, size_t from, const char *below_id, const char *above_id,
		    struct put_outcome *out, struct ackline *line, struct news *ret)
{
	struct archive_page page = {
		.items = (const struct message *const *)q->items + from,
		.n = q->n - from,
		.below_id = below_id,
		.above_id = above_id,
		.ahead_us = since_newest_us(e, q),
		.by_stamp = q->by_time && !*q->cursor,
		.first_id = q->by_time ? q->above_id : NULL,
	};
	uint64_t new_messages = 0;
	int r;

	r = archive_put(e->store, e->account.id, e->archive, e->account.jid, &page, e->io->real_us(e->userdata), out);
	if (r == 0)
		r = put_owed(e, q, from, out, &new_messages);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	for (size_t i = 0; i < page.n; i++)
		ret->ids += out[i].aid_is_new;
	ret->messages += new_messages;
	for (size_t i = from; e->counted && i < q->n; i++)
		if (q->numbers[i])
			ackline_done(line, q->numbers[i]);
	if (e->counted && from == 0 && q->fin_n)
		ackline_done(line, q->fin_n);
	return 0;
}

int commit_page(struct engine *e, struct query *q, size_t from, const char *below_id, const char *above_id,
		struct cover *cover, size_t *ret_new_ids)
{
	_cleanup_(freep) struct put_outcome *out = xnewn(struct put_outcome, q->n - from + 1);
	struct ackline line = e->line;
	struct news news = { 0 };
	struct recheck recheck;
	int r;

	r = store_begin(e->store);
	if (r >= 0)
		r = put_page(e, q, from, below_id, above_id, out, &line, &news);
	*ret_new_ids = 0;
	if (r > 0) {
		renew_look(e, q, from, out);
		store_rollback(e->store);
		return r;
	}
	if (r >= 0)
		r = recheck_put(e, q, &recheck);
	if (r >= 0)
		r = commit_finish(e, &line, cover);
	if (r < 0)
		return commit_failed(e, r);
	recheck_put_done(e, &recheck);
	page_stored(e, q->n - from, news.messages);
	*ret_new_ids = news.ids;
	return 0;
}

int commit_pages(struct engine *e, const struct placed_page *list, size_t n, struct cover *cover, size_t *ret_new_ids)
{
	_cleanup_(freep) struct put_outcome *out = xnewn(struct put_outcome, PAGE_ITEMS_MAX);
	struct ackline line = e->line;
	struct news news = { 0 };
	int r = store_begin(e->store);

	for (size_t i = 0; i < n && r == 0; i++)
		r = put_page(e, list[i].q, 0, list[i].below_id, list[i].above_id, out, &line, &news);
	if (r == 0)
		r = commit_finish(e, &line, cover);
	if (r != 0) {
		store_rollback(e->store);
		return r;
	}
	page_stored(e, 1, news.messages);
	*ret_new_ids = news.ids;
	return 0;
}
