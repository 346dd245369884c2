/* Rows of the outbox: reading them, adding one, counting and forgetting them. States change in outbox.c. */
#include "base/err.h"
#include "store/feed.h"
#include "store/ids.h"
#include "store/outbox-priv.h"

#define NOTE_DONE_US (INT64_C(60) * 1000000) /* between two looks at what is done: it is kept for thirty days */
#define CLOCK_SET_US INT64_C(1735689600000000) /* 2025-01-01: a clock before that was never set */

int outbox_begin(struct put *p)
{
	int r;

	p->outbox = p->s->outbox_account == p->account;
	r = p->outbox ? 0 : put_any(p, NONE_OUTBOX, SQL_OUTBOX_ANY, &p->outbox);
	if (r < 0)
		return err_trace(r);
	if (p->outbox)
		p->s->outbox_account = p->account;
	return 0;
}

static struct out_entry read_entry(struct stmt *q)
{
	return (struct out_entry){
		.id = col_i(q, 0),
		.kind = (enum out_kind)col_i(q, 1),
		.state = (enum out_state)col_i(q, 2),
		.conv = col_i(q, 3),
		.msg = col_i(q, 4),
		.again = (enum out_again)col_i(q, 5),
		.bounced = col_i(q, 6),
		.hash = (uint64_t)col_i(q, 7),
		.strikes = (uint32_t)col_i(q, 8),
		.seq = col_i(q, 9),
	};
}

int outbox_collect(struct stmt *q, struct out_entry **ret, size_t *ret_n)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	size_t n = 0;
	int r;

	while ((r = db_row(q)) > 0) {
		if (n % 64 == 0)
			list = xrealloc(list, n + 64, sizeof(*list));
		list[n++] = read_entry(q);
	}
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(list);
	*ret_n = n;
	return 0;
}

int outbox_in_state(struct put *p, enum out_state state, struct out_entry **ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_IN_STATE);

	put_i(&q, p->account);
	put_i(&q, state);
	return outbox_collect(&q, ret, ret_n);
}

int outbox_of_msg(struct put *p, int64_t msg, struct out_entry **ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_OF_MSG);

	put_i(&q, msg);
	put_i(&q, p->account);
	return outbox_collect(&q, ret, ret_n);
}

int outbox_by_client(struct put *p, const char *client_id, struct out_entry *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_BY_CLIENT);
	int r;

	if (!*client_id)
		return 0;
	put_i(&q, p->account);
	put_t(&q, client_id);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = read_entry(&q);
	return 1;
}

int outbox_by_id(struct put *p, int64_t item, struct out_entry *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_BY_ID);
	int r;

	put_i(&q, p->account);
	put_i(&q, item);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = read_entry(&q);
	return 1;
}

int outbox_delete(struct put *p, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_DELETE);

	put_i(&q, id);
	return db_run(&q);
}

int outbox_empty(struct put *p, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_EMPTY);

	put_i(&q, id);
	return db_run(&q);
}

int outbox_next_seq(struct put *p, int64_t *ret)
{
	int r = feed_next(p->s, p->account, ret);

	return r < 0 ? err_trace(r) : 0;
}

/* What is known of the account; a new one begins at the first row. */
static struct queue_low *find_low(struct store *s, int64_t account)
{
	struct queue_low *low;

	for (size_t i = 0; i < QUEUE_LOWS; i++)
		if (s->queue_lows[i].account == account)
			return &s->queue_lows[i];
	low = &s->queue_lows[s->queue_lows_at++ % QUEUE_LOWS];
	*low = (struct queue_low){ .account = account };
	return low;
}

int outbox_low(struct store *s, int64_t account, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_LOW);
	struct queue_low *low = find_low(s, account);
	int r;

	put_i(&q, account);
	put_i(&q, low->id);
	r = db_int(&q, 0, ret);
	if (r < 0)
		return err_trace(r);
	low->id = *ret;
	return 0;
}

void outbox_waits(struct store *s, int64_t account, int64_t id)
{
	struct queue_low *low = find_low(s, account);

	if (low->id > id)
		low->id = id;
}

/* Of the newest item, or above it. */
static int last_id(struct store *s, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };

	/* The next one is taken already: no row has it, or one above it. */
	if (s->ids[IDS_OUTBOX].next != s->ids[IDS_OUTBOX].end) {
		*ret = s->ids[IDS_OUTBOX].next - 1;
		return 0;
	}
	q = db_use(s, SQL_OUTBOX_LAST);
	return db_int(&q, 0, ret);
}

