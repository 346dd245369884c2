#include "ipc/ctl/row.h"

#include <errno.h>
#include <string.h>

#include "ipc/ctl/util.h"
#include "ipc/names.h"

static void strv_free(char **v)
{
	for (char **p = v; p && *p; p++)
		free(*p);
	free(v);
}

void message_deinit(struct message *m)
{
	char *const strings[] = { m->conversation, m->sender, m->kind,       m->body,  m->stanza_id, m->origin_id,
				  m->xmpp_id,      m->nick,   m->encryption, m->error, m->error_text };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < m->n_reactions; i++) {
		free(m->reactions[i].sender);
		strv_free(m->reactions[i].emoji);
	}
	free(m->reactions);
	*m = (struct message){ 0 };
}

void conversation_deinit(struct conversation *c)
{
	free(c->id);
	free(c->kind);
	free(c->title);
	message_deinit(&c->last);
	*c = (struct conversation){ 0 };
}

void contact_deinit(struct contact *c)
{
	free(c->jid);
	free(c->name);
	free(c->subscription);
	strv_free(c->groups);
	*c = (struct contact){ 0 };
}

void gap_deinit(struct gap *g)
{
	free(g->conversation);
	free(g->state);
	free(g->after_stanza_id);
	free(g->before_stanza_id);
	*g = (struct gap){ 0 };
}

/* For each key of the a{sv} that comes next: the handler reads the variant, or returns 0 to have it skipped. */
typedef int (*extra_fn)(sd_bus_message *m, const char *key, const char *contents, void *row);

static int read_extra(sd_bus_message *m, extra_fn fn, void *row)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *key, *contents;
		char type;

		r = sd_bus_message_read_basic(m, 's', &key);
		if (r >= 0)
			r = sd_bus_message_peek_type(m, &type, &contents);
		if (r >= 0)
			r = fn(m, key, contents, row);
		if (r == 0) /* not known: rows may grow */
			r = sd_bus_message_skip(m, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int take_string(sd_bus_message *m, char **ret)
{
	const char *s;
	int r = sd_bus_message_read(m, "v", "s", &s);

	if (r < 0)
		return r;
	free(*ret);
	*ret = xstrdup(s);
	return 1;
}

static int take_error(sd_bus_message *m, struct message *row)
{
	const char *name, *text;
	int r = sd_bus_message_read(m, "v", "(ss)", &name, &text);

	if (r < 0)
		return r;
	free(row->error);
	free(row->error_text);
	row->error = xstrdup(name);
	row->error_text = xstrdup(text);
	return 1;
}

static int take_reactions(sd_bus_message *m, struct message *row)
{
	int r = sd_bus_message_enter_container(m, 'v', "a{sas}");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "{sas}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sas")) > 0) {
		struct reaction one = { 0 };
		const char *sender;

		r = sd_bus_message_read_basic(m, 's', &sender);
		if (r >= 0)
			r = sd_bus_message_read_strv(m, &one.emoji);
		if (r < 0)
			return r;
		if (!one.emoji) /* sd-bus says NULL for an empty array */
			one.emoji = xcalloc(1, sizeof(char *));
		one.sender = xstrdup(sender);
		row->reactions = xrealloc(row->reactions, row->n_reactions + 1, sizeof(*row->reactions));
		row->reactions[row->n_reactions++] = one;
		r = sd_bus_message_exit_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

static int message_extra(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct message *row = userdata;
	const struct {
		const char *key;
		char **dst;
	} strings[] = {
		{ "stanza-id", &row->stanza_id }, { "origin-id", &row->origin_id },   { "xmpp-id", &row->xmpp_id },
		{ "nick", &row->nick },           { "encryption", &row->encryption },
	};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (strcmp(key, strings[i].key) == 0 && strcmp(contents, "s") == 0)
			return take_string(m, strings[i].dst);
	if (strcmp(key, "reply-to") == 0 && strcmp(contents, "t") == 0) {
		r = sd_bus_message_read(m, "v", "t", &row->reply_to);
		return r < 0 ? r : 1;
	}
	if (strcmp(key, "edited") == 0 && strcmp(contents, "x") == 0) {
		r = sd_bus_message_read(m, "v", "x", &row->edited_us);
		return r < 0 ? r : 1;
	}
	if (strcmp(key, "error") == 0 && strcmp(contents, "(ss)") == 0)
		return take_error(m, row);
	if (strcmp(key, "reactions") == 0 && strcmp(contents, "a{sas}") == 0)
		return take_reactions(m, row);
	return 0;
}

static void fill(char **s)
{
	if (!*s)
		*s = xstrdup("");
}

int message_read(sd_bus_message *m, struct message *ret)
{
	struct message row = { 0 };
	const char *conversation, *sender, *kind, *body;
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_MESSAGE_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "ttssxyyss", &row.id, &row.mod, &conversation, &sender, &row.time_us,
				&row.direction, &row.state, &kind, &body);
	if (r < 0)
		return r;
	row.conversation = xstrdup(conversation);
	row.sender = xstrdup(sender);
	row.kind = xstrdup(kind);
	row.body = xstrdup(body);
	r = read_extra(m, message_extra, &row);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		message_deinit(&row);
		return r;
	}
	fill(&row.stanza_id);
	fill(&row.origin_id);
	fill(&row.xmpp_id);
	fill(&row.nick);
	fill(&row.encryption);
	fill(&row.error);
	fill(&row.error_text);
	*ret = row;
	return 1;
}

