/* The outbox: every arrow of store/outbox.h, every refusal, and what the archive and errors say of what was sent. */
#include <stdio.h>

#include "base/buf.h"
#include "fixture.h"
#include "store/conversation.h"
#include "store/outbox.h"
#include "store/schema.h"

#define BEGIN(fx) assert_int_equal(store_begin((fx)->s), 0)
#define COMMIT(fx) assert_int_equal(store_commit((fx)->s), 0)
/* An outcome of one call in a transaction of its own. */
#define IN_TX(fx, call)                             \
	({                                          \
		int in_tx_r;                        \
		BEGIN(fx);                          \
		in_tx_r = (call);                   \
		COMMIT(fx);                         \
		in_tx_r;                            \
	})

struct put_result_of {
	int r;
	int64_t msg;
	bool existing;
};

static struct put_result_of put(struct fx *fx, struct outgoing o)
{
	struct put_result_of got = { 0 };

	o.conversation = str_or_empty(o.conversation);
	o.client_id = str_or_empty(o.client_id);
	o.body = str_or_empty(o.body);
	o.emojis = str_or_empty(o.emojis);
	got.r = IN_TX(fx, outbox_put(fx->s, fx->account, OWN, &o, fx->now, &got.msg, &got.existing));
	fx->now += SEC;
	return got;
}

static int64_t send_to(struct fx *fx, const char *to, const char *id, const char *body)
{
	struct put_result_of got = put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = to, .client_id = id,
							      .body = body });

	assert_int_equal(got.r, 0);
	assert_false(got.existing);
	return got.msg;
}

static int64_t send_text(struct fx *fx, const char *id, const char *body)
{
	return send_to(fx, BOB, id, body);
}

static struct put_result_of about(struct fx *fx, enum out_kind kind, int64_t msg, const char *id, const char *text)
{
	return put(fx, (struct outgoing){ .kind = kind, .msg = msg, .client_id = id, .body = text, .emojis = text });
}

struct seen {
	struct buf text;
	int64_t last, last_seq;
};

static int see(void *userdata, const struct out_item *i)
{
	static const char *const names[] = { "text", "correct", "retract", "react", "receipt", "marker", "read" };
	struct seen *s = userdata;

	if (s->text.len)
		buf_adds(&s->text, " ");
	buf_adds(&s->text, names[i->kind]);
	buf_adds(&s->text, ":");
	buf_adds(&s->text, i->kind < OUT_RECEIPT ? i->client_id : i->to);
	if (*i->target_id) {
		buf_adds(&s->text, ">");
		buf_adds(&s->text, i->target_id);
	}
	if (*i->body || *i->text) {
		buf_adds(&s->text, "=");
		buf_adds(&s->text, i->body);
		buf_adds(&s->text, i->text);
	}
	if (*i->reply_id) {
		buf_adds(&s->text, "/");
		buf_adds(&s->text, i->reply_id);
		buf_adds(&s->text, "@");
		buf_adds(&s->text, i->reply_jid);
	}
	if (i->again)
		buf_adds(&s->text, "!");
	assert_true(i->kind > OUT_REACTION || i->seq > s->last_seq);
	s->last = i->id;
	s->last_seq = i->seq;
	return 0;
}

/* What may go out now; valid until the next call. */
static const char *next(struct fx *fx)
{
	static struct seen s;

	buf_reset(&s.text);
	s.last_seq = 0;
	assert_int_equal(outbox_next(fx->s, fx->account, 0, 1000, see, &s), 0);
	return s.text.len ? buf_str(&s.text) : "";
}

struct ids {
	int64_t id[64];
	size_t n;
};

static int keep_id(void *userdata, const struct out_item *i)
{
	struct ids *ids = userdata;

	if (ids->n < ARRAY_SIZE(ids->id))
		ids->id[ids->n++] = i->id;
	return 0;
}

static struct ids items(struct fx *fx)
{
	struct ids ids = { 0 };

	assert_int_equal(outbox_next(fx->s, fx->account, 0, ARRAY_SIZE(ids.id), keep_id, &ids), 0);
	return ids;
}

/* Number the first ${n} items that may go out, from ${first} on. */
static void number(struct fx *fx, size_t n, uint32_t first, const char *anchor)
{
	struct ids ids = items(fx);

	assert_true(ids.n >= n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, ids.id[i], first + (uint32_t)i, anchor)),
				 1);
}

static size_t ack(struct fx *fx, uint32_t n)
{
	size_t done;

	assert_int_equal(IN_TX(fx, outbox_acked(fx->s, fx->account, n, &done)), 0);
	return done;
}

static void lose(struct fx *fx, bool has_h, uint32_t h)
{
	assert_int_equal(IN_TX(fx, outbox_session_lost(fx->s, fx->account, has_h, h)), 0);
}

static size_t doubt_over(struct fx *fx)
{
	size_t n;

	assert_int_equal(IN_TX(fx, outbox_doubt_over(fx->s, fx->account, &n)), 0);
	return n;
}

static int retry(struct fx *fx, int64_t msg)
{
	return IN_TX(fx, outbox_retry(fx->s, fx->account, msg, fx->now));
}

static int cancel(struct fx *fx, int64_t msg)
{
	return IN_TX(fx, outbox_cancel(fx->s, fx->account, msg));
}

static int64_t sql(struct fx *fx, const char *text)
{
	int64_t n;

	assert_int_equal(db_number(fx->s->db, text, &n), 0);
	return n;
}

static const char *counts(struct fx *fx)
{
	static char text[64];
	struct outbox_counts c;

	assert_int_equal(outbox_count(fx->s, fx->account, &c), 0);
	snprintf(text, sizeof(text), "%u %u %u %u", c.queued, c.sending, c.doubt, c.failed);
	return text;
}

static uint32_t state_of(struct fx *fx, const char *body)
{
	return row_of(fx, body).state;
}

/* Our own stanza as archive or carbon bring it. */
static struct message copy_of(const char *id, const char *body)
{
	struct message m = text_out(id, body);

	m.origin_id = id;
	return m;
}

static struct message error_of(const char *id)
{
	struct message m = text_in(id, "");

	m.type = "error";
	m.payload = PAYLOAD_ERROR;
	m.error = "service-unavailable";
	m.error_text = "gone";
	return m;
}

