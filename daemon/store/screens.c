/*
 * Which conversations have less than a screen to show above a gap: store/archive.h.
 */

#include "base/err.h"
#include "base/mem.h"
#include "store/aid.h"
#include "store/archive.h"

#define CANDIDATES_MAX 1000 /* conversations and contacts looked at, those of the latest messages first */

static int count_rows(struct put *p, const char *jid, int64_t key, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_SCREEN_ROWS);

	put_i(&q, p->account);
	put_t(&q, jid);
	put_i(&q, key);
	put_i(&q, ARCHIVE_SCREEN);
	return db_int(&q, 0, ret);
}

static int candidates(struct put *p, char ***ret, size_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_SCREEN_CANDIDATES);
	char **jids = xnewn(char *, CANDIDATES_MAX);
	size_t n = 0;
	int r;

	put_i(&q, p->account);
	put_i(&q, CANDIDATES_MAX);
	while (n < CANDIDATES_MAX && (r = db_row(&q)) > 0)
		jids[n++] = xstrdup(col_t(&q, 0));
	*ret = jids;
	*ret_n = n;
	return q.r < 0 ? err_trace(q.r) : 0;
}

int archive_short_screens(struct store *s, int64_t account, int64_t archive, const char *above_id, size_t max,
			  archive_screen_fn fn, void *userdata)
{
	struct put p = { .s = s, .account = account, .archive = archive };
	size_t n = 0, told = 0;
	char **jids = NULL;
	struct aid above;
	int r;

	r = aid_get(&p, above_id, &above);
	if (r == 0)
		r = candidates(&p, &jids, &n);
	for (size_t i = 0; i < n; i++) {
		int64_t rows = 0;

		if (r == 0 && told < max)
			r = count_rows(&p, jids[i], above.known ? above.key : INT64_MIN, &rows);
		if (r == 0 && told < max && rows < ARCHIVE_SCREEN) {
			fn(userdata, jids[i]);
			told++;
		}
		free(jids[i]);
	}
	free(jids);
	return r < 0 ? err_trace(r) : 0;
}

int archive_newest_row(struct store *s, int64_t archive, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SCREEN_TOP);

	put_i(&q, archive);
	return db_int(&q, 0, ret);
}
