#include "bus/rows.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "core/text.h"
#include "ipc/names.h"

int rows_text(sd_bus_message *m, const char *s)
{
	_cleanup_(freep) char *clean = NULL;

	s = str_or_empty(s);
	if (!text_is_clean(s)) {
		clean = text_clean(s);
		s = clean;
	}
	return sd_bus_message_append_basic(m, 's', s);
}

int rows_entry_text(sd_bus_message *m, const char *key, const char *value)
{
	return value && *value ? rows_entry_text_or_empty(m, key, value) : 0;
}

int rows_entry_text_or_empty(sd_bus_message *m, const char *key, const char *value)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', key)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "s")) < 0 ||
	    (r = rows_text(m, value)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

int rows_entry(sd_bus_message *m, const char *key, const char *type, ...)
{
	va_list ap;
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', key)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', type)) < 0)
		return err_trace(r);
	va_start(ap, type);
	r = sd_bus_message_appendv(m, type, ap);
	va_end(ap);
	if (r < 0 || (r = sd_bus_message_close_container(m)) < 0 || (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int append_split(sd_bus_message *m, const char *s, size_t len, char sep)
{
	int r = sd_bus_message_open_container(m, 'a', "s");

	while (r >= 0 && len > 0) {
		const char *end = memchr(s, sep, len);
		size_t n = end ? (size_t)(end - s) : len;
		_cleanup_(freep) char *item = xstrndup(s, n);

		if (n > 0)
			r = rows_text(m, item);
		s += n + (end ? 1 : 0);
		len -= n + (end ? 1 : 0);
	}
	return r < 0 ? err_trace(r) : sd_bus_message_close_container(m);
}

int rows_lines(sd_bus_message *m, const char *lines)
{
	lines = str_or_empty(lines);
	return append_split(m, lines, strlen(lines), '\n');
}

/* "sender\temoji\temoji\n..." as a{sas}. */
static int append_reactions(sd_bus_message *m, const char *lines)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "reactions")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "a{sas}")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sas}")) < 0)
		return err_trace(r);
	while (*lines) {
		size_t len = strcspn(lines, "\n");
		size_t who = strcspn(lines, "\t\n");
		_cleanup_(freep) char *sender = xstrndup(lines, who);

		if (who > 0 && who < len) {
			if ((r = sd_bus_message_open_container(m, 'e', "sas")) < 0 ||
			    (r = rows_text(m, sender)) < 0 ||
			    (r = append_split(m, lines + who + 1, len - who - 1, '\t')) < 0 ||
			    (r = sd_bus_message_close_container(m)) < 0)
				return err_trace(r);
		}
		lines += len + (lines[len] == '\n');
	}
	for (int i = 0; i < 3; i++)
		if ((r = sd_bus_message_close_container(m)) < 0)
			return err_trace(r);
	return 0;
}

static int append_error(sd_bus_message *m, const struct message_row *row)
{
	_cleanup_(freep) char *condition = text_clean(str_or_empty(row->error));
	_cleanup_(freep) char *text = text_clean(str_or_empty(row->error_text));

	return rows_entry(m, "error", "(ss)", condition, text);
}

static int append_message_extra(sd_bus_message *m, const struct message_row *row)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry_text(m, "stanza-id", row->stanza_id)) < 0 ||
	    (r = rows_entry_text(m, "origin-id", row->origin_id)) < 0 ||
	    (r = rows_entry_text(m, "client-id", row->client_id)) < 0 ||
	    (r = rows_entry_text(m, "xmpp-id", row->xmpp_id)) < 0 ||
	    (r = rows_entry_text(m, "encryption", row->encryption)) < 0)
		return err_trace(r);
	if (row->reply_to > 0 && (r = rows_entry(m, "reply-to", "t", (uint64_t)row->reply_to)) < 0)
		return r;
	if (row->edited_us > 0 && (r = rows_entry(m, "edited", "x", row->edited_us)) < 0)
		return r;
	if (row->reactions && *row->reactions && (r = append_reactions(m, row->reactions)) < 0)
		return r;
	if ((*str_or_empty(row->error) || *str_or_empty(row->error_text)) && (r = append_error(m, row)) < 0)
		return r;
	return sd_bus_message_close_container(m);
}