TEST(what_send_accepted_is_there_at_once_and_after_a_restart)
{
	struct fx *fx = *state;
	struct message_row row;
	uint64_t seq;
	int64_t id;

	put_live(fx, text_in("b1", "hello"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	seq = seq_of(fx);
	id = send_text(fx, "c1", "hi");
	fx_reopen(fx);

	row = row_of(fx, "hi");
	assert_int_equal(row.id, id);
	assert_int_equal(row.direction, DIRECTION_OUT);
	assert_int_equal(row.state, STATE_QUEUED);
	assert_string_equal(row.sender, OWN);
	assert_string_equal(row.origin_id, "c1");
	assert_string_equal(row.xmpp_id, "c1");
	assert_true(row.mod > seq);
	assert_string_equal(bodies(fx, BOB), "hello hi");
	/* Who answers has read. */
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	assert_string_equal(next(fx), "text:c1=hi");
	assert_string_equal(counts(fx), "1 0 0 0");
}

/* Written in a tunnel: what came meanwhile is archived before it, and nobody has seen that. */
TEST(what_waited_reads_only_what_was_there)
{
	struct fx *fx = *state;

	put_live(fx, text_in("b1", "hello"), false);
	send_text(fx, "c1", "hi");
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	number(fx, 1, 1, "");
	PAGE(fx, "", "", archived(text_in("b1", "hello"), "a1", 1), archived(text_in("b2", "where"), "a2", 2),
	     archived(text_in("b3", "urgent"), "a3", 3));
	assert_int_equal(conv_of(fx, BOB).unread, 2);
	PAGE(fx, "a3", "", archived(copy_of("c1", "hi"), "a4", 4));
	assert_string_equal(bodies(fx, BOB), "hello where urgent hi");
	assert_int_equal(conv_of(fx, BOB).unread, 2);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "where").id);
	/* Another device of ours that wrote after them has seen them. */
	PAGE(fx, "a4", "", archived(text_out("d1", "there"), "a5", 5));
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

TEST(E1_the_same_send_again_is_the_same_message)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "hi" };
	struct put_result_of got;
	int64_t id = send_text(fx, "c1", "hi");
	uint64_t seq = seq_of(fx);

	got = put(fx, o);
	assert_int_equal(got.r, 0);
	assert_true(got.existing);
	assert_int_equal(got.msg, id);
	assert_int_equal(seq_of(fx), seq);
	/* Done, too. */
	number(fx, 1, 1, "");
	assert_int_equal(ack(fx, 1), 1);
	fx_reopen(fx);
	got = put(fx, o);
	assert_true(got.existing);
	assert_int_equal(got.msg, id);

	o.body = "ho";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	o.body = "hi";
	o.conversation = CAROL;
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	o.conversation = BOB;
	o.reply_to = id;
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "c1", "").r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "");
	assert_int_equal(count_messages(fx), 1);
	/* JIDs are folded. */
	o = (struct outgoing){ .kind = OUT_TEXT, .conversation = "Bob@B.example", .client_id = "c1", .body = "hi" };
	assert_true(put(fx, o).existing);
}

TEST(E1_a_client_id_is_known_by_its_message_when_the_outbox_forgot_it)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "hi" };
	struct put_result_of got;
	int64_t id;

	fx->now = INT64_C(1780000000000000);
	id = send_text(fx, "c1", "hi");
	number(fx, 1, 1, "");
	ack(fx, 1);
	/* It is looked for once a minute. */
	fx->now += 60 * SEC;
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, fx->now, 100)), 0);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, fx->now + OUTBOX_KEEP_US - 1, 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 1);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, fx->now + OUTBOX_KEEP_US, 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 0);

	got = put(fx, o);
	assert_int_equal(got.r, 0);
	assert_true(got.existing);
	assert_int_equal(got.msg, id);
	o.body = "ho";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_REACTION, id, "c1", "x").r, OUTBOX_E_CONFLICT);
	/* Of an earlier life, from the archive. */
	PAGE(fx, "", "", archived(copy_of("c2", "yo"), "a1", 1));
	o = (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c2", .body = "yo" };
	assert_true(put(fx, o).existing);
	o.body = "ya";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	/* A message of Bob may have any id. */
	put_live(fx, text_in("c3", "bobs"), false);
	send_text(fx, "c3", "mine");
	assert_int_equal(count_messages(fx), 4);
}

TEST(a_wrong_clock_forgets_nothing)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "hi");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, 1000, 100)), 0);
	fx->now = 1000;
	send_text(fx, "c2", "ho");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DELETE FROM outbox WHERE client_id='c2'"), 0);
	COMMIT(fx);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, INT64_C(1780000000000000), 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 1);
}

TEST(numbered_sent_and_acknowledged)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	send_text(fx, "c3", "three");
	number(fx, 2, 7, "a0");
	assert_int_equal(state_of(fx, "one"), STATE_SENDING);
	assert_int_equal(conv_of(fx, BOB).last.state, STATE_QUEUED);
	assert_string_equal(next(fx), "text:c3=three");
	assert_string_equal(counts(fx), "1 2 0 0");
	assert_int_equal(ack(fx, 6), 0);
	assert_int_equal(ack(fx, 7), 1);
	assert_int_equal(state_of(fx, "one"), STATE_SENT);
	assert_int_equal(state_of(fx, "two"), STATE_SENDING);
	assert_int_equal(ack(fx, 7), 0);
	assert_int_equal(ack(fx, 8), 1);
	assert_string_equal(counts(fx), "1 0 0 0");
	/* What is done has no content. */
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE state=3 AND body IS NULL AND anchor IS NULL"), 2);
	number(fx, 1, 9, "");
	ack(fx, 9);
	assert_int_equal(conv_of(fx, BOB).last.state, STATE_SENT);
}

TEST(numbers_go_round_at_2_32)
{
	struct fx *fx = *state;

	for (int i = 0; i < 4; i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%d", i);
		send_text(fx, id, id);
	}
	number(fx, 4, UINT32_MAX - 1, "");
	assert_int_equal(ack(fx, UINT32_MAX - 2), 0);
	assert_int_equal(ack(fx, UINT32_MAX), 2);
	assert_int_equal(ack(fx, 0), 1);
	assert_int_equal(state_of(fx, "c3"), STATE_SENDING);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 0)), 0);
	assert_string_equal(next(fx), "text:c3=c3!");
	number(fx, 1, 1, "");
	lose(fx, true, 1);
	assert_int_equal(state_of(fx, "c3"), STATE_SENT);
}

TEST(a_resumed_session_says_what_got_there)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	send_text(fx, "c3", "three");
	number(fx, 3, 1, "");
	fx_reopen(fx);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 1)), 0);
	assert_int_equal(state_of(fx, "one"), STATE_SENT);
	assert_int_equal(state_of(fx, "two"), STATE_QUEUED);
	send_text(fx, "c4", "four");
	assert_string_equal(next(fx), "text:c2=two! text:c3=three! text:c4=four");
	/* The server has it not: it may be cancelled. */
	assert_int_equal(cancel(fx, row_of(fx, "three").id), 0);
	assert_string_equal(next(fx), "text:c2=two! text:c4=four");
}

