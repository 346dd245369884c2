#include "conversation-fixture.h"

#include <stdlib.h>

#include "base/buf.h"

void open_conv(struct fx *fx, const char *jid)
{
	char *id;

	assert_int_equal(IN_TX(fx, conversation_open(fx->s, fx->account, jid, fx->now, &id)), 0);
	free(id);
}

int set(struct fx *fx, const char *jid, struct conversation_change c)
{
	return IN_TX(fx, conversation_set(fx->s, fx->account, jid, &c));
}

int mark_read(struct fx *fx, int64_t msg)
{
	int64_t row;

	return IN_TX(fx, conversation_mark_read(fx->s, fx->account, BOB, msg, &row));
}

void delete_message(struct fx *fx, const char *body)
{
	int64_t id = row_of(fx, body).id;

	assert_int_equal(IN_TX(fx, conversation_delete_messages(fx->s, fx->account, &id, 1, fx->now)), 0);
}

int delete_conv(struct fx *fx, const char *jid)
{
	return IN_TX(fx, conversation_delete(fx->s, fx->account, jid, fx->now));
}

void upkeep(struct fx *fx)
{
	while (store_upkeep(fx->s, 10000) > 0)
		;
}

static int add_title(void *userdata, const struct conversation_row *row)
{
	buf_addf(userdata, "%s%s", ((struct buf *)userdata)->len ? " " : "", row->title);
	return 0;
}

const char *list(struct fx *fx, struct conversation_query q)
{
	static struct buf b;
	char *cursor = xstrdup(""), *next;
	uint64_t seq;

	buf_reset(&b);
	q.account = fx->account;
	do {
		q.cursor = cursor;
		assert_int_equal(read_conversations(fx->s, &q, add_title, &b, &next, &seq), 0);
		free(cursor);
		cursor = next;
	} while (*cursor);
	free(cursor);
	return b.len ? buf_str(&b) : "";
}

static int feed_message(void *userdata, const struct message_row *row)
{
	buf_addf(userdata, "M%s ", *row->body ? row->body : row->kind);
	return 0;
}

static int feed_conversation(void *userdata, const struct conversation_row *row)
{
	buf_addf(userdata, "C%s%s%s ", row->id, row->flags & CONV_BLOCKED ? "!" : "", row->has_last ? "" : "-");
	return 0;
}

static int feed_contact(void *userdata, const struct contact_row *row)
{
	buf_addf(userdata, "R%s:%s%s%s%s ", row->jid, row->subscription, row->asking ? "?" : "", row->blocked ? "!" : "",
		 row->listed ? "" : "-");
	return 0;
}

static int feed_removed_row(void *userdata, const char *kind, const char *key)
{
	buf_addf(userdata, "-%s:%s ", kind, strcmp(kind, "message") == 0 ? "id" : key);
	return 0;
}

const char *feed(struct fx *fx, uint64_t since)
{
	const struct changes_fns fns = { feed_message, feed_conversation, feed_contact, feed_removed_row };
	static struct buf b;
	uint64_t next;
	bool more;

	buf_reset(&b);
	assert_int_equal(read_changes(fx->s, fx->account, since, 0, 0, &fns, &b, &next, &more), 0);
	return b.len ? buf_str(&b) : "";
}
