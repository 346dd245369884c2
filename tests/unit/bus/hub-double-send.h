/*
 * The rest of the stand-in: sync/hub-send.h. Messages go into the real outbox, from where nobody takes them; what the
 * engine or the server would answer to the other calls, the test says.
 */
#pragma once

#include "sync/hub-send.h"

/* The next call of hub-send.h (but those that never fail) ends with this, "ok" or a name of hub_double_outcomes. */
void hub_double_outcome(const char *name);
/* What was called last of them, with its arguments; "" at first. */
const char *hub_double_last_send(void);
/* The server answers all requests: ok, remote, offline. */
void hub_double_answer(const char *name);
/* Somebody types; somebody's presence. */
void hub_double_typing(int64_t account, const char *sender, const char *state);
void hub_double_presence(int64_t account, const char *jid, const char *show, const char *status);
