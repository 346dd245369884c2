#include "store/ids.h"

#include <errno.h>

#include "base/err.h"

static const char *const tables[] = { [IDS_MSG] = "msg", [IDS_OUTBOX] = "outbox" };

static int read_last(struct store *s, const char *table, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_IDS_GET);
	int r;

	put_t(&q, table);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = r > 0 ? col_i(&q, 0) : 0;
	return r;
}

static int write_last(struct store *s, const char *table, int64_t last, bool known)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, known ? SQL_IDS_PUT : SQL_IDS_ADD);

	s->ahead = true;
	put_t(&q, table);
	put_i(&q, last);
	return db_run(&q);
}

static int take(struct store *s, enum ids_of of, struct ids_taken *ids)
{
	int64_t last = 0;
	int known = read_last(s, tables[of], &last);
	int r = known < 0 ? known : write_last(s, tables[of], last + IDS_AHEAD, known > 0);

	if (r < 0)
		return err_trace(r);
	*ids = (struct ids_taken){ .next = last + 1, .end = last + 1 + IDS_AHEAD };
	return 0;
}

int ids_next(struct store *s, enum ids_of of, int64_t *ret)
{
	struct ids_taken *ids = &s->ids[of];
	int r;

	if (!s->in_tx)
		return err_origin(-EPERM);
	if (ids->next == ids->end) {
		r = take(s, of, ids);
		if (r < 0)
			return err_trace(r);
	}
	*ret = ids->next++;
	return 0;
}

bool ids_taken(const struct store *s)
{
	for (size_t i = 0; i < IDS_OF_N; i++)
		if (s->ids[i].next != s->ids[i].end)
			return true;
	return false;
}

int ids_leave(struct store *s)
{
	int r = 0;

	for (size_t i = 0; i < IDS_OF_N && r == 0; i++)
		if (s->ids[i].next != s->ids[i].end)
			r = write_last(s, tables[i], s->ids[i].next - 1, true);
	ids_forget(s);
	return r < 0 ? err_trace(r) : 0;
}

void ids_forget(struct store *s)
{
	for (size_t i = 0; i < IDS_OF_N; i++)
		s->ids[i] = (struct ids_taken){ 0 };
}
