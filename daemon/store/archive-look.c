/*
 * Looking at places in a server archive: what has one, and what the server does not have any more.
 */
#include <string.h>

#include "base/err.h"
#include "store/aid.h"
#include "store/archive.h"

int archive_place(struct store *s, int64_t archive, const char *id, int64_t *ret_key)
{
	struct put p = { .s = s, .archive = archive };
	struct aid aid;
	int r;

	r = aid_get(&p, id, &aid);
	if (r < 0)
		return err_trace(r);
	*ret_key = aid.key;
	return aid.known && aid.placed;
}

int archive_gap_is_clean(struct store *s, int64_t archive, const char *below_id, const char *above_id, bool *ret)
{
	struct put p = { .s = s, .archive = archive };
	struct aid below, above;
	int64_t next = INT64_MIN;
	int r;

	r = aid_get(&p, below_id, &below);
	if (r == 0)
		r = aid_get(&p, above_id, &above);
	if (r < 0)
		return err_trace(r);
	*ret = above.known && above.placed && (!*below_id || (below.known && below.placed));
	if (*ret) {
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_BELOW);

		put_i(&q, archive);
		put_i(&q, above.key);
		r = db_int(&q, INT64_MIN, &next);
		*ret = next == (*below_id ? below.key : INT64_MIN);
	}
	return r < 0 ? err_trace(r) : 0;
}

int archive_loosen(struct store *s, int64_t archive, const char *below_id, const char *above_id, bool *ret)
{
	struct put p = { .s = s, .archive = archive };
	struct aid below, above;
	int64_t n = 0;
	int r;

	*ret = false;
	r = aid_get(&p, below_id, &below);
	if (r == 0)
		r = aid_get(&p, above_id, &above);
	if (r < 0)
		return err_trace(r);
	if (!below.known || !below.placed || !above.known || !above.placed || below.key >= above.key)
		return 0;
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_COUNT);

		put_i(&q, archive);
		put_i(&q, below.key);
		put_i(&q, above.key);
		put_i(&q, ARCHIVE_LOOSEN_MAX + 1);
		r = db_int(&q, 0, &n);
	}
	if (r < 0 || n > ARCHIVE_LOOSEN_MAX)
		return r < 0 ? err_trace(r) : 0;
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_LOOSEN);

		put_i(&q, archive);
		put_i(&q, below.key);
		put_i(&q, above.key);
		r = db_run(&q);
	}
	*ret = r == 0;
	return r < 0 ? err_trace(r) : 0;
}

int archive_unsettled(struct store *s, int64_t archive, int64_t *ret_us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_UNSETTLED_GET);
	int r;

	put_i(&q, archive);
	r = db_int(&q, 0, ret_us);
	return r < 0 ? err_trace(r) : 0;
}

int archive_set_unsettled(struct store *s, int64_t archive, int64_t us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, us ? SQL_UNSETTLED_SET : SQL_UNSETTLED_DROP);
	int r;

	put_i(&q, archive);
	if (us)
		put_i(&q, us);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

static bool is_one_of(const char *id, const char *const *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(ids[i], id) == 0)
			return true;
	return false;
}

int archive_count_gone(struct store *s, int64_t account, int64_t archive, const char *with, const char *const *ids,
		       size_t n, const char *upper_id, uint64_t *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive };
	struct aid low = { 0 }, high = { 0 };
	int r;

	*ret = 0;
	r = n ? aid_get(&p, ids[0], &low) : 0;
	if (r == 0)
		r = aid_get(&p, upper_id, &high);
	if (r < 0)
		return err_trace(r);
	if (!low.known || !high.known)
		return 0;
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, *with ? SQL_AID_RANGE_CONV : SQL_AID_RANGE);

		put_i(&q, archive);
		put_i(&q, low.key);
		put_i(&q, high.key);
		put_i(&q, ARCHIVE_GONE_MAX);
		if (*with) {
			put_i(&q, account);
			put_t(&q, with);
		}
		while ((r = db_row(&q)) > 0)
			*ret += !is_one_of(col_t(&q, 0), ids, n);
	}
	return r < 0 ? err_trace(r) : 0;
}
