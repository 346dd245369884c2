#include "bus/export-row.h"

#include <inttypes.h>
#include <string.h>

#include "core/stamp.h"
#include "core/text.h"

/* The code point at ${s}, which is well-formed; *ret_n its bytes. */
static uint32_t decode(const char *s, size_t *ret_n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t cp = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		cp = cp << 6 | (p[i] & 0x3f);
	*ret_n = n;
	return cp;
}

/* C0, DEL, C1, line separators, bidirectional overrides: the file may meet a terminal. */
static bool acts(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x2028 || cp == 0x2029 ||
	       (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

static void json_string(struct buf *b, const char *s)
{
	_cleanup_(freep) char *clean = text_clean(str_or_empty(s));
	size_t n;

	buf_adds(b, "\"");
	for (const char *p = clean; *p; p += n) {
		uint32_t cp = decode(p, &n);

		if (cp == '"' || cp == '\\')
			buf_addf(b, "\\%c", (char)cp);
		else if (cp == '\n')
			buf_adds(b, "\\n");
		else if (cp == '\t')
			buf_adds(b, "\\t");
		else if (cp == '\r')
			buf_adds(b, "\\r");
		else if (acts(cp))
			buf_addf(b, "\\u%04x", cp);
		else
			buf_add(b, p, n);
	}
	buf_adds(b, "\"");
}

static void member(struct buf *b, const char *key, const char *value)
{
	buf_addf(b, ",\"%s\":", key);
	json_string(b, value);
}

static void member_or_null(struct buf *b, const char *key, const char *value)
{
	if (*str_or_empty(value))
		member(b, key, value);
	else
		buf_addf(b, ",\"%s\":null", key);
}

static void member_time(struct buf *b, const char *key, int64_t us)
{
	char stamp[STAMP_SIZE];

	if (us == 0)
		buf_addf(b, ",\"%s\":null,\"%s_usec\":null", key, key);
	else
		buf_addf(b, ",\"%s\":\"%s\",\"%s_usec\":%" PRId64, key, stamp_format(us, stamp), key, us);
}

/* "sender\temoji\temoji\n..." as {"sender":["emoji",...],...}. */
static void member_reactions(struct buf *b, const char *lines)
{
	bool first = true;

	lines = str_or_empty(lines);
	if (!*lines) {
		buf_adds(b, ",\"reactions\":null");
		return;
	}
	buf_adds(b, ",\"reactions\":{");
	while (*lines) {
		size_t len = strcspn(lines, "\n"), at = strcspn(lines, "\t\n");
		_cleanup_(freep) char *sender = xstrndup(lines, at);

		buf_adds(b, first ? "" : ",");
		json_string(b, sender);
		for (buf_adds(b, ":["); at < len;) {
			size_t n = strcspn(lines + at + 1, "\t\n");
			_cleanup_(freep) char *emoji = xstrndup(lines + at + 1, n);

			buf_adds(b, at == strlen(sender) ? "" : ",");
			json_string(b, emoji);
			at += 1 + n;
		}
		buf_adds(b, "]");
		first = false;
		lines += len + (lines[len] == '\n');
	}
	buf_adds(b, "}");
}

static const char *state_name(uint32_t state)
{
	switch ((enum message_state)state) {
	case STATE_RECEIVED:
		return "received";
	case STATE_READ:
		return "read";
	case STATE_QUEUED:
		return "queued";
	case STATE_SENDING:
		return "sending";
	case STATE_SENT:
		return "sent";
	case STATE_DELIVERED:
		return "delivered";
	case STATE_DISPLAYED:
		return "displayed";
	case STATE_FAILED:
		return "failed";
	case STATE_CANCELLED:
		return "cancelled";
	}
	return "unknown";
}

void export_json(struct buf *b, const struct message_row *row)
{
	buf_addf(b, "{\"id\":%" PRId64 ",\"mod\":%" PRIu64, row->id, row->mod);
	member(b, "conversation", row->conversation);
	member(b, "sender", row->sender);
	member(b, "direction", row->direction == DIRECTION_OUT ? "out" : "in");
	member(b, "state", state_name(row->state));
	member(b, "kind", row->kind);
	member_time(b, "time", row->time_us);
	member(b, "body", row->body);
	member_or_null(b, "stanza_id", row->stanza_id);
	member_or_null(b, "origin_id", row->origin_id);
	member_or_null(b, "client_id", row->client_id);
	member_or_null(b, "xmpp_id", row->xmpp_id);
	member_time(b, "edited", row->edited_us);
	if (row->reply_to > 0)
		buf_addf(b, ",\"reply_to\":%" PRId64, row->reply_to);
	else
		buf_adds(b, ",\"reply_to\":null");
	member_reactions(b, row->reactions);
	member_or_null(b, "encryption", row->encryption);
	if (*str_or_empty(row->error)) {
		buf_adds(b, ",\"error\":{\"name\":");
		json_string(b, row->error);
		member_or_null(b, "message", row->error_text);
		buf_adds(b, "}}\n");
	} else {
		buf_adds(b, ",\"error\":null}\n");
	}
}

/* Nothing that acts on a terminal; line ends only with ${lines}, and then what follows is indented. */
static void plain(struct buf *b, const char *s, bool lines)
{
	_cleanup_(freep) char *clean = text_clean(str_or_empty(s));
	size_t n;

	for (const char *p = clean; *p; p += n) {
		uint32_t cp = decode(p, &n);

		if (cp == '\r' && p[1] == '\n')
			continue;
		if (cp == '\n' && lines)
			buf_adds(b, "\n    ");
		else if (cp == '\n' || cp == '\r' || cp == '\t')
			buf_adds(b, " ");
		else if (acts(cp))
			buf_adds(b, "\xef\xbf\xbd");
		else
			buf_add(b, p, n);
	}
}

void export_text(struct buf *b, const struct message_row *row)
{
	char stamp[STAMP_SIZE];

	buf_adds(b, stamp_format(row->time_us, stamp));
	buf_adds(b, "  ");
	plain(b, row->conversation, false);
	buf_adds(b, "  <");
	plain(b, row->direction == DIRECTION_OUT ? "me" : row->sender, false);
	buf_adds(b, "> ");
	if (strcmp(row->kind, "text") == 0 || *str_or_empty(row->body))
		plain(b, row->body, true);
	else
		buf_addf(b, "[%s]", row->kind);
	buf_adds(b, "\n");
}
