#include "store/row.h"

#include <string.h>

#include "base/err.h"
#include "store/aid.h"
#include "store/conv.h"
#include "store/feed.h"
#include "store/ids.h"
#include "store/identity.h"
#include "store/known.h"
#include "store/pending.h"

enum row_side row_side(bool out)
{
	return out ? ROW_OUT : ROW_IN;
}

/* By ${text}, an id, or by ${row}. */
static int each_candidate(struct put *p, enum sql id, int64_t conv, const char *text, int64_t row, enum row_side side,
			  candidate_fn fn, void *userdata)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);
	int r;

	put_i(&q, conv);
	if (text)
		put_t(&q, text);
	else
		put_i(&q, row);
	put_i(&q, ROW_CANDIDATES_MAX);
	if (text)
		put_i(&q, side);
	while ((r = db_row(&q)) > 0) {
		const struct candidate c = {
			.id = col_i(&q, 0),
			.key = col_i(&q, 1),
			.sender = col_t(&q, 2),
			.out = col_i(&q, 3) == DIRECTION_OUT,
			.state = (uint32_t)col_i(&q, 4),
			.kind = (enum row_kind)col_i(&q, 5),
			.time_us = col_i(&q, 6),
			.clock = (enum put_clock)col_i(&q, 7),
			.hash = (uint64_t)col_i(&q, 8),
			.xmpp_id = col_t(&q, 9),
			.origin_id = col_t(&q, 10),
			.archived = col_i(&q, 11) != 0,
			.ours = col_i(&q, 12) != 0,
		};

		fn(userdata, &c);
	}
	return r < 0 ? err_trace(r) : 0;
}

int row_candidates(struct put *p, int64_t conv, const char *id, enum row_side side, candidate_fn fn, void *userdata)
{
	const struct known *k = known_by_row(p, conv);
	int r;

	if (!*id || conv == 0)
		return 0;
	r = each_candidate(p, SQL_MSG_BY_ID, conv, id, 0, side, fn, userdata);
	if (r == 0 && (!k || k->origins))
		r = each_candidate(p, SQL_MSG_BY_ORIGIN, conv, id, 0, side, fn, userdata);
	return r < 0 ? err_trace(r) : 0;
}

int row_candidate(struct put *p, int64_t conv, int64_t msg, candidate_fn fn, void *userdata)
{
	int r = each_candidate(p, SQL_MSG_BY_ROW, conv, NULL, msg, ROW_BOTH, fn, userdata);

	return r < 0 ? err_trace(r) : 0;
}

bool row_may_precede(const struct candidate *c, int64_t ref_us)
{
	int64_t off = c->clock == CLOCK_OURS ? IDENTITY_CLOCK_US : IDENTITY_WINDOW_US;

	return c->time_us <= ref_us + (c->archived ? ROW_TURNED_US : off);
}

/* What a message answers: the newest of that name before it. */
struct answered {
	const struct item *it;
	int64_t id, key;
};

static void take_newest(void *userdata, const struct candidate *c)
{
	struct answered *best = userdata;

	if (c->key >= best->it->key && !row_may_precede(c, best->it->time_us))
		return;
	if (best->id == 0 || c->key > best->key) {
		best->id = c->id;
		best->key = c->key;
	}
}

static uint32_t first_state(const struct item *it)
{
	if (it->out)
		return it->queued ? STATE_QUEUED : STATE_SENT;
	/* What was dropped cannot be read; it must not count. */
	if (it->m->payload != PAYLOAD_TEXT)
		return STATE_READ;
	/* As conv_settle() would have it: nearly all of a backlog. */
	return it->known && it->key <= it->known->read_key ? STATE_READ : STATE_RECEIVED;
}

