/*
 * Push services (XEP-0357) of an account: the one that its user wants, and those that its server has still to be told to
 * forget. Each has a node of its own, random and kept: it says nothing of whose it is, and two services have nothing by
 * which to compare. Writes need an open transaction (store.h).
 */
#pragma once

#include <stddef.h>

#include "store/store.h"

#define PUSH_GOING_MAX 8 /* services that wait to be forgotten: nobody changes his mind more often while offline */

enum push_state {    /* numbers of the format: store/schema.c */
	PUSH_WANTED,  /* the server has not answered in this session */
	PUSH_ENABLED,
	PUSH_REFUSED,
	PUSH_GOING,   /* no longer wanted, and the server may have it */
};

/* Strings are owned by the struct, "" = absent, never NULL. */
struct push {
	char *service; /* JID without a resource, folded */
	char *node;
	uint32_t state; /* enum push_state */
	char *reason;	/* of PUSH_REFUSED: what the server said */
};

void push_deinit(struct push *p);

/* *ret is an array of *ret_n, those that go first, each with push_deinit() to do, the array with free(). */
int push_list(struct store *s, int64_t account, struct push **ret, size_t *ret_n);
/*
 * ${service} is the one that is wanted from here on, "" = none; what it was before goes. PUSH_E_LIMIT: PUSH_GOING_MAX
 * wait to go already, nothing may be committed then.
 */
enum { PUSH_E_LIMIT = 1 };
int push_want(struct store *s, int64_t account, const char *service);
/* What became of ${p}->service: state and reason. */
int push_put(struct store *s, int64_t account, const struct push *p);
/* The server has forgotten it, or never had it. */
int push_drop(struct store *s, int64_t account, const char *service);
/* What the server said in the session before is void. */
int push_session_lost(struct store *s, int64_t account);