TEST(E2_a_lost_session_leaves_doubt_which_holds_back_its_conversation_alone)
{
	struct fx *fx = *state;
	char *anchor;
	int64_t written, id;

	id = send_text(fx, "c1", "one");
	number(fx, 1, 1, "anchor");
	send_text(fx, "c2", "two");
	send_to(fx, CAROL, "c3", "to-carol");
	fx_reopen(fx);
	lose(fx, false, 0);

	assert_int_equal(state_of(fx, "one"), STATE_SENDING);
	assert_string_equal(counts(fx), "2 0 1 0");
	assert_string_equal(next(fx), "text:c3=to-carol");
	assert_int_equal(cancel(fx, id), OUTBOX_E_STATE);
	assert_int_equal(retry(fx, id), OUTBOX_E_STATE);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "anchor");
	assert_int_equal(written, T0 + DAY);
	free(anchor);
	/* A number of another session says nothing of it. */
	assert_int_equal(ack(fx, 5), 0);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 5)), 0);
	assert_string_equal(counts(fx), "2 0 1 0");

	assert_int_equal(doubt_over(fx), 1);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 0);
	assert_string_equal(next(fx), "text:c1=one! text:c2=two text:c3=to-carol");
	assert_int_equal(state_of(fx, "one"), STATE_QUEUED);
	/* Nobody said that it did not leave. */
	assert_int_equal(cancel(fx, id), OUTBOX_E_STATE);
}

TEST(the_oldest_anchor_is_the_one_that_lies_lowest)
{
	struct fx *fx = *state;
	char *anchor;
	int64_t written;

	PAGE(fx, "", "", archived(text_in("1", "x"), "zz", 1), archived(text_in("2", "y"), "aa", 2));
	send_text(fx, "c1", "one");
	number(fx, 1, 9, "aa");
	lose(fx, false, 0);
	send_to(fx, CAROL, "c2", "two");
	number(fx, 1, 1, "zz");
	lose(fx, false, 0);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "zz");
	free(anchor);
	send_to(fx, "dan@d.example", "c3", "three");
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "");
	free(anchor);
}

TEST(C8_met_in_the_archive_in_every_state)
{
	static const char *const ids[] = { "queued", "sending", "doubt", "done", "failed", "cancelled" };
	struct fx *fx = *state;
	struct message page[6];
	struct put_outcome out[6];
	char aids[6][8];
	uint64_t seq;

	for (int i = 5; i >= 0; i--) {
		send_to(fx, i == 2 ? CAROL : BOB, ids[i], ids[i]);
		if (i == 5)
			assert_int_equal(cancel(fx, row_of(fx, ids[i]).id), 0);
		if (i == 4)
			assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "bad", "")), 0);
		if (i < 4 && i > 0)
			number(fx, 1, (uint32_t)(10 - i), "");
		if (i == 3)
			ack(fx, 7);
		if (i == 2)
			lose(fx, false, 0);
	}
	assert_string_equal(counts(fx), "1 1 1 1");
	for (int i = 0; i < 6; i++) {
		snprintf(aids[i], sizeof(aids[i]), "a%d", i);
		page[i] = archived(copy_of(ids[i], ids[i]), aids[i], 100 + i);
		page[i].to = i == 2 ? CAROL : BOB;
	}
	put_page(fx, page, 6, "", "", out);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(out[i].result, PUT_KNOWN);
		assert_int_equal(state_of(fx, ids[i]), STATE_SENT);
		assert_string_equal(row_of(fx, ids[i]).stanza_id, aids[i]);
		assert_int_equal(row_of(fx, ids[i]).time_us, T0 + (100 + i) * SEC);
	}
	assert_int_equal(count_messages(fx), 6);
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_string_equal(next(fx), "");
	/* And again: nothing. */
	seq = seq_of(fx);
	put_page(fx, page, 6, "", "", out);
	assert_int_equal(seq_of(fx), seq);
	/* The number that comes for it is refused. */
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, 1, 3, "")), 0);
}

TEST(C8_equal_text_from_another_device_is_another_message)
{
	struct fx *fx = *state;
	struct message carbon = copy_of("other", "same");

	send_text(fx, "c1", "same");
	carbon.via = VIA_CARBON;
	assert_int_equal(put_live(fx, carbon, false).result, PUT_NEW);
	PAGE(fx, "", "", archived(copy_of("c1", "same"), "a1", 1), archived(copy_of("other", "same"), "a2", 2));
	assert_string_equal(bodies(fx, BOB), "same same");
	/* By the id attribute alone, where a server drops origin-ids. */
	send_text(fx, "c2", "x");
	PAGE(fx, "a2", "", archived(text_out("c2", "x"), "a3", 3));
	assert_int_equal(count_messages(fx), 3);
	assert_int_equal(state_of(fx, "x"), STATE_SENT);
}

TEST(what_arrived_is_never_again_less)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	number(fx, 1, 1, "");
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "c1"), false);
	assert_int_equal(state_of(fx, "one"), STATE_DELIVERED);
	assert_string_equal(counts(fx), "0 0 0 0");
	lose(fx, false, 0);
	assert_int_equal(doubt_over(fx), 0);
	PAGE(fx, "", "", archived(copy_of("c1", "one"), "a1", 1));
	assert_int_equal(state_of(fx, "one"), STATE_DELIVERED);
	put_live(fx, ref_in(PAYLOAD_MARKER, "c1"), false);
	assert_int_equal(state_of(fx, "one"), STATE_DISPLAYED);
	/* Of what never left nobody can have a receipt or an error. */
	send_text(fx, "c2", "two");
	put_live(fx, ref_in(PAYLOAD_MARKER, "c2"), false);
	put_live(fx, error_of("c2"), false);
	assert_int_equal(state_of(fx, "two"), STATE_QUEUED);
	assert_string_equal(next(fx), "text:c2=two");
	/* Nor of what is not even written yet. */
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "c3"), false);
	put_live(fx, ref_in(PAYLOAD_MARKER, "c4"), false);
	send_to(fx, BOB, "c3", "three");
	send_to(fx, BOB, "c4", "four");
	assert_int_equal(state_of(fx, "three"), STATE_QUEUED);
	assert_int_equal(state_of(fx, "four"), STATE_QUEUED);
	IN_TX(fx, outbox_failed(fx->s, fx->account, 3, "policy-violation", "too long"));
	assert_int_equal(state_of(fx, "three"), STATE_FAILED);
	IN_TX(fx, outbox_failed(fx->s, fx->account, 4, "policy-violation", "too long"));
	/* Of what was sent twice, it may. */
	number(fx, 1, 2, "");
	lose(fx, false, 0);
	doubt_over(fx);
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "c2"), false);
	assert_int_equal(state_of(fx, "two"), STATE_DELIVERED);
	assert_string_equal(next(fx), "");
}

