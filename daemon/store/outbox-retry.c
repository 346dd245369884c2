/* Trying again what failed or was cancelled. */
#include "base/err.h"
#include "core/message.h"
#include "store/conv.h"
#include "store/outbox-priv.h"
#include "store/present.h"
#include "store/read.h"
#include "store/row.h"

/* Its place in the order is the last one, its time is now. */
static int renew(struct put *p, int64_t item)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_RENEW);
	int64_t seq;
	int r;

	r = outbox_next_seq(p, &seq);
	if (r < 0)
		return err_trace(r);
	put_i(&q, item);
	put_i(&q, seq);
	put_i(&q, p->now_us);
	return db_run(&q);
}

/* The message as it stands now, whatever was changed since it was written: that is what its user sees. */
static int refill(struct put *p, int64_t item, const struct present *t)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_REFILL);

	put_i(&q, item);
	put_n(&q, t->body);
	put_n(&q, t->reply_id);
	put_n(&q, t->reply_jid);
	return db_run(&q);
}

static int requeue(struct put *p, const struct out_entry *e)
{
	int r = outbox_enter(p, e, OUT_QUEUED, e->again, "", "");

	if (r == 0)
		r = renew(p, e->id);
	return r < 0 ? err_trace(r) : 0;
}

static bool ended(const struct out_entry *e)
{
	return e->state == OUT_FAILED || e->state == OUT_CANCELLED;
}

/* The outbox has forgotten the item, or another device sent the message. */
static int anew(struct put *p, int64_t msg, const struct present *t)
{
	int r;

	if (!*present_client_id(t))
		return OUTBOX_E_UNSUITABLE;
	r = outbox_add(p, &(struct out_new){
		.kind = OUT_TEXT, .state = OUT_QUEUED, .conv = t->conv, .msg = msg, .client_id = present_client_id(t),
		.to = "", .body = t->body, .target_id = "", .text = "", .reply_id = t->reply_id,
		.reply_jid = t->reply_jid,
	});
	if (r == 0)
		r = row_set_state(p, msg, STATE_QUEUED, "", "");
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, t->conv);
	return 0;
}

/* The text, and the reactions that were ended with it. Corrections are in the text that goes out now. */
static int again(struct put *p, int64_t msg, const struct present *t, const struct out_entry *list, size_t n)
{
	const struct out_entry *text = NULL;
	int r;

	if (t->kind != ROW_TEXT || t->encrypted || !*t->body)
		return OUTBOX_E_UNSUITABLE;
	for (size_t i = 0; i < n; i++)
		text = list[i].kind == OUT_TEXT ? &list[i] : text;
	if (!text)
		return anew(p, msg, t);
	if (!ended(text))
		return OUTBOX_E_STATE;
	r = requeue(p, text);
	if (r == 0)
		r = refill(p, text->id, t);
	for (size_t i = 0; i < n && r == 0; i++)
		if (list[i].kind == OUT_REACTION && ended(&list[i]))
			r = requeue(p, &list[i]);
	return r < 0 ? err_trace(r) : 0;
}

/* The message is fine: what failed is a correction of it, its retraction, a reaction. */
static int again_about(struct put *p, const struct out_entry *list, size_t n)
{
	int outcome = OUTBOX_E_STATE, r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (list[i].kind == OUT_TEXT || list[i].state != OUT_FAILED)
			continue;
		r = requeue(p, &list[i]);
		outcome = 0;
	}
	return r < 0 ? err_trace(r) : outcome;
}

static int retry(struct put *p, int64_t msg)
{
	_cleanup_(present_deinit) struct present t = { 0 };
	_cleanup_(freep) struct out_entry *list = NULL;
	size_t n = 0;
	int r;

	r = present_read(p, msg, &t);
	if (r == 0)
		return OUTBOX_E_NO_MESSAGE;
	if (r > 0)
		r = outbox_of_msg(p, msg, &list, &n);
	if (r == 0)
		r = outbox_full(p, OUTBOX_WAITING_MAX);
	if (r != 0)
		return r < 0 ? err_trace(r) : OUTBOX_E_FULL;
	if (t.out && (t.state == STATE_FAILED || t.state == STATE_CANCELLED))
		return again(p, msg, &t, list, n);
	return again_about(p, list, n);
}

int outbox_retry(struct store *s, int64_t account, int64_t msg, int64_t now_us)
{
	struct put p = { .s = s, .account = account, .own_bare = "", .now_us = now_us };
	int outcome = 0, r;

	r = put_begin(&p);
	if (r == 0)
		r = archive_id(s, account, "", &p.archive);
	if (r == 0)
		r = outcome = retry(&p, msg);
	r = put_end(&p, r < 0 ? r : 0);
	return r < 0 ? err_trace(r) : outcome;
}
