/* store/conv.h, the end of a call: what the rows of conversations say that follows from their messages. */
#include "store/conv.h"

#include "base/err.h"
#include "store/feed.h"
#include "store/read.h"
#include "store/row.h"

/* Mark unread messages that sort up to ${key} as read, but for the newest ${spare}; *ret_any becomes true if there were any. */
static int flip(struct put *p, int64_t conv, int64_t key, size_t spare, bool *ret_any)
{
	_cleanup_(freep) int64_t *ids = NULL;
	size_t n = 0;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_UNREAD_BELOW);

		put_i(&q, conv);
		put_i(&q, key);
		put_i(&q, CONV_SETTLE_MAX);
		while ((r = db_row(&q)) > 0) {
			if (n % 64 == 0)
				ids = xrealloc(ids, n + 64, sizeof(*ids));
			ids[n++] = col_i(&q, 0);
		}
		if (r < 0)
			return err_trace(r);
	}
	*ret_any = *ret_any || n > spare;
	for (size_t i = spare; i < n; i++) {
		r = row_set_state(p, ids[i], STATE_READ, "", "");
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* What a conversation row says that follows from the messages. */
struct summary {
	int64_t mod, last, activity_us, unread, first_unread;
	int64_t last_mod; /* of the newest message: its text is part of the row */
	int64_t read_key;
	int64_t opened_us; /* 0 = it is shown only while it has a message */
	char *jid;	   /* owned */
};

static void summary_deinit(struct summary *s)
{
	free(s->jid);
}

static int read_stored(struct put *p, int64_t conv, struct summary *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_STATE);
	int r;

	put_i(&q, conv);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = (struct summary){
		.mod = col_i(&q, 0),
		.last = col_i(&q, 1),
		.activity_us = col_i(&q, 2),
		.unread = col_i(&q, 3),
		.first_unread = col_i(&q, 4),
		.read_key = sqlite3_column_type(q.st, 5) == SQLITE_NULL ? INT64_MIN : col_i(&q, 5),
		.opened_us = col_i(&q, 6),
		.jid = xstrdup(col_t(&q, 7)),
	};
	return 0;
}

/* Where the account's backlog ends: asked when something is unread, which is rare, and once for all conversations. */
struct backlog {
	bool known;
	int64_t key; /* INT64_MIN = there is none */
};

static int backlog_read(struct put *p, struct backlog *b)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int r;

	if (b->known)
		return 0;
	q = db_use(p->s, SQL_ACCOUNT_BACKLOG);
	put_i(&q, p->account);
	r = db_int(&q, INT64_MIN, &b->key);
	b->known = r == 0;
	return r < 0 ? err_trace(r) : 0;
}

/* Is any message unread, as its state has it? Mostly not: then there is nothing to turn over and to count. */
static int has_unread(struct put *p, int64_t conv, bool *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_UNREAD_ANY);
	int r;

	put_i(&q, conv);
	r = db_row(&q);
	*ret = r > 0;
	return r < 0 ? err_trace(r) : 0;
}

static int count_all(struct put *p, int64_t conv, int64_t read_key, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_UNREAD_COUNT);
	int r;

	put_i(&q, conv);
	put_i(&q, read_key);
	put_i(&q, CONV_UNREAD_MAX);
	r = db_int(&q, 0, ret);
	return r < 0 ? err_trace(r) : 0;
}

/*
 * What came to many that were there is added to them: in a room that nobody opens each message would count all others anew.
 * ${exact}: more than that happened.
 */
static int count_unread(struct put *p, const struct dirty *d, bool exact, const struct summary *before, struct summary *now)
{
	_cleanup_(stmt_done) struct stmt first = db_use(p->s, SQL_UNREAD_FIRST);
	int r = 0;

	if (exact || before->unread < p->s->limits.recount)
		r = count_all(p, d->conv, now->read_key, &now->unread);
	else
		now->unread = before->unread + d->came < CONV_UNREAD_MAX ? before->unread + d->came : CONV_UNREAD_MAX;
	put_i(&first, d->conv);
	put_i(&first, now->read_key);
	if (r == 0)
		r = db_int(&first, 0, &now->first_unread);
	return r < 0 ? err_trace(r) : 0;
}