TEST(a_message_that_came_back_is_sent_again_as_it_is_now)
{
	struct fx *fx = *state;
	struct message again = archived(copy_of("c1", "right"), "a2", 20);
	int64_t id = send_text(fx, "c1", "wrong");

	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "right").r, 0);
	put_live(fx, error_of("c1"), false);
	assert_int_equal(state_of(fx, "right"), STATE_FAILED);
	assert_string_equal(row_of(fx, "right").error, "service-unavailable");
	assert_string_equal(row_of(fx, "right").error_text, "gone");
	assert_string_equal(counts(fx), "1 0 0 1");
	/* Its copy in the archive does not make it good. */
	PAGE(fx, "", "", archived(copy_of("c1", "wrong"), "a1", 10));
	assert_int_equal(state_of(fx, "right"), STATE_FAILED);

	assert_int_equal(retry(fx, id), 0);
	assert_int_equal(state_of(fx, "right"), STATE_QUEUED);
	assert_string_equal(row_of(fx, "right").error, "");
	assert_string_equal(next(fx), "correct:e1>c1=right text:c1=right");
	/* That copy again, late, is not of this try; in doubt, a second one is. */
	PAGE(fx, "", "", archived(copy_of("c1", "wrong"), "a1", 10));
	assert_int_equal(state_of(fx, "right"), STATE_QUEUED);
	number(fx, 2, 2, "");
	lose(fx, true, 2);
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	PAGE(fx, "", "", archived(copy_of("c1", "wrong"), "a1", 10));
	assert_string_equal(counts(fx), "0 0 1 0");
	PAGE(fx, "a1", "", again);
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_int_equal(state_of(fx, "right"), STATE_SENT);
	assert_int_equal(count_messages(fx), 1);
}

TEST(poison_fails_alone_and_can_be_tried_again)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "poison");

	send_text(fx, "c2", "fine");
	/* Two under way: nobody knows which one it was. */
	number(fx, 2, 1, "");
	for (int i = 0; i < 5; i++)
		assert_int_equal(IN_TX(fx, outbox_strike(fx->s, fx->account, "policy", "no")), 0);
	lose(fx, true, 0);
	assert_string_equal(counts(fx), "2 0 0 0");
	for (int i = 0; i < OUTBOX_STRIKES_MAX; i++) {
		assert_string_equal(next(fx), "text:c1=poison! text:c2=fine!");
		number(fx, 1, 1, "");
		assert_int_equal(IN_TX(fx, outbox_strike(fx->s, fx->account, "policy", "no")), 0);
		lose(fx, true, 0);
	}
	assert_string_equal(counts(fx), "1 0 0 1");
	assert_string_equal(next(fx), "text:c2=fine!");
	assert_int_equal(state_of(fx, "poison"), STATE_FAILED);
	assert_string_equal(row_of(fx, "poison").error, "policy");
	assert_string_equal(row_of(fx, "poison").error_text, "no");
	/* To the end, with fresh strikes. */
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c2=fine! text:c1=poison!");
	assert_int_equal(sql(fx, "SELECT sum(strikes) FROM outbox"), 0);
	assert_int_equal(retry(fx, id), OUTBOX_E_STATE);
}

static const char *failed_rows(struct fx *fx, size_t max)
{
	static char text[64];
	int64_t rows[4];
	size_t n = 0;

	assert_true(max <= ARRAY_SIZE(rows));
	assert_int_equal(outbox_failed_rows(fx->s, fx->account, rows, max, &n), 0);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%lld", i ? " " : "", (long long)rows[i]);
	return text;
}

TEST(what_failed_is_listed_until_it_is_tried_again_or_deleted)
{
	struct fx *fx = *state;
	int64_t one = send_text(fx, "c1", "one"), two = send_text(fx, "c2", "two"), three = send_text(fx, "c3", "three");
	struct ids ids = items(fx);
	char expected[64];

	assert_string_equal(failed_rows(fx, 4), "");
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, ids.id[2], "bad", "")), 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, ids.id[0], "bad", "")), 0);
	/* It came back: the other side's server has said so. */
	number(fx, 1, 1, "");
	ack(fx, 1);
	put_live(fx, error_of("c2"), false);
	snprintf(expected, sizeof(expected), "%lld %lld %lld", (long long)one, (long long)two, (long long)three);
	assert_string_equal(failed_rows(fx, 4), expected);
	assert_string_equal(counts(fx), "0 0 0 3");
	snprintf(expected, sizeof(expected), "%lld", (long long)one);
	assert_string_equal(failed_rows(fx, 1), expected);
	assert_int_equal(retry(fx, one), 0);
	assert_int_equal(IN_TX(fx, conversation_delete_messages(fx->s, fx->account, &two, 1, fx->now)), 0);
	snprintf(expected, sizeof(expected), "%lld", (long long)three);
	assert_string_equal(failed_rows(fx, 4), expected);
	assert_string_equal(counts(fx), "1 0 0 1");
}

TEST(unsendable_fails_with_its_reason)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "long");

	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "longer").r, 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "too-long", "why")), 0);
	assert_int_equal(state_of(fx, "longer"), STATE_FAILED);
	/* What is about it goes nowhere. */
	assert_string_equal(next(fx), "");
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c1=longer react:r1>c1=x");
	/* Of a correction: the message is as good as before, and says what is wrong. */
	number(fx, 2, 1, "");
	ack(fx, 2);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e2", "longest").r, 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "too-long", "why")), 0);
	assert_int_equal(state_of(fx, "longest"), STATE_SENT);
	assert_string_equal(row_of(fx, "longest").error, "too-long");
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(row_of(fx, "longest").error, "");
	assert_string_equal(next(fx), "correct:e2>c1=longest");
	/* Unknown and finished items: nothing. */
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, 4711, "x", "")), 0);
}

TEST(cancelled_is_not_sent_and_may_be_tried_again)
{
	struct fx *fx = *state;
	struct ids ids;
	int64_t id = send_text(fx, "c1", "one");

	send_text(fx, "c2", "two");
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "uno").r, 0);
	ids = items(fx);
	assert_int_equal(cancel(fx, id), 0);
	assert_int_equal(state_of(fx, "uno"), STATE_CANCELLED);
	assert_string_equal(next(fx), "text:c2=two");
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, ids.id[0], 1, "")), 0);
	assert_int_equal(cancel(fx, id), OUTBOX_E_STATE);
	assert_int_equal(cancel(fx, 4711), OUTBOX_E_NO_MESSAGE);
	/* The same Send again gets what became of it. */
	assert_true(put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1",
					       .body = "one" }).existing);
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c2=two text:c1=uno");
	number(fx, 1, 1, "");
	assert_int_equal(cancel(fx, row_of(fx, "two").id), OUTBOX_E_STATE);
	/* Messages of others cannot be tried again. */
	put_live(fx, text_in("b", "bobs"), false);
	assert_int_equal(retry(fx, row_of(fx, "bobs").id), OUTBOX_E_STATE);
	assert_int_equal(cancel(fx, row_of(fx, "bobs").id), OUTBOX_E_STATE);
	assert_int_equal(retry(fx, 4711), OUTBOX_E_NO_MESSAGE);
}

