/* What we owe for messages of others: receipts, markers, the state of reading for our other devices. */
#include "base/err.h"
#include "core/jid.h"
#include "store/conv.h"
#include "store/outbox-priv.h"
#include "store/read.h"

static int make_id(struct put *p, char **ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_MAKE_ID);
	int r = db_row(&q);

	if (r < 0)
		return err_trace(r);
	*ret = xstrdup(col_t(&q, 0));
	return 0;
}

/* A message that something is owed for. */
struct owed {
	int64_t msg, conv;
	char *target, *to; /* owned */
};

static void owed_deinit(struct owed *o)
{
	free(o->target);
	free(o->to);
}

static int read_owed(struct stmt *q, struct owed *ret)
{
	int r = db_row(q);

	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = (struct owed){ .msg = col_i(q, 0), .conv = col_i(q, 1), .target = xstrdup(col_t(q, 2)),
			      .to = xstrdup(col_t(q, 3)) };
	return 1;
}

static int add(struct put *p, enum out_kind kind, const struct owed *o)
{
	_cleanup_(freep) char *id = NULL;
	int r;

	r = make_id(p, &id);
	if (r == 0)
		r = outbox_add(p, &(struct out_new){
			.kind = kind, .state = OUT_QUEUED, .conv = o->conv, .msg = o->msg, .client_id = id,
			.to = o->to, .body = "", .target_id = o->target, .text = "", .reply_id = "", .reply_jid = "",
		});
	return r < 0 ? err_trace(r) : 0;
}

static int run_for(struct put *p, enum sql id, int64_t a, int64_t b)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);

	put_i(&q, a);
	put_i(&q, b);
	return db_run(&q);
}

static int owe_receipt(struct put *p, int64_t msg)
{
	_cleanup_(owed_deinit) struct owed o = { 0 };
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OWED_RECEIPT);

		put_i(&q, msg);
		put_i(&q, p->account);
		r = read_owed(&q, &o);
	}
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	r = run_for(p, SQL_OWED_CLEAR, msg, ASKS_RECEIPT);
	if (r == 0)
		r = outbox_full(p, OWED_WAITING_MAX);
	/* A peer can make us owe without end; what it is not told it has brought upon itself. */
	if (r != 0)
		return r < 0 ? err_trace(r) : 0;
	return add(p, OUT_RECEIPT, &o);
}

int outbox_owe_receipt(struct store *s, int64_t account, int64_t msg, int64_t now_us)
{
	struct put p = { .s = s, .account = account, .own_bare = "", .now_us = now_us };
	int r;

	r = put_begin(&p);
	if (r == 0)
		r = owe_receipt(&p, msg);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

static int owe_correction(struct put *p, int64_t msg, const char *id, const char *from)
{
	_cleanup_(owed_deinit) struct owed o = { .msg = msg, .target = xstrdup(id), .to = xstrdup(from) };
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OWED_CONV);

		put_i(&q, msg);
		put_i(&q, p->account);
		r = db_int(&q, 0, &o.conv);
	}
	if (r < 0 || !o.conv)
		return r < 0 ? err_trace(r) : 0;
	r = outbox_full(p, OWED_WAITING_MAX);
	if (r != 0)
		return r < 0 ? err_trace(r) : 0;
	return add(p, OUT_RECEIPT, &o);
}

int outbox_owe_correction(struct store *s, int64_t account, int64_t msg, const char *id, const char *from, int64_t now_us)
{
	struct put p = { .s = s, .account = account, .own_bare = "", .now_us = now_us };
	int r;

	r = put_begin(&p);
	if (r == 0)
		r = owe_correction(&p, msg, id, from);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

static int drop_waiting(struct put *p, enum out_kind kind, int64_t conv)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OWED_DROP);
	int64_t low;
	int r;

	r = outbox_low(p->s, p->account, &low);
	if (r < 0)
		return err_trace(r);
	put_i(&q, conv);
	put_i(&q, kind);
	put_i(&q, low);
	return db_run(&q);
}

/* The newest message up to ${msg} that ${id} finds, above what was told before: told now. */
static int owe(struct put *p, enum out_kind kind, int64_t conv, int64_t msg)
{
	_cleanup_(owed_deinit) struct owed o = { 0 };
	int r;

	{
		_cleanup_(stmt_done) struct stmt q =
			db_use(p->s, kind == OUT_MARKER ? SQL_OWED_MARKER : SQL_OWED_READ);

		put_i(&q, conv);
		put_i(&q, msg);
		put_i(&q, OWED_ROWS_MAX);
		if (kind == OUT_READ)
			put_i(&q, p->archive);
		r = read_owed(&q, &o);
	}
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	r = drop_waiting(p, kind, conv);
	if (r == 0)
		r = run_for(p, kind == OUT_MARKER ? SQL_CONV_MARKED : SQL_CONV_TOLD, conv, o.msg);
	if (r == 0)
		r = add(p, kind, &o);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_owe_read(struct store *s, int64_t account, const char *conversation, int64_t msg, bool marker,
		    int64_t now_us)
{
	_cleanup_(freep) char *jid = jid_bare(conversation);
	struct put p = { .s = s, .account = account, .own_bare = "", .now_us = now_us };
	int64_t conv = 0;
	bool room = false;
	int r;

	r = put_begin(&p);
	if (r == 0)
		r = archive_id(s, account, "", &p.archive);
	if (r == 0)
		r = conv_look_up(&p, jid, &conv, &room);
	if (r == 0 && conv && marker && !room)
		r = owe(&p, OUT_MARKER, conv, msg);
	if (r == 0 && conv && !room)
		r = owe(&p, OUT_READ, conv, msg);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}
