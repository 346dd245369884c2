#include "store/gone.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/conv.h"
#include "store/conversation.h"
#include "store/count.h"
#include "store/feed.h"
#include "store/identity.h"
#include "store/known.h"
#include "store/outbox-priv.h"
#include "store/present.h"
#include "store/read.h"
#include "store/row.h"

static int trim(struct put *p)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_GONE_TRIM);

	put_i(&q, p->account);
	put_i(&q, GONE_MAX);
	return db_run(&q);
}

/*
 * Its archive id recognises an archived message for good. Another copy under another id, or without one, comes within
 * IDENTITY_RESEND_US, if ever; of what is not archived yet the archived copy comes whenever that page is fetched.
 */
static int remember(struct put *p, const struct present *d)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_GONE_ADD);
	int r;

	if ((d->archived && d->time_us < p->now_us - IDENTITY_RESEND_US) || (!*d->xmpp_id && !*d->origin_id))
		return 0;
	put_has(p, NONE_GONE);
	put_i(&q, p->account);
	put_i(&q, d->conv);
	put_n(&q, d->xmpp_id);
	put_n(&q, d->origin_id);
	put_i(&q, d->out ? DIRECTION_OUT : DIRECTION_IN);
	put_i(&q, d->time_us);
	put_i(&q, d->clock);
	put_i(&q, d->hash);
	put_i(&q, d->ours);
	put_i(&q, d->archived);
	r = db_run(&q);
	if (r == 0)
		r = trim(p);
	return r < 0 ? err_trace(r) : 0;
}

static int run3(struct put *p, enum sql id, int64_t a, int64_t b, int64_t c)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);

	put_i(&q, a);
	put_i(&q, b);
	put_i(&q, c);
	return db_run(&q);
}

/* What others say about it by its ids, with what they say. */
static int drop_waiting(struct put *p, const struct present *d)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_GONE_PENDING);

	put_i(&q, d->conv);
	put_t(&q, d->xmpp_id);
	put_t(&q, d->origin_id);
	return db_run(&q);
}

static int delete_row(struct put *p, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt aids = db_use(p->s, SQL_GONE_AIDS);
	_cleanup_(stmt_done) struct stmt row = db_use(p->s, SQL_GONE_ROW);
	int r;

	put_i(&aids, msg);
	r = db_run(&aids);
	put_i(&row, msg);
	if (r == 0)
		r = db_run(&row);
	return r < 0 ? err_trace(r) : 0;
}

int gone_delete(struct put *p, int64_t msg)
{
	_cleanup_(present_deinit) struct present d = { 0 };
	char key[24];
	int r;

	r = present_read(p, msg, &d);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	r = outbox_forget(p, msg);
	if (r == 0)
		r = remember(p, &d);
	if (r == 0)
		r = drop_waiting(p, &d);
	/* Who pointed at it points at what stood before it; places that mean "up to here" keep its key. */
	if (r == 0)
		r = run3(p, SQL_GONE_CONV, d.conv, msg, d.key);
	/* That, or who may know that we are here (roster_trusts()), is part of the conversation's row. */
	if (r == 0 && (sqlite3_changes64(p->s->db) || d.out))
		r = conv_touch(p, d.conv);
	if (r == 0)
		r = row_unlink_replies(p, d.conv, d.xmpp_id, msg);
	if (r == 0 && strcmp(d.xmpp_id, d.origin_id) != 0)
		r = row_unlink_replies(p, d.conv, d.origin_id, msg);
	if (r == 0)
		r = run3(p, SQL_GONE_ACCOUNT, p->account, msg, d.key);
	if (r == 0)
		r = delete_row(p, msg);
	if (r == 0)
		r = count_removed(p, msg);
	snprintf(key, sizeof(key), "%lld", (long long)msg);
	if (r == 0)
		r = feed_removed(p->s, p->account, "message", key);
	if (r < 0)
		return err_trace(r);
	conv_dirty(p, d.conv);
	return 1;
}

/* The newest rows of ${conv} that its deletion meant. */
static int list_doomed(struct put *p, int64_t conv, uint32_t rows, int64_t **ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_GONE_LIST);
	_cleanup_(freep) int64_t *ids = xnewn(int64_t, rows);
	size_t n = 0;
	int r = 0;

	put_i(&q, conv);
	put_i(&q, rows);
	while (n < rows && (r = db_row(&q)) > 0)
		ids[n++] = col_i(&q, 0);
	if (q.r < 0 || r < 0)
		return err_trace(q.r < 0 ? q.r : r);
	*ret = TAKE_PTR(ids);
	*ret_n = n;
	return 0;
}

