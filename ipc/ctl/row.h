/*
 * The rows of the bus (org.varve.Varve1.xml: M, C, R, G) as structs, and their JSON (cli.md).
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ipc/ctl/json.h"

struct reaction {
	char *sender;
	char **emoji; /* NULL-terminated */
};

/* Owns its strings; "" is absent, never NULL. */
struct message {
	uint64_t id, mod;
	char *conversation, *sender, *kind, *body;
	int64_t time_us, edited_us;
	uint8_t direction, state;
	char *stanza_id, *origin_id, *xmpp_id, *nick, *encryption, *error, *error_text;
	uint64_t reply_to;
	struct reaction *reactions;
	size_t n_reactions;
};

struct conversation {
	char *id, *kind, *title;
	uint64_t mod, first_unread;
	int64_t activity_us;
	uint32_t unread, mentions, flags;
	struct message last; /* id 0: none */
};

struct contact {
	char *jid, *name, *subscription;
	uint64_t mod;
	uint32_t flags;
	char **groups;
};

struct gap {
	uint64_t id, after_id, before_id;
	char *conversation;
	int64_t after_us, before_us;
	char *state;
	char *after_stanza_id, *before_stanza_id;
};

void message_deinit(struct message *m);
void conversation_deinit(struct conversation *c);
void contact_deinit(struct contact *c);
void gap_deinit(struct gap *g);

/* Read the next struct of the array that ${m} is in: 1, 0 at its end, -errno. What was read is the caller's. */
int message_read(sd_bus_message *m, struct message *ret);
int conversation_read(sd_bus_message *m, struct conversation *ret);
int contact_read(sd_bus_message *m, struct contact *ret);
int gap_read(sd_bus_message *m, struct gap *ret);

/* "received" ... "cancelled"; "unknown" for a number that this version does not know. */
const char *message_state_name(uint8_t state);

/* The members, into an object that is open; `last` of a conversation is an object or null. */
void message_json(struct json *j, const struct message *m);
void conversation_json(struct json *j, const struct conversation *c);
void contact_json(struct json *j, const struct contact *c);
/* ${account}: what `archive` says when the gap is one of the account's own archive. */
void gap_json(struct json *j, const struct gap *g, const char *account);

/* Who wrote it, for people: "me", a nick, or the bare JID. The caller frees; not clean. */
char *message_author(const struct message *m);
/* What to show as its text: the body, or "[file]", "[could not be decrypted]" ...; not clean. */
const char *message_text(const struct message *m);
