#include "store/account.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/archive.h"
#include "store/db.h"
#include "store/purge.h"
#include "store/push.h"

void account_deinit(struct account *a)
{
	/* The secret does not stay in freed memory. */
	if (a->password)
		explicit_bzero(a->password, strlen(a->password));
	free(a->jid);
	free(a->password);
	free(a->host);
	free(a->ca_pem);
	free(a->nick);
	free(a->resource);
	free(a->push_service);
	*a = (struct account){ 0 };
}

void account_copy(struct account *dst, const struct account *src)
{
	/* A copy first: the two may share strings. */
	struct account copy = {
		.id = src->id,
		.jid = xstrdup(str_or_empty(src->jid)),
		.password = xstrdup(str_or_empty(src->password)),
		.enabled = src->enabled,
		.host = xstrdup(str_or_empty(src->host)),
		.port = src->port,
		.tls = src->tls,
		.ca_pem = xstrdup(str_or_empty(src->ca_pem)),
		.allow_plain = src->allow_plain,
		.nick = xstrdup(str_or_empty(src->nick)),
		.resource = xstrdup(str_or_empty(src->resource)),
		.push_service = xstrdup(str_or_empty(src->push_service)),
	};

	account_deinit(dst);
	*dst = copy;
}

static void read_account(struct stmt *q, struct account *a)
{
	*a = (struct account){
		.id = col_i(q, 0),
		.jid = xstrdup(col_t(q, 1)),
		.password = xstrdup(col_t(q, 2)),
		.enabled = col_i(q, 3) != 0,
		.host = xstrdup(col_t(q, 4)),
		.port = (uint32_t)col_i(q, 5),
		.tls = (uint32_t)col_i(q, 6),
		.ca_pem = xstrdup(col_t(q, 7)),
		.allow_plain = col_i(q, 8) != 0,
		.nick = xstrdup(col_t(q, 9)),
		.resource = xstrdup(col_t(q, 10)),
		.push_service = xstrdup(col_t(q, 11)),
	};
}

int account_list(struct store *s, struct account **ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ACCOUNT_LIST);
	struct account *list = NULL;
	size_t n = 0;
	int r;

	while ((r = db_row(&q)) > 0) {
		list = xrealloc(list, n + 1, sizeof(*list));
		read_account(&q, &list[n++]);
	}
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			account_deinit(&list[i]);
		free(list);
		return err_trace(r);
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

static void put_columns(struct stmt *q, const struct account *a)
{
	put_t(q, a->jid);
	put_t(q, str_or_empty(a->password));
	put_i(q, a->enabled);
	put_n(q, str_or_empty(a->host));
	put_i(q, a->port);
	put_i(q, a->tls);
	put_n(q, str_or_empty(a->ca_pem));
	put_i(q, a->allow_plain);
	put_n(q, str_or_empty(a->nick));
	put_n(q, str_or_empty(a->resource));
}

static int may_add(struct store *s, const char *jid)
{
	_cleanup_(stmt_done) struct stmt find = db_use(s, SQL_ACCOUNT_FIND);
	_cleanup_(stmt_done) struct stmt count = db_use(s, SQL_ACCOUNT_COUNT);
	int64_t n;
	int r;

	put_t(&find, jid);
	r = db_row(&find);
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		return ACCOUNT_E_EXISTS;
	r = db_int(&count, 0, &n);
	if (r < 0)
		return err_trace(r);
	return n >= ACCOUNTS_MAX ? ACCOUNT_E_LIMIT : 0;
}

static int insert(struct store *s, const struct account *a, int64_t *ret_id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ACCOUNT_ADD);
	int r;

	put_columns(&q, a);
	r = db_int(&q, 0, ret_id);
	if (r == 0)
		r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

static int add_feed(struct store *s, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_FEED_ADD);

	put_i(&q, id);
	return db_run(&q);
}

int account_add(struct store *s, struct account *a)
{
	int64_t id, archive;
	int r;

	r = may_add(s, a->jid);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	r = insert(s, a, &id);
	if (r == 0)
		r = add_feed(s, id);
	if (r == 0)
		r = archive_id(s, id, "", &archive);
	if (r == 0)
		r = push_want(s, id, str_or_empty(a->push_service));
	if (r < 0)
		return err_trace(r);
	a->id = id;
	return 0;
}

int account_update(struct store *s, const struct account *a)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ACCOUNT_UPDATE);
	int r;

	put_columns(&q, a);
	put_i(&q, a->id);
	r = db_run(&q);
	if (r == 0)
		r = push_want(s, a->id, str_or_empty(a->push_service));
	if (r < 0)
		return err_trace(r);
	return r == PUSH_E_LIMIT ? ACCOUNT_E_LIMIT : 0;
}

static int hide(struct store *s, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ACCOUNT_HIDE);

	put_i(&q, id);
	return db_run(&q);
}

int account_remove(struct store *s, int64_t id)
{
	bool done;
	int r;

	r = hide(s, id);
	if (r == 0)
		r = purge_account(s, id, s->limits.purge_rows, &done);
	if (r < 0)
		return err_trace(r);
	if (!done)
		log_debug("account %lld: the rest of its rows is deleted when idle", (long long)id);
	return 0;
}
