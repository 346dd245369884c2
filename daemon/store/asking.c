/* Who asks to see our presence (RFC 6121 section 3.1), kept in the rows of the roster. */
#include "base/err.h"
#include "core/jid.h"
#include "store/account.h"
#include "store/roster-priv.h"

/* 1: all of the domain of ${jid} is blocked. */
static int is_domain_blocked(struct store *s, int64_t account, const char *jid)
{
	_cleanup_(stored_deinit) struct stored x = { 0 };
	_cleanup_(freep) char *domain = jid_domain(jid);
	int r;

	r = roster_read(s, account, domain, &x);
	return r < 0 ? err_trace(r) : (x.marks & ROSTER_BLOCKED) != 0;
}

/* Of strangers who ask only so many stay, the latest. */
static int drop_oldest(struct store *s, int64_t account)
{
	char **jids = NULL;
	size_t n = 0;
	int r;

	r = roster_strangers(s, account, ROSTER_STRANGERS_MAX, &jids, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = roster_write(s, account, &(struct roster_item){ .jid = jids[i] }, 0);
	roster_free_list(jids, n);
	return r < 0 ? err_trace(r) : 0;
}

int roster_set_asking(struct store *s, int64_t account, const char *jid, bool asking)
{
	_cleanup_(stored_deinit) struct stored x = { 0 };
	int r;

	r = roster_read(s, account, jid, &x);
	if (r < 0)
		return err_trace(r);
	/* Servers tell a request again after each bind, until it is answered. */
	if (((x.marks & ROSTER_ASKING) != 0) == asking)
		return 0;
	if (!asking) {
		r = roster_mark(s, account, jid, &x, x.marks & ~(unsigned int)ROSTER_ASKING);
		return r < 0 ? err_trace(r) : 0;
	}
	if ((x.marks & ROSTER_BLOCKED) || ((x.marks & ROSTER_LISTED) && roster_sees_us(x.subscription)))
		return 0;
	r = is_domain_blocked(s, account, jid);
	if (r != 0)
		return r < 0 ? err_trace(r) : 0;
	r = roster_mark(s, account, jid, &x, x.marks | ROSTER_ASKING);
	if (r == 0 && !x.marks)
		r = drop_oldest(s, account);
	return r < 0 ? err_trace(r) : 0;
}
