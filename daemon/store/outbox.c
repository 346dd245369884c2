#include "store/outbox.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/conv.h"
#include "store/outbox-priv.h"
#include "store/read.h"
#include "store/row.h"

static const char *const state_names[] = { "queued", "sending", "doubt", "done", "failed", "cancelled" };

#define TO(state) (1u << (state))
/* The arrows of outbox.h. */
static const unsigned int moves[] = {
	[OUT_QUEUED] = TO(OUT_SENDING) | TO(OUT_DONE) | TO(OUT_FAILED) | TO(OUT_CANCELLED),
	[OUT_SENDING] = TO(OUT_QUEUED) | TO(OUT_DOUBT) | TO(OUT_DONE) | TO(OUT_FAILED),
	[OUT_DOUBT] = TO(OUT_QUEUED) | TO(OUT_DONE) | TO(OUT_FAILED),
	[OUT_DONE] = TO(OUT_FAILED), /* it came back as an error */
	[OUT_FAILED] = TO(OUT_QUEUED) | TO(OUT_DONE),
	[OUT_CANCELLED] = TO(OUT_QUEUED) | TO(OUT_DONE),
};

bool outbox_is_content(enum out_kind kind)
{
	return kind < OUT_RECEIPT;
}

/* What a text in this state is for the user. */
static uint32_t message_state(enum out_state state)
{
	switch (state) {
	case OUT_QUEUED:
		return STATE_QUEUED;
	case OUT_SENDING:
	case OUT_DOUBT:
		return STATE_SENDING;
	case OUT_DONE:
		return STATE_SENT;
	case OUT_FAILED:
		return STATE_FAILED;
	case OUT_CANCELLED:
		return STATE_CANCELLED;
	}
	return STATE_FAILED;
}

static int row_state(struct put *p, int64_t msg, int64_t *ret_state)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_STATE);
	int r;

	put_i(&q, msg);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_state = r > 0 ? col_i(&q, 5) : -1;
	return 0;
}

/* A message that was delivered stays so, whatever becomes of the item. */
static int tell_row(struct put *p, const struct out_entry *e, enum out_state to, const char *error,
		    const char *error_text)
{
	uint32_t want = message_state(to);
	int64_t now;
	int r;

	if (!e->msg || !outbox_is_content(e->kind))
		return 0;
	r = row_state(p, e->msg, &now);
	if (r < 0)
		return err_trace(r);
	if (now < 0)
		return 0;
	/* What failed is the correction, not the message: its state stays, its error says so. */
	if (e->kind != OUT_TEXT && to != OUT_FAILED && e->state != OUT_FAILED)
		return 0;
	if (e->kind != OUT_TEXT)
		want = (uint32_t)now;
	else if (now == STATE_SENT || now == STATE_DELIVERED || now == STATE_DISPLAYED || now == want)
		return 0;
	r = row_set_state(p, e->msg, want, error, error_text);
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, e->conv);
	return 0;
}

static int write_state(struct put *p, int64_t id, enum out_state to, enum out_again again, const char *error,
		       const char *error_text)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, to == OUT_DONE ? SQL_OUTBOX_DONE : SQL_OUTBOX_ENTER);

	put_i(&q, id);
	if (to != OUT_DONE) {
		put_i(&q, to);
		put_i(&q, again);
		put_n(&q, error);
		put_n(&q, error_text);
	}
	return db_run(&q);
}

int outbox_enter(struct put *p, const struct out_entry *e, enum out_state to, enum out_again again, const char *error,
		 const char *error_text)
{
	int r;

	if (!(moves[e->state] & TO(to))) {
		log_error("outbox: item %lld from %s to %s", (long long)e->id, state_names[e->state], state_names[to]);
		return err_origin(-EINVAL);
	}
	log_debug("outbox: item %lld from %s to %s", (long long)e->id, state_names[e->state], state_names[to]);
	if (!outbox_is_content(e->kind) && (to == OUT_DONE || to == OUT_FAILED))
		return outbox_delete(p, e->id);
	if (to == OUT_QUEUED)
		outbox_waits(p->s, p->account, e->id);
	r = write_state(p, e->id, to, again, error, error_text);
	if (r == 0)
		r = tell_row(p, e, to, error, error_text);
	return r < 0 ? err_trace(r) : 0;
}

