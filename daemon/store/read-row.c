#include "store/read-row.h"

#include <string.h>

#include "base/err.h"
#include "core/cover.h"
#include "store/account.h"
#include "store/roster-priv.h"
#include "store/row.h"

static const char *const kind_names[] = {
	[ROW_TEXT] = "text",
	[ROW_RETRACTED] = "retracted",
	[ROW_DROPPED] = "dropped",
};

void row_read(struct stmt *q, struct message_row *ret)
{
	int64_t kind = col_i(q, 7);

	*ret = (struct message_row){
		.id = col_i(q, 0),
		.mod = (uint64_t)col_i(q, 1),
		.conversation = col_t(q, 2),
		.sender = col_t(q, 3),
		.time_us = col_i(q, 4),
		.direction = (uint32_t)col_i(q, 5),
		.state = (uint32_t)col_i(q, 6),
		.kind = kind >= 0 && kind < (int64_t)ARRAY_SIZE(kind_names) ? kind_names[kind] : "event",
		.body = col_t(q, 8),
		.stanza_id = cover_shown_id(col_t(q, 9)),
		.origin_id = col_t(q, 10),
		.xmpp_id = col_t(q, 11),
		.encryption = col_t(q, 12),
		.error = col_t(q, 13),
		.error_text = col_t(q, 14),
		.reactions = col_t(q, 15),
		.edited_us = col_i(q, 16),
		.reply_to = col_i(q, 17),
		.key = col_i(q, 18),
		.delay_us = col_i(q, 19),
		.client_id = col_t(q, 20),
	};
}

int row_emit(struct store *s, int64_t account, int64_t id, message_row_fn fn, void *userdata)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_READ_ONE);
	struct message_row row;
	int r;

	put_i(&q, id);
	put_i(&q, account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	if (r == 0)
		return READ_E_NO_MESSAGE;
	row_read(&q, &row);
	return fn(userdata, &row);
}

struct conv_call {
	struct conversation_row *row;
	conversation_row_fn fn;
	void *userdata;
};

static int with_last(void *userdata, const struct message_row *last)
{
	struct conv_call *call = userdata;

	call->row->has_last = true;
	call->row->last = *last;
	return call->fn(call->userdata, call->row);
}

void contact_read(struct stmt *q, struct contact_row *ret)
{
	*ret = (struct contact_row){
		.jid = col_t(q, 0),
		.name = col_t(q, 1),
		.subscription = col_t(q, 2),
		.groups = col_t(q, 3),
		.ask = (col_i(q, 4) & ASK_OURS) != 0,
		.asking = (col_i(q, 4) & ASK_THEIRS) != 0,
		.mod = (uint64_t)col_i(q, 5),
		.blocked = col_i(q, 6) != 0,
		.listed = col_i(q, 7) != 0,
	};
}

/* What the row says beside its columns. */
static int read_flags(struct store *s, int64_t account, struct stmt *q, uint32_t *ret)
{
	const char *subscription = col_t(q, 16);
	bool blocked = col_i(q, 15) != 0, direct = strcmp(col_t(q, 1), "direct") == 0;
	int trusts = 0;

	if (direct && !blocked)
		trusts = roster_sees_us(subscription) ? 1 : roster_trusts(s, account, col_t(q, 0));
	if (trusts < 0)
		return err_trace(trusts);
	*ret = (uint32_t)col_i(q, 6) & CONV_HAS_GAP;
	*ret |= (col_i(q, 10) ? CONV_PINNED : 0u) | (col_i(q, 11) ? CONV_ARCHIVED : 0u) |
		(blocked ? CONV_BLOCKED : 0u) | (trusts ? CONV_TYPING_ALLOWED : 0u);
	return 0;
}

int conv_emit(struct store *s, int64_t account, struct stmt *q, conversation_row_fn fn, void *userdata)
{
	struct conversation_row row = {
		.id = col_t(q, 0),
		.kind = col_t(q, 1),
		.title = col_t(q, 2),
		.mod = (uint64_t)col_i(q, 3),
		.activity_us = col_i(q, 4),
		.unread = (uint32_t)col_i(q, 5),
		.first_unread = col_i(q, 7),
		.mute_until_us = col_i(q, 12),
		.draft = col_t(q, 13),
		.peer_displayed = col_i(q, 14),
	};
	struct conv_call call = { &row, fn, userdata };
	int r;

	r = read_flags(s, account, q, &row.flags);
	if (r == 0)
		r = row_emit(s, account, col_i(q, 8), with_last, &call);
	return r == READ_E_NO_MESSAGE ? fn(userdata, &row) : r;
}

size_t row_size(const struct message_row *row)
{
	const char *strings[] = {
		row->conversation, row->sender, row->body, row->stanza_id, row->origin_id, row->xmpp_id,
		row->encryption, row->error, row->error_text, row->reactions, row->client_id,
	};
	size_t n = 64;

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		n += strlen(strings[i]);
	return n;
}
