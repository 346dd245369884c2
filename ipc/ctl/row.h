/*
 * Rows of the bus for people and scripts: their JSON (cli.md) and their words. Gaps, which only varvectl lists, too.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ipc/ctl/json.h"
#include "ipc/varve.h"

struct gap {
	uint64_t id, after_id, before_id;
	char *conversation;
	int64_t after_us, before_us;
	char *state;
	char *after_stanza_id, *before_stanza_id;
};

void gap_deinit(struct gap *g);

/* Read the next struct of the array that ${m} is in: 1, 0 at its end, -errno. What was read is the caller's. */
int gap_read(sd_bus_message *m, struct gap *ret);

/* The members, into an object that is open; `last` of a conversation is an object or null. */
void message_json(struct json *j, const struct varve_message *m);
void conversation_json(struct json *j, const struct varve_conversation *c);
void contact_json(struct json *j, const struct varve_contact *c);
/* ${account}: what `archive` says when the gap is one of the account's own archive. */
void gap_json(struct json *j, const struct gap *g, const char *account);

/* Who wrote it, for people: "me", a nick, or the bare JID. The caller frees; not clean. */
char *message_author(const struct varve_message *m);
/* What became of an own message, in few columns: "✓✓ read", "queued"; "" for others. */
const char *message_mark(const struct varve_message *m);
/* What to show as its text: the body, or "[file]", "[could not be decrypted]" ...; not clean. */
const char *message_text(const struct varve_message *m);
/* What stands before and behind it: that it is not what was written but what its client says to others, and that it was edited. */
const char *message_label(const struct varve_message *m);
const char *message_edited(const struct varve_message *m);
