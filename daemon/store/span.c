/* store/archive.h: the rows of a cover, read and written as a whole. */
#include "store/archive.h"

#include "base/err.h"
#include "store/conv.h"
#include "store/db.h"

int cover_read(struct store *s, int64_t archive, struct cover *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SPAN_LIST);
	struct cover c;
	int r;

	put_i(&q, archive);
	cover_init(&c);
	while ((r = db_row(&q)) > 0)
		cover_load(&c, col_t(&q, 0), col_i(&q, 1), col_t(&q, 2), col_i(&q, 3), (uint32_t)col_i(&q, 4));
	if (r < 0) {
		cover_deinit(&c);
		return err_trace(r);
	}
	*ret = c;
	return 0;
}

static int put_span(struct store *s, int64_t archive, size_t seq, const struct span *span)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SPAN_PUT);

	put_i(&q, archive);
	put_i(&q, (int64_t)seq);
	put_t(&q, span->first.id);
	put_i(&q, span->first.us);
	put_t(&q, span->last.id);
	put_i(&q, span->last.us);
	put_i(&q, span->flags);
	return db_run(&q);
}

static int number(struct store *s, enum sql id, int64_t archive, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);
	int r;

	put_i(&q, archive);
	r = db_int(&q, 0, ret);
	return r < 0 ? err_trace(r) : 0;
}

static int cut(struct store *s, int64_t archive, size_t n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SPAN_CUT);

	put_i(&q, archive);
	put_i(&q, (int64_t)n);
	return db_run(&q);
}

int cover_write(struct store *s, int64_t archive, const struct cover *c)
{
	int64_t before, account;
	int r;

	r = number(s, SQL_SPAN_COUNT, archive, &before);
	/* Unchanged spans are not written again: a live message touches the newest one alone. */
	for (size_t i = 0; i < c->n && r == 0; i++)
		r = put_span(s, archive, i, &c->spans[i]);
	if (r == 0)
		r = cut(s, archive, c->n);
	if (r < 0)
		return err_trace(r);
	/* A hole came or went. Within one that is being filled, flags wait for its end. */
	if ((size_t)before == c->n)
		return 0;
	r = number(s, SQL_ARCHIVE_OWNER, archive, &account);
	if (r == 0 && account)
		r = conv_gaps(s, account);
	return r < 0 ? err_trace(r) : 0;
}
