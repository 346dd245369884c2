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

/* What has a room's type, from whom we know as a person: anybody may write it on his messages. */
static int says_room(struct put *p, const struct item *it, bool *ret)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int64_t person = 0;
	int r = 0;

	if (it->room) {
		q = db_use(p->s, SQL_ROSTER_PERSON);
		put_i(&q, p->account);
		put_t(&q, it->conv_jid);
		r = db_int(&q, 0, &person);
	}
	*ret = it->room && !person;
	return r < 0 ? err_trace(r) : 0;
}

static int add(struct put *p, struct item *it, bool room)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_ADD);
	int r;

	put_i(&q, p->account);
	put_t(&q, it->conv_jid);
	put_t(&q, room ? "room" : "direct");
	r = db_insert(&q, &it->conv);
	if (r < 0)
		return err_trace(r);
	it->known->id = it->conv;
	it->known->room = room;
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
	bool room = false;
	int r;

	if (it->conv && !it->room)
		return 0;
	r = conv_find(p, it);
	if (r == 0 && !it->known->room)
		r = says_room(p, it, &room);
	if (r == 0 && it->conv == 0)
		r = add(p, it, room);
	else if (r == 0 && room)
		r = become_room(p, it->known);
	return r < 0 ? err_trace(r) : 0;
}

static struct dirty *dirty(struct put *p, int64_t conv)
{
	for (size_t i = 0; i < p->n_dirty; i++)
		if (p->dirty[i].conv == conv)
			return &p->dirty[i];
	p->dirty = xrealloc(p->dirty, p->n_dirty + 1, sizeof(*p->dirty));
	p->dirty[p->n_dirty] = (struct dirty){ .conv = conv };
	return &p->dirty[p->n_dirty++];
}

void conv_dirty(struct put *p, int64_t conv)
{
	dirty(p, conv)->other = true;
}

void conv_dirty_unread(struct put *p, int64_t conv)
{
	dirty(p, conv)->came++;
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

	r = walls_read(s, account, false, &w);
	if (r < 0)
		return err_trace(r);
	r = list_holes(s, account, &w, &list, &n);
	walls_deinit(&w);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_flags(s, account, &list[i]);
	return r < 0 ? err_trace(r) : 0;
}
