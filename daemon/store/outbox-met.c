/* What comes in and says what became of an item: its copy in the archive or by carbon, a receipt, an error. */
#include <string.h>

#include "base/err.h"
#include "store/conv.h"
#include "store/outbox-priv.h"
#include "store/row.h"

static int count_copies(struct put *p, int64_t msg, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_AID_OF_ROW);

	put_i(&q, msg);
	return db_int(&q, 0, ret);
}

/* The item of that name in ${conv}. To somebody else another device may give it to a message of its own: 0. */
static int of_conv(struct put *p, int64_t conv, const char *client_id, struct out_entry *ret)
{
	int r = p->outbox ? outbox_by_client(p, client_id, ret) : 0;

	return r < 0 ? err_trace(r) : r > 0 && ret->conv == conv;
}

static bool never_left(const struct out_entry *e)
{
	return e->state == OUT_QUEUED && e->again == AGAIN_NOT && !e->bounced;
}

static void take_hash(void *userdata, const struct candidate *c)
{
	*(uint64_t *)userdata = c->hash;
}

/*
 * Is ${it}, which has its id, a copy of ${e}? In another conversation only what may have left, with the same words: a server may
 * write an address in another way than we do (RFC 7622 section 3.3).
 */
static int is_copy(struct put *p, struct item *it, const struct out_entry *e)
{
	uint64_t hash = ~it->hash;
	int r = it->conv ? 0 : conv_find(p, it);

	if (r < 0 || e->conv == it->conv || never_left(e) || e->kind != OUT_TEXT)
		return r < 0 ? err_trace(r) : e->conv == it->conv;
	r = row_candidate(p, e->conv, e->msg, take_hash, &hash);
	return r < 0 ? err_trace(r) : hash == it->hash;
}

/* ${client_id} stands in the archive, as ${it}. */
static int met(struct put *p, struct item *it, const char *client_id)
{
	struct out_entry e;
	int64_t copies;
	int r;

	r = outbox_by_client(p, client_id, &e);
	if (r <= 0 || e.state == OUT_DONE)
		return r < 0 ? err_trace(r) : 0;
	r = is_copy(p, it, &e);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	/* So many copies are of tries that came back, not of the new one. */
	if (e.bounced) {
		r = e.state == OUT_DOUBT ? count_copies(p, e.msg, &copies) : 0;
		if (r < 0)
			return err_trace(r);
		if (e.state != OUT_DOUBT || copies <= e.bounced)
			return 0;
	}
	return outbox_enter(p, &e, OUT_DONE, e.again, "", "");
}

int outbox_met(struct put *p, struct item *it)
{
	const struct message *m = it->m;
	int r;

	if (!p->outbox || !it->out || m->payload == PAYLOAD_ERROR)
		return 0;
	r = met(p, it, m->id);
	if (r == 0 && strcmp(m->id, m->origin_id) != 0)
		r = met(p, it, m->origin_id);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_arrived(struct put *p, int64_t conv, const char *client_id)
{
	struct out_entry e;
	int r;

	r = of_conv(p, conv, client_id, &e);
	if (r <= 0 || e.bounced || (e.state != OUT_SENDING && e.state != OUT_DOUBT && e.state != OUT_QUEUED))
		return r < 0 ? err_trace(r) : 0;
	return outbox_enter(p, &e, OUT_DONE, e.again, "", "");
}

int outbox_never_left(struct put *p, int64_t conv, const char *client_id)
{
	struct out_entry e;
	int r;

	r = of_conv(p, conv, client_id, &e);
	return r < 0 ? err_trace(r) : r > 0 && never_left(&e);
}

int outbox_may_have_left(struct put *p, int64_t conv, const char *client_id)
{
	struct out_entry e;
	int r;

	r = of_conv(p, conv, client_id, &e);
	return r < 0 ? err_trace(r) : r > 0 && !never_left(&e);
}

int outbox_bounced(struct put *p, int64_t conv, const char *client_id)
{
	struct out_entry e;
	int r;

	r = of_conv(p, conv, client_id, &e);
	if (r <= 0 || e.kind != OUT_TEXT)
		return r < 0 ? err_trace(r) : 0;
	if (e.state == OUT_FAILED || e.state == OUT_CANCELLED)
		return 0;
	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_BOUNCED);

		put_i(&q, e.id);
		r = db_run(&q);
		if (r < 0)
			return err_trace(r);
	}
	e.msg = 0; /* the row says already why */
	return outbox_enter(p, &e, OUT_FAILED, e.again, "", "");
}

int outbox_bounces_known(struct store *s, int64_t account)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_OUTBOX_BOUNCES_KNOWN);
	int64_t low;
	int r;

	r = outbox_low(s, account, &low);
	if (r < 0)
		return err_trace(r);
	put_i(&q, account);
	put_i(&q, low);
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

int outbox_superseded(struct put *p, const char *client_id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_OUTBOX_SUPERSEDED);
	int r;

	if (!p->outbox || !*client_id)
		return 0;
	put_i(&q, p->account);
	put_t(&q, client_id);
	r = db_row(&q);
	return r < 0 ? err_trace(r) : r;
}

int outbox_forget(struct put *p, int64_t msg)
{
	_cleanup_(freep) struct out_entry *list = NULL;
	size_t n = 0;
	int r = p->outbox ? outbox_of_msg(p, msg, &list, &n) : 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		bool left = list[i].state == OUT_SENDING || list[i].state == OUT_DOUBT || list[i].again != AGAIN_NOT;

		list[i].msg = 0;
		if (!outbox_is_content(list[i].kind) && list[i].state == OUT_QUEUED)
			r = outbox_delete(p, list[i].id);
		else if (list[i].state == OUT_QUEUED && !left)
			r = outbox_enter(p, &list[i], OUT_CANCELLED, AGAIN_NOT, "", "");
		/* What is to be sent again keeps its words until it is. */
		if (r == 0 && (!left || list[i].state == OUT_FAILED || list[i].state == OUT_CANCELLED))
			r = outbox_empty(p, list[i].id);
	}
	return r < 0 ? err_trace(r) : 0;
}