static int insert(struct put *p, const struct item *it, int64_t reply_to, int64_t *ret_msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_ADD);
	const struct message *m = it->m;
	int64_t mod, id = 0;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r == 0)
		r = ids_next(p->s, IDS_MSG, &id);
	if (r < 0)
		return err_trace(r);
	put_i(&q, p->account);
	put_i(&q, it->conv);
	put_i(&q, it->key);
	put_i(&q, mod);
	put_i(&q, it->time_us);
	put_i(&q, it->clock);
	put_i(&q, m->delay_trusted ? 0 : m->delay_us);
	put_i(&q, it->out ? DIRECTION_OUT : DIRECTION_IN);
	put_i(&q, first_state(it));
	put_i(&q, m->payload == PAYLOAD_TEXT ? ROW_TEXT : m->payload == PAYLOAD_DROPPED ? ROW_DROPPED : ROW_RETRACTED);
	put_t(&q, m->from);
	put_i(&q, (int64_t)it->hash);
	put_n(&q, m->id);
	put_n(&q, m->origin_id);
	put_n(&q, m->reply_id);
	put_i(&q, reply_to);
	put_n(&q, m->encryption);
	put_n(&q, m->error);
	put_n(&q, m->error_text);
	put_n(&q, m->payload == PAYLOAD_TEXT ? m->body : "");
	put_i(&q, it->out ? 0 : m->asks & (ASKS_RECEIPT | ASKS_MARKER));
	put_i(&q, it->queued);
	put_i(&q, id);
	r = db_run(&q);
	if (r < 0)
		return err_trace(r);
	*ret_msg = id;
	return 0;
}

static int set_reply_to(struct put *p, int64_t msg, int64_t target)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_REPLY_TO);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, target);
	put_i(&q, mod);
	put_i(&q, msg);
	return db_run(&q);
}

/* Rows that answer the message called ${id} and have ${now} as its row: ${then} from now on (${it}, if it is new). */
static int relink(struct put *p, int64_t conv, const char *id, int64_t now, int64_t then, const struct item *it,
		  size_t *ret_n)
{
	const struct candidate answered = it ? (struct candidate){ .time_us = it->time_us, .clock = it->clock,
								   .archived = *it->m->archive_id } : (struct candidate){ 0 };
	int64_t replies[ROW_REPLIES_MAX];
	size_t n = 0;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, now ? SQL_MSG_ANSWERS : SQL_MSG_REPLIES);

		put_i(&q, conv);
		put_t(&q, id);
		put_i(&q, ROW_REPLIES_MAX);
		if (now)
			put_i(&q, now);
		while (n < ROW_REPLIES_MAX && (r = db_row(&q)) > 0)
			if (!it || it->key < col_i(&q, 1) || row_may_precede(&answered, col_i(&q, 2)))
				replies[n++] = col_i(&q, 0);
		if (q.r < 0)
			return err_trace(q.r);
	}
	for (size_t i = 0; i < n; i++) {
		r = replies[i] == then ? 0 : set_reply_to(p, replies[i], then);
		if (r < 0)
			return err_trace(r);
	}
	*ret_n = n;
	return 0;
}

/* Answers that were stored before what they answer (newest-first paging). */
static int link_replies(struct put *p, const struct item *it, const char *id, int64_t target)
{
	size_t n;

	if (!*id || (it->known && !it->known->replies))
		return 0;
	return relink(p, it->conv, id, 0, target, it, &n);
}

int row_unlink_replies(struct put *p, int64_t conv, const char *id, int64_t msg)
{
	size_t n = *id ? ROW_REPLIES_MAX : 0;
	int r = 0;

	while (r == 0 && n == ROW_REPLIES_MAX)
		r = relink(p, conv, id, msg, 0, NULL, &n);
	return r < 0 ? err_trace(r) : 0;
}