int conversation_read(sd_bus_message *m, struct conversation *ret)
{
	struct conversation row = { 0 };
	const char *id, *kind, *title;
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_CONVERSATION_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "stssx", &id, &row.mod, &kind, &title, &row.activity_us);
	if (r < 0)
		return r;
	row.id = xstrdup(id);
	row.kind = xstrdup(kind);
	row.title = xstrdup(title);
	r = message_read(m, &row.last);
	if (r == 0)
		r = -EBADMSG;
	if (r >= 0)
		r = sd_bus_message_read(m, "uutu", &row.unread, &row.mentions, &row.first_unread, &row.flags);
	if (r >= 0)
		r = sd_bus_message_skip(m, "a{sv}");
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		conversation_deinit(&row);
		return r;
	}
	*ret = row;
	return 1;
}

int contact_read(sd_bus_message *m, struct contact *ret)
{
	struct contact row = { 0 };
	const char *jid, *name, *subscription;
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_CONTACT_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "stssu", &jid, &row.mod, &name, &subscription, &row.flags);
	if (r < 0)
		return r;
	row.jid = xstrdup(jid);
	row.name = xstrdup(name);
	row.subscription = xstrdup(subscription);
	r = sd_bus_message_read_strv(m, &row.groups);
	if (r >= 0)
		r = sd_bus_message_skip(m, "a{sv}");
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		contact_deinit(&row);
		return r;
	}
	*ret = row;
	return 1;
}

static int gap_extra(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct gap *row = userdata;

	if (strcmp(key, "after-stanza-id") == 0 && strcmp(contents, "s") == 0)
		return take_string(m, &row->after_stanza_id);
	if (strcmp(key, "before-stanza-id") == 0 && strcmp(contents, "s") == 0)
		return take_string(m, &row->before_stanza_id);
	return 0;
}

int gap_read(sd_bus_message *m, struct gap *ret)
{
	struct gap row = { 0 };
	const char *conversation, *state;
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_GAP_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "tsttxxs", &row.id, &conversation, &row.after_id, &row.before_id, &row.after_us,
				&row.before_us, &state);
	if (r < 0)
		return r;
	row.conversation = xstrdup(conversation);
	row.state = xstrdup(state);
	r = read_extra(m, gap_extra, &row);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		gap_deinit(&row);
		return r;
	}
	fill(&row.after_stanza_id);
	fill(&row.before_stanza_id);
	*ret = row;
	return 1;
}
