/*
 * What a connection holds for as long as it is there: what it looks at, that somebody looks at it, where it types
 * (facts/ipc.md section 2.1 no. 6).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "base/mem.h"
#include "sync/hub.h"

#define INTEREST_CONVERSATIONS_MAX 500 /* names of one connection; as many as a page has */
#define INTEREST_BYTES_MAX (64 * 1024) /* of them in all: 500 addresses of 130 bytes. They are kept, of 160 connections, for any role */
#define LEASE_TYPING_MAX 16	       /* conversations that one connection types in at a time: windows on a screen */

/* Bits of kinds, in the words of Changes. */
enum interest_kind {
	INTEREST_MESSAGE = 1,
	INTEREST_CONVERSATION = 2,
	INTEREST_CONTACT = 4,
	INTEREST_REMOVED = 8,
	INTEREST_ALL = 15,
};

struct interest {
	char **conversations; /* sorted; NULL: all */
	size_t n_conversations;
	uint32_t kinds;	      /* enum interest_kind */
	bool ephemeral, active;
};

/* Doorbells are not for every change. */
bool interest_is_narrow(const struct interest *i);
bool interest_has_conversation(const struct interest *i, const char *conversation);

/*
 * Which of ${n} narrow interests are met by what the feed of ${account} has since *since, which goes on to its end:
 * ret_hit[k] is set for those. All of them when there is more than a page: looking would cost more than ringing.
 */
void interest_look(struct store *s, int64_t account, uint64_t *since, const struct interest *const *of, size_t n,
		   bool *ret_hit);

/* How many connections are active; shared by all. */
struct actives {
	struct hub *hub;
	size_t n;
};

/*
 * Who uses the archive: each connection that may write, once it has called something that needs more than the role status, and
 * each running job that outlives its connection; shared by all. None left, and the archive may lock itself.
 */
struct users {
	struct hub *hub;
	size_t n;
};
void users_come(struct users *u);
void users_go(struct users *u);

struct lease;
struct lease *lease_new(struct actives *actives);
/* Says to the servers and to whom it types to that it is gone. */
struct lease *lease_free(struct lease *l);
DEFINE_CLEANUP(struct lease *, lease_free);
const struct interest *lease_interest(const struct lease *l);

/* Handlers; userdata is the struct conn. */
int lease_set_interest(sd_bus_message *call, void *userdata, sd_bus_error *error);
int lease_set_typing(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* "composing" ...; static. NULL for what is none. */
const char *typing_name(uint32_t chat_state);