static int each_next(struct stmt *q, out_item_fn fn, void *userdata)
{
	int r;

	while ((r = db_row(q)) > 0) {
		const struct out_item item = {
			.id = col_i(q, 0),
			.kind = (enum out_kind)col_i(q, 1),
			.seq = col_i(q, 2),
			.msg = col_i(q, 3),
			.strikes = (uint32_t)col_i(q, 4),
			.again = col_i(q, 5) != AGAIN_NOT,
			.written_us = col_i(q, 6),
			.to = col_t(q, 7),
			.client_id = col_t(q, 8),
			.body = col_t(q, 9),
			.target_id = col_t(q, 10),
			.text = col_t(q, 11),
			.reply_id = col_t(q, 12),
			.reply_jid = col_t(q, 13),
		};

		r = fn(userdata, &item);
		if (r < 0)
			return r;
	}
	return r < 0 ? err_trace(r) : 0;
}

int outbox_next(struct store *s, int64_t account, int64_t after_seq, size_t max, out_item_fn fn, void *userdata)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_NEXT);
	int64_t low;
	int r;

	r = outbox_low(s, account, &low);
	if (r < 0)
		return err_trace(r);
	put_i(&q, account);
	put_i(&q, after_seq);
	put_i(&q, (int64_t)max);
	put_i(&q, low);
	return each_next(&q, fn, userdata);
}

static int write_number(struct put *p, int64_t item, uint32_t n, const char *anchor)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_NUMBER);

	put_i(&q, item);
	put_i(&q, n);
	put_n(&q, anchor);
	return db_run(&q);
}

/* As every call of this file: a put of the account's own archive. */
static int begin(struct put *p, struct store *s, int64_t account)
{
	int r;

	*p = (struct put){ .s = s, .account = account, .own_bare = "" };
	r = put_begin(p);
	if (r == 0)
		r = archive_id(s, account, "", &p->archive);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_numbered(struct store *s, int64_t account, int64_t item, int64_t seq, uint32_t n, const char *anchor)
{
	struct out_entry e = { 0 };
	struct put p;
	int found = 0, r;

	r = begin(&p, s, account);
	if (r == 0)
		r = found = outbox_by_id(&p, item, &e);
	found = found > 0 && e.state == OUT_QUEUED && (!seq || e.seq == seq);
	if (r >= 0 && found)
		r = outbox_enter(&p, &e, OUT_SENDING, e.again, "", "");
	if (r >= 0 && found)
		r = write_number(&p, item, n, anchor);
	r = put_end(&p, r < 0 ? r : 0);
	return r < 0 ? err_trace(r) : found;
}

/* SENDING items of the session that the server has, counting to ${h}: DONE. */
static int done_upto(struct put *p, uint32_t h, size_t *ret)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	size_t n = 0;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_UPTO);

		put_i(&q, p->account);
		put_i(&q, h);
		r = outbox_collect(&q, &list, &n);
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = outbox_enter(p, &list[i], OUT_DONE, list[i].again, "", "");
	if (r < 0)
		return err_trace(r);
	*ret = n;
	return 0;
}

int outbox_acked(struct store *s, int64_t account, uint32_t n, size_t *ret)
{
	struct put p;
	int r;

	*ret = 0;
	r = begin(&p, s, account);
	if (r == 0)
		r = done_upto(&p, n, ret);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

/* Whatever is in ${from} goes to ${to}; receipts and the like to QUEUED. */
static int move_all(struct put *p, enum out_state from, enum out_state to, enum out_again again, size_t *ret)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	int r = outbox_in_state(p, from, &list, ret);

	for (size_t i = 0; i < *ret && r == 0; i++)
		r = outbox_enter(p, &list[i], outbox_is_content(list[i].kind) ? to : OUT_QUEUED, again, "", "");
	return r < 0 ? err_trace(r) : 0;
}

