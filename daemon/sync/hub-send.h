/*
 * What the bus asks of accounts beyond reading: sending, reading marks, conversations, roster, presence. Part of the
 * hub's interface (hub.h): same rules, same text outcomes. Whatever changes the archive is durable when it returns 0.
 */
#pragma once

#include "store/conversation.h" /* struct conversation_change */
#include "store/outbox.h"
#include "sync/hub.h"

/* Outcomes besides those of hub.h. */
enum {
	HUB_E_CONFLICT = 300,
	HUB_E_UNSUITABLE, /* cannot be done with this message */
	HUB_E_REMOTE,	  /* the server refused: *ret_why "condition: text" */
};

/* OUT_TEXT, _CORRECTION, _RETRACTION, _REACTION; see outbox_put(). */
int hub_send(struct hub *h, int64_t account, const struct outgoing *o, int64_t *ret_msg, bool *ret_existing,
	     char **ret_why);
int hub_retry(struct hub *h, int64_t account, int64_t msg, char **ret_why);
int hub_cancel(struct hub *h, int64_t account, int64_t msg, char **ret_why);

/* Read up to ${msg} (0: all); never back. ${marker}: also tell the other side, if configured and asked for. */
int hub_mark_read(struct hub *h, int64_t account, const char *conversation, int64_t msg, bool marker, char **ret_why);

/* A conversation with ${jid} exists from now on, without messages if need be; *ret_id (caller frees): its id. */
int hub_conversation_open(struct hub *h, int64_t account, const char *jid, char **ret_id, char **ret_why);
int hub_conversation_set(struct hub *h, int64_t account, const char *conversation, const struct conversation_change *c,
			 char **ret_why);
/* On this machine: the rows of these messages, of a conversation. The archive's places stay, so they do not come back. */
int hub_delete_messages(struct hub *h, int64_t account, const int64_t *ids, size_t n, char **ret_why);
int hub_delete_conversation(struct hub *h, int64_t account, const char *conversation, char **ret_why);

/* Not kept: nothing happens while offline. */
int hub_set_typing(struct hub *h, int64_t account, const char *conversation, uint32_t chat_state, char **ret_why);
typedef int (*typing_fn)(void *userdata, const char *conversation, const char *sender, uint32_t chat_state);
int hub_typing(struct hub *h, int64_t account, typing_fn fn, void *userdata);

struct presence_row {
	const char *jid;    /* full */
	const char *show;   /* "" away chat dnd xa, "offline" */
	const char *status;
	int64_t priority;
};
typedef int (*presence_fn)(void *userdata, const struct presence_row *row);
/* Every resource of ${bare} that is available; none: fn is not called. */
int hub_presence(struct hub *h, int64_t account, const char *bare, presence_fn fn, void *userdata);
/* Kept, and told again after each new session. show: "" away chat dnd xa. */
int hub_set_presence(struct hub *h, int64_t account, const char *show, const char *status, char **ret_why);
/* Some UI is in front (XEP-0352). */
void hub_set_active(struct hub *h, bool active);
/* An app asks for messages: from here on, for some seconds, pages are stored in small slices. */
void hub_asked(struct hub *h);

/*
 * A request that the server answers (enum link_request_kind): HUB_E_OFFLINE at once, or 0 and later ${done}, once:
 * 0, HUB_E_REMOTE, HUB_E_OFFLINE (the stream ended first: ask again). Never called from inside. hub_request_abandon():
 * no further call with this ${userdata}.
 */
typedef void (*hub_answered_fn)(void *userdata, int r, const char *why);
int hub_request(struct hub *h, int64_t account, uint32_t kind, const char *jid, const char *name, const char *text,
		hub_answered_fn done, void *userdata, char **ret_why);
void hub_request_abandon(struct hub *h, const void *userdata);

/* Ephemeral news, as it comes; lossy. From the loop. Strings die when it returns. */
struct hub_ephemeral {
	void (*typing)(void *userdata, int64_t account, const char *conversation, const char *sender, uint32_t chat_state);
	void (*presence)(void *userdata, int64_t account, const struct presence_row *row);
};
void hub_observe_ephemeral(struct hub *h, const struct hub_ephemeral *fns, void *userdata);
