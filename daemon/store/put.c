/* store/put.h, the bracket around a call that writes messages. */
#include "store/put.h"

#include <errno.h>

#include "base/err.h"
#include "store/conv.h"
#include "store/gone.h"
#include "store/known.h"
#include "store/outbox-priv.h"
#include "store/pending.h"
#include "store/row.h"

int put_any(struct put *p, enum put_none what, enum sql any, bool *ret)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int r;

	*ret = false;
	if (p->s->none_account == p->account && p->s->none & what)
		return 0;
	q = db_use(p->s, any);
	put_i(&q, p->account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = r > 0;
	if (p->s->none_account != p->account)
		p->s->none = 0;
	p->s->none_account = p->account;
	if (!*ret)
		p->s->none |= what;
	return 0;
}

void put_has(struct put *p, enum put_none what)
{
	if (p->s->none_account == p->account)
		p->s->none &= ~(unsigned int)what;
}

int put_begin(struct put *p)
{
	int r;

	if (!p->s->in_tx)
		return err_origin(-EPERM);
	if (p->keeps)
		known_take(p);
	r = pending_begin(p);
	if (r == 0)
		r = gone_begin(p);
	if (r == 0)
		r = outbox_begin(p);
	return r < 0 ? err_trace(r) : 0;
}

int put_end(struct put *p, int r)
{
	int outcome = r > 0 ? r : 0;

	if (r >= 0)
		r = conv_settle(p);
	free(p->dirty);
	if (r == 0 && !outcome && p->keeps)
		known_leave(p);
	else
		known_forget(p);
	/* What was done by half must not be committed by somebody who overlooks the error. */
	if (r < 0 && p->s->in_tx && p->s->tx_error == 0)
		p->s->tx_error = r;
	return r < 0 ? err_trace(r) : outcome;
}

int put_natural_key(struct put *p, int64_t *ret)
{
	int64_t top;
	int r = row_top_key(p, &top);

	if (r < 0)
		return err_trace(r);
	*ret = p->now_us > top ? p->now_us : top + 1;
	return 0;
}
