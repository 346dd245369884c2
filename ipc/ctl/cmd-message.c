/*
 * varvectl read, edit, retract, react, retry, cancel, delete: what is done to messages that are there.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/hint.h"
#include "ipc/ctl/outgoing.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"

/* "message 5: edited", or {"id":5,"state":...}. */
static int done(struct ctl *c, uint64_t id, const char *what)
{
	_cleanup_(json_freep) struct json *j = NULL;
	uint8_t state;
	int r;

	if (c->json == JSON_OFF) {
		if (!c->quiet)
			printf("message %llu: %s\n", (unsigned long long)id, what);
		return EXIT_OK;
	}
	r = outgoing_state(c, id, &state, NULL);
	if (r != EXIT_OK)
		return r;
	j = json_new(stdout, c->json);
	json_object(j, NULL);
	json_uint(j, "id", id);
	json_string(j, "state", varve_state_name(state));
	json_object_end(j);
	return EXIT_OK;
}

/* The first word is the id of a message; then the account. */
static int begin(struct ctl *c, uint64_t *ret_id)
{
	int r = outgoing_id(c, c->opts.args[0], ret_id);

	return r == EXIT_OK ? ctl_account(c, NULL) : r;
}

static int end(struct ctl *c, int r, uint64_t id, const char *what)
{
	return r < 0 ? ctl_fail_call(c, r) : done(c, id, what);
}

int cmd_edit(struct ctl *c)
{
	_cleanup_(freep) char *client_id = NULL, *text = NULL;
	uint64_t id;
	int r = outgoing_client_id(c, &client_id);

	if (r == EXIT_OK)
		r = begin(c, &id);
	if (r == EXIT_OK)
		r = outgoing_text(c, c->opts.args[1], &text);
	return r == EXIT_OK ? end(c, varve_edit(c->account, id, client_id, text), id, "edited") : r;
}

int cmd_retract(struct ctl *c)
{
	_cleanup_(freep) char *client_id = NULL;
	uint64_t id;
	int r = outgoing_client_id(c, &client_id);

	if (r == EXIT_OK)
		r = begin(c, &id);
	return r == EXIT_OK ? end(c, varve_retract(c->account, id, client_id), id, "retracted") : r;
}

/* No emoji is all ASCII (a keycap is a digit and U+20E3): a word is a mistake, and everybody would see it. */
static bool is_word(const char *s)
{
	while (*s && (unsigned char)*s < 0x80)
		s++;
	return !*s;
}

int cmd_react(struct ctl *c)
{
	size_t n = c->opts.n_args - 1;
	uint64_t id;
	int r;

	for (size_t i = 1; i <= n; i++)
		if (is_word(c->opts.args[i]))
			return ctl_fail(c, EXIT_USAGE, "an answer in words is: varvectl send CONV TEXT --reply-to=ID",
					"\"%s\" is no emoji", c->opts.args[i]);
	r = begin(c, &id);
	if (r != EXIT_OK)
		return r;
	return end(c, varve_react(c->account, id, c->opts.args + 1, n), id, n ? "reaction set" : "no reaction any more");
}

int cmd_retry(struct ctl *c)
{
	uint64_t id;
	int r = begin(c, &id);

	return r == EXIT_OK ? end(c, varve_retry(c->account, id), id, "queued again") : r;
}

int cmd_cancel(struct ctl *c)
{
	uint64_t id;
	int r = begin(c, &id);

	return r == EXIT_OK ? end(c, varve_cancel(c->account, id), id, "cancelled") : r;
}

int cmd_read(struct ctl *c)
{
	_cleanup_(freep) char *conversation = str_fold(c->opts.args[0]), *clean = NULL;
	_cleanup_(json_freep) struct json *j = NULL;
	uint64_t id = 0;
	int r = c->opts.args[1] ? outgoing_id(c, c->opts.args[1], &id) : EXIT_OK;

	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r != EXIT_OK)
		return r;
	r = varve_mark_read(c->account, conversation, id);
	if (r < 0)
		return ctl_fail_call(c, r);
	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_string(j, "conversation", conversation);
		if (id)
			json_uint(j, "up_to_id", id);
		else
			json_null(j, "up_to_id");
		json_object_end(j);
	} else if (!c->quiet) {
		clean = text_clean(conversation, false);
		printf(id ? "%s: read up to %llu\n" : "%s: read\n", clean, (unsigned long long)id);
	}
	return EXIT_OK;
}