/* Of the session that ended the server said ${h}: what it has not, it never will have. */
static int settle_by_h(struct put *p, uint32_t h)
{
	size_t n = 0;
	int r = done_upto(p, h, &n);

	if (r == 0)
		r = move_all(p, OUT_SENDING, OUT_QUEUED, AGAIN_BY_H, &n);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_resumed(struct store *s, int64_t account, uint32_t h)
{
	struct put p;
	int r;

	r = begin(&p, s, account);
	if (r == 0)
		r = settle_by_h(&p, h);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_session_lost(struct store *s, int64_t account, bool has_h, uint32_t h)
{
	struct put p;
	size_t n = 0;
	int r;

	r = begin(&p, s, account);
	if (r == 0)
		r = has_h ? settle_by_h(&p, h) : move_all(&p, OUT_SENDING, OUT_DOUBT, AGAIN_UNSURE, &n);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_doubt_over(struct store *s, int64_t account, size_t *ret)
{
	struct put p;
	int r;

	*ret = 0;
	r = begin(&p, s, account);
	if (r == 0)
		r = move_all(&p, OUT_DOUBT, OUT_QUEUED, AGAIN_UNSURE, ret);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_oldest_doubt(struct store *s, int64_t account, char **ret_anchor, int64_t *ret_written_us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_OLDEST_DOUBT);
	int r;

	put_i(&q, account);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret_anchor = xstrdup(col_t(&q, 0));
	*ret_written_us = col_i(&q, 1);
	return 1;
}

int outbox_unproven(struct store *s, int64_t account, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_UNPROVEN);

	put_i(&q, account);
	return db_int(&q, 0, ret);
}

/* What is about a message that never left goes nowhere either. */
static int end_dependents(struct put *p, const struct out_entry *text)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	size_t n = 0;
	int r = outbox_of_msg(p, text->msg, &list, &n);

	for (size_t i = 0; i < n && r == 0; i++)
		if (list[i].id != text->id && list[i].state == OUT_QUEUED)
			r = outbox_enter(p, &list[i], OUT_CANCELLED, list[i].again, "", "");
	return r < 0 ? err_trace(r) : 0;
}

static int fail(struct put *p, const struct out_entry *e, const char *condition, const char *text)
{
	int r = outbox_enter(p, e, OUT_FAILED, e->again, condition, text);

	if (r == 0 && e->kind == OUT_TEXT && e->msg)
		r = end_dependents(p, e);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_failed(struct store *s, int64_t account, int64_t item, const char *condition, const char *text)
{
	struct out_entry e;
	struct put p;
	int r;

	r = begin(&p, s, account);
	if (r == 0)
		r = outbox_by_id(&p, item, &e);
	if (r > 0)
		r = e.state == OUT_QUEUED || e.state == OUT_SENDING ? fail(&p, &e, condition, text) : 0;
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

static int add_strike(struct put *p, int64_t item)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_STRIKE);

	put_i(&q, item);
	return db_run(&q);
}

int outbox_strike(struct store *s, int64_t account, const char *condition, const char *text)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	struct put p;
	size_t n = 0;
	int r;

	r = begin(&p, s, account);
	if (r == 0)
		r = outbox_in_state(&p, OUT_SENDING, &list, &n);
	if (r == 0 && n == 1)
		r = add_strike(&p, list[0].id);
	if (r == 0 && n == 1 && list[0].strikes + 1 >= OUTBOX_STRIKES_MAX)
		r = fail(&p, &list[0], condition, text);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

/* The text item of row ${msg} among its entries, NULL if there is none (any more). */
static const struct out_entry *text_of(const struct out_entry *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].kind == OUT_TEXT)
			return &list[i];
	return NULL;
}

static int cancel(struct put *p, int64_t msg)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	const struct out_entry *text;
	int64_t state;
	size_t n = 0;
	int r;

	r = row_state(p, msg, &state);
	if (r == 0)
		r = outbox_of_msg(p, msg, &list, &n);
	if (r < 0)
		return err_trace(r);
	text = text_of(list, n);
	if (!text)
		return state < 0 ? OUTBOX_E_NO_MESSAGE : OUTBOX_E_STATE;
	if (text->state != OUT_QUEUED || text->again == AGAIN_UNSURE)
		return OUTBOX_E_STATE;
	r = outbox_enter(p, text, OUT_CANCELLED, text->again, "", "");
	if (r == 0)
		r = end_dependents(p, text);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_cancel(struct store *s, int64_t account, int64_t msg)
{
	struct put p;
	int outcome = 0, r;

	r = begin(&p, s, account);
	if (r == 0)
		r = outcome = cancel(&p, msg);
	r = put_end(&p, r < 0 ? r : 0);
	return r < 0 ? err_trace(r) : outcome;
}
