/*
 * Who is there and who is typing: what a server tells and nobody keeps. Bounded, for all of it is said by others. Pure,
 * but for memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/hub-send.h"

#define CROWD_PEOPLE_MAX 10000	     /* resources an account; about 3 MB of ordinary ones */
#define CROWD_RESOURCES_MAX 32	     /* of one JID: phone, desktop, web and a few that did not say goodbye */
#define CROWD_STATUS_MAX 1024	     /* bytes of a status text; SHORT_TEXT_MAX of core/message.h */
#define CROWD_TYPING_MAX 256	     /* people typing to one account at a time */
#define CROWD_TYPING_US (INT64_C(30) * 1000000) /* XEP-0085 names 30 s for "paused"; who says nothing for so long stopped */

struct person {
	char *jid; /* full; owned, as the others */
	char *show, *status;
	int64_t priority;
};

struct typist {
	char *conversation; /* bare */
	char *sender;	    /* full */
	uint32_t state;
	int64_t until_us; /* boot clock */
};

struct crowd {
	struct person *people; /* sorted by jid */
	size_t n_people, cap_people;
	struct typist typing[CROWD_TYPING_MAX];
	size_t n_typing;
};

/* Forget everybody. */
void crowd_clear(struct crowd *c);
void crowd_clear_typing(struct crowd *c);
/* ${row}->show "offline": gone. Returns whether anything changed. */
bool crowd_presence(struct crowd *c, const struct presence_row *row);
/* Each resource of ${bare}; a negative value of ${fn} ends it. */
int crowd_of(const struct crowd *c, const char *bare, presence_fn fn, void *userdata);

/* Somebody types, or does not any more (any state but composing). Returns whether anything changed. */
bool crowd_typing(struct crowd *c, const char *conversation, const char *sender, bool composing, uint32_t state,
		  int64_t now_us);
/* The next one whose time is over, taken out: true, and the caller frees both strings. */
bool crowd_expired(struct crowd *c, int64_t now_us, char **ret_conversation, char **ret_sender);
/* When that will be; 0 = nobody types. */
int64_t crowd_next(const struct crowd *c);
int crowd_who_types(const struct crowd *c, typing_fn fn, void *userdata);
