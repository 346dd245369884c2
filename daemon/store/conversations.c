#include "store/read.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "store/read-row.h"

/*
 * The cursor is the place of the last row in the order (activity, id): a conversation that moves while somebody pages
 * may show twice, one that does not move is never skipped.
 */
static void parse_cursor(const char *cursor, int64_t *ret_us, int64_t *ret_id)
{
	*ret_us = INT64_MAX;
	*ret_id = INT64_MAX;
	if (*cursor && sscanf(cursor, "%" SCNd64 ":%" SCNd64, ret_us, ret_id) != 2)
		*ret_us = *ret_id = INT64_MAX;
}

struct page {
	conversation_row_fn fn;
	void *userdata;
	size_t bytes;
};

static int count_and_pass(void *userdata, const struct conversation_row *row)
{
	struct page *page = userdata;

	page->bytes += row->has_last ? row_size(&row->last) : 0;
	return page->fn(page->userdata, row);
}

int read_conversations(struct store *s, int64_t account, const char *cursor, uint32_t limit, bool unread_only,
		       conversation_row_fn fn, void *userdata, char **ret_next, uint64_t *ret_seq)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_LIST);
	_cleanup_(freep) char *next = xstrdup("");
	struct page page = { fn, userdata, 0 };
	int64_t us, id;
	uint64_t oldest;
	uint32_t n = 0;
	int r;

	r = read_seq(s, account, ret_seq, &oldest);
	if (r < 0)
		return err_trace(r);
	if (limit == 0 || limit > READ_ROWS_MAX)
		limit = READ_ROWS_MAX;
	parse_cursor(cursor, &us, &id);
	put_i(&q, account);
	put_i(&q, us);
	put_i(&q, id);
	put_i(&q, unread_only);
	put_i(&q, (int64_t)limit + 1);
	while ((r = db_row(&q)) > 0) {
		if (n == limit || page.bytes >= READ_BYTES_MAX) {
			free(next);
			next = xasprintf("%" PRId64 ":%" PRId64, us, id);
			break;
		}
		us = col_i(&q, 4);
		id = col_i(&q, 9);
		r = conv_emit(s, account, &q, count_and_pass, &page);
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
