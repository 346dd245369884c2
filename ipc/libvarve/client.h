/*
 * Inside libvarve: the connection, and the questions under way on it.
 *
 *               dial, authenticate, Ping (the first message never carries a file descriptor)
 *     AWAY  ------------------------------------------------------------------------------->  READY
 *       ^                                                                                        |
 *       +--------------------------- sd-bus says Disconnected, or a call finds it so <-----------+
 *
 * AWAY has no sd_bus. The foreground (varve_open(), any call) goes through in one blocking step; the background
 * (followers, varve_on_connection()) goes by a timer of the own sd_event, which all of this hangs from: its epoll
 * descriptor is what foreign loops watch, so it stays the same when connections come and go.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "ipc/varve.h"

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void unref_message(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

struct varve {
	sd_event *event;
	sd_bus *bus;	  /* NULL: AWAY */
	bool ready;	  /* the Ping was answered */
	sd_bus_slot *ping; /* of the background */
	char *path;
	uint64_t timeout_us;
	int kick_fd; /* makes the epoll descriptor readable when there is work that no descriptor shows */
	sd_event_source *kick, *retry;
	uint64_t retry_us;
	sd_event *outer; /* varve_attach_event() */
	sd_event_source *outer_io;
	char *errname, *errmsg;
	struct varve_slot *slots;   /* under way */
	struct varve_slot *failed;  /* their connection went: to be told */
	struct varve_follow *follows;
	varve_connection_fn on_connection;
	void *connection_userdata;
	varve_signal_fn on_signal;
	void *signal_userdata;
	uint64_t news; /* counts what varve_wait() returns for */
	bool gone;     /* lost, and on_connection() has not heard of it */
	bool told_ready;
	unsigned refs; /* the owner, and everybody on the stack */
	bool closed, processing;
};

struct varve_account {
	struct varve *varve;
	char *jid, *path;
};

typedef void (*slot_fn)(struct varve_slot *s, int r, sd_bus_message *reply);

struct varve_slot {
	struct varve *varve; /* NULL: done */
	struct varve_slot *next;
	sd_bus_slot *bus_slot;
	slot_fn fn;	    /* turns the reply into what ${user} wants */
	void (*user)(void); /* the caller's function */
	void *userdata;
	bool owned; /* somebody has it: not freed when done */
};

/* errors.c: remember a failure; they return it. ${r} is a negative errno. */
int varve__fail(struct varve *v, int r, const char *name, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int varve__fail_bus(struct varve *v, const sd_bus_error *error, int r);
int varve__fail_reply(struct varve *v, const char *member); /* -EBADMSG */
int varve__fail_args(struct varve *v, int r); /* what sd_bus_message_append() said */

/* client.c */
int varve__client_ready(struct varve *v); /* connect in the foreground unless connected */
void varve__client_kick(struct varve *v);
void varve__client_seek(struct varve *v); /* in the background */
/* The bus goes; what was asked on it is told as failed by the next varve_process(). */
void varve__client_drop(struct varve *v);
/* One of ${refs} goes; the last frees it. */
void varve__client_unref(struct varve *v);
uint64_t varve__client_now_us(void); /* CLOCK_MONOTONIC */

/* A method of the account. */
int varve__account_call_new(struct varve_account *a, const char *interface, const char *member, sd_bus_message **ret);
/* The same with arguments, and its answer; *ret_reply may be NULL. */
int varve__account_call(struct varve_account *a, const char *interface, const char *member,
			sd_bus_message **ret_reply, const char *types, ...);
/* ${user} with ${userdata}, by ${fn}, when the answer is there. Takes ${m}. */
int varve__call_async(struct varve *v, sd_bus_message *m, uint64_t timeout_us, slot_fn fn, void (*user)(void),
		      void *userdata, struct varve_slot **ret_slot);

/* Its answer is here: tell, and free it unless it is owned. ${s} is in no list any more. */
void varve__call_done(struct varve_slot *s, int r, sd_bus_message *reply);

/* write.c: {KEY: <as>} of an a{sv}; ${list} is NULL-terminated. */
int varve__append_strings_option(sd_bus_message *m, const char *key, const char *const *list);

/* rows.c: one struct of the array that ${m} is in: 1, 0 at its end, -errno. */
struct conversation_box {
	struct varve_conversation row;
	struct varve_message last;
};
int varve__message_take(sd_bus_message *m, struct varve_message *ret);
void varve__message_clear(struct varve_message *row);
int varve__conversation_take(sd_bus_message *m, struct conversation_box *ret);
void varve__conversation_clear(struct conversation_box *box);
int varve__contact_take(sd_bus_message *m, struct varve_contact *ret);
void varve__contact_clear(struct varve_contact *row);
/* sets.c: what follows the rows in an answer. */
int varve__read_history(sd_bus_message *m, struct varve_messages **ret);
int varve__read_search(sd_bus_message *m, struct varve_messages **ret);
int varve__read_conversation_list(sd_bus_message *m, struct varve_conversations **ret);
int varve__read_contact_list(sd_bus_message *m, struct varve_contacts **ret);

/* follow.c: what the connection tells its followers. */
void varve__follow_connected(struct varve *v);
void varve__follow_signal(struct varve *v, sd_bus_message *m);
