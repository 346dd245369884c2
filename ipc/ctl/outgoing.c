#include "ipc/ctl/outgoing.h"

#include <errno.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/hint.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/value.h"

#define CLIENT_ID_MAX 128 /* bytes: org.varve.Varve1.xml, Send */
#define LOOK_US (1 * (uint64_t)USEC_PER_SEC) /* between looks at the account while nothing is heard */
#define STUCK_US (5 * USEC_PER_SEC) /* offline for so long with no attempt planned and no reason: it stays so */

int outgoing_id(struct ctl *c, const char *word, uint64_t *ret)
{
	if (parse_u64(word, ret) == 0 && *ret > 0)
		return EXIT_OK;
	return ctl_fail(c, EXIT_USAGE, HINT_ID, "\"%s\" is not the id of a message", word);
}

/* Up to TEXT_MAX + 1 bytes of ${f}. */
static char *read_all(FILE *f, size_t *ret_len)
{
	char *text = xcalloc(TEXT_MAX + 2, 1);

	*ret_len = fread(text, 1, TEXT_MAX + 1, f);
	return text;
}

int outgoing_text(struct ctl *c, const char *word, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t len;

	if (word && strcmp(word, "-") != 0) {
		text = xstrdup(word);
		len = strlen(text);
	} else {
		if (term_is_tty(stdin) && term_is_tty(stderr) && !c->quiet)
			fputs("Type the message; Ctrl-D on an empty line sends it, Ctrl-C does not.\n", stderr);
		text = read_all(stdin, &len);
		if (ferror(stdin))
			return ctl_fail(c, EXIT_FAIL, NULL, "cannot read the text: %s", strerror(errno));
		if (strlen(text) != len)
			return ctl_fail(c, EXIT_USAGE, NULL, "the text holds a NUL byte");
		if (len > 0 && text[len - 1] == '\n')
			text[--len] = '\0';
	}
	if (len == 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "the text is empty");
	if (len > TEXT_MAX)
		return ctl_fail(c, EXIT_USAGE, "send it in parts", "the text is longer than %d bytes", TEXT_MAX);
	*ret = text;
	text = NULL;
	return EXIT_OK;
}

