#include "ipc/ctl/hint.h"

#include <string.h>

#include "ipc/ctl/ctl.h"

/* Connecting is refused to one that is disabled. What cannot be told counts as enabled. */
static bool account_enabled(struct ctl *c)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int enabled = 1;

	if (!c->account || varve_call_new(c->varve, varve_account_path(c->account), "org.freedesktop.DBus.Properties", "Get",
					  &m) < 0 ||
	    sd_bus_message_append(m, "ss", VARVE_IFACE_ACCOUNT, "Enabled") < 0 || varve_call(c->varve, m, 0, &reply) < 0 ||
	    sd_bus_message_read(reply, "v", "b", &enabled) < 0)
		return true;
	return enabled;
}

/* The conversation with ${word}@, of the account's own server or of any that is written with; NULL: there is none. */
static char *meant(struct ctl *c, const char *word)
{
	_cleanup_(freep) char *folded = str_fold(word);
	_cleanup_(freep) char *own = xasprintf("%s%s", folded, strchr(c->account_jid, '@'));
	bool known = false, mute = c->mute;

	if (!*word || strpbrk(word, "@.: /"))
		return NULL;
	c->mute = true; /* it is a guess */
	if (ctl_knows(c, own, &known) != EXIT_OK)
		known = false;
	c->mute = mute;
	return known ? xasprintf("did you mean %s?", own) : NULL;
}

char *hint_conversation(struct ctl *c)
{
	char *hint = NULL;

	if (!c->account_jid || !strchr(c->account_jid, '@'))
		return NULL;
	if (ctl_opt(c, IN))
		hint = meant(c, ctl_opt(c, IN));
	for (size_t i = 0; i < c->opts.n_args && !hint && !ctl_opt(c, IN); i++)
		hint = meant(c, c->opts.args[i]);
	return hint ? hint : xstrdup("varvectl ls shows the conversations");
}

char *hint_for(struct ctl *c, const struct failure *f)
{
	switch (exit_code_of(f->name, f->r)) {
	case EXIT_VERSION:
		return xstrdup("varvectl and varved are of different versions; restart varved after an upgrade");
	case EXIT_OFFLINE:
		return xstrdup(account_enabled(c) ? "varvectl account connect, then try again; why it is offline: varvectl status"
						  : "varvectl account enable, then try again");
	case EXIT_NOT_FOUND:
		if (failure_is(f, VARVE_ERROR_NO_SUCH_CONVERSATION))
			return hint_conversation(c);
		if (failure_is(f, VARVE_ERROR_NOT_FOUND) && c->opts.cmd && strstr(c->opts.cmd->synopsis, "ID"))
			return xstrdup(HINT_ID);
		return NULL;
	default:
		if (failure_is(f, VARVE_ERROR_CONFLICT) && ctl_opt(c, ID))
			return xstrdup("the same --id is the same text: leave out of it what changes, or give another --id");
		return NULL;
	}
}
