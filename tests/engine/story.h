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

#define MS INT64_C(1000)
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
/* A page below the newest one is whole, and nothing of it stored. */
void a_page_of_history_comes(struct sim *s);
/* Online, and in sync within ten minutes. */
void comes_in_sync(struct sim *s);
/* Online for so long that nobody is to blame for what comes. */
void given_long_online(struct sim *s);
/* A subscription of ours, as the roster tells it. */
void given_contact(struct sim *s, const char *jid, const char *subscription);
/* The server behaves like Prosody, or like ejabberd, where ids have expired, and in its stamps. */
void server_is(struct sim *s, bool prosody);
/* The link breaks, and the session with it. */
void session_is_lost(struct sim *s);
/* Away for ${us}: the session is gone, and ${n} messages of ${contacts} contacts came, evenly. Offline still. */
void away(struct sim *s, int64_t us, int n, int contacts);
/* Connects; until the newest page of what was missed is here, and nothing else. */
void until_a_hole_is_open(struct sim *s);
/* engine_status(): gaps that are not lost; the state's name, valid until the next call. */
uint32_t open_gaps(struct sim *s);
const char *state_of(struct sim *s);
/* sim_expect_all(), after all is quiet and the places of what we sent are known. */
void expect_all_when_quiet(struct sim *s);
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

/* Text number ${n} to ${to}: its id is "m${n}". Returns its row. */
int64_t send_n(struct sim *s, const char *to, int n);
/* Texts 0 to ${n} - 1 to BOB have left; ${reach} stanzas of what left arrive, and nobody says so. */
void given_gone(struct sim *s, int n, int reach);
/* Texts 0 to ${n} - 1 are at the receiver, once and in order, and no others. */
void expect_sent(struct sim *s, int n);

/* Records of the wire: the server owes an answer; it gave one, to PROBE number ${probe} (0: to what it owed). */
void says_silent(struct sim *s);
void says_alive(struct sim *s, uint32_t probe);
