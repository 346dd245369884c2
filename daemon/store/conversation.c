#include "store/conversation.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/jid.h"
#include "store/conv.h"
#include "store/feed.h"
#include "store/gone.h"
#include "store/put.h"

/* A call about a conversation: a put of the account's own archive. */
struct call {
	struct put p;
	char *jid; /* owned, folded */
	int64_t conv;
	bool shown; /* it has a message, or was opened */
	bool empty; /* it has none */
};

static void call_deinit(struct call *c)
{
	free(c->jid);
}

static int is_shown(struct call *c)
{
	_cleanup_(stmt_done) struct stmt q = db_use(c->p.s, SQL_CONV_SHOWN);
	int r;

	put_i(&q, c->conv);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	c->empty = r == 0 || col_i(&q, 0) == 0;
	c->shown = !c->empty || (r > 0 && col_i(&q, 1) != 0);
	return 0;
}

/* put_end() must follow whatever it returns. */
static int begin(struct call *c, struct store *s, int64_t account, const char *id, int64_t now_us)
{
	bool room;
	int r;

	c->p = (struct put){ .s = s, .account = account, .own_bare = "", .now_us = now_us };
	c->jid = jid_bare(id);
	r = put_begin(&c->p);
	if (r == 0)
		r = archive_id(s, account, "", &c->p.archive);
	if (r == 0)
		r = conv_look_up(&c->p, c->jid, &c->conv, &room);
	if (r == 0 && c->conv)
		r = is_shown(c);
	return r < 0 ? err_trace(r) : 0;
}

static int open_row(struct call *c, int64_t now_us)
{
	_cleanup_(stmt_done) struct stmt q = db_use(c->p.s, SQL_CONV_OPEN);
	int64_t mod;
	int r;

	r = feed_present(c->p.s, c->p.account, "conversation", c->jid);
	if (r == 0)
		r = feed_next(c->p.s, c->p.account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, c->conv);
	put_i(&q, now_us > 0 ? now_us : 1);
	put_i(&q, mod);
	return db_run(&q);
}

int conversation_open(struct store *s, int64_t account, const char *jid, int64_t now_us, char **ret_id)
{
	_cleanup_(call_deinit) struct call c = { 0 };
	int r;

	r = begin(&c, s, account, jid, now_us);
	if (r == 0 && !c.conv) {
		struct item it = { .conv_jid = c.jid };

		r = conv_get(&c.p, &it);
		c.conv = it.conv;
	}
	if (r == 0 && !c.shown)
		r = open_row(&c, now_us);
	r = put_end(&c.p, r);
	if (r < 0)
		return err_trace(r);
	*ret_id = TAKE_PTR(c.jid);
	return 0;
}

static int put_change(struct call *c, const struct conversation_change *change)
{
	_cleanup_(stmt_done) struct stmt q = db_use(c->p.s, SQL_CONV_SET);
	int r;

	put_i(&q, c->conv);
	change->set_pinned ? put_i(&q, change->pinned) : put_null(&q);
	change->set_archived ? put_i(&q, change->archived) : put_null(&q);
	change->set_muted ? put_i(&q, change->muted_until_us) : put_null(&q);
	put_i(&q, change->set_draft);
	put_n(&q, str_or_empty(change->draft));
	r = db_run(&q);
	return r < 0 ? err_trace(r) : sqlite3_changes64(c->p.s->db) > 0;
}

int conversation_set(struct store *s, int64_t account, const char *id, const struct conversation_change *change)
{
	_cleanup_(call_deinit) struct call c = { 0 };
	int r;

	if (change->set_draft && strlen(str_or_empty(change->draft)) > CONVERSATION_DRAFT_MAX)
		return err_origin(-EINVAL);
	r = begin(&c, s, account, id, 0);
	if (r == 0 && c.shown)
		r = put_change(&c, change);
	if (r > 0)
		r = conv_touch(&c.p, c.conv);
	r = put_end(&c.p, r);
	if (r < 0)
		return err_trace(r);
	return c.shown ? 0 : CONVERSATION_E_NONE;
}

/* The row to read up to: *ret 0 if there is none. */
static int find_row(struct call *c, int64_t msg, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(c->p.s, msg ? SQL_CONV_HAS : SQL_CONV_LAST);
	int r;

	put_i(&q, c->conv);
	if (msg)
		put_i(&q, msg);
	r = db_int(&q, 0, ret);
	return r < 0 ? err_trace(r) : 0;
}

int conversation_mark_read(struct store *s, int64_t account, const char *id, int64_t msg, int64_t *ret_msg)
{
	_cleanup_(call_deinit) struct call c = { 0 };
	int64_t row = 0;
	int r;

	r = begin(&c, s, account, id, 0);
	if (r == 0 && c.shown)
		r = find_row(&c, msg, &row);
	if (r == 0 && row)
		r = conv_read_to(&c.p, c.conv, row);
	r = put_end(&c.p, r);
	if (r < 0)
		return err_trace(r);
	if (!c.shown)
		return CONVERSATION_E_NONE;
	if (msg && !row)
		return CONVERSATION_E_NO_MESSAGE;
	*ret_msg = row;
	return 0;
}

int conversation_delete_messages(struct store *s, int64_t account, const int64_t *ids, size_t n, int64_t now_us)
{
	_cleanup_(call_deinit) struct call c = { 0 };
	int r;

	r = begin(&c, s, account, "", now_us);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = gone_delete(&c.p, ids[i]);
	r = put_end(&c.p, r < 0 ? r : 0);
	return r < 0 ? err_trace(r) : 0;
}

/* What the user set goes; what is stored up to now is meant, and whatever the archive has below. */
static int forget(struct call *c)
{
	_cleanup_(stmt_done) struct stmt q = db_use(c->p.s, SQL_CONV_FORGET);

	put_i(&q, c->conv);
	put_i(&q, c->p.archive);
	return db_run(&q);
}

int conversation_delete(struct store *s, int64_t account, const char *id, int64_t now_us)
{
	_cleanup_(call_deinit) struct call c = { 0 };
	int r;

	r = begin(&c, s, account, id, now_us);
	if (r == 0 && c.shown)
		r = forget(&c);
	if (r == 0 && c.shown)
		r = gone_purge(&c.p, c.conv, CONVERSATION_DELETE_ROWS, CONVERSATION_DELETE_LEAST, clock_boot_us() + CONVERSATION_DELETE_US);
	/* conv.c tells of those whose last message goes. */
	if (r >= 0 && c.shown && c.empty)
		r = feed_removed(s, account, "conversation", c.jid);
	r = put_end(&c.p, r < 0 ? r : 0);
	if (r < 0)
		return err_trace(r);
	return c.shown ? 0 : CONVERSATION_E_NONE;
}
