#include "outbox-fixture.h"

#include <stdio.h>

struct put_result_of put(struct fx *fx, struct outgoing o)
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

int64_t send_to(struct fx *fx, const char *to, const char *id, const char *body)
{
	struct put_result_of got = put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = to, .client_id = id,
							      .body = body });

	assert_int_equal(got.r, 0);
	assert_false(got.existing);
	return got.msg;
}

int64_t send_text(struct fx *fx, const char *id, const char *body)
{
	return send_to(fx, BOB, id, body);
}

struct put_result_of about(struct fx *fx, enum out_kind kind, int64_t msg, const char *id, const char *text)
{
	return put(fx, (struct outgoing){ .kind = kind, .msg = msg, .client_id = id, .body = text, .emojis = text });
}

int see(void *userdata, const struct out_item *i)
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

const char *next(struct fx *fx)
{
	static struct seen s;

	buf_reset(&s.text);
	s.last_seq = 0;
	assert_int_equal(outbox_next(fx->s, fx->account, 0, 1000, see, &s), 0);
	return s.text.len ? buf_str(&s.text) : "";
}

int keep_id(void *userdata, const struct out_item *i)
{
	struct ids *ids = userdata;

	if (ids->n < ARRAY_SIZE(ids->id))
		ids->id[ids->n++] = i->id;
	return 0;
}

struct ids items(struct fx *fx)
{
	struct ids ids = { 0 };

	assert_int_equal(outbox_next(fx->s, fx->account, 0, ARRAY_SIZE(ids.id), keep_id, &ids), 0);
	return ids;
}

void number(struct fx *fx, size_t n, uint32_t first, const char *anchor)
{
	struct ids ids = items(fx);

	assert_true(ids.n >= n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, ids.id[i], 0, first + (uint32_t)i, anchor)),
				 1);
}

size_t ack(struct fx *fx, uint32_t n)
{
	size_t done;

	assert_int_equal(IN_TX(fx, outbox_acked(fx->s, fx->account, n, &done)), 0);
	return done;
}

void lose(struct fx *fx, bool has_h, uint32_t h)
{
	assert_int_equal(IN_TX(fx, outbox_session_lost(fx->s, fx->account, has_h, h)), 0);
}

size_t doubt_over(struct fx *fx)
{
	size_t n;

	assert_int_equal(IN_TX(fx, outbox_doubt_over(fx->s, fx->account, &n)), 0);
	return n;
}

int retry(struct fx *fx, int64_t msg)
{
	return IN_TX(fx, outbox_retry(fx->s, fx->account, msg, fx->now));
}

int cancel(struct fx *fx, int64_t msg)
{
	return IN_TX(fx, outbox_cancel(fx->s, fx->account, msg));
}

const char *counts(struct fx *fx)
{
	static char text[64];
	struct outbox_counts c;

	assert_int_equal(outbox_count(fx->s, fx->account, &c), 0);
	snprintf(text, sizeof(text), "%u %u %u %u", c.queued, c.sending, c.doubt, c.failed);
	return text;
}

uint32_t state_of(struct fx *fx, const char *body)
{
	return row_of(fx, body).state;
}

struct message copy_of(const char *id, const char *body)
{
	struct message m = text_out(id, body);

	m.origin_id = id;
	return m;
}

struct message error_of(const char *id)
{
	struct message m = text_in(id, "");

	m.type = "error";
	m.payload = PAYLOAD_ERROR;
	m.error = "service-unavailable";
	m.error_text = "gone";
	return m;
}
