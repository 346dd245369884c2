/* The block list (XEP-0191), kept in the rows of the roster. */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/account.h"
#include "store/conv.h"
#include "store/feed.h"
#include "store/roster-priv.h"

/* "%@domain" with what LIKE would take for a wildcard escaped; the caller frees. */
static char *in_domain(const char *domain)
{
	struct buf b = { 0 };

	buf_adds(&b, "%@");
	for (; *domain; domain++) {
		if (strchr("%_\\", *domain))
			buf_adds(&b, "\\");
		buf_add(&b, domain, 1);
	}
	return buf_steal(&b);
}

static int touch(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ROSTER_TOUCH);
	int64_t mod;
	int r;

	r = feed_next(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, account);
	put_t(&q, jid);
	put_i(&q, mod);
	return db_run(&q);
}

/* Of a domain that is blocked now: it looks otherwise, and what it asked is answered. */
static int hush(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stored_deinit) struct stored x = { 0 };
	int r;

	r = roster_read(s, account, jid, &x);
	if (r == 0 && (x.marks & ROSTER_ASKING))
		r = roster_mark(s, account, jid, &x, x.marks & ~(unsigned int)ROSTER_ASKING);
	else if (r == 0)
		r = touch(s, account, jid);
	return r < 0 ? err_trace(r) : 0;
}

typedef int (*each_fn)(struct store *s, int64_t account, const char *jid);

static int for_domain(struct store *s, enum sql id, int64_t account, const char *pattern, each_fn fn)
{
	char **jids = NULL;
	size_t n = 0;
	int r;

	r = roster_list(s, id, account, pattern, &jids, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = fn(s, account, jids[i]);
	roster_free_list(jids, n);
	return r < 0 ? err_trace(r) : 0;
}

/* Conversations and contacts that look otherwise now. */
static int tell(struct store *s, int64_t account, const char *jid, bool blocked)
{
	_cleanup_(freep) char *pattern = NULL;
	int r;

	if (strchr(jid, '@'))
		return conv_renamed(s, account, jid);
	pattern = in_domain(jid);
	r = conv_renamed(s, account, jid);
	if (r == 0)
		r = for_domain(s, SQL_CONV_OF_DOMAIN, account, pattern, conv_renamed);
	if (r == 0)
		r = for_domain(s, SQL_ROSTER_OF_DOMAIN, account, pattern, blocked ? hush : touch);
	return r < 0 ? err_trace(r) : 0;
}

int roster_set_blocked(struct store *s, int64_t account, const char *jid, bool blocked)
{
	_cleanup_(stored_deinit) struct stored x = { 0 };
	unsigned int marks;
	int r;

	r = roster_read(s, account, jid, &x);
	if (r < 0)
		return err_trace(r);
	if (((x.marks & ROSTER_BLOCKED) != 0) == blocked)
		return 0;
	marks = (x.marks & ROSTER_LISTED) | (blocked ? ROSTER_BLOCKED : 0u);
	r = roster_mark(s, account, jid, &x, marks);
	if (r == 0)
		r = tell(s, account, jid, blocked);
	return r < 0 ? err_trace(r) : 0;
}

static int unblock(struct store *s, int64_t account, const char *jid)
{
	return roster_set_blocked(s, account, jid, false);
}

int roster_keep_blocked(struct store *s, int64_t account, char *const *jids, size_t n)
{
	return roster_keep(s, SQL_ROSTER_BLOCKED, account, jids, n, unblock);
}