TEST(retry_of_what_the_outbox_forgot)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "one");

	assert_int_equal(cancel(fx, id), 0);
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DELETE FROM outbox"), 0);
	COMMIT(fx);
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c1=one");
	assert_int_equal(state_of(fx, "one"), STATE_QUEUED);
}

TEST(a_correction_a_reaction_and_a_retraction_act_at_once_and_their_copies_change_nothing)
{
	struct fx *fx = *state;
	struct message c[4] = { archived(copy_of("c1", "wrong"), "a1", 1), archived(copy_of("e1", "right"), "a2", 2),
				archived(copy_of("r1", ""), "a3", 3), archived(copy_of("x1", ""), "a4", 4) };
	struct put_outcome out[4];
	int64_t id = send_text(fx, "c1", "wrong");
	uint64_t seq;

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "right").msg, id);
	assert_int_equal(row_of(fx, "right").id, id);
	assert_true(row_of(fx, "right").edited_us > 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "a\nb").r, 0);
	assert_string_equal(row_of(fx, "right").reactions, OWN "\ta\tb\n");
	assert_true(about(fx, OUT_REACTION, id, "r1", "a\nb").existing);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "a").r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "text:c1=wrong correct:e1>c1=right react:r1>c1=a\nb");
	number(fx, 3, 1, "");
	ack(fx, 3);
	c[1].replace_id = "c1";
	c[2].payload = PAYLOAD_REACTION;
	c[2].target_id = "c1";
	c[2].text = "a\nb";
	put_page(fx, c, 1, "", "", out);
	seq = seq_of(fx);
	put_page(fx, c + 1, 2, "a1", "", out);
	assert_int_equal(seq_of(fx), seq);
	assert_string_equal(bodies(fx, BOB), "right");

	assert_int_equal(about(fx, OUT_RETRACTION, id, "x1", "").r, 0);
	assert_string_equal(row_of(fx, "retracted").body, "");
	assert_string_equal(next(fx), "retract:x1>c1");
	c[3].payload = PAYLOAD_RETRACTION;
	c[3].target_id = "c1";
	seq = seq_of(fx);
	put_page(fx, c + 3, 1, "a3", "", out);
	assert_int_equal(seq_of(fx), seq + 0);
	assert_string_equal(next(fx), "");
	assert_int_equal(about(fx, OUT_REACTION, id, "r2", "x").r, OUTBOX_E_UNSUITABLE);
}

TEST(an_older_correction_that_comes_back_late_does_not_undo_the_newer)
{
	struct fx *fx = *state;
	struct message e1 = archived(copy_of("e1", "second"), "a2", 2), r1 = archived(copy_of("r1", ""), "a3", 3);
	int64_t id = send_text(fx, "c1", "first");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "second").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	number(fx, 3, 1, "");
	ack(fx, 3);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e2", "third").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r2", "").r, 0);
	/* The server's clock is far ahead of ours. */
	e1.archive_us = r1.archive_us = T0 + 100 * DAY;
	e1.replace_id = "c1";
	r1.payload = PAYLOAD_REACTION;
	r1.target_id = "c1";
	r1.text = "x";
	PAGE(fx, "", "", archived(copy_of("c1", "first"), "a1", 1), e1, r1);
	assert_string_equal(bodies(fx, BOB), "third");
	assert_string_equal(row_of(fx, "third").reactions, "");
	assert_string_equal(next(fx), "correct:e2>c1=third react:r2>c1");
}

TEST(a_correction_names_the_first_id_and_a_reaction_the_origin_id)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "question"), c;

	m.origin_id = "o1";
	put_live(fx, m, false);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "question").id, "r1", "x").r, 0);
	assert_string_equal(next(fx), "react:r1>o1=x");
	/* Ours of another device, corrected there before. */
	put_live(fx, text_out("d1", "one"), false);
	c = text_out("d2", "two");
	c.replace_id = "d1";
	put_live(fx, c, false);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "two").id, "e1", "three").r, 0);
	assert_string_equal(next(fx), "react:r1>o1=x correct:e1>d1=three");
	/* Without a client id one is made. */
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "question").id, "", "y").r, 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE length(client_id)=32"), 1);
}

TEST(replies_name_what_they_answer_as_their_copies_do)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "question"), copy = archived(copy_of("c1", "answer"), "a1", 1);
	struct put_result_of got;

	m.origin_id = "o1";
	put_live(fx, m, false);
	got = put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "answer",
					 .reply_to = row_of(fx, "question").id });
	assert_int_equal(got.r, 0);
	assert_int_equal(row_of(fx, "answer").reply_to, row_of(fx, "question").id);
	assert_string_equal(next(fx), "text:c1=answer/o1@" BOB "/phone");
	copy.reply_id = "o1";
	PAGE(fx, "", "", copy);
	assert_int_equal(count_messages(fx), 2);
	/* The very hash of the copy: with the outbox forgotten it is still the same. */
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DELETE FROM outbox; UPDATE msg SET ours=0"), 0);
	COMMIT(fx);
	copy.archive_id = "a2";
	PAGE(fx, "a1", "", copy);
	assert_int_equal(count_messages(fx), 2);
}

