/*
 * What the engine's stories begin with, and the sentences that many of them have.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

#define HOUR (INT64_C(3600) * SIM_SEC)
#define DAY (24 * HOUR)
#define BOB "bob@sim.test"

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
/* A row of the table of stories. */
#define STORY(name) cmocka_unit_test_setup_teardown(name, story_begin, story_end)

/* Given an account with ${n} messages in the server's archive, online and in sync. */
void given_in_sync(struct sim *s, int n);
/* Online, and in sync within ten minutes. */
void comes_in_sync(struct sim *s);
/* The link breaks, and the session with it. */
void session_is_lost(struct sim *s);
/* Until the errand ${id} has ended, for at most a minute: how it stands then. */
enum errand_state errand_ends(struct sim *s, uint32_t id);
/* Verified to the end, within ten minutes: engine_verify(). The engine's. */
const struct verify_tally *verified(struct sim *s, const char *with, int64_t since_us);

/* From here on ${reach} stanzas of what leaves reach the server, and it acknowledges nothing. */
void link_swallows(struct sim *s, int reach);
/* What leaves arrives after SIM_NET_US, and is acknowledged. What was swallowed stays away. */
void link_is_whole(struct sim *s);

/* Until ${n} items have left that are not acknowledged. */
void run_until_gone(struct sim *s, int n);
