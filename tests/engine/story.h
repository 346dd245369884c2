/*
 * What the engine's stories begin with.
 */
#pragma once

#include "sim.h"

/* Steps of story_begin(): the archive is made. */
#define STORY_STEPS 14

/*
 * Memory for a server and its world. After story_share() it is shared with the processes that are forked from here on, and
 * there is one: a second one, while the first is in use, is private.
 */
struct sim *story_memory(void);
void story_forget(struct sim *s);
/* That memory; not in use. */
struct sim *story_share(void);

/* cmocka's setup and teardown: ${state} is a struct sim, offline, with an empty archive. */
int story_begin(void **state);
int story_end(void **state);

/* Given an account with ${n} messages in the server's archive, online and in sync. */
void given_in_sync(struct sim *s, int n);

/* From here on ${reach} stanzas of what leaves reach the server, and it acknowledges nothing. */
void link_swallows(struct sim *s, int reach);
/* What leaves arrives after SIM_NET_US, and is acknowledged. What was swallowed stays away. */
void link_is_whole(struct sim *s);

/* Until ${n} items have left that are not acknowledged. */
void run_until_gone(struct sim *s, int n);
