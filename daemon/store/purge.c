#include "store/purge.h"

#include "base/err.h"

/* Rows removed by one statement; ${limit} 0: it takes none, its table is small. */
static int run(struct store *s, enum sql id, int64_t account, int64_t limit, int64_t *removed)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);
	int r;

	put_i(&q, account);
	if (limit)
		put_i(&q, limit);
	r = db_run(&q);
	if (r < 0)
		return err_trace(r);
	*removed += sqlite3_changes64(s->db);
	return 0;
}

int purge_account(struct store *s, int64_t account, uint32_t rows, bool *ret_done)
{
	/* Children before their parents; the large tables with a limit, msg with its aid and msg_ref rows. */
	static const enum sql small_before[] = { SQL_PURGE_LOGIN, SQL_PURGE_PUSH, SQL_PURGE_SESSION, SQL_PURGE_ROSTER };
	static const enum sql large[] = { SQL_PURGE_PENDING, SQL_PURGE_TOMBSTONE, SQL_PURGE_OUTBOX,
					  SQL_PURGE_GONE, SQL_PURGE_MSG, SQL_PURGE_AID };
	static const enum sql small_after[] = { SQL_PURGE_SPAN, SQL_PURGE_UNSETTLED, SQL_PURGE_ARCHIVE, SQL_PURGE_CONV,
						SQL_PURGE_FEED, SQL_PURGE_COUNT, SQL_PURGE_ACCOUNT };
	int64_t removed = 0, ignored = 0;
	int r;

	*ret_done = false;
	for (size_t i = 0; i < ARRAY_SIZE(small_before); i++) {
		r = run(s, small_before[i], account, 0, &ignored);
		if (r < 0)
			return err_trace(r);
	}
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		r = run(s, large[i], account, rows - removed, &removed);
		if (r < 0)
			return err_trace(r);
		if (removed >= rows)
			return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(small_after); i++) {
		r = run(s, small_after[i], account, 0, &ignored);
		if (r < 0)
			return err_trace(r);
	}
	*ret_done = true;
	return 0;
}

static int find_removed(struct store *s, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ACCOUNT_REMOVED);
	int r = db_int(&q, 0, ret);

	return r < 0 ? err_trace(r) : 0;
}

int purge_step(struct store *s, uint32_t rows)
{
	int64_t account;
	bool done;
	int r;

	r = find_removed(s, &account);
	if (r < 0)
		return err_trace(r);
	if (account == 0)
		return 0;
	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	store_forget(s);
	r = purge_account(s, account, rows, &done);
	if (r < 0) {
		store_rollback(s);
		return err_trace(r);
	}
	r = store_commit(s);
	return r < 0 ? err_trace(r) : 1;
}

bool purge_due(struct store *s)
{
	int64_t account = 0;

	return find_removed(s, &account) == 0 && account != 0;
}
