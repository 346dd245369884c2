#include "bus/check.h"

#include <string.h>

#include "bus/errors.h"
#include "core/jid.h"
#include "core/message.h"
#include "store/outbox.h"
#include "store/read.h"

int check_text(const char *what, const char *s, size_t max, bool lines, sd_bus_error *error)
{
	size_t len = strlen(s);

	if (len > max)
		return error_invalid(error, "%s is longer than %zu bytes", what, max);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && !(lines && (c == '\t' || c == '\n'))) || c == 0x7f)
			return error_invalid(error, "%s has the control character 0x%02x in it%s", what, c,
					     lines ? ": tab and newline are allowed" : "");
	}
	return 0;
}

int check_client_id(const char *id, bool optional, sd_bus_error *error)
{
	if (!*id)
		return optional ? 0 :
				  error_invalid(error, "client_id is empty: give each message an id of its own, a UUID say");
	return check_text("client_id", id, OUTBOX_CLIENT_ID_MAX, false, error);
}

int check_bare_jid(const char *jid, char **ret, sd_bus_error *error)
{
	if (!jid_is_valid(jid) || strlen(jid) > JID_MAX)
		return error_invalid(error, "'%s' is not a JID: write it as user@domain", jid);
	if (strchr(jid, '/'))
		return error_invalid(error, "'%s' has a resource: give it without, as user@domain", jid);
	*ret = jid_bare(jid);
	return 0;
}

static int ignore_row(_unused_ void *userdata, _unused_ const struct conversation_row *row)
{
	return 0;
}

int check_conversation(struct store *s, int64_t account, const char *id, sd_bus_error *error)
{
	int r = read_conversation(s, account, id, ignore_row, NULL);

	if (r > 0)
		return error_set(error, VARVE_ERROR_NO_SUCH_CONVERSATION,
				 "there is no conversation with '%s': its id is an address, as name@server, and its first "
				 "message begins it",
				 id);
	return r < 0 ? error_from_store(error, r) : 0;
}

int check_message_id(uint64_t id, sd_bus_error *error)
{
	if (id > 0 && id <= INT64_MAX)
		return 0;
	return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no message %llu", (unsigned long long)id);
}