int row_welcome(struct put *p, const struct item *it, int64_t msg)
{
	const struct message *m = it->m;
	/* In rooms the archive's id is what others name (XEP-0461, XEP-0424, XEP-0444: the room's stanza-id). */
	const char *names[] = { m->id, m->origin_id, it->room ? m->archive_id : "" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		if (i == 1 && strcmp(names[0], names[1]) == 0)
			continue;
		r = link_replies(p, it, names[i], msg);
		if (r == 0)
			r = pending_apply(p, it->conv, names[i]);
	}
	if (r == 0 && it->room && *m->archive_id) {
		_cleanup_(freep) char *moderated = refs_moderated_target(m->archive_id);

		r = pending_apply(p, it->conv, moderated);
	}
	return r < 0 ? err_trace(r) : 0;
}

/* Who answers has read. What comes in while it waits, and is archived before it, he has not. */
static int read_by_answer(struct put *p, const struct item *it, int64_t msg)
{
	int r;

	if (it->queued) {
		r = conv_read_present(p, it->conv, it->key);
		if (r == 0)
			p->newest = (struct newest){ it->conv, msg, it->time_us };
		return r < 0 ? err_trace(r) : 0;
	}
	if (it->known && it->key <= it->known->read_key)
		return 0;
	r = conv_read_to(p, it->conv, msg);
	if (r < 0)
		return err_trace(r);
	if (it->known)
		it->known->read_key = it->key;
	return 0;
}

int row_add(struct put *p, struct item *it, bool placed, int64_t *ret_msg)
{
	struct answered target = { .it = it };
	struct aid aid = { 0 };
	struct known *k;
	int64_t msg = 0;
	int r;

	r = conv_get(p, it);
	if (r == 0 && it->reply_to)
		target.id = it->reply_to;
	else if (r == 0 && *it->m->reply_id)
		r = row_candidates(p, it->conv, it->m->reply_id, ROW_BOTH, take_newest, &target);
	if (r == 0 && *it->m->reply_id && it->room && !target.id)
		r = aid_get(p, it->m->reply_id, &aid);
	if (r == 0)
		r = insert(p, it, target.id ? target.id : aid.msg, &msg);
	if (r == 0 && *it->m->archive_id)
		r = aid_add(p, it->m->archive_id, it->key, placed, msg);
	if (r == 0 && !p->late)
		r = row_welcome(p, it, msg);
	if (r == 0 && it->out)
		r = read_by_answer(p, it, msg);
	if (r < 0)
		return err_trace(r);
	k = it->known ? it->known : known_by_row(p, it->conv);
	/* What is read, below another one, changes nothing that the conversation says: nearly all of a backlog. */
	if (first_state(it) == STATE_RECEIVED)
		conv_dirty_unread(p, it->conv);
	else if (!k || it->key >= k->last_key)
		conv_dirty(p, it->conv);
	if (k)
		known_row(k, it->m, it->key);
	p->new_rows = true;
	*ret_msg = msg;
	return 0;
}

static int set_time(struct put *p, int64_t msg, const struct item *it, bool visible)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_SET_TIME);
	int64_t mod;
	int r;

	put_i(&q, it->time_us);
	put_i(&q, it->clock);
	if (visible) {
		r = feed_next(p->s, p->account, &mod);
		if (r < 0)
			return err_trace(r);
		put_i(&q, mod);
	} else {
		put_null(&q);
	}
	put_i(&q, msg);
	return db_run(&q);
}

int row_set_state(struct put *p, int64_t msg, uint32_t state, const char *error, const char *error_text)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_SET_STATE);
	int64_t mod;
	int r;

	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	put_i(&q, state);
	put_i(&q, mod);
	put_n(&q, error);
	put_n(&q, error_text);
	put_i(&q, msg);
	return db_run(&q);
}

