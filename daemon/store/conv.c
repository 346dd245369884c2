#include "store/conv.h"

#include <string.h>

#include "base/err.h"
#include "store/feed.h"
#include "store/known.h"
#include "store/read.h"
#include "store/walls.h"

static int find(struct store *s, int64_t account, const char *jid, int64_t *ret_id, bool *ret_room)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_FIND);
	int r;

	put_i(&q, account);
	put_t(&q, jid);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_id = r > 0 ? col_i(&q, 0) : 0;
	*ret_room = r > 0 && strcmp(col_t(&q, 1), "room") == 0;
	return 0;
}

int conv_find(struct put *p, struct item *it)
{
	int r = it->known ? 0 : known_get(p, it->conv_jid, &it->known);

	if (r < 0)
		return err_trace(r);
	it->conv = it->known->id;
	return 0;
}

int conv_look_up(struct put *p, const char *jid, int64_t *ret, bool *ret_room)
{
	return find(p->s, p->account, jid, ret, ret_room);
}

static int add(struct put *p, struct item *it)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_ADD);
	int r;

	put_i(&q, p->account);
	put_t(&q, it->conv_jid);
	put_t(&q, it->room ? "room" : "direct");
	r = db_insert(&q, &it->conv);
	if (r < 0)
		return err_trace(r);
	it->known->id = it->conv;
	it->known->room = it->room;
	return 0;
}

/* A JID that was only known through an invitation or a private message turns out to be a room. */
static int become_room(struct put *p, struct known *k)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_KIND);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_t(&q, "room");
	put_i(&q, mod);
	put_i(&q, k->id);
	r = db_run(&q);
	if (r < 0)
		return err_trace(r);
	k->room = true;
	return 0;
}

int conv_get(struct put *p, struct item *it)
{
	int r;

	if (it->conv && !it->room)
		return 0;
	r = conv_find(p, it);
	if (r == 0 && it->conv == 0)
		r = add(p, it);
	else if (r == 0 && it->room && !it->known->room)
		r = become_room(p, it->known);
	return r < 0 ? err_trace(r) : 0;
}

void conv_dirty(struct put *p, int64_t conv)
{
	for (size_t i = 0; i < p->n_dirty; i++)
		if (p->dirty[i] == conv)
			return;
	p->dirty = xrealloc(p->dirty, p->n_dirty + 1, sizeof(*p->dirty));
	p->dirty[p->n_dirty++] = conv;
}

int conv_read_to(struct put *p, int64_t conv, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_READ);
	int r;

	put_i(&q, msg);
	put_i(&q, conv);
	r = db_run(&q);
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, conv);
	return 0;
}

int conv_read_present(struct put *p, int64_t conv, int64_t key)
{
	int64_t msg = 0;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_UNREAD_LAST);

		put_i(&q, conv);
		put_i(&q, key);
		r = db_int(&q, 0, &msg);
	}
	if (r == 0 && msg)
		r = conv_read_to(p, conv, msg);
	return r < 0 ? err_trace(r) : msg != 0;
}

int conv_read_to_key(struct put *p, int64_t conv, int64_t key)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_READ_KEY);
	int r;

	put_i(&q, conv);
	put_i(&q, key);
	r = db_run(&q);
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, conv);
	return 0;
}

int conv_touch(struct put *p, int64_t conv)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_TOUCH);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, mod);
	put_i(&q, conv);
	return db_run(&q);
}

static int move_on(struct put *p, enum sql id, int64_t conv, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);
	int r;

	put_i(&q, conv);
	put_i(&q, msg);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : sqlite3_changes64(p->s->db) > 0;
}

int conv_seen(struct put *p, int64_t conv, int64_t msg)
{
	int r = move_on(p, SQL_CONV_SEEN, conv, msg);

	if (r > 0)
		r = conv_touch(p, conv);
	return r < 0 ? err_trace(r) : 0;
}

int conv_told(struct put *p, int64_t conv, int64_t msg)
{
	int r = move_on(p, SQL_CONV_TOLD_MORE, conv, msg);

	return r < 0 ? err_trace(r) : 0;
}