TEST(every_refusal)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = CAROL, .client_id = "x", .body = "x" };
	struct message room = text_from("room@muc.example/ann", "1", "in-room"), secret = text_out("s1", "secret");
	int64_t bobs, gone, failed, id;

	put_live(fx, text_in("b1", "bobs"), false);
	put_live(fx, text_in("", "nameless"), false);
	room.type = "groupchat";
	put_live(fx, room, false);
	secret.encryption = "urn:xmpp:omemo:2";
	put_live(fx, secret, false);
	bobs = row_of(fx, "bobs").id;

	assert_int_equal(about(fx, OUT_CORRECTION, 4711, "e", "x").r, OUTBOX_E_NO_MESSAGE);
	assert_int_equal(about(fx, OUT_CORRECTION, bobs, "e", "x").r, OUTBOX_E_NOT_OURS);
	assert_int_equal(about(fx, OUT_RETRACTION, bobs, "e", "").r, OUTBOX_E_NOT_OURS);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "nameless").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "in-room").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "secret").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	o.reply_to = bobs;
	assert_int_equal(put(fx, o).r, OUTBOX_E_NO_MESSAGE);
	o.reply_to = 4711;
	assert_int_equal(put(fx, o).r, OUTBOX_E_NO_MESSAGE);
	o.conversation = BOB;
	o.reply_to = row_of(fx, "nameless").id;
	assert_int_equal(put(fx, o).r, OUTBOX_E_UNSUITABLE);
	o.reply_to = 0;
	o.conversation = "room@muc.example";
	assert_int_equal(put(fx, o).r, OUTBOX_E_UNSUITABLE);

	gone = send_text(fx, "c1", "gone");
	failed = send_text(fx, "c2", "failed");
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[1], "x", "")), 0);
	assert_int_equal(about(fx, OUT_CORRECTION, failed, "e", "x").r, OUTBOX_E_UNSUITABLE);
	number(fx, 1, 1, "");
	assert_int_equal(about(fx, OUT_RETRACTION, gone, "t", "").r, 0);
	assert_int_equal(about(fx, OUT_CORRECTION, gone, "e", "x").r, OUTBOX_E_UNSUITABLE);
	/* The id names two messages of ours. */
	put_live(fx, text_out("twice", "one"), false);
	put_live(fx, text_out("twice", "two"), false);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "one").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "two").id, "e", "x").r, 0);
	/* No conversation, row or item was made by what was refused. */
	assert_string_equal(bodies(fx, CAROL), "(none)");
	/* Another account's messages are none of ours. */
	id = fx_account(fx, "other@a.example", &(int64_t){ 0 });
	o = (struct outgoing){ .kind = OUT_REACTION, .msg = bobs, .emojis = "x", .client_id = "", .body = "",
			       .conversation = "" };
	assert_int_equal(IN_TX(fx, outbox_put(fx->s, id, "other@a.example", &o, fx->now, &(int64_t){ 0 },
					      &(bool){ false })), OUTBOX_E_NO_MESSAGE);
	assert_int_equal(IN_TX(fx, outbox_retry(fx->s, id, failed, fx->now)), OUTBOX_E_NO_MESSAGE);
	assert_int_equal(IN_TX(fx, outbox_cancel(fx->s, id, failed)), OUTBOX_E_STATE);
}

TEST(a_full_outbox_refuses_and_what_was_accepted_stays)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "more", .body = "more" };
	int64_t id = send_text(fx, "c1", "one");

	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k WHERE i<9999)"
				 " INSERT INTO outbox(account, seq, kind, state, conv, msg, client_id, hash, written_us)"
				 " SELECT account, seq+i, 0, 0, conv, 0, 'k'||i, 0, 0 FROM k, outbox"), 0);
	COMMIT(fx);
	assert_int_equal(put(fx, o).r, OUTBOX_E_FULL);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "x").r, OUTBOX_E_FULL);
	assert_string_equal(bodies(fx, BOB), "one");
	assert_true(put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1",
					       .body = "one" }).existing);
	assert_int_equal(cancel(fx, id), 0);
	assert_int_equal(put(fx, o).r, 0);
	assert_int_equal(retry(fx, id), OUTBOX_E_FULL);
}

/* What waits is looked for from a row on that is kept in memory (outbox_low()). */
TEST(what_waits_again_is_found_wherever_it_stands)
{
	struct fx *fx = *state;
	struct outbox_counts n;
	int64_t first = send_text(fx, "c1", "one");

	send_text(fx, "c2", "two");
	number(fx, 2, 1, "");
	assert_string_equal(next(fx), "");
	send_text(fx, "c3", "three");
	assert_string_equal(next(fx), "text:c3=three");
	lose(fx, true, 1);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three");
	/* Undone. */
	BEGIN(fx);
	assert_int_equal(outbox_numbered(fx->s, fx->account, items(fx).id[0], 2, ""), 1);
	assert_int_equal(outbox_count(fx->s, fx->account, &n), 0);
	assert_int_equal(n.queued, 1);
	store_rollback(fx->s);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three");
	assert_int_equal(outbox_count(fx->s, fx->account, &n), 0);
	assert_int_equal(n.queued, 2);
	/* An older row than all that wait. */
	put_live(fx, error_of("c1"), false);
	assert_int_equal(retry(fx, first), 0);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three text:c1=one");
}

/* As it was before: an index of states with all items, and two of conversations. */
TEST(a_file_of_version_5_is_taken_over_with_what_waits)
{
	struct fx *fx = *state;

	send_to(fx, BOB, "c1", "one");
	send_to(fx, CAROL, "c2", "two");
	send_to(fx, BOB, "c3", "three");
	number(fx, 1, 7, "");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DROP INDEX outbox_state; CREATE INDEX outbox_state ON outbox(account, state, seq);"
				 "DROP INDEX conv_now; CREATE INDEX conv_order ON conv(account, pinned, activity_us);"
				 "CREATE INDEX conv_mod ON conv(account, mod); DROP TABLE push; PRAGMA user_version=5"), 0);
	COMMIT(fx);
	fx_reopen(fx);
	assert_int_equal(sql(fx, "PRAGMA user_version"), SCHEMA_VERSION);
	assert_string_equal(next(fx), "text:c2=two text:c3=three");
	assert_int_equal(ack(fx, 7), 1);
	number(fx, 2, 8, "");
	assert_string_equal(next(fx), "");
	lose(fx, false, 0);
	assert_int_equal(doubt_over(fx), 2);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three!");
	assert_int_equal(store_check(fx->s, &(char *){ NULL }), 0);
}

TEST(what_never_left_and_is_taken_back_never_leaves)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "secret");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "secreter").r, 0);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "x1", "").r, 0);
	assert_string_equal(next(fx), "");
	assert_int_equal(state_of(fx, "retracted"), STATE_CANCELLED);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE body IS NOT NULL"), 0);
	assert_int_equal(retry(fx, id), OUTBOX_E_UNSUITABLE);
	assert_true(about(fx, OUT_RETRACTION, id, "x1", "").existing);
	/* One that may have left is taken back in order. */
	id = send_text(fx, "c2", "late");
	number(fx, 1, 1, "");
	lose(fx, true, 0);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "x2", "").r, 0);
	assert_string_equal(next(fx), "text:c2=late! retract:x2>c2");
}

/* Who makes us owe receipts without end takes half of the room at most: the user can still write. */
TEST(receipts_leave_room_for_the_user)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "ask");
	int64_t asked;

	send_text(fx, "c1", "one");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k WHERE i<4999)"
				 " INSERT INTO outbox(account, seq, kind, state, conv, msg, client_id, hash, written_us)"
				 " SELECT account, seq+i, 4, 0, conv, 0, 'k'||i, 0, 0 FROM k, outbox"), 0);
	COMMIT(fx);
	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	/* A name is never NULL: this fails if there is such a row. */
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "INSERT INTO meta SELECT NULL, '' FROM outbox WHERE target_id='b1'"), 0);
	COMMIT(fx);
	send_text(fx, "c2", "two");
}