/* What is deleted is gone from this machine: asked about, where somebody is there to answer. */
static bool confirmed(struct ctl *c, const char *what)
{
	_cleanup_(freep) char *clean = text_clean(what, false), *question = NULL;

	if (c->quiet || ctl_opt(c, YES) || !term_can_ask())
		return true;
	question = xasprintf("Delete %s from this machine? Others keep theirs.", clean);
	return term_confirm(question);
}

/* DeleteLocal says nothing of ids that do not exist: a typing error would look as if it had been done. */
static int all_there(struct ctl *c, const uint64_t *ids, size_t n)
{
	struct varve_messages *set;
	int r = varve_get_messages(c->account, ids, n, &set);

	if (r < 0)
		return ctl_fail_call(c, r);
	r = EXIT_OK;
	for (size_t i = 0; i < n && r == EXIT_OK; i++) {
		size_t k = 0;

		while (k < varve_messages_count(set) && varve_messages_get(set, k)->id != ids[i])
			k++;
		if (k == varve_messages_count(set))
			r = ctl_fail_as(c, EXIT_NOT_FOUND, VARVE_ERROR_NOT_FOUND, HINT_ID,
					"there is no message %llu: nothing was deleted", (unsigned long long)ids[i]);
	}
	varve_messages_unref(set);
	return r;
}

static int delete_messages(struct ctl *c, size_t n)
{
	_cleanup_(freep) uint64_t *ids = xcalloc(n, sizeof(*ids));
	_cleanup_(freep) char *what = NULL;
	_cleanup_(json_freep) struct json *j = NULL;
	int r;

	for (size_t i = 0; i < n; i++) {
		r = outgoing_id(c, c->opts.args[i], &ids[i]);
		if (r != EXIT_OK)
			return r;
	}
	r = ctl_account(c, NULL);
	if (r != EXIT_OK)
		return r;
	r = all_there(c, ids, n);
	if (r != EXIT_OK)
		return r;
	what = n == 1 ? xasprintf("message %llu", (unsigned long long)ids[0]) : xasprintf("%zu messages", n);
	if (!confirmed(c, what))
		return ctl_fail(c, EXIT_FAIL, NULL, "nothing was deleted");
	r = varve_delete_local(c->account, ids, n);
	if (r < 0)
		return ctl_fail_call(c, r);
	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_array(j, "deleted");
		for (size_t i = 0; i < n; i++)
			json_uint(j, NULL, ids[i]);
		json_array_end(j);
		json_object_end(j);
	} else if (!c->quiet) {
		printf("%s: deleted here\n", what);
	}
	return EXIT_OK;
}

static int delete_conversation(struct ctl *c)
{
	_cleanup_(freep) char *conversation = str_fold(c->opts.args[0]);
	_cleanup_(freep) char *what = xasprintf("all messages of %s", conversation);
	_cleanup_(json_freep) struct json *j = NULL;
	int r = ctl_account(c, NULL);

	if (r != EXIT_OK)
		return r;
	if (!confirmed(c, what))
		return ctl_fail(c, EXIT_FAIL, NULL, "nothing was deleted");
	r = ctl_call(c, VARVE_IFACE_CONVERSATIONS, "Delete", NULL, "sa{sv}", conversation, 0);
	if (r != EXIT_OK)
		return r;
	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_string(j, "conversation", conversation);
		json_object_end(j);
	} else if (!c->quiet) {
		_cleanup_(freep) char *clean = text_clean(conversation, false);

		printf("%s: deleted here\n", clean);
	}
	return EXIT_OK;
}

int cmd_delete(struct ctl *c)
{
	const char *word = c->opts.args[0];

	/* Conversations need no "@": a server, or a contact of a local domain. */
	if (c->opts.n_args == 1 && word[strspn(word, "0123456789")])
		return delete_conversation(c);
	return delete_messages(c, c->opts.n_args);
}
