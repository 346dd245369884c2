/* store/account.h, roster-priv.h: the contacts of an account, as the server has them. */
#include "store/account.h"

#include <string.h>

#include "base/err.h"
#include "store/conv.h"
#include "store/feed.h"
#include "store/roster-priv.h"

void stored_deinit(struct stored *x)
{
	free(x->name);
	free(x->subscription);
	free(x->groups);
}

int roster_read(struct store *s, int64_t account, const char *jid, struct stored *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_GET);
	int r;

	put_i(&q, account);
	put_t(&q, jid);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = (struct stored){
		.name = xstrdup(r > 0 ? col_t(&q, 1) : ""),
		.subscription = xstrdup(r > 0 ? col_t(&q, 2) : ""),
		.groups = xstrdup(r > 0 ? col_t(&q, 3) : ""),
		.ask = r > 0 && (col_i(&q, 4) & ASK_OURS),
	};
	if (r > 0)
		ret->marks = (col_i(&q, 4) & ASK_THEIRS ? ROSTER_ASKING : 0u) | (col_i(&q, 6) ? ROSTER_BLOCKED : 0u) |
			     (col_i(&q, 7) ? ROSTER_LISTED : 0u);
	return 0;
}

/* Servers send the whole roster at each login: what did not change must not fill the feed. */
static bool is_same(const struct stored *x, const struct roster_item *item, unsigned int marks)
{
	return x->marks == marks && strcmp(x->name, item->name) == 0 &&
	       strcmp(x->subscription, item->subscription) == 0 && strcmp(x->groups, item->groups) == 0 &&
	       x->ask == item->ask;
}

static int delete_row(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_DELETE);
	int r;

	put_i(&q, account);
	put_t(&q, jid);
	r = db_run(&q);
	if (r == 0)
		r = feed_removed(s, account, "contact", jid);
	return r < 0 ? err_trace(r) : 0;
}

static int write_row(struct store *s, int64_t account, const struct roster_item *item, unsigned int marks)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_PUT);
	int64_t mod;
	int r;

	r = feed_present(s, account, "contact", item->jid);
	if (r == 0)
		r = feed_next(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, account);
	put_t(&q, item->jid);
	put_n(&q, item->name);
	put_n(&q, item->subscription);
	put_n(&q, item->groups);
	put_i(&q, (item->ask ? ASK_OURS : 0) | (marks & ROSTER_ASKING ? ASK_THEIRS : 0));
	put_i(&q, mod);
	put_i(&q, (marks & ROSTER_LISTED) != 0);
	put_i(&q, (marks & ROSTER_BLOCKED) != 0);
	return db_run(&q);
}

int roster_write(struct store *s, int64_t account, const struct roster_item *item, unsigned int marks)
{
	return marks ? write_row(s, account, item, marks) : delete_row(s, account, item->jid);
}

int roster_mark(struct store *s, int64_t account, const char *jid, const struct stored *x, unsigned int marks)
{
	const struct roster_item none = { .jid = jid, .name = "", .subscription = "none", .groups = "" };
	const struct roster_item same = {
		.jid = jid, .name = x->name, .subscription = x->subscription, .groups = x->groups, .ask = x->ask,
	};

	return roster_write(s, account, marks & ROSTER_LISTED ? &same : &none, marks);
}

static int remove_item(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stored_deinit) struct stored x = { 0 };
	int r;

	r = roster_read(s, account, jid, &x);
	if (r == 0 && !(x.marks & ROSTER_LISTED))
		return 0;
	/* A request goes with the contact, servers answer it with no (RFC 6121 section 2.5.2). */
	if (r == 0)
		r = roster_mark(s, account, jid, &x, x.marks & ROSTER_BLOCKED);
	if (r == 0)
		r = conv_renamed(s, account, jid);
	return r < 0 ? err_trace(r) : 0;
}

bool roster_sees_us(const char *subscription)
{
	return strcmp(subscription, "from") == 0 || strcmp(subscription, "both") == 0;
}

int roster_trusts(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_TRUSTS);
	int64_t trusts;
	int r;

	put_i(&q, account);
	put_t(&q, jid);
	put_i(&q, ROSTER_LATELY);
	r = db_int(&q, 0, &trusts);
	return r < 0 ? err_trace(r) : trusts != 0;
}

int roster_put(struct store *s, int64_t account, const struct roster_item *item)
{
	const struct roster_item clean = {
		.jid = item->jid,
		.name = str_or_empty(item->name),
		.subscription = str_or_empty(item->subscription),
		.groups = str_or_empty(item->groups),
		.ask = item->ask,
	};
	_cleanup_(stored_deinit) struct stored x = { 0 };
	unsigned int marks;
	bool seen;
	int r;

	if (strcmp(clean.subscription, "remove") == 0)
		return remove_item(s, account, clean.jid);
	r = roster_read(s, account, clean.jid, &x);
	if (r < 0)
		return err_trace(r);
	marks = x.marks | ROSTER_LISTED;
	if (roster_sees_us(clean.subscription))
		marks &= ~(unsigned int)ROSTER_ASKING;
	if (is_same(&x, &clean, marks))
		return 0;
	/* What its conversation shows of it. */
	seen = strcmp(x.name, clean.name) != 0 || strcmp(x.subscription, clean.subscription) != 0;
	r = roster_write(s, account, &clean, marks);
	if (r == 0 && seen)
		r = conv_renamed(s, account, clean.jid);
	return r < 0 ? err_trace(r) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void roster_free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static int take_jids(struct stmt *q, char ***ret, size_t *ret_n)
{
	char **list = NULL;
	size_t n = 0;
	int r;

	while ((r = db_row(q)) > 0) {
		list = xrealloc(list, n + 1, sizeof(*list));
		list[n++] = xstrdup(col_t(q, 0));
	}
	if (r < 0) {
		roster_free_list(list, n);
		return err_trace(r);
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

int roster_list(struct store *s, enum sql id, int64_t account, const char *pattern, char ***ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);

	put_i(&q, account);
	if (pattern)
		put_t(&q, pattern);
	return take_jids(&q, ret, ret_n);
}

int roster_strangers(struct store *s, int64_t account, int64_t keep, char ***ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_STRANGERS);

	put_i(&q, account);
	put_i(&q, keep);
	return take_jids(&q, ret, ret_n);
}

int roster_keep(struct store *s, enum sql id, int64_t account, char *const *jids, size_t n, roster_drop_fn drop)
{
	_cleanup_(freep) char **keep = xnewn(char *, n + 1);
	char **list = NULL;
	size_t n_list = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		keep[i] = jids[i];
	qsort(keep, n, sizeof(*keep), by_text);
	r = roster_list(s, id, account, NULL, &list, &n_list);
	for (size_t i = 0; i < n_list && r == 0; i++)
		if (n == 0 || !bsearch(&list[i], keep, n, sizeof(*keep), by_text))
			r = drop(s, account, list[i]);
	roster_free_list(list, n_list);
	return r < 0 ? err_trace(r) : 0;
}

int roster_keep_only(struct store *s, int64_t account, char *const *jids, size_t n)
{
	return roster_keep(s, SQL_ROSTER_JIDS, account, jids, n, remove_item);
}
