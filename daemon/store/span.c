/* store/archive.h: the rows of a cover, read and written as a whole. */
#include "store/archive.h"

#include <string.h>

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

/* What of a cover has to be written: spans [from, to). ${stored}: how many there are by now. */
struct change {
	size_t from, to, stored;
};

static bool is_stored(struct stmt *q, size_t seq, const struct span *span)
{
	return col_i(q, 5) == (int64_t)seq && strcmp(col_t(q, 0), span->first.id) == 0 && col_i(q, 1) == span->first.us &&
	       strcmp(col_t(q, 2), span->last.id) == 0 && col_i(q, 3) == span->last.us && col_i(q, 4) == (int64_t)span->flags;
}

/* Mostly the newest spans alone have changed, however many there are: to look at a row costs a tenth of what writing it does. */
static int compare(struct store *s, int64_t archive, const struct cover *c, struct change *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SPAN_LIST);
	struct change x = { .from = c->n };
	int r;

	put_i(&q, archive);
	while ((r = db_row(&q)) > 0) {
		size_t i = x.stored++;

		if (i >= c->n || is_stored(&q, i, &c->spans[i]))
			continue;
		x.from = i < x.from ? i : x.from;
		x.to = i + 1;
	}
	if (r < 0)
		return err_trace(r);
	if (x.stored < c->n) {
		x.from = x.stored < x.from ? x.stored : x.from;
		x.to = c->n;
	}
	*ret = x;
	return 0;
}

static int owner(struct store *s, int64_t archive, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_OWNER);
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
	struct change x;
	int64_t account;
	int r;

	r = compare(s, archive, c, &x);
	for (size_t i = x.from; r == 0 && i < x.to; i++)
		r = put_span(s, archive, i, &c->spans[i]);
	if (r == 0 && x.stored > c->n)
		r = cut(s, archive, c->n);
	if (r < 0)
		return err_trace(r);
	/* A hole came or went. Within one that is being filled, flags wait for its end. */
	if (x.stored == c->n)
		return 0;
	r = owner(s, archive, &account);
	if (r == 0 && account)
		r = conv_gaps(s, account);
	return r < 0 ? err_trace(r) : 0;
}
