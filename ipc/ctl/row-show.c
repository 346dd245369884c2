/* What row.h says of rows that are there already: their JSON, and their words for people. */
#include <string.h>

#include "ipc/ctl/row.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/util.h"

static void json_id(struct json *j, const char *key, uint64_t id)
{
	if (id)
		json_uint(j, key, id);
	else
		json_null(j, key);
}

static void reactions_json(struct json *j, const struct varve_message *m)
{
	if (m->n_reactions == 0) {
		json_null(j, "reactions");
		return;
	}
	json_object(j, "reactions");
	for (size_t i = 0; i < m->n_reactions; i++) {
		json_array(j, m->reactions[i].sender);
		for (const char *const *e = m->reactions[i].emoji; *e; e++)
			json_string(j, NULL, *e);
		json_array_end(j);
	}
	json_object_end(j);
}

void message_json(struct json *j, const struct varve_message *m)
{
	json_uint(j, "id", m->id);
	json_uint(j, "mod", m->mod);
	json_string(j, "conversation", m->conversation);
	json_string(j, "sender", m->sender);
	json_string(j, "direction", m->direction ? "out" : "in");
	json_string(j, "state", varve_state_name(m->state));
	json_string(j, "kind", m->kind);
	json_time(j, "time", m->time_usec);
	json_string(j, "body", m->body);
	json_string_or_null(j, "stanza_id", m->stanza_id);
	json_string_or_null(j, "origin_id", m->origin_id);
	json_string_or_null(j, "client_id", m->client_id);
	json_string_or_null(j, "xmpp_id", m->xmpp_id);
	if (*m->nick)
		json_string(j, "nick", m->nick);
	json_time(j, "edited", m->edited_usec);
	json_id(j, "reply_to", m->reply_to);
	reactions_json(j, m);
	json_string_or_null(j, "encryption", m->encryption);
	if (!*m->error) {
		json_null(j, "error");
		return;
	}
	json_object(j, "error");
	json_string(j, "name", m->error);
	json_string_or_null(j, "message", m->error_text);
	json_object_end(j);
}

/* For good has no date. */
static void mute_json(struct json *j, int64_t until_us)
{
	if (until_us == INT64_MAX) {
		json_null(j, "muted_until");
		json_int(j, "muted_until_usec", until_us);
		return;
	}
	json_time(j, "muted_until", until_us);
}

static void flags_json(struct json *j, uint32_t flags)
{
	static const struct {
		const char *key;
		uint32_t bit;
	} names[] = {
		{ "pinned", VARVE_CONVERSATION_PINNED },       { "muted", VARVE_CONVERSATION_MUTED },
		{ "archived", VARVE_CONVERSATION_ARCHIVED },   { "joined", VARVE_CONVERSATION_JOINED },
		{ "encrypted", VARVE_CONVERSATION_ENCRYPTED }, { "blocked", VARVE_CONVERSATION_BLOCKED },
		{ "has_gap", VARVE_CONVERSATION_HAS_GAP },     { "typing_allowed", VARVE_CONVERSATION_TYPING_ALLOWED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		json_bool(j, names[i].key, flags & names[i].bit);
}

void conversation_json(struct json *j, const struct varve_conversation *c)
{
	json_string(j, "conversation", c->id);
	json_uint(j, "mod", c->mod);
	json_string(j, "kind", c->kind);
	json_string_or_null(j, "title", c->title);
	json_uint(j, "unread", c->unread);
	json_uint(j, "mentions", c->mentions);
	json_id(j, "first_unread_id", c->first_unread);
	json_id(j, "peer_displayed_id", c->peer_displayed);
	json_time(j, "activity", c->activity_usec);
	flags_json(j, c->flags);
	mute_json(j, c->muted_until_usec);
	json_string_or_null(j, "draft", c->draft);
	if (!c->last) {
		json_null(j, "last");
		return;
	}
	json_object(j, "last");
	message_json(j, c->last);
	json_object_end(j);
}

void contact_json(struct json *j, const struct varve_contact *c)
{
	json_string(j, "jid", c->jid);
	json_uint(j, "mod", c->mod);
	json_string_or_null(j, "name", c->name);
	json_string(j, "subscription", c->subscription);
	json_bool(j, "asked", c->flags & VARVE_CONTACT_ASKED);
	json_bool(j, "asking", c->flags & VARVE_CONTACT_ASKING);
	json_bool(j, "blocked", c->flags & VARVE_CONTACT_BLOCKED);
	json_bool(j, "unlisted", c->flags & VARVE_CONTACT_UNLISTED);
	json_array(j, "groups");
	for (const char *const *g = c->groups; *g; g++)
		json_string(j, NULL, *g);
	json_array_end(j);
}

void gap_json(struct json *j, const struct gap *g, const char *account)
{
	json_string(j, "archive", *g->conversation ? g->conversation : account);
	json_id(j, "after_id", g->after_id);
	json_id(j, "before_id", g->before_id);
	json_time(j, "after", g->after_us);
	json_time(j, "before", g->before_us);
	json_string(j, "state", g->state);
	json_string_or_null(j, "after_stanza_id", g->after_stanza_id);
	json_string_or_null(j, "before_stanza_id", g->before_stanza_id);
}

char *message_author(const struct varve_message *m)
{
	if (m->direction)
		return xstrdup("me");
	if (*m->nick)
		return xstrdup(m->nick);
	return xstrndup(m->sender, strcspn(m->sender, "/"));
}

const char *message_mark(const struct varve_message *m)
{
	bool utf8 = text_is_utf8();

	switch (m->state) {
	case VARVE_QUEUED:
		return utf8 ? "… queued" : "(queued)";
	case VARVE_SENDING:
		return utf8 ? "… sending" : "(sending)";
	case VARVE_SENT:
		return utf8 ? "✓" : "(sent)";
	case VARVE_DELIVERED:
		return utf8 ? "✓✓" : "(delivered)";
	case VARVE_DISPLAYED:
		return utf8 ? "✓✓ read" : "(read)";
	case VARVE_FAILED:
		return utf8 ? "✗" : "(failed)";
	case VARVE_CANCELLED:
		return "(cancelled)";
	}
	return "";
}

const char *message_text(const struct varve_message *m)
{
	if (strcmp(m->kind, "retracted") == 0)
		return "[retracted]";
	if (strcmp(m->kind, "undecryptable") == 0)
		return "[could not be decrypted]";
	if (*m->body)
		return m->body;
	if (strcmp(m->kind, "file") == 0)
		return "[file]";
	if (strcmp(m->kind, "call") == 0)
		return "[call]";
	if (strcmp(m->kind, "event") == 0)
		return "[event]";
	if (strcmp(m->kind, "error") == 0)
		return *m->error ? m->error : "[error]";
	if (strcmp(m->kind, "dropped") == 0)
		return "[not stored: beyond a limit]";
	if (*m->encryption)
		return "[encrypted]";
	return "[no text]";
}

const char *message_label(const struct varve_message *m)
{
	return *m->encryption && message_text(m) == m->body ? "[encrypted] " : "";
}

const char *message_edited(const struct varve_message *m)
{
	return m->edited_usec && strcmp(m->kind, "retracted") != 0 ? " (edited)" : "";
}
