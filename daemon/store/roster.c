#include "store/account.h"

#include <string.h>

#include "base/err.h"
#include "store/conv.h"
#include "store/db.h"
#include "store/feed.h"

/*
 * Is it stored just so? Servers send the whole roster at each login: what did not change must not fill the feed.
 * Returns 1 if it is there, *ret_same if nothing changed, *ret_renamed if its name differs; 0 if it is new.
 */
static int compare(struct store *s, int64_t account, const struct roster_item *item, bool *ret_same, bool *ret_renamed)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_GET);
	int r;

	put_i(&q, account);
	put_t(&q, item->jid);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_same = false;
	*ret_renamed = r > 0 ? strcmp(col_t(&q, 1), item->name) != 0 : *item->name != '\0';
	if (r == 0)
		return 0;
	*ret_same = !*ret_renamed && strcmp(col_t(&q, 2), item->subscription) == 0 &&
		    strcmp(col_t(&q, 3), item->groups) == 0 && (col_i(&q, 4) != 0) == item->ask;
	return 1;
}

static int delete_item(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_DELETE);

	put_i(&q, account);
	put_t(&q, jid);
	return db_run(&q);
}

static int remove_item(struct store *s, int64_t account, const char *jid)
{
	int r;

	r = delete_item(s, account, jid);
	if (r == 0)
		r = feed_removed(s, account, "contact", jid);
	if (r == 0)
		r = conv_renamed(s, account, jid);
	return r < 0 ? err_trace(r) : 0;
}

static int write_item(struct store *s, int64_t account, const struct roster_item *item)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_PUT);
	int64_t mod;
	int r;

	r = feed_next(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, account);
	put_t(&q, item->jid);
	put_n(&q, item->name);
	put_n(&q, item->subscription);
	put_n(&q, item->groups);
	put_i(&q, item->ask);
	put_i(&q, mod);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
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
	bool same = false, renamed = false;
	int r;

	r = compare(s, account, &clean, &same, &renamed);
	if (r < 0)
		return err_trace(r);
	if (strcmp(clean.subscription, "remove") == 0) {
		r = r > 0 ? remove_item(s, account, clean.jid) : 0;
		return r < 0 ? err_trace(r) : 0;
	}
	if (same)
		return 0;
	r = feed_present(s, account, "contact", clean.jid);
	if (r == 0)
		r = write_item(s, account, &clean);
	if (r == 0 && renamed)
		r = conv_renamed(s, account, clean.jid);
	return r < 0 ? err_trace(r) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

/* The stored JIDs that are not in the sorted array ${keep}. */
static int list_others(struct store *s, int64_t account, char **keep, size_t n, char ***ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_JIDS);
	char **gone = NULL;
	size_t n_gone = 0;
	int r;

	put_i(&q, account);
	while ((r = db_row(&q)) > 0) {
		const char *jid = col_t(&q, 0);

		if (n && bsearch(&jid, keep, n, sizeof(*keep), by_text))
			continue;
		gone = xrealloc(gone, n_gone + 1, sizeof(*gone));
		gone[n_gone++] = xstrdup(jid);
	}
	if (r < 0) {
		free_list(gone, n_gone);
		return err_trace(r);
	}
	*ret = gone;
	*ret_n = n_gone;
	return 0;
}

int roster_keep_only(struct store *s, int64_t account, char *const *jids, size_t n)
{
	_cleanup_(freep) char **keep = xnewn(char *, n + 1);
	char **gone = NULL;
	size_t n_gone = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		keep[i] = jids[i];
	qsort(keep, n, sizeof(*keep), by_text);
	r = list_others(s, account, keep, n, &gone, &n_gone);
	if (r < 0)
		return err_trace(r);
	for (size_t i = 0; i < n_gone && r == 0; i++)
		r = remove_item(s, account, gone[i]);
	free_list(gone, n_gone);
	return r < 0 ? err_trace(r) : 0;
}