/* A thousand receipts under a server's rate limit take minutes. */
TEST(what_a_user_writes_does_not_wait_for_receipts)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "ask");
	struct seen s = { 0 };
	int64_t asked, seq;

	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	assert_string_equal(next(fx), "text:c1=one text:c2=two receipt:" BOB "/phone>b1");
	/* Nor is it overlooked by who looks behind a part of what was written after it. */
	seq = sql(fx, "SELECT seq FROM outbox WHERE client_id='c1'");
	assert_int_equal(outbox_next(fx->s, fx->account, seq, 1000, see, &s), 0);
	assert_string_equal(buf_str(&s.text), "text:c2=two receipt:" BOB "/phone>b1");
	buf_deinit(&s.text);
}

TEST(D9_a_receipt_once_to_whom_wrote_it)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "ask");
	int64_t asked, silent;

	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	silent = put_live(fx, text_in("b2", "silent"), false).msg;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
		assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, silent, fx->now)), 0);
		assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, 4711, fx->now)), 0);
	}
	assert_string_equal(next(fx), "receipt:" BOB "/phone>b1");
	assert_string_equal(counts(fx), "0 0 0 0");
	/* Nobody's order waits for it, and it is sent again rather than doubted. */
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	assert_string_equal(next(fx), "receipt:" BOB "/phone>b1!");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 0);
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	assert_string_equal(next(fx), "");
	/* Ours asks nobody. */
	m = text_out("o", "mine");
	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	assert_string_equal(next(fx), "");
}

static void owe_read(struct fx *fx, const char *body, bool marker)
{
	assert_int_equal(IN_TX(fx, outbox_owe_read(fx->s, fx->account, BOB, row_of(fx, body).id, marker, fx->now)), 0);
}

TEST(a_marker_and_a_reading_state_of_each_conversation_wait_once)
{
	struct fx *fx = *state;
	struct message m[5];
	char ids[5][8], aids[5][8], text[5][8];

	for (int i = 0; i < 5; i++) {
		snprintf(ids[i], sizeof(ids[i]), "b%d", i);
		snprintf(aids[i], sizeof(aids[i]), "a%d", i);
		snprintf(text[i], sizeof(text[i]), "t%d", i);
		m[i] = archived(text_in(ids[i], text[i]), aids[i], i);
		m[i].asks = i == 3 ? 0 : ASKS_MARKER;
	}
	put_page(fx, m, 5, "", "", NULL);
	owe_read(fx, "t1", true);
	assert_string_equal(next(fx), "marker:" BOB ">b1 read:" BOB ">a1");
	/* A newer one takes its place; what asks for none is covered by what does. */
	owe_read(fx, "t3", true);
	assert_string_equal(next(fx), "marker:" BOB ">b2 read:" BOB ">a3");
	/* Never back, never twice. */
	owe_read(fx, "t0", true);
	owe_read(fx, "t3", true);
	assert_string_equal(next(fx), "marker:" BOB ">b2 read:" BOB ">a3");
	number(fx, 2, 1, "");
	ack(fx, 2);
	owe_read(fx, "t3", true);
	assert_string_equal(next(fx), "");
	/* Without a marker the others are told nothing, our devices are. */
	owe_read(fx, "t4", false);
	assert_string_equal(next(fx), "read:" BOB ">a4");
	owe_read(fx, "t4", true);
	assert_string_equal(next(fx), "read:" BOB ">a4 marker:" BOB ">b4");
	assert_int_equal(IN_TX(fx, outbox_owe_read(fx->s, fx->account, CAROL, 1, true, fx->now)), 0);
}

TEST(order_within_a_conversation_and_pages_of_the_queue)
{
	struct fx *fx = *state;
	struct ids ids = { 0 };
	int64_t seq;

	send_text(fx, "b1", "1");
	send_to(fx, CAROL, "k1", "2");
	send_text(fx, "b2", "3");
	send_to(fx, CAROL, "k2", "4");
	assert_string_equal(next(fx), "text:b1=1 text:k1=2 text:b2=3 text:k2=4");
	assert_int_equal(outbox_next(fx->s, fx->account, 0, 3, keep_id, &ids), 0);
	assert_int_equal(ids.n, 3);
	seq = sql(fx, "SELECT seq FROM outbox WHERE client_id='b2'");
	ids.n = 0;
	assert_int_equal(outbox_next(fx->s, fx->account, seq, 3, keep_id, &ids), 0);
	assert_int_equal(ids.n, 1);
	/* One that failed holds back nothing. */
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "x", "")), 0);
	assert_string_equal(next(fx), "text:k1=2 text:b2=3 text:k2=4");
}

TEST(E5_an_account_that_goes_takes_its_outbox_along)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	assert_int_equal(IN_TX(fx, account_remove(fx->s, fx->account)), 0);
	while (store_upkeep(fx->s, 10000) > 0)
		;
	assert_int_equal(sql(fx, "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM account)"), 0);
}

/* ---- killed at every step: run_self() ---- */

/* The life of an outbox, a transaction each, which notes how far it came in that transaction. */
static void act_send(struct fx *fx)
{
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "one", .emojis = "" };
	int64_t msg;
	bool existing;

	for (int i = 0; i < 3; i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%d", i);
		o.client_id = id;
		o.body = id;
		assert_int_equal(outbox_put(fx->s, fx->account, OWN, &o, fx->now, &msg, &existing), 0);
	}
}

static void act_edit(struct fx *fx)
{
	struct outgoing o = { .kind = OUT_CORRECTION, .msg = sql(fx, "SELECT min(id) FROM msg"), .conversation = "",
			      .client_id = "e1", .body = "edited", .emojis = "" };
	int64_t msg;
	bool existing;

	assert_int_equal(outbox_put(fx->s, fx->account, OWN, &o, fx->now, &msg, &existing), 0);
}

static void act_number(struct fx *fx)
{
	struct ids ids = items(fx);

	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(outbox_numbered(fx->s, fx->account, ids.id[i], (uint32_t)i + 1, "a0"), 1);
}

static void act_ack(struct fx *fx)
{
	size_t n;

	assert_int_equal(outbox_acked(fx->s, fx->account, 1, &n), 0);
}

static void act_lose(struct fx *fx)
{
	assert_int_equal(outbox_session_lost(fx->s, fx->account, false, 0), 0);
}

static void act_meet(struct fx *fx)
{
	struct message m = archived(copy_of("c1", "c1"), "a1", 10);
	struct put_outcome out;

	assert_int_equal(archive_put_page(fx->s, fx->account, fx->archive, OWN,
					  (const struct message *const[]){ &m }, 1, "", "", false, fx->now, &out), 0);
}

