/*
 * Another archive at the server: it was emptied or made anew, or the account lives on another server, and it uses ids again
 * that we know as other messages (B8). What is stored stays; its ids stay with the archive that they are of.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/archive.h"
#include "store/db.h"
#include "store/renew.h"
#include "store/row.h"

enum renew_verdict {
	RENEW_UNCLEAR,
	RENEW_SAME,  /* the same content, or the same id of the sender's */
	RENEW_OTHER, /* what no copy of one message can be, as renew_are_two() */
};

static bool same(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

static enum renew_verdict verdict(const struct item *it, const struct candidate *c)
{
	const struct message *m = it->m;
	int64_t apart = it->time_us > c->time_us ? it->time_us - c->time_us : c->time_us - it->time_us;

	/* What was taken back, or over a limit, has no text to compare; our own may be encrypted otherwise there. */
	if (c->kind != ROW_TEXT || m->payload != PAYLOAD_TEXT || *m->replace_id)
		return RENEW_UNCLEAR;
	if (c->hash == it->hash || same(m->id, c->xmpp_id) || same(m->id, c->origin_id) || same(m->origin_id, c->xmpp_id) ||
	    same(m->origin_id, c->origin_id))
		return RENEW_SAME;
	if (*m->id && *c->xmpp_id)
		return RENEW_OTHER;
	return it->clock == CLOCK_ARCHIVE && c->clock == CLOCK_ARCHIVE && apart > COVER_MARGIN_US ? RENEW_OTHER : RENEW_UNCLEAR;
}

bool renew_are_two(const struct message *a, const struct message *b)
{
	int64_t apart = a->archive_us > b->archive_us ? a->archive_us - b->archive_us : b->archive_us - a->archive_us;

	if (a->payload != PAYLOAD_TEXT || b->payload != PAYLOAD_TEXT || message_hash(a) == message_hash(b) || same(a->id, b->id) ||
	    same(a->origin_id, b->origin_id))
		return false;
	return (*a->id && *b->id) || (a->archive_us && b->archive_us && apart > COVER_MARGIN_US);
}

struct comparison {
	const struct item *it;
	enum renew_verdict verdict;
};

static void compare(void *userdata, const struct candidate *c)
{
	struct comparison *x = userdata;

	x->verdict = verdict(x->it, c);
}

/* ${m} has an archive id that is stored as row ${msg}: is it that message? */
static int compare_with_row(struct put *p, const struct message *m, int64_t msg, enum renew_verdict *ret)
{
	struct item it;
	struct comparison x = { .it = &it };
	int64_t conv = 0;
	int r;

	*ret = RENEW_UNCLEAR;
	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_STATE);

		put_i(&q, msg);
		r = db_row(&q);
		if (r <= 0)
			return r < 0 ? err_trace(r) : 0;
		conv = col_i(&q, 0);
	}
	item_init(&it, p, m);
	r = row_candidate(p, conv, msg, compare, &x);
	item_deinit(&it);
	*ret = x.verdict;
	return r < 0 ? err_trace(r) : 0;
}

int renew_judge(struct put *p, const struct message *m, const struct aid *aid, struct put_outcome *ret)
{
	enum renew_verdict found = RENEW_UNCLEAR;
	int r = aid->known && aid->msg ? compare_with_row(p, m, aid->msg, &found) : 0;

	if (r < 0)
		return err_trace(r);
	ret->another = found == RENEW_OTHER;
	ret->same = found == RENEW_SAME;
	ret->another_key = aid->key;
	return 0;
}

int archive_judge(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct message *const *items,
		  size_t n, int64_t now_us, struct put_outcome *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = own_bare, .now_us = now_us };
	struct aid aid;
	int r = put_begin(&p);

	for (size_t i = 0; i < n && r == 0; i++) {
		ret[i] = (struct put_outcome){ 0 };
		r = aid_get(&p, items[i]->archive_id, &aid);
		if (r == 0)
			r = renew_judge(&p, items[i], &aid, &ret[i]);
		ret[i].aid_is_new = r == 0 && !aid.known;
	}
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}

void archive_mark(int64_t archive, char *ret, size_t size)
{
	snprintf(ret, size, "%c%lld:", COVER_OLD, (long long)archive);
}

/* The place of a span's end goes with it, so that pages and history know where it is. No row has this id. */
static int move_edge(struct store *s, int64_t from, int64_t to, const struct edge *e)
{
	struct put old = { .s = s, .archive = from }, new = { .s = s, .archive = to };
	char mark[ARCHIVE_MARK_MAX];
	struct aid aid, there;
	int r;

	archive_mark(from, mark, sizeof(mark));
	if (!*e->id)
		return 0;
	r = aid_get(&new, e->id, &there);
	if (r == 0)
		r = aid_get(&old, strncmp(e->id, mark, strlen(mark)) == 0 ? e->id + strlen(mark) : e->id, &aid);
	if (r == 0 && aid.known && !there.known)
		r = aid_add(&new, e->id, aid.key, aid.placed, 0);
	return r < 0 ? err_trace(r) : 0;
}

/* Of which of the two it is, nobody knows: if of the old one, the new one will say so again. */
static int move_above(struct store *s, int64_t from, int64_t to, int64_t key)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_MOVE);

	put_i(&q, to);
	put_i(&q, from);
	put_i(&q, key);
	return db_run(&q);
}

static int run(struct store *s, enum sql id, int64_t of)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);

	put_i(&q, of);
	return db_run(&q);
}

int archive_renew(struct store *s, int64_t account, int64_t archive, const struct cover *old, int64_t key, int64_t *ret)
{
	struct cover none = { 0 };
	int r;

	r = cover_write(s, archive, &none);
	if (r == 0)
		r = run(s, SQL_ARCHIVE_RETIRE, archive);
	s->own_account = 0;
	if (r == 0)
		r = archive_id(s, account, "", ret);
	if (r == 0)
		r = move_above(s, archive, *ret, key);
	for (size_t i = 0; i < old->n && r == 0; i++) {
		r = move_edge(s, archive, *ret, &old->spans[i].first);
		if (r == 0)
			r = move_edge(s, archive, *ret, &old->spans[i].last);
	}
	/* What a conversation holds across gaps was said of the other archive. */
	if (r == 0)
		r = run(s, SQL_HELD_FORGET, account);
	return r < 0 ? err_trace(r) : 0;
}
