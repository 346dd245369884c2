/* store/account.h: the row of an account's XEP-0198 session. */
#include "store/account.h"

#include <string.h>

#include "base/err.h"
#include "store/db.h"

void session_init(struct session *s)
{
	*s = (struct session){
		.sm_id = xstrdup(""),
		.sm_location = xstrdup(""),
		.full_jid = xstrdup(""),
		.features = xstrdup(""),
	};
}

void session_deinit(struct session *s)
{
	free(s->sm_id);
	free(s->sm_location);
	free(s->ahead);
	free(s->full_jid);
	free(s->features);
	*s = (struct session){ 0 };
}

static void read_ahead(struct stmt *q, int column, struct session *ret)
{
	size_t len = (size_t)sqlite3_column_bytes(q->st, column) / 4 * 4;

	if (len == 0)
		return;
	ret->ahead = xcalloc(1, len);
	memcpy(ret->ahead, sqlite3_column_blob(q->st, column), len);
	ret->n_ahead = len / 4;
}

int session_load(struct store *s, int64_t account, struct session *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SESSION_GET);
	int r;

	put_i(&q, account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	session_init(ret);
	if (r == 0)
		return 0;
	str_set(&ret->sm_id, col_t(&q, 0));
	str_set(&ret->sm_location, col_t(&q, 1));
	ret->sm_max = (uint32_t)col_i(&q, 2);
	ret->h_in = (uint32_t)col_i(&q, 3);
	read_ahead(&q, 4, ret);
	ret->h_out = (uint32_t)col_i(&q, 5);
	ret->grant = (uint32_t)col_i(&q, 6);
	str_set(&ret->full_jid, col_t(&q, 7));
	str_set(&ret->features, col_t(&q, 8));
	ret->archive = (uint32_t)col_i(&q, 9);
	ret->stanza_ids = col_i(&q, 10) != 0;
	ret->resumes = (uint64_t)col_i(&q, 11);
	ret->binds = (uint64_t)col_i(&q, 12);
	ret->last_resume_us = col_i(&q, 13);
	ret->flights = (uint32_t)col_i(&q, 14);
	ret->caught_up_us = col_i(&q, 15);
	return 0;
}

int session_save(struct store *s, int64_t account, const struct session *session)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SESSION_PUT);
	int r;

	put_i(&q, account);
	put_n(&q, str_or_empty(session->sm_id));
	put_n(&q, str_or_empty(session->sm_location));
	put_i(&q, session->sm_max);
	put_i(&q, session->h_in);
	put_blob(&q, session->ahead, session->n_ahead * 4);
	put_i(&q, session->h_out);
	put_i(&q, session->grant);
	put_n(&q, str_or_empty(session->full_jid));
	put_n(&q, str_or_empty(session->features));
	put_i(&q, session->archive);
	put_i(&q, session->stanza_ids);
	put_i(&q, (int64_t)session->resumes);
	put_i(&q, (int64_t)session->binds);
	put_i(&q, session->last_resume_us);
	put_i(&q, session->flights);
	put_i(&q, session->caught_up_us);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}
