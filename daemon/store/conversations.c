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

static void put_filter(struct stmt *q, const struct conversation_query *cq, char *query)
{
	put_i(q, cq->unread);
	if (cq->archived == ARCHIVED_ANY)
		put_null(q);
	else
		put_i(q, cq->archived == ARCHIVED_ONLY);
	put_n(q, str_or_empty(cq->kind));
	for (char *c = query; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	put_n(q, query);
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

int read_conversations(struct store *s, const struct conversation_query *cq, conversation_row_fn fn, void *userdata,
		       char **ret_next, uint64_t *ret_seq)
{
	_cleanup_(freep) char *next = xstrdup(""), *query = xstrdup(str_or_empty(cq->query));
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_LIST);
	uint32_t limit = cq->limit == 0 || cq->limit > READ_ROWS_MAX ? READ_ROWS_MAX : cq->limit, n = 0;
	struct page page = { fn, userdata, 0 };
	struct position at;
	uint64_t oldest;
	int r;

	if (!parse_cursor(str_or_empty(cq->cursor), &at))
		return READ_E_CURSOR;
	r = read_seq(s, cq->account, ret_seq, &oldest);
	if (r < 0)
		return err_trace(r);
	put_i(&q, cq->account);
	put_i(&q, at.pinned);
	put_i(&q, at.us);
	put_i(&q, at.id);
	put_filter(&q, cq, query);
	put_i(&q, (int64_t)limit + 1);
	while ((r = db_row(&q)) > 0) {
		if (n == limit || page.bytes >= READ_BYTES_MAX) {
			free(next);
			next = xasprintf("%" PRId64 ":%" PRId64 ":%" PRId64, at.pinned, at.us, at.id);
			break;
		}
		at = (struct position){ col_i(&q, 10), col_i(&q, 4), col_i(&q, 9) };
		r = conv_emit(s, cq->account, &q, count_and_pass, &page);
		if (r < 0)
			return r;
		n++;
	}
	if (r < 0)
		return err_trace(r);
	*ret_next = TAKE_PTR(next);
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