int outgoing_client_id(struct ctl *c, char **ret)
{
	const char *given = ctl_opt(c, ID);
	char made[VARVE_ID_SIZE];

	if (given && (!*given || strlen(given) > CLIENT_ID_MAX))
		return ctl_fail(c, EXIT_USAGE, NULL, "--id=%s: a key of 1 to %d bytes", given, CLIENT_ID_MAX);
	for (const char *p = given; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return ctl_fail(c, EXIT_USAGE, NULL, "--id has a control character in it");
	if (!given && varve_new_id(made) < 0)
		return ctl_fail(c, EXIT_FAIL, "give it a key: --id=KEY", "cannot make a random id");
	*ret = xstrdup(given ? given : made);
	return EXIT_OK;
}

int outgoing_state(struct ctl *c, uint64_t id, uint8_t *ret_state, char **ret_why)
{
	struct varve_messages *set;
	const struct varve_message *m;
	int r = varve_get_messages(c->account, &id, 1, &set);

	if (r < 0)
		return ctl_fail_call(c, r);
	m = varve_messages_get(set, 0);
	if (m) {
		*ret_state = m->state;
		if (ret_why)
			*ret_why = xstrdup(*m->error_text ? m->error_text : m->error);
	}
	r = m ? EXIT_OK
	      : ctl_fail_as(c, EXIT_NOT_FOUND, VARVE_ERROR_NOT_FOUND, NULL, "there is no message %llu",
			    (unsigned long long)id);
	varve_messages_unref(set);
	return r;
}

bool outgoing_reached(uint8_t state, uint8_t goal)
{
	return state >= goal; /* failed and cancelled are ends, and higher than all */
}

struct waiting {
	struct ctl *c;
	uint64_t id;
	uint8_t goal, state;
	bool over;
	char *why;
	int code; /* of trouble */
};

static int on_event(void *userdata, const struct varve_event *e)
{
	struct waiting *w = userdata;

	if (e->kind == VARVE_EVENT_TROUBLE) {
		w->code = ctl_fail_call(w->c, e->r);
		w->over = true;
		return -ECANCELED;
	}
	if (e->kind != VARVE_EVENT_MESSAGE || e->message->id != w->id)
		return 0;
	w->state = e->message->state;
	free(w->why);
	w->why = xstrdup(*e->message->error_text ? e->message->error_text : e->message->error);
	w->over = outgoing_reached(w->state, w->goal);
	return w->over ? -ECANCELED : 0;
}

/* Will the account come online by itself? EXIT_OK, or why not: told. */
static int hopeful(struct ctl *c, uint64_t id, int64_t *stuck_since)
{
	_cleanup_(value_freep) struct value *status = NULL;
	const struct value *a;
	const char *state, *reason, *next;
	int r = value_status(c, &status);

	if (r != EXIT_OK)
		return r;
	a = show_find(status, c->account_jid);
	state = value_str(a, "state");
	reason = value_str(a, "state_reason");
	if (strcmp(state, "disabled") == 0)
		next = "varvectl account enable";
	else if (strcmp(state, "auth-failed") == 0)
		next = "varvectl account password";
	else if (strcmp(state, "offline") == 0 && value_int(a, "next_retry_usec") == 0)
		next = "varvectl account connect";
	else {
		*stuck_since = 0;
		return EXIT_OK;
	}
	if (*stuck_since == 0)
		*stuck_since = now_mono();
	if (strcmp(state, "offline") == 0 && !*reason && now_mono() - *stuck_since < STUCK_US)
		return EXIT_OK;
	return ctl_fail(c, EXIT_OFFLINE, next, "message %llu is queued and goes out when %s is online; it is %s%s%s",
			(unsigned long long)id, c->account_jid, state, *reason ? ": " : "", reason);
}

int outgoing_verdict(struct ctl *c, uint64_t id, uint8_t state, const char *why)
{
	_cleanup_(freep) char *hint = NULL;

	if (state == VARVE_FAILED) {
		hint = xasprintf("varvectl retry %llu", (unsigned long long)id);
		return ctl_fail(c, EXIT_REMOTE, hint, "message %llu was not delivered%s%s", (unsigned long long)id,
				why && *why ? ": " : "", why ? why : "");
	}
	if (state == VARVE_CANCELLED)
		return ctl_fail_as(c, EXIT_FAIL, VARVE_ERROR_CANCELLED, NULL, "message %llu was cancelled",
				   (unsigned long long)id);
	return EXIT_OK;
}

static int too_late(struct waiting *w)
{
	_cleanup_(freep) char *hint = NULL;

	hint = xasprintf("%s; do not send it again%s",
			 w->state < VARVE_SENT ? "it goes out all the same, varvectl status says what it waits for"
					       : "the server has it; not every client tells when it arrives",
			 ctl_opt(w->c, ID) ? " without the same --id" : "");
	return ctl_fail(w->c, EXIT_TIMEOUT, hint, "message %llu is %s, and not yet %s", (unsigned long long)w->id,
			varve_state_name(w->state), varve_state_name(w->goal));
}

static int wait_for(struct waiting *w)
{
	struct ctl *c = w->c;
	int64_t deadline = c->timeout_us ? now_mono() + (int64_t)c->timeout_us : INT64_MAX, stuck = 0;

	while (!w->over) {
		int64_t left = deadline - now_mono();
		int r;

		if (left <= 0)
			return too_late(w);
		r = varve_wait(c->varve, (uint64_t)left < LOOK_US ? (uint64_t)left : LOOK_US);
		if (r == 0 && w->state < VARVE_SENT) {
			r = hopeful(c, w->id, &stuck);
			if (r != EXIT_OK)
				return r;
		}
	}
	return EXIT_OK;
}

int outgoing_wait(struct ctl *c, const char *epoch, uint64_t since, uint64_t id, uint8_t goal, uint8_t *ret_state)
{
	struct waiting w = { .c = c, .id = id, .goal = goal, .state = VARVE_QUEUED };
	struct varve_follow *follow;
	int64_t stuck = 0;
	int r = varve_follow(c->account, epoch, since, 0, on_event, &w, &follow);

	if (r < 0)
		return ctl_fail_call(c, r);
	r = hopeful(c, id, &stuck);
	if (r == EXIT_OK)
		r = wait_for(&w);
	if (r == EXIT_OK)
		r = w.code != EXIT_OK ? w.code : outgoing_verdict(c, id, w.state, w.why);
	if (r == EXIT_OK)
		*ret_state = w.state;
	if (!w.over)
		varve_follow_free(follow);
	free(w.why);
	return r;
}