int gone_purge(struct put *p, int64_t conv, uint32_t rows, uint32_t least, int64_t until_us)
{
	_cleanup_(freep) int64_t *ids = NULL;
	size_t n = 0, done = 0;
	int r = list_doomed(p, conv, rows, &ids, &n);

	while (done < n && r >= 0 && (done < least || clock_boot_us() < until_us))
		r = gone_delete(p, ids[done++]);
	if (r < 0)
		return err_trace(r);
	if (done == rows || done < n)
		return 1;
	r = run3(p, SQL_GONE_DONE, conv, 0, 0);
	return r < 0 ? err_trace(r) : 0;
}

static int find_purging(struct store *s, int64_t *ret_conv, int64_t *ret_account)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_GONE_PURGING);
	int r = db_row(&q);

	if (r < 0)
		return err_trace(r);
	*ret_conv = r > 0 ? col_i(&q, 0) : 0;
	*ret_account = r > 0 ? col_i(&q, 1) : 0;
	return 0;
}

static int step_in_tx(struct store *s, int64_t conv, int64_t account, uint32_t rows, int64_t now_us)
{
	struct put p = { .s = s, .account = account, .own_bare = "", .now_us = now_us };
	int r = put_begin(&p);

	if (r == 0)
		r = gone_purge(&p, conv, rows, rows, 0);
	r = put_end(&p, r < 0 ? r : 0);
	return r < 0 ? err_trace(r) : 0;
}

int gone_step(struct store *s, uint32_t rows, int64_t now_us)
{
	int64_t conv, account;
	int r;

	r = find_purging(s, &conv, &account);
	if (r < 0 || conv == 0)
		return r < 0 ? err_trace(r) : 0;
	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	r = step_in_tx(s, conv, account, rows, now_us);
	if (r < 0) {
		store_rollback(s);
		return err_trace(r);
	}
	r = store_commit(s);
	return r < 0 ? err_trace(r) : 1;
}

bool gone_due(struct store *s)
{
	int64_t conv = 0, account;

	return find_purging(s, &conv, &account) == 0 && conv != 0;
}

struct likeness {
	const struct item *it;
	int64_t id; /* in gone, 0 = none */
	bool archived;
};

static int each_gone(struct put *p, enum sql id, const char *name, struct likeness *l)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);
	int r;

	if (!*name)
		return 0;
	put_i(&q, l->it->conv);
	put_t(&q, name);
	put_i(&q, ROW_CANDIDATES_MAX);
	put_i(&q, row_side(l->it->out));
	while ((r = db_row(&q)) > 0) {
		const struct candidate c = {
			.id = col_i(&q, 0),
			.out = col_i(&q, 1) == DIRECTION_OUT,
			.time_us = col_i(&q, 2),
			.clock = (enum put_clock)col_i(&q, 3),
			.hash = (uint64_t)col_i(&q, 4),
			.xmpp_id = col_t(&q, 5),
			.origin_id = col_t(&q, 6),
			.archived = col_i(&q, 7) != 0,
			.ours = col_i(&q, 8) != 0,
		};

		if (!l->id && identity_is(l->it, &c)) {
			l->id = c.id;
			l->archived = c.archived;
		}
	}
	return r < 0 ? err_trace(r) : 0;
}

/* An older message of a deleted conversation, by its place and its stamp: both only the archive's, and a server's clock
 * may have been set back. What fails one of them is shown rather than lost. */
static bool is_below_floor(const struct item *it)
{
	const struct known *k = it->known;

	return it->m->via == VIA_ARCHIVE && it->clock == CLOCK_ARCHIVE && k->floor != INT64_MIN && k->floor >= it->key &&
	       k->floor_us > it->time_us;
}

int gone_begin(struct put *p)
{
	return put_any(p, NONE_GONE, SQL_GONE_ANY, &p->gone);
}

int gone_is(struct put *p, const struct item *it)
{
	struct likeness l = { .it = it };
	int r;

	if (!it->conv)
		return 0;
	if (!p->gone)
		return is_below_floor(it);
	r = each_gone(p, SQL_GONE_BY_ID, it->m->id, &l);
	if (r == 0)
		r = each_gone(p, SQL_GONE_BY_ORIGIN, it->m->id, &l);
	if (r == 0)
		r = each_gone(p, SQL_GONE_BY_ID, it->m->origin_id, &l);
	if (r == 0)
		r = each_gone(p, SQL_GONE_BY_ORIGIN, it->m->origin_id, &l);
	/* From now on it has an archive id, as its row would have. */
	if (r == 0 && l.id && !l.archived && *it->m->archive_id)
		r = run3(p, SQL_GONE_ARCHIVED, l.id, 0, 0);
	if (r < 0)
		return err_trace(r);
	return l.id != 0 || is_below_floor(it);
}

int gone_names(struct put *p, int64_t conv, const char *id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_GONE_NAMED);
	int64_t named;
	int r;

	put_i(&q, conv);
	put_t(&q, id);
	r = db_int(&q, 0, &named);
	return r < 0 ? err_trace(r) : named != 0;
}
