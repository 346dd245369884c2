/*
 * varvectl keys rotate: a new master key, and which keys end with the old one.
 */
#include <signal.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/secret.h"
#include "ipc/ctl/slots.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"

static void rotating(struct ctl *c, void *userdata)
{
	const int64_t *began = userdata;
	_cleanup_(freep) char *line = NULL;
	char span[TIME_HUMAN_SIZE];

	if (c->quiet || c->json != JSON_OFF)
		return;
	line = xasprintf("writing the archive anew under a new key  %s", time_span(now_mono() - *began, span));
	term_progress(line);
}

/* The daemon gives the copy up when we go, unless it is complete and only has to take the place of the old one. */
static void on_interrupt(int sig)
{
	static const char text[] = "\nvarvectl: interrupted; the archive keeps its old master key and all of its keys, "
				   "unless it was done already\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(128 + sig);
	raise(sig); /* SA_RESETHAND: now it ends us */
}

static int send_rotate(struct ctl *c, const char *passphrase, uint32_t *ret_dropped)
{
	struct sigaction act = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, old;
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int64_t began = now_mono();
	int r = varve_call_new(c->varve, VARVE_PATH, VARVE_IFACE_KEYRING, "Rotate", &m);

	if (r >= 0)
		r = sd_bus_message_sensitive(m);
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', passphrase ? passphrase : "",
						passphrase ? strlen(passphrase) : 0);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r < 0)
		return ctl_fail(c, EXIT_FAIL, NULL, "out of memory");
	sigaction(SIGINT, &act, &old);
	r = ctl_send_long(c, m, 0, rotating, &began, &reply);
	sigaction(SIGINT, &old, NULL);
	if (r == EXIT_OK && sd_bus_message_read(reply, "u", ret_dropped) < 0)
		r = ctl_bad_reply(c, "Rotate");
	return r;
}

/*
 * What cannot be wrapped for the new master key, because its secret is not at hand: recovery codes, key files and
 * credentials that open nothing now, and all passphrases but the first, which is asked for.
 */
static bool ends(const struct slot *s, const void *userdata)
{
	const struct slots *all = userdata;

	if (strcmp(s->type, SLOT_RECOVERY) == 0)
		return true;
	if (strcmp(s->type, SLOT_PASSPHRASE) != 0)
		return *s->problem != '\0';
	for (const struct slot *first = all->slot; first < s; first++)
		if (strcmp(first->type, SLOT_PASSPHRASE) == 0)
			return true;
	return false;
}

static bool is_gone(const struct slot *s, const void *userdata)
{
	const struct slots *after = userdata;

	for (size_t i = 0; i < after->n; i++)
		if (after->slot[i].id == s->id)
			return false;
	return true;
}

/* A code on paper that no longer opens anything is found out on the worst of days: nobody loses one unasked. */
static int confirm(struct ctl *c, const struct slots *slots)
{
	_cleanup_(freep) char *list = slots_describe(slots, " and ", ends, slots), *text = NULL, *clean = NULL;

	if (!list || ctl_opt(c, YES))
		return EXIT_OK;
	if (!term_can_ask())
		return ctl_fail(c, EXIT_USAGE, "varvectl keys rotate --yes",
				"what would end with the old master key: %s; nothing was changed", list);
	text = xasprintf("What ends with the old master key, and has to be made anew: %s.\nGo on?", list);
	clean = text_clean(text, true);
	if (term_confirm(clean))
		return EXIT_OK;
	return ctl_fail(c, EXIT_FAIL, NULL, "nothing was changed");
}

static void put_ended(struct json *j, const struct slots *before, const struct slots *after)
{
	json_array(j, "ended");
	for (size_t i = 0; after && i < before->n; i++)
		if (is_gone(&before->slot[i], after))
			slot_json(j, &before->slot[i]);
	json_array_end(j);
}

/* ${after}: NULL when the daemon could not say. */
static void tell(struct ctl *c, const struct slots *before, const struct slots *after, uint32_t dropped)
{
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *list = NULL, *text = NULL, *clean = NULL;
	bool code = slots_count(before, SLOT_RECOVERY);

	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_uint(j, "dropped", dropped);
		put_ended(j, before, after);
		json_object_end(j);
		return;
	}
	if (!c->quiet)
		puts("The archive has a new master key.");
	if (!dropped) /* what ended is told even with --quiet */
		return;
	list = after ? slots_describe(before, " and ", is_gone, after) : NULL;
	text = list ? xasprintf("Ended with the old one: %s.%s", list,
				code ? " Make a new code: varvectl keys add recovery" : "")
		    : xasprintf("%u key%s ended with the old one. What is left: varvectl keys list", dropped,
				dropped == 1 ? "" : "s");
	clean = text_clean(text, false);
	term_put(stdout, COLOR_OFF, clean, 0, 4);
}

int cmd_keys_rotate(struct ctl *c)
{
	_cleanup_(slots_deinit) struct slots before = { 0 }, after = { 0 };
	char *passphrase = NULL;
	uint32_t dropped = 0;
	int r = ctl_ready(c);

	if (r == EXIT_OK)
		r = slots_get(c, &before);
	if (r == EXIT_OK && slots_count(&before, SLOT_PASSPHRASE))
		r = secret_possible(c, "the passphrase");
	if (r == EXIT_OK)
		r = confirm(c, &before);
	if (r == EXIT_OK && slots_count(&before, SLOT_PASSPHRASE))
		r = secret_get(c, "the passphrase", "Passphrase: ", &passphrase);
	if (r == EXIT_OK)
		r = send_rotate(c, passphrase, &dropped);
	secret_free(passphrase);
	if (r != EXIT_OK)
		return r;
	c->mute = true; /* it is done; that the list cannot be had is no failure of it */
	r = slots_get(c, &after);
	c->mute = false;
	tell(c, &before, r == EXIT_OK ? &after : NULL, dropped);
	return EXIT_OK;
}