static void act_over(struct fx *fx)
{
	size_t n;

	assert_int_equal(outbox_doubt_over(fx->s, fx->account, &n), 0);
}

static void act_fail(struct fx *fx)
{
	assert_int_equal(outbox_failed(fx->s, fx->account, items(fx).id[0], "bad", "why"), 0);
}

static void act_retry(struct fx *fx)
{
	assert_int_equal(outbox_retry(fx->s, fx->account, row_of(fx, "c2").id, fx->now), 0);
}

static void act_resumed(struct fx *fx)
{
	assert_int_equal(outbox_resumed(fx->s, fx->account, 1), 0);
}

static void (*const acts[])(struct fx *) = { act_send, act_edit, act_number, act_ack, act_lose, act_meet, act_over,
					     act_fail, act_retry, act_number, act_resumed };

/* The rest of it. */
static void live(struct fx *fx)
{
	for (size_t i = (size_t)sql(fx, "SELECT value FROM meta WHERE name='acts'"); i < ARRAY_SIZE(acts); i++) {
		char note[80];

		fx->now = T0 + DAY + (int64_t)i * 10 * SEC;
		BEGIN(fx);
		acts[i](fx);
		snprintf(note, sizeof(note), "INSERT OR REPLACE INTO meta VALUES('acts', '%zu')", i + 1);
		assert_int_equal(db_exec(fx->s, note), 0);
		COMMIT(fx);
	}
}

/* All that the outbox and the messages say, but for how far it came. Of positions and ids only the order: after a kill
 * some are skipped. */
static void look(struct fx *fx, char *buf, size_t size)
{
	assert_int_equal(db_text(fx->s, "SELECT (SELECT ifnull(group_concat(client_id||' '||(SELECT count(*) FROM outbox x WHERE x.seq<o.seq)||' '||kind"
				 "||' '||state||' '||ifnull(body, '-')||' '||ifnull(n, '-')||' '||ifnull(anchor, '-')||again, '|'), '')"
				 " FROM outbox o)||(SELECT ifnull(group_concat((SELECT count(*) FROM msg x WHERE x.id<m.id)||' '||"
				 "(SELECT count(*) FROM msg x WHERE x.mod<m.mod)||' '||state||' '||ifnull(body, '-'), '|'), '') FROM msg m)"
				 "||((SELECT mod FROM feed)>=(SELECT ifnull(max(mod), 0) FROM msg))", buf, size), 0);
}

static int run_life(const char *dir)
{
	struct fx fx = { 0 };

	snprintf(fx.dir, sizeof(fx.dir), "%s", dir);
	if (try_open(dir, &fx.v, &fx.s, &(char *){ NULL }) != 0)
		return 97;
	fx.account = sql(&fx, "SELECT id FROM account");
	fx.archive = sql(&fx, "SELECT id FROM archive");
	live(&fx);
	fx_close(&fx);
	return 0;
}

TEST(killed_at_every_step_it_is_before_or_after_and_goes_on)
{
	struct fx *fx = *state;
	char want[ARRAY_SIZE(acts) + 1][2048], got[2048];
	int killed = 0, r;

	/* What it looks like after each of them. */
	look(fx, want[0], sizeof(want[0]));
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		fx->now = T0 + DAY + (int64_t)i * 10 * SEC;
		BEGIN(fx);
		acts[i](fx);
		COMMIT(fx);
		look(fx, want[i + 1], sizeof(want[i + 1]));
		assert_string_not_equal(want[i], want[i + 1]);
	}
	assert_string_equal(next(fx), "text:c2=c2!");
	for (int n = 1; n < 60; n++) {
		size_t at;

		fx_teardown(state);
		assert_int_equal(fx_setup(state), 0);
		fx = *state;
		fx_close(fx);
		r = run_self("life", fx->dir, n);
		assert_true(r == RUN_KILLED || r == 0);
		fx_reopen(fx);
		at = (size_t)sql(fx, "SELECT value FROM meta WHERE name='acts'");
		look(fx, got, sizeof(got));
		assert_string_equal(got, want[at]);
		live(fx);
		look(fx, got, sizeof(got));
		assert_string_equal(got, want[ARRAY_SIZE(acts)]);
		if (r == 0)
			break;
		killed++;
	}
	assert_in_range(killed, (int)ARRAY_SIZE(acts), 50);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(what_send_accepted_is_there_at_once_and_after_a_restart),
		RUN(what_waited_reads_only_what_was_there),
		RUN(E1_the_same_send_again_is_the_same_message),
		RUN(E1_a_client_id_is_known_by_its_message_when_the_outbox_forgot_it),
		RUN(a_wrong_clock_forgets_nothing),
		RUN(numbered_sent_and_acknowledged),
		RUN(numbers_go_round_at_2_32),
		RUN(a_resumed_session_says_what_got_there),
		RUN(E2_a_lost_session_leaves_doubt_which_holds_back_its_conversation_alone),
		RUN(the_oldest_anchor_is_the_one_that_lies_lowest),
		RUN(C8_met_in_the_archive_in_every_state),
		RUN(C8_equal_text_from_another_device_is_another_message),
		RUN(what_arrived_is_never_again_less),
		RUN(a_message_that_came_back_is_sent_again_as_it_is_now),
		RUN(poison_fails_alone_and_can_be_tried_again),
		RUN(what_failed_is_listed_until_it_is_tried_again_or_deleted),
		RUN(unsendable_fails_with_its_reason),
		RUN(cancelled_is_not_sent_and_may_be_tried_again),
		RUN(retry_of_what_the_outbox_forgot),
		RUN(a_correction_a_reaction_and_a_retraction_act_at_once_and_their_copies_change_nothing),
		RUN(an_older_correction_that_comes_back_late_does_not_undo_the_newer),
		RUN(a_correction_names_the_first_id_and_a_reaction_the_origin_id),
		RUN(replies_name_what_they_answer_as_their_copies_do),
		RUN(every_refusal),
		RUN(a_full_outbox_refuses_and_what_was_accepted_stays),
		RUN(what_waits_again_is_found_wherever_it_stands),
		RUN(a_file_of_version_5_is_taken_over_with_what_waits),
		RUN(what_never_left_and_is_taken_back_never_leaves),
		RUN(receipts_leave_room_for_the_user),
		RUN(what_a_user_writes_does_not_wait_for_receipts),
		RUN(D9_a_receipt_once_to_whom_wrote_it),
		RUN(a_marker_and_a_reading_state_of_each_conversation_wait_once),
		RUN(order_within_a_conversation_and_pages_of_the_queue),
		RUN(E5_an_account_that_goes_takes_its_outbox_along),
		RUN(killed_at_every_step_it_is_before_or_after_and_goes_on),
	};

	if (argc == 3)
		return run_life(argv[2]);
	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
