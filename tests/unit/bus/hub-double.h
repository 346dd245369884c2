/*
 * A stand-in for sync/hub.c: implements sync/hub.h over a real store, without engines, wires or network. What the
 * engine would do, the test says.
 */
#pragma once

#include "sync/hub.h"

/* The store stays the caller's. Accounts that it holds are loaded. */
struct hub *hub_double_new(sd_event *event, struct store *store);

/* The state that hub_status() tells; change it, then hub_double_tell(). NULL if there is no such account. */
struct account_status *hub_double_status(struct hub *h, int64_t account);
/* The cover that hub_cover() shows; owned by the double. */
struct cover *hub_double_cover(struct hub *h, int64_t account);
/* The gap before span ${span} is being fetched. */
void hub_double_set_fetching(struct hub *h, int64_t account, size_t span);
void hub_double_set_ends(struct hub *h, int64_t account, int64_t start_us, int64_t end_us);
/* What a Fetch of one conversation has come to. */
void hub_double_errand(struct hub *h, int64_t account, enum errand_state state);
/* What Verify began; change it, then hub_double_tell(). */
struct verify *hub_double_verify(struct hub *h, int64_t account);
/* As the hub does: from the event loop, later, merged. */
void hub_double_tell(struct hub *h, enum hub_event event, int64_t account);
void hub_double_set_network(struct hub *h, enum hub_network network);
/* What hub_set_used() said last. */
bool hub_double_used(const struct hub *h);
/* For the double's other files: ${name} (static) was called. */
void hub_double_called(struct hub *h, const char *name);
/* What was called last of connect, disconnect, sync-now, pause, resume, update, and of the keyring; "" at first. */
const char *hub_double_last_call(const struct hub *h);

/* The archive's state as the hub tells it; the store stays open behind it. */
void hub_double_set_state(struct hub *h, enum hub_state state, const char *why);
