#include "store/present.h"

#include <string.h>

#include "base/err.h"
#include "store/read.h"

int present_read(struct put *p, int64_t msg, struct present *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_PRESENT);
	int r;

	put_i(&q, msg);
	put_i(&q, p->account);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = (struct present){
		.conv = col_i(&q, 0),
		.key = col_i(&q, 1),
		.time_us = col_i(&q, 2),
		.clock = col_i(&q, 3),
		.hash = col_i(&q, 4),
		.state = col_i(&q, 5),
		.kind = (enum row_kind)col_i(&q, 6),
		.out = col_i(&q, 7) == DIRECTION_OUT,
		.ours = col_i(&q, 8) != 0,
		.room = strcmp(col_t(&q, 9), "room") == 0,
		.encrypted = col_i(&q, 10) != 0,
		.archived = col_i(&q, 11) != 0,
		.jid = xstrdup(col_t(&q, 12)),
		.xmpp_id = xstrdup(col_t(&q, 13)),
		.origin_id = xstrdup(col_t(&q, 14)),
		.sender = xstrdup(col_t(&q, 15)),
		.body = xstrdup(col_t(&q, 16)),
		.reply_id = xstrdup(col_t(&q, 17)),
		.reply_jid = xstrdup(col_t(&q, 18)),
	};
	return 1;
}

void present_deinit(struct present *m)
{
	free(m->jid);
	free(m->xmpp_id);
	free(m->origin_id);
	free(m->sender);
	free(m->body);
	free(m->reply_id);
	free(m->reply_jid);
}

const char *present_client_id(const struct present *m)
{
	return *m->origin_id ? m->origin_id : m->xmpp_id;
}
