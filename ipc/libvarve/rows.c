/*
 * One row at a time out of an answer. Strings stay where they are: in the message, which the set keeps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"
#include "ipc/libvarve/dict.h"

/* The "as" that comes next as a NULL-terminated array, whose strings are the message's. */
static int read_strings(sd_bus_message *m, const char *const **ret)
{
	const char **list = calloc(1, sizeof(*list)), **more, *s;
	size_t n = 0;
	int r = list ? sd_bus_message_enter_container(m, 'a', "s") : -ENOMEM;

	while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &s)) > 0) {
		more = reallocarray(list, n + 2, sizeof(*list));
		if (!more) {
			r = -ENOMEM;
			break;
		}
		list = more;
		list[n++] = s;
		list[n] = NULL;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		free(list);
		return r;
	}
	*ret = list;
	return 0;
}

void varve__message_clear(struct varve_message *row)
{
	for (size_t i = 0; i < row->n_reactions; i++)
		free((void *)(uintptr_t)row->reactions[i].emoji);
	free((void *)(uintptr_t)row->reactions);
	row->reactions = NULL;
	row->n_reactions = 0;
}

static int take_reaction(sd_bus_message *m, struct varve_message *row)
{
	struct varve_reaction *all = reallocarray((void *)(uintptr_t)row->reactions, row->n_reactions + 1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	row->reactions = all;
	r = sd_bus_message_read_basic(m, 's', &all[row->n_reactions].sender);
	if (r >= 0)
		r = read_strings(m, &all[row->n_reactions].emoji);
	if (r < 0)
		return r;
	row->n_reactions++;
	return sd_bus_message_exit_container(m);
}

static int take_reactions(sd_bus_message *m, struct varve_message *row)
{
	int r = sd_bus_message_enter_container(m, 'v', "a{sas}");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "{sas}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sas")) > 0)
		r = take_reaction(m, row);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

static int taken(int r)
{
	return r < 0 ? r : 1;
}

static int message_extra(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct varve_message *row = userdata;
	const struct {
		const char *key;
		const char **dst;
	} strings[] = {
		{ "stanza-id", &row->stanza_id }, { "origin-id", &row->origin_id },   { "xmpp-id", &row->xmpp_id },
		{ "nick", &row->nick },		  { "encryption", &row->encryption }, { "client-id", &row->client_id },
	};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strcmp(key, strings[i].key) == 0 && strcmp(contents, "s") == 0)
			return taken(sd_bus_message_read(m, "v", "s", strings[i].dst));
	if (strcmp(key, "reply-to") == 0 && strcmp(contents, "t") == 0)
		return taken(sd_bus_message_read(m, "v", "t", &row->reply_to));
	if (strcmp(key, "edited") == 0 && strcmp(contents, "x") == 0)
		return taken(sd_bus_message_read(m, "v", "x", &row->edited_usec));
	if (strcmp(key, "error") == 0 && strcmp(contents, "(ss)") == 0)
		return taken(sd_bus_message_read(m, "v", "(ss)", &row->error, &row->error_text));
	if (strcmp(key, "reactions") == 0 && strcmp(contents, "a{sas}") == 0 && row->n_reactions == 0)
		return take_reactions(m, row);
	return 0;
}

int varve__message_take(sd_bus_message *m, struct varve_message *ret)
{
	struct varve_message row = { .stanza_id = "", .origin_id = "", .xmpp_id = "", .nick = "", .encryption = "",
				     .error = "", .error_text = "", .client_id = "" };
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_MESSAGE_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "ttssxyyss", &row.id, &row.mod, &row.conversation, &row.sender, &row.time_usec,
				&row.direction, &row.state, &row.kind, &row.body);
	if (r >= 0)
		r = varve__dict_each(m, message_extra, &row);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		varve__message_clear(&row);
		return r;
	}
	*ret = row;
	return 1;
}

static int conversation_extra(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct varve_conversation *row = userdata;

	if (strcmp(key, "draft") == 0 && strcmp(contents, "s") == 0)
		return taken(sd_bus_message_read(m, "v", "s", &row->draft));
	if (strcmp(key, "muted-until") == 0 && strcmp(contents, "x") == 0)
		return taken(sd_bus_message_read(m, "v", "x", &row->muted_until_usec));
	if (strcmp(key, "peer-displayed-id") == 0 && strcmp(contents, "t") == 0)
		return taken(sd_bus_message_read(m, "v", "t", &row->peer_displayed));
	return 0;
}

void varve__conversation_clear(struct conversation_box *box)
{
	varve__message_clear(&box->last);
}

int varve__conversation_take(sd_bus_message *m, struct conversation_box *ret)
{
	struct conversation_box box = { .row.draft = "" };
	struct varve_conversation *row = &box.row;
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_CONVERSATION_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "stssx", &row->id, &row->mod, &row->kind, &row->title, &row->activity_usec);
	if (r >= 0)
		r = varve__message_take(m, &box.last);
	if (r == 0)
		r = -EBADMSG;
	if (r >= 0)
		r = sd_bus_message_read(m, "uutu", &row->unread, &row->mentions, &row->first_unread, &row->flags);
	if (r >= 0)
		r = varve__dict_each(m, conversation_extra, row);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		varve__conversation_clear(&box);
		return r;
	}
	*ret = box; /* row.last is set where it has come to rest */
	return 1;
}

static int no_extra(sd_bus_message *m, const char *key, const char *contents, void *row)
{
	(void)m;
	(void)key;
	(void)contents;
	(void)row;
	return 0;
}

void varve__contact_clear(struct varve_contact *row)
{
	free((void *)(uintptr_t)row->groups);
	row->groups = NULL;
}

int varve__contact_take(sd_bus_message *m, struct varve_contact *ret)
{
	struct varve_contact row = { 0 };
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_CONTACT_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "stssu", &row.jid, &row.mod, &row.name, &row.subscription, &row.flags);
	if (r >= 0)
		r = read_strings(m, &row.groups);
	if (r >= 0)
		r = varve__dict_each(m, no_extra, NULL);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		varve__contact_clear(&row);
		return r;
	}
	*ret = row;
	return 1;
}

const char *varve_state_name(uint8_t state)
{
	switch (state) {
	case VARVE_RECEIVED:
		return "received";
	case VARVE_READ:
		return "read";
	case VARVE_QUEUED:
		return "queued";
	case VARVE_SENDING:
		return "sending";
	case VARVE_SENT:
		return "sent";
	case VARVE_DELIVERED:
		return "delivered";
	case VARVE_DISPLAYED:
		return "displayed";
	case VARVE_FAILED:
		return "failed";
	case VARVE_CANCELLED:
		return "cancelled";
	}
	return "unknown";
}