int rows_message(sd_bus_message *m, const struct message_row *row, bool skip_body)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_MESSAGE_FIELDS)) < 0 ||
	    (r = sd_bus_message_append(m, "tt", (uint64_t)row->id, row->mod)) < 0 ||
	    (r = rows_text(m, row->conversation)) < 0 ||
	    (r = rows_text(m, row->sender)) < 0 ||
	    (r = sd_bus_message_append(m, "xyy", row->time_us, (uint8_t)row->direction, (uint8_t)row->state)) < 0 ||
	    (r = rows_text(m, row->kind)) < 0 ||
	    (r = rows_text(m, skip_body ? "" : row->body)) < 0 ||
	    (r = append_message_extra(m, row)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int append_conversation_extra(sd_bus_message *m, const struct conversation_row *row)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry_text(m, "draft", row->draft)) < 0)
		return err_trace(r);
	if (row->mute_until_us > 0 && (r = rows_entry(m, "muted-until", "x", row->mute_until_us)) < 0)
		return r;
	if (row->peer_displayed > 0 && (r = rows_entry(m, "peer-displayed-id", "t", (uint64_t)row->peer_displayed)) < 0)
		return r;
	return sd_bus_message_close_container(m);
}

int rows_conversation(sd_bus_message *m, const struct conversation_row *row)
{
	static const struct message_row none;
	uint32_t muted = row->mute_until_us > clock_real_us() ? CONV_MUTED : 0;
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_CONVERSATION_FIELDS)) < 0 ||
	    (r = rows_text(m, row->id)) < 0 ||
	    (r = sd_bus_message_append(m, "t", row->mod)) < 0 ||
	    (r = rows_text(m, row->kind)) < 0 ||
	    (r = rows_text(m, row->title)) < 0 ||
	    (r = sd_bus_message_append(m, "x", row->activity_us)) < 0 ||
	    (r = rows_message(m, row->has_last ? &row->last : &none, false)) < 0 ||
	    (r = sd_bus_message_append(m, "uutu", row->unread, 0, (uint64_t)row->first_unread, row->flags | muted)) < 0 ||
	    (r = append_conversation_extra(m, row)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

int rows_contact(sd_bus_message *m, const struct contact_row *row)
{
	uint32_t flags = (row->ask ? VARVE_CONTACT_ASKED : 0) | (row->blocked ? VARVE_CONTACT_BLOCKED : 0) |
			 (row->listed ? 0 : VARVE_CONTACT_UNLISTED) | (row->asking ? VARVE_CONTACT_ASKING : 0);
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_CONTACT_FIELDS)) < 0 ||
	    (r = rows_text(m, row->jid)) < 0 ||
	    (r = sd_bus_message_append(m, "t", row->mod)) < 0 ||
	    (r = rows_text(m, row->name)) < 0 ||
	    (r = rows_text(m, row->subscription)) < 0 ||
	    (r = sd_bus_message_append(m, "u", flags)) < 0 ||
	    (r = rows_lines(m, row->groups)) < 0 ||
	    (r = sd_bus_message_append(m, "a{sv}", 0)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

int rows_presence_fields(sd_bus_message *m, const char *jid, const char *show, const char *status, int64_t priority)
{
	int r;

	if ((r = rows_text(m, jid)) < 0 ||
	    (r = rows_text(m, show)) < 0 ||
	    (r = rows_text(m, status)) < 0 ||
	    (r = sd_bus_message_append(m, "a{sv}", 1, "priority", "i", (int32_t)priority)) < 0)
		return err_trace(r);
	return 0;
}

int rows_presence(sd_bus_message *m, const char *jid, const char *show, const char *status, int64_t priority)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_PRESENCE_FIELDS)) < 0 ||
	    (r = rows_presence_fields(m, jid, show, status, priority)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

size_t rows_message_size(const struct message_row *row)
{
	const char *const strings[] = { row->conversation, row->sender, row->kind, row->body, row->stanza_id,
					row->origin_id, row->client_id, row->xmpp_id, row->encryption, row->error, row->error_text,
					row->reactions };
	size_t n = 128; /* numbers, keys and padding */

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		n += strings[i] ? strlen(strings[i]) : 0;
	return n;
}

size_t rows_conversation_size(const struct conversation_row *row)
{
	return 128 + strlen(str_or_empty(row->id)) + strlen(str_or_empty(row->title)) + strlen(str_or_empty(row->draft)) +
	       (row->has_last ? rows_message_size(&row->last) : 0);
}