static int mark_read(struct put *p, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_SET_STATE);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, STATE_READ);
	put_i(&q, mod);
	put_null(&q);
	put_null(&q);
	put_i(&q, msg);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

/* Mark unread messages that sort up to ${key} as read, but for the newest ${spare}. */
static int flip(struct put *p, int64_t conv, int64_t key, size_t spare)
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
	for (size_t i = spare; i < n; i++) {
		r = mark_read(p, ids[i]);
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

static int count_unread(struct put *p, int64_t conv, struct summary *now)
{
	_cleanup_(stmt_done) struct stmt count = db_use(p->s, SQL_UNREAD_COUNT);
	_cleanup_(stmt_done) struct stmt first = db_use(p->s, SQL_UNREAD_FIRST);
	int r;

	put_i(&count, conv);
	put_i(&count, now->read_key);
	put_i(&count, CONV_UNREAD_MAX);
	r = db_int(&count, 0, &now->unread);
	put_i(&first, conv);
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

static int settle(struct put *p, int64_t conv, struct backlog *backlog)
{
	_cleanup_(summary_deinit) struct summary before = { 0 };
	struct summary now;
	bool unread = false;
	int r;

	r = read_stored(p, conv, &before);
	if (r == 0)
		r = has_unread(p, conv, &unread);
	if (r == 0 && unread && before.read_key != INT64_MIN)
		r = flip(p, conv, before.read_key, 0);
	if (r == 0 && unread)
		r = backlog_read(p, backlog);
	if (r == 0 && unread && backlog->key != INT64_MIN)
		r = flip(p, conv, backlog->key, CONV_BACKLOG_MAX);
	now = before;
	now.unread = now.first_unread = 0;
	if (r == 0 && unread)
		r = count_unread(p, conv, &now);
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
		int done = p->dirty[i] == p->newest.conv ? settle_newest(p) : 0;

		r = done == 0 ? settle(p, p->dirty[i], &backlog) : done < 0 ? done : 0;
	}
	free(p->dirty);
	p->dirty = NULL;
	p->n_dirty = 0;
	p->newest = (struct newest){ 0 };
	return r < 0 ? err_trace(r) : 0;
}

int conv_renamed(struct store *s, int64_t account, const char *jid)
{
	int64_t conv, mod;
	bool room;
	int r;

	r = find(s, account, jid, &conv, &room);
	if (r == 0 && conv == 0)
		return 0;
	if (r == 0)
		r = feed_next(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_TOUCH);

		put_i(&q, mod);
		put_i(&q, conv);
		r = db_run(&q);
	}
	return r < 0 ? err_trace(r) : 0;
}

struct hole {
	int64_t conv, flags;
};

/* Conversations whose flag is wrong by now. */
static int list_holes(struct store *s, int64_t account, const struct walls *w, struct hole **ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_OLDEST);
	_cleanup_(freep) struct hole *list = NULL;
	size_t n = 0;
	int r;

	put_i(&q, account);
	while ((r = db_row(&q)) > 0) {
		int64_t wall, flags = col_i(&q, 1) & ~(int64_t)CONV_HAS_GAP;

		flags |= walls_above(w, col_i(&q, 2), &wall) ? CONV_HAS_GAP : 0;
		if (flags == col_i(&q, 1))
			continue;
		list = xrealloc(list, n + 1, sizeof(*list));
		list[n++] = (struct hole){ col_i(&q, 0), flags };
	}
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(list);
	*ret_n = n;
	return 0;
}

static int put_flags(struct store *s, int64_t account, const struct hole *h)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_FLAGS);
	int64_t mod;
	int r;

	r = feed_next(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, h->conv);
	put_i(&q, h->flags);
	put_i(&q, mod);
	return db_run(&q);
}

int conv_gaps(struct store *s, int64_t account)
{
	_cleanup_(freep) struct hole *list = NULL;
	struct walls w;
	size_t n = 0;
	int r;

	r = walls_read(s, account, &w);
	if (r < 0)
		return err_trace(r);
	r = list_holes(s, account, &w, &list, &n);
	walls_deinit(&w);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_flags(s, account, &list[i]);
	return r < 0 ? err_trace(r) : 0;
}