int row_seen_again(struct put *p, const struct item *it, int64_t msg)
{
	int64_t conv, time_us;
	enum put_clock clock;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_STATE);

		put_i(&q, msg);
		r = db_row(&q);
		if (r <= 0)
			return r < 0 ? err_trace(r) : 0;
		conv = col_i(&q, 0);
		time_us = col_i(&q, 2);
		clock = (enum put_clock)col_i(&q, 3);
	}
	r = 0;
	if (clock == CLOCK_OURS && it->clock == CLOCK_ARCHIVE)
		store_clock_was_off(p->s, time_us - it->time_us);
	/* Of two archived copies (C1) the first one says when it was. */
	if (it->clock > clock || (it->clock == CLOCK_ARCHIVE && it->time_us < time_us)) {
		r = set_time(p, msg, it, it->time_us != time_us);
		conv_dirty(p, conv);
	}
	return r < 0 ? err_trace(r) : 0;
}

static int row_place(struct put *p, int64_t msg, int64_t *ret_conv, int64_t *ret_key, bool *ret_out)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_STATE);
	int r;

	put_i(&q, msg);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_conv = col_i(&q, 0);
	*ret_key = col_i(&q, 1);
	*ret_out = col_i(&q, 4) == DIRECTION_OUT;
	return 0;
}

static int earliest_key(struct put *p, int64_t msg, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_AID_ROW_KEY);

	put_i(&q, msg);
	return db_int(&q, INT64_MIN, ret);
}

int row_rekey(struct put *p, int64_t msg)
{
	int64_t conv = 0, key = 0, want = INT64_MIN, mod;
	bool out = false;
	int r;

	r = earliest_key(p, msg, &want);
	if (r == 0)
		r = row_place(p, msg, &conv, &key, &out);
	if (r < 0)
		return err_trace(r);
	if (want == INT64_MIN || want == key)
		return 0;
	r = feed_next(p->s, p->account, &mod);
	if (r < 0)
		return err_trace(r);
	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_MSG_SET_KEY);

		put_i(&q, want);
		put_i(&q, mod);
		put_i(&q, msg);
		r = db_run(&q);
		if (r < 0)
			return err_trace(r);
	}
	/* Where all is read up to this row, that goes with it (conv.read_msg). Nothing is read for its new place. */
	known_moved(p, conv);
	conv_dirty(p, conv);
	return 0;
}

int row_key(struct put *p, int64_t msg, int64_t *ret_key, bool *ret_placed)
{
	int64_t conv, placed_key = INT64_MIN;
	bool out;
	int r;

	r = row_place(p, msg, &conv, ret_key, &out);
	if (r == 0)
		r = earliest_key(p, msg, &placed_key);
	if (r < 0)
		return err_trace(r);
	*ret_placed = placed_key != INT64_MIN;
	return 0;
}

static void take_one(void *userdata, const struct candidate *c)
{
	struct candidate *ret = userdata;

	*ret = (struct candidate){ .id = c->id, .out = c->out, .kind = c->kind, .hash = c->hash };
}

int row_differs(struct put *p, const struct item *it, int64_t msg, bool *ret)
{
	struct candidate c = { 0 };
	int64_t conv, key;
	bool out;
	int r;

	r = row_place(p, msg, &conv, &key, &out);
	if (r == 0)
		r = row_candidate(p, conv, msg, take_one, &c);
	if (r < 0)
		return err_trace(r);
	/* What we sent may be another text here than there (encrypted), and what was taken back has none. */
	*ret = c.id == msg && !c.out && c.kind == ROW_TEXT && it->m->payload == PAYLOAD_TEXT && c.hash != it->hash;
	return 0;
}

static int top(struct put *p, enum sql id, int64_t of, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);

	put_i(&q, of);
	return db_int(&q, INT64_MIN, ret);
}

int row_top_key(struct put *p, int64_t *ret)
{
	int64_t msg, aid;
	int r;

	r = top(p, SQL_MSG_TOP, p->account, &msg);
	if (r == 0)
		r = top(p, SQL_AID_TOP, p->archive, &aid);
	if (r < 0)
		return err_trace(r);
	*ret = msg > aid ? msg : aid;
	return 0;
}
