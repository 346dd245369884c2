/* store/read.h, the list: conversations by last activity, a page at a time. */
#include "store/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/read-row.h"

/* The place of the last row in the order of the list. */
struct position {
	int64_t pinned, us, id;
};

static bool parse_cursor(const char *cursor, struct position *ret)
{
	int used = 0;

	*ret = (struct position){ INT64_MAX, INT64_MAX, INT64_MAX };
	if (!*cursor)
		return true;
	return sscanf(cursor, "%" SCNd64 ":%" SCNd64 ":%" SCNd64 "%n", &ret->pinned, &ret->us, &ret->id, &used) == 3 &&
	       cursor[used] == '\0';
}

/* What conversations a query wants; strings are the caller's. */
static void put_filter(struct stmt *q, const struct conversation_query *cq, const char *part)
{
	put_i(q, cq->unread);
	if (cq->archived == ARCHIVED_ANY)
		put_null(q);
	else
		put_i(q, cq->archived == ARCHIVED_ONLY);
	put_n(q, str_or_empty(cq->kind));
	put_n(q, part);
}

static void to_lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

struct page {
	conversation_row_fn fn;
	void *userdata;
	size_t bytes;
};

static int count_and_pass(void *userdata, const struct conversation_row *row)
{
	struct page *page = userdata;

	page->bytes += 256 + strlen(row->draft) + (row->has_last ? row_size(&row->last) : 0);
	return page->fn(page->userdata, row);
}

struct listing {
	struct store *s;
	const struct conversation_query *cq;
	char *part;	    /* owned: cq->query in small letters */
	uint32_t limit, n;  /* rows at most, and so far */
	struct position at; /* of the last row that was looked at */
	struct page page;
	bool more; /* the page is full, and ${at} is before a row that belongs to the next one */
};

/* The conversation at ${at}, if it is wanted: 1 if the page had no room for it. */
static int list_one(struct listing *l, struct position at)
{
	_cleanup_(stmt_done) struct stmt q = db_use(l->s, SQL_CONV_LISTED);
	int r;

	put_i(&q, at.id);
	put_filter(&q, l->cq, l->part);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	l->more = r > 0 && (l->n == l->limit || l->page.bytes >= READ_BYTES_MAX);
	if (l->more)
		return 1;
	l->at = at;
	if (r == 0)
		return 0;
	l->n++;
	r = conv_emit(l->s, l->cq->account, &q, count_and_pass, &l->page);
	return r < 0 ? r : 0;
}

/* The next ${max} conversations in order, the unwanted among them (< 0 = all). *ret: how many there were; 1: enough. */
static int list_some(struct listing *l, int64_t max, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(l->s, SQL_CONV_ORDER);
	int r;

	*ret = 0;
	put_i(&q, l->cq->account);
	put_i(&q, l->at.pinned);
	put_i(&q, l->at.us);
	put_i(&q, l->at.id);
	put_i(&q, max);
	while ((r = db_row(&q)) > 0) {
		++*ret;
		r = list_one(l, (struct position){ col_i(&q, 1), col_i(&q, 2), col_i(&q, 0) });
		if (r != 0)
			return r;
	}
	return r < 0 ? err_trace(r) : 0;
}

/* Who wants few of all looks at all in one go: their order costs as much for a page as for the whole. */
static int list(struct listing *l)
{
	const struct conversation_query *cq = l->cq;
	bool picky = cq->unread || cq->archived != ARCHIVED_ANY || *str_or_empty(cq->kind) || *l->part;
	int64_t max = picky ? -1 : (int64_t)l->limit + 1, n;
	int r;

	do {
		r = list_some(l, max, &n);
	} while (r == 0 && n == max);
	return r < 0 ? r : 0;
}

int read_conversations(struct store *s, const struct conversation_query *cq, conversation_row_fn fn, void *userdata,
		       char **ret_next, uint64_t *ret_seq)
{
	_cleanup_(freep) char *part = xstrdup(str_or_empty(cq->query));
	struct listing l = {
		.s = s, .cq = cq, .part = part, .page = { fn, userdata, 0 },
		.limit = cq->limit == 0 || cq->limit > READ_ROWS_MAX ? READ_ROWS_MAX : cq->limit,
	};
	uint64_t oldest;
	int r;

	to_lower(part);
	if (!parse_cursor(str_or_empty(cq->cursor), &l.at))
		return READ_E_CURSOR;
	r = read_seq(s, cq->account, ret_seq, &oldest);
	if (r < 0)
		return err_trace(r);
	r = list(&l);
	if (r < 0)
		return r;
	*ret_next = l.more ? xasprintf("%" PRId64 ":%" PRId64 ":%" PRId64, l.at.pinned, l.at.us, l.at.id) : xstrdup("");
	return 0;
}

int read_conversation(struct store *s, int64_t account, const char *id, conversation_row_fn fn, void *userdata)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_ONE);
	int r;

	put_i(&q, account);
	put_t(&q, id);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	return r > 0 ? conv_emit(s, account, &q, fn, userdata) : READ_E_NO_CONVERSATION;
}

int read_contacts(struct store *s, int64_t account, const char *cursor, uint32_t limit, contact_row_fn fn,
		  void *userdata, char **ret_next, uint64_t *ret_seq)
{
	_cleanup_(freep) char *next = xstrdup(""), *last = xstrdup("");
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_LIST);
	struct contact_row row;
	size_t bytes = 0;
	uint64_t oldest;
	uint32_t n = 0;
	int r;

	r = read_seq(s, account, ret_seq, &oldest);
	if (r < 0)
		return err_trace(r);
	if (limit == 0 || limit > READ_ROWS_MAX)
		limit = READ_ROWS_MAX;
	put_i(&q, account);
	put_t(&q, cursor);
	put_i(&q, (int64_t)limit + 1);
	while ((r = db_row(&q)) > 0) {
		if (n++ == limit || bytes >= READ_BYTES_MAX) {
			free(next);
			next = TAKE_PTR(last);
			break;
		}
		contact_read(&q, &row);
		bytes += 256 + strlen(row.jid) + strlen(row.name) + strlen(row.groups);
		str_set(&last, row.jid);
		r = fn(userdata, &row);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return err_trace(r);
	*ret_next = TAKE_PTR(next);
	return 0;
}

int read_contact(struct store *s, int64_t account, const char *jid, contact_row_fn fn, void *userdata)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_ONE);
	struct contact_row row;
	int r;

	put_i(&q, account);
	put_t(&q, jid);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	if (r == 0)
		return READ_E_NO_CONTACT;
	contact_read(&q, &row);
	return fn(userdata, &row);
}
