/*
 * What all suites of the outbox share: calls of store/outbox.h, each in a transaction of its own, that fail the test where
 * they fail; and what waits, as one string.
 */
#pragma once

#include "base/buf.h"
#include "fixture.h"
#include "store/outbox.h"

struct put_result_of {
	int r;
	int64_t msg;
	bool existing;
};

/* outbox_put(), whatever comes of it; a second passes. */
struct put_result_of put(struct fx *fx, struct outgoing o);
/* A text that must be taken, to ${to} or to Bob; returns its row. */
int64_t send_to(struct fx *fx, const char *to, const char *id, const char *body);
int64_t send_text(struct fx *fx, const char *id, const char *body);
/* What is said about the message in row ${msg}; ${text} serves as text and as emojis. */
struct put_result_of about(struct fx *fx, enum out_kind kind, int64_t msg, const char *id, const char *text);

/* For outbox_next(): the items that it shows as "kind:id>target=body" and so on, separated by spaces. */
struct seen {
	struct buf text;
	int64_t last, last_seq;
};
int see(void *userdata, const struct out_item *i);
/* What may go out now; valid until the next call. */
const char *next(struct fx *fx);

/* For outbox_next() too: the ids of what may go out, the first ones. */
struct ids {
	int64_t id[64];
	size_t n;
};
int keep_id(void *userdata, const struct out_item *i);
struct ids items(struct fx *fx);

/* Number the first ${n} items that may go out, from ${first} on. */
void number(struct fx *fx, size_t n, uint32_t first, const char *anchor);
/* The number of items that are done by it. */
size_t ack(struct fx *fx, uint32_t n);
void lose(struct fx *fx, bool has_h, uint32_t h);
size_t doubt_over(struct fx *fx);
/* Outcomes of outbox_retry() and outbox_cancel(). */
int retry(struct fx *fx, int64_t msg);
int cancel(struct fx *fx, int64_t msg);

/* "queued sending doubt failed"; valid until the next call. */
const char *counts(struct fx *fx);
/* Of the row with this body: enum message_state. */
uint32_t state_of(struct fx *fx, const char *body);

/* Our own stanza as archive or carbon bring it. */
struct message copy_of(const char *id, const char *body);
/* The answer to ${id} that nobody could be reached. */
struct message error_of(const char *id);