static int find_last(struct put *p, int64_t conv, struct summary *now)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_LAST);
	int r;

	put_i(&q, conv);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	now->last = r > 0 ? col_i(&q, 0) : 0;
	now->activity_us = r > 0 ? col_i(&q, 1) : now->opened_us;
	now->last_mod = r > 0 ? col_i(&q, 2) : 0;
	return 0;
}

static int write_summary(struct put *p, int64_t conv, const struct summary *now)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_PUT);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, now->last);
	put_i(&q, now->activity_us);
	put_i(&q, now->unread);
	put_i(&q, now->first_unread);
	put_i(&q, mod);
	put_i(&q, conv);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

/* It comes into sight with its first message, and goes with its last. */
static int tell_visibility(struct put *p, const struct summary *before, const struct summary *now)
{
	if (now->opened_us || (before->last == 0) == (now->last == 0))
		return 0;
	return now->last ? feed_present(p->s, p->account, "conversation", now->jid) :
			   feed_removed(p->s, p->account, "conversation", now->jid);
}

static int settle(struct put *p, const struct dirty *d, struct backlog *backlog)
{
	int64_t conv = d->conv;
	_cleanup_(summary_deinit) struct summary before = { 0 };
	struct summary now;
	bool unread = false, exact = d->other;
	int r;

	r = read_stored(p, conv, &before);
	if (r == 0)
		r = has_unread(p, conv, &unread);
	if (r == 0 && unread && before.read_key != INT64_MIN)
		r = flip(p, conv, before.read_key, 0, &exact);
	if (r == 0 && unread)
		r = backlog_read(p, backlog);
	if (r == 0 && unread && backlog->key != INT64_MIN)
		r = flip(p, conv, backlog->key, CONV_BACKLOG_MAX, &exact);
	now = before;
	now.unread = now.first_unread = 0;
	if (r == 0 && unread)
		r = count_unread(p, d, exact, &before, &now);
	if (r == 0)
		r = find_last(p, conv, &now);
	if (r < 0)
		return err_trace(r);
	if (now.last == before.last && now.activity_us == before.activity_us && now.unread == before.unread &&
	    now.first_unread == before.first_unread && now.last_mod <= before.mod)
		return 0;
	r = tell_visibility(p, &before, &now);
	if (r == 0)
		r = write_summary(p, conv, &now);
	return r < 0 ? err_trace(r) : 0;
}

/* A conversation that only got p->newest: what its row then says is known. 1, 0 if it was not in sight before. */
static int settle_newest(struct put *p)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_GREW);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, p->newest.msg);
	put_i(&q, p->newest.time_us);
	put_i(&q, mod);
	put_i(&q, p->newest.conv);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : sqlite3_changes64(p->s->db) > 0;
}

/* The first messages of an account end its backlog. */
static int end_backlog(struct put *p)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	struct backlog b = { 0 };
	int r = 0;

	if (!p->new_rows || p->s->begun_account == p->account)
		return 0;
	r = backlog_read(p, &b);
	if (r == 0 && b.key == INT64_MIN) {
		q = db_use(p->s, SQL_ACCOUNT_FIRST_MSG);
		put_i(&q, p->account);
		r = db_run(&q);
	}
	if (r < 0)
		return err_trace(r);
	p->s->begun_account = p->account;
	return 0;
}

int conv_settle(struct put *p)
{
	struct backlog backlog = { 0 };
	int r = end_backlog(p);

	for (size_t i = 0; i < p->n_dirty && r == 0; i++) {
		int done = p->dirty[i].conv == p->newest.conv ? settle_newest(p) : 0;

		r = done == 0 ? settle(p, &p->dirty[i], &backlog) : done < 0 ? done : 0;
	}
	free(p->dirty);
	p->dirty = NULL;
	p->n_dirty = 0;
	p->newest = (struct newest){ 0 };
	return r < 0 ? err_trace(r) : 0;
}