int outbox_full(struct put *p, int64_t max)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_WAITING);
	int64_t low, last;
	int r;

	r = last_id(p->s, &last);
	if (r < 0)
		return err_trace(r);
	/* Mostly there are not even so many rows, from where the first was that waited when it was last looked. */
	if (last - find_low(p->s, p->account)->id + 1 < max)
		return 0;
	r = outbox_low(p->s, p->account, &low);
	if (r < 0)
		return err_trace(r);
	if (last - low + 1 < max)
		return 0;
	put_i(&q, p->account);
	put_i(&q, max - 1);
	put_i(&q, low);
	r = db_row(&q);
	return r < 0 ? err_trace(r) : r;
}

int outbox_add(struct put *p, const struct out_new *n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_ADD);
	bool done = n->state == OUT_DONE;
	int64_t seq = n->seq, id = 0;
	int r = 0;

	if (!seq)
		r = outbox_next_seq(p, &seq);
	if (r == 0)
		r = ids_next(p->s, IDS_OUTBOX, &id);
	if (r < 0)
		return err_trace(r);
	put_i(&q, p->account);
	put_i(&q, seq);
	put_i(&q, n->kind);
	put_i(&q, n->state);
	put_i(&q, n->conv);
	put_i(&q, n->msg);
	put_t(&q, n->client_id);
	put_i(&q, (int64_t)n->hash);
	put_i(&q, p->now_us);
	put_n(&q, n->to);
	put_n(&q, done ? "" : n->body);
	put_n(&q, done ? "" : n->target_id);
	put_n(&q, done ? "" : n->text);
	put_n(&q, done ? "" : n->reply_id);
	put_n(&q, done ? "" : n->reply_jid);
	put_i(&q, id);
	r = db_run(&q);
	if (r < 0)
		return err_trace(r);
	outbox_waits(p->s, p->account, id);
	put_has(p, NONE_OUTBOX);
	p->outbox = true;
	return 0;
}

int outbox_count(struct store *s, int64_t account, struct outbox_counts *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_COUNT);
	int64_t low;
	int r;

	*ret = (struct outbox_counts){ 0 };
	r = outbox_low(s, account, &low);
	if (r < 0)
		return err_trace(r);
	put_i(&q, account);
	put_i(&q, low);
	while ((r = db_row(&q)) > 0) {
		uint32_t n = (uint32_t)col_i(&q, 1);

		switch (col_i(&q, 0)) {
		case OUT_QUEUED:
			ret->queued = n;
			break;
		case OUT_SENDING:
			ret->sending = n;
			break;
		case OUT_DOUBT:
			ret->doubt = n;
			break;
		case OUT_FAILED:
			ret->failed = n;
			break;
		default:
			break;
		}
	}
	return r < 0 ? err_trace(r) : 0;
}

int outbox_failed_rows(struct store *s, int64_t account, int64_t *ret, size_t max, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_FAILED);
	size_t n = 0;
	int r = 0;

	put_i(&q, account);
	put_i(&q, (int64_t)max);
	while (n < max && (r = db_row(&q)) > 0)
		ret[n++] = col_i(&q, 0);
	if (r < 0)
		return err_trace(r);
	*ret_n = n;
	return 0;
}

static int run_at(struct store *s, enum sql id, int64_t us, int64_t max)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);

	put_i(&q, us);
	put_i(&q, max);
	return db_run(&q);
}

int outbox_note_done(struct store *s, int64_t now_us)
{
	int64_t since = now_us - s->done_noted_us;
	int r;

	/* A phone that believes in 1970 would forget everything as soon as it learns the time. */
	if (now_us < CLOCK_SET_US || (since >= 0 && since < NOTE_DONE_US))
		return 0;
	r = run_at(s, SQL_OUTBOX_SEEN_DONE, now_us, OUTBOX_WAITING_MAX);
	s->done_noted_us = now_us;
	return r;
}

int outbox_expire(struct store *s, int64_t now_us, size_t max)
{
	int r;

	r = outbox_note_done(s, now_us);
	if (r == 0)
		r = run_at(s, SQL_OUTBOX_EXPIRE, now_us - OUTBOX_KEEP_US, (int64_t)max);
	return r < 0 ? err_trace(r) : 0;
}

bool outbox_expire_due(struct store *s, int64_t now_us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_DUE);
	int64_t due = 0;

	put_i(&q, now_us - OUTBOX_KEEP_US);
	return now_us >= CLOCK_SET_US && db_int(&q, 0, &due) == 0 && due != 0;
}

int outbox_expire_step(struct store *s, int64_t now_us, size_t max)
{
	int r;

	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	r = outbox_expire(s, now_us, max);
	if (r < 0) {
		store_rollback(s);
		return err_trace(r);
	}
	r = store_commit(s);
	return r < 0 ? err_trace(r) : 1;
}
