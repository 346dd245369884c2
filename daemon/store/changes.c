/* store/read.h, the feed: what has changed since a position, and where the feed begins and ends. */
#include "store/read.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "store/feed.h"
#include "store/read-row.h"

int read_seq(struct store *s, int64_t account, uint64_t *ret_seq, uint64_t *ret_oldest)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int64_t used = feed_used(s, account, -1);
	int r;

	if (!ret_oldest && used >= 0) {
		*ret_seq = (uint64_t)used;
		return 0;
	}
	q = db_use(s, SQL_FEED_GET);
	put_i(&q, account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_seq = r > 0 ? (uint64_t)feed_used(s, account, col_i(&q, 0)) : 0;
	if (ret_oldest)
		*ret_oldest = r > 0 ? (uint64_t)col_i(&q, 1) : 0;
	return 0;
}

int read_last_id(struct store *s, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_READ_LAST_ID);

	return db_int(&q, 0, ret);
}

/* The feed is four lists, each ordered by mod through an index; they are merged row by row. */
enum source { SOURCE_MESSAGE, SOURCE_CONVERSATION, SOURCE_CONTACT, SOURCE_REMOVED, SOURCE_N };

static const struct {
	enum sql sql;
	int mod_column;
} sources[SOURCE_N] = {
	[SOURCE_MESSAGE] = { SQL_READ_CHANGED, 1 },
	[SOURCE_CONVERSATION] = { SQL_CONV_CHANGED, 3 },
	[SOURCE_CONTACT] = { SQL_ROSTER_CHANGED, 5 },
	[SOURCE_REMOVED] = { SQL_TOMBSTONE_CHANGED, 2 },
};

struct merge {
	struct store *s;
	int64_t account;
	struct stmt st[SOURCE_N];
	int64_t mod[SOURCE_N]; /* of the row that stands ready; INT64_MAX at the end */
	size_t bytes;
};

static void merge_deinit(struct merge *m)
{
	for (size_t i = 0; i < SOURCE_N; i++)
		stmt_done(&m->st[i]);
}

static int advance(struct merge *m, size_t i)
{
	int r = db_row(&m->st[i]);

	if (r < 0)
		return err_trace(r);
	m->mod[i] = r > 0 ? col_i(&m->st[i], sources[i].mod_column) : INT64_MAX;
	return 0;
}

static int start(struct merge *m, uint64_t since, uint32_t limit)
{
	int r;

	for (size_t i = 0; i < SOURCE_N; i++) {
		m->st[i] = db_use(m->s, sources[i].sql);
		put_i(&m->st[i], m->account);
		put_i(&m->st[i], (int64_t)since);
		put_i(&m->st[i], limit);
		r = advance(m, i);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static size_t lowest(const struct merge *m)
{
	size_t best = 0;

	for (size_t i = 1; i < SOURCE_N; i++)
		if (m->mod[i] < m->mod[best])
			best = i;
	return best;
}

static int emit(struct merge *m, size_t i, const struct changes_fns *fns, void *userdata)
{
	struct stmt *q = &m->st[i];
	struct message_row message;
	struct contact_row contact;

	switch ((enum source)i) {
	case SOURCE_MESSAGE:
		row_read(q, &message);
		m->bytes += row_size(&message);
		return fns->message(userdata, &message);
	case SOURCE_CONVERSATION:
		/* Its last message may be as large as any. */
		m->bytes += 1024;
		return conv_emit(m->s, m->account, q, fns->conversation, userdata);
	case SOURCE_CONTACT:
		contact_read(q, &contact);
		m->bytes += 256 + strlen(contact.groups);
		return fns->contact(userdata, &contact);
	case SOURCE_REMOVED:
		m->bytes += 256;
		return fns->removed(userdata, col_t(q, 0), col_t(q, 1));
	case SOURCE_N:
		break;
	}
	return err_origin(-EINVAL);
}

static int merge_all(struct merge *m, uint32_t limit, const struct changes_fns *fns, void *userdata,
		     uint64_t *ret_next, bool *ret_more)
{
	uint32_t n = 0;
	size_t i;
	int r;

	*ret_more = false;
	for (;;) {
		i = lowest(m);
		if (m->mod[i] == INT64_MAX)
			return 0;
		if (n == limit || m->bytes >= READ_BYTES_MAX) {
			*ret_more = true;
			return 0;
		}
		r = emit(m, i, fns, userdata);
		if (r < 0)
			return r;
		*ret_next = (uint64_t)m->mod[i];
		n++;
		r = advance(m, i);
		if (r < 0)
			return err_trace(r);
	}
}

int read_changes(struct store *s, int64_t account, uint64_t since, uint64_t begun, uint32_t limit,
		 const struct changes_fns *fns, void *userdata, uint64_t *ret_next, bool *ret_more)
{
	_cleanup_(merge_deinit) struct merge m = { .s = s, .account = account };
	uint64_t seq, oldest, next = since;
	bool more;
	int r;

	r = read_seq(s, account, &seq, &oldest);
	if (r < 0)
		return err_trace(r);
	if (since > seq || (since && (begun > since ? begun : since) < oldest))
		return READ_E_TOO_OLD;
	if (limit == 0 || limit > READ_ROWS_MAX)
		limit = READ_ROWS_MAX;
	/* One more than wanted, so that each list knows whether it goes on. */
	r = start(&m, since, limit + 1);
	if (r < 0)
		return err_trace(r);
	r = merge_all(&m, limit, fns, userdata, &next, &more);
	if (r < 0)
		return r;
	*ret_next = more ? next : seq;
	*ret_more = more;
	return 0;
}
