/*
 * varvectl send: a message into the outbox, and if wanted what becomes of it.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/outgoing.h"

static int goal(struct ctl *c, uint8_t *ret)
{
	const char *text = ctl_opt(c, WAIT_STATE);

	*ret = 0;
	if (!text || strcmp(text, "queued") == 0)
		return EXIT_OK;
	if (strcmp(text, "sent") == 0)
		*ret = VARVE_SENT;
	else if (strcmp(text, "delivered") == 0)
		*ret = VARVE_DELIVERED;
	else
		return ctl_fail(c, EXIT_USAGE, NULL, "--wait=%s: queued, sent or delivered", text);
	return EXIT_OK;
}

static void tell(struct ctl *c, const char *conversation, const char *client_id, uint64_t id, bool existing,
		 uint8_t state)
{
	_cleanup_(json_freep) struct json *j = NULL;

	if (c->json == JSON_OFF) {
		if (c->quiet)
			printf("%llu\n", (unsigned long long)id);
		else
			printf("message %llu: %s%s\n", (unsigned long long)id, varve_state_name(state),
			       existing ? " (it was there already)" : "");
		return;
	}
	j = json_new(stdout, c->json);
	json_object(j, NULL);
	json_uint(j, "id", id);
	json_bool(j, "existing", existing);
	json_string(j, "state", varve_state_name(state));
	json_string(j, "conversation", conversation);
	json_string(j, "client_id", client_id);
	json_object_end(j);
}

int cmd_send(struct ctl *c)
{
	_cleanup_(freep) char *conversation = str_fold(c->opts.args[0]), *client_id = NULL, *text = NULL, *epoch = NULL;
	_cleanup_(freep) char *why = NULL;
	uint64_t reply_to = 0, since = 0, id;
	uint8_t until, state = VARVE_QUEUED;
	bool existing;
	int r = goal(c, &until);

	if (r == EXIT_OK && c->opts.n_args > 2)
		return ctl_fail(c, EXIT_USAGE, "put the text in quotes: varvectl send CONV 'one two'",
				"the text is more than one word of the command line");
	if (r == EXIT_OK && ctl_opt(c, REPLY_TO))
		r = outgoing_id(c, ctl_opt(c, REPLY_TO), &reply_to);
	if (r == EXIT_OK)
		r = outgoing_client_id(c, &client_id);
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r == EXIT_OK)
		r = ctl_check_address(c, conversation);
	if (r == EXIT_OK) /* last: somebody may type it */
		r = outgoing_text(c, c->opts.args[1], &text);
	if (r != EXIT_OK)
		return r;
	/* Before it is sent: whatever happens to it comes after this. */
	r = until ? varve_position(c->account, &epoch, &since) : 0;
	if (r >= 0)
		r = varve_send(c->account, conversation, client_id, text, reply_to, &id, &existing);
	if (r < 0)
		return ctl_fail_call(c, r);
	r = existing || until ? outgoing_state(c, id, &state, &why) : EXIT_OK;
	if (r == EXIT_OK && until && !outgoing_reached(state, until))
		r = outgoing_wait(c, epoch, since, id, until, &state);
	else if (r == EXIT_OK && until)
		r = outgoing_verdict(c, id, state, why);
	if (r == EXIT_OK)
		tell(c, conversation, client_id, id, existing, state);
	return r;
}
