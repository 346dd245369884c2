#include "store/aid.h"

#include "base/err.h"

int aid_get(struct put *p, const char *id, struct aid *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_AID_GET);
	int r;

	*ret = (struct aid){ 0 };
	if (!*id)
		return 0;
	put_i(&q, p->archive);
	put_t(&q, id);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		*ret = (struct aid){ .known = true, .key = col_i(&q, 0), .placed = col_i(&q, 1) != 0,
				     .msg = col_i(&q, 2) };
	return 0;
}

int aid_add(struct put *p, const char *id, int64_t key, bool placed, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_AID_ADD);
	int r;

	put_i(&q, p->archive);
	put_t(&q, id);
	put_i(&q, key);
	put_i(&q, placed);
	put_i(&q, msg);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

int aid_place(struct put *p, const char *id, int64_t key)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_AID_PLACE);
	int r;

	put_i(&q, key);
	put_i(&q, p->archive);
	put_t(&q, id);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}
