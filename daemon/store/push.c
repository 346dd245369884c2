#include "store/push.h"

#include <string.h>

#include "base/err.h"
#include "store/db.h"

void push_deinit(struct push *p)
{
	free(p->service);
	free(p->node);
	free(p->reason);
	*p = (struct push){ 0 };
}

int push_list(struct store *s, int64_t account, struct push **ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_LIST);
	struct push *list = NULL;
	size_t n = 0;
	int r;

	put_i(&q, account);
	while ((r = db_row(&q)) > 0) {
		list = xrealloc(list, n + 1, sizeof(*list));
		list[n++] = (struct push){
			.service = xstrdup(col_t(&q, 0)),
			.node = xstrdup(col_t(&q, 1)),
			.state = (uint32_t)col_i(&q, 2),
			.reason = xstrdup(col_t(&q, 3)),
		};
	}
	if (r < 0) {
		while (n > 0)
			push_deinit(&list[--n]);
		free(list);
		return err_trace(r);
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

/* All but ${service} go. */
static int leave(struct store *s, int64_t account, const char *service)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_LEAVE);

	put_i(&q, account);
	put_t(&q, service);
	return db_run(&q);
}

static int add(struct store *s, int64_t account, const char *service)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_ADD);

	put_i(&q, account);
	put_t(&q, service);
	return db_run(&q);
}

int push_want(struct store *s, int64_t account, const char *service)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_GOING);
	int64_t going;
	int r;

	r = leave(s, account, service);
	if (r == 0 && *service)
		r = add(s, account, service);
	put_i(&q, account);
	if (r == 0)
		r = db_int(&q, 0, &going);
	if (r < 0)
		return err_trace(r);
	/* To want none is never too much. */
	return *service && going > PUSH_GOING_MAX ? PUSH_E_LIMIT : 0;
}

int push_put(struct store *s, int64_t account, const struct push *p)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_PUT);
	int r;

	put_i(&q, account);
	put_t(&q, p->service);
	put_i(&q, p->state);
	put_n(&q, str_or_empty(p->reason));
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

int push_drop(struct store *s, int64_t account, const char *service)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_DROP);
	int r;

	put_i(&q, account);
	put_t(&q, service);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

int push_session_lost(struct store *s, int64_t account)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_PUSH_VOID);
	int r;

	put_i(&q, account);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}
