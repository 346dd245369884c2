/*
 * A question to the archive: what was asked, the page as far as it has come in, and, once it is whole, how much of it
 * is still to be stored. Owned by a list of the engine: asked (on their way) or whole (in the order they came).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cover.h"
#include "core/message.h"
#include "core/plan.h"
#include "link/vocab.h"

enum query_use {
	FOR_PLAN,   /* what is missing: core/plan.h; ${step} says what */
	FOR_VERIFY, /* core/verify.h */
	FOR_ERRAND, /* one conversation, for somebody who waits: sync/errand.c */
};

struct query {
	struct query *next;
	uint32_t id;
	enum query_use use;
	char *with;	  /* one conversation, "" = all */
	uint32_t errand;
	enum plan_step step;
	char *above_id;	  /* PLAN_BEFORE: first id of the span when asked; later the first id already stored of the page */
	int64_t above_us; /* ... and its stamp when asked */
	char *below_id;	  /* PLAN_CUT: id below the gap, "" = the past */
	char *cursor;	  /* what was asked from */
	int64_t start_us, end_us; /* bounds that were asked with */
	int64_t after_us; /* PLAN_BEFORE: the stamp of what lies below */
	bool by_time;
	bool run;	  /* that span was a run of live messages */
	uint32_t max;	  /* messages that were asked for */
	int64_t asked_us; /* boot clock */
	int64_t deadline_us;
	struct message **items; /* owned copies, as they came */
	uint32_t *numbers;	/* their stanza numbers */
	int64_t *stamps;	/* of the items as they came, 0 = none: what coverage may believe */
	size_t n, cap, bytes;
	/* the answer */
	bool complete;
	uint32_t fin_n;
	char *first, *last; /* RSM's ends */
	bool sliced;	    /* some of it is stored */
	int64_t unsettled_us; /* the server says that it may change, down to here (core/recheck.h); 0 = it is settled */
};

/* A question beside the plan, which moves no coverage. */
struct query *query_new_aside(uint32_t id, enum query_use use, const char *with, const char *cursor, int64_t start_us,
			      int64_t end_us);
/* What ${p} asks; ${cover} is what it was made from. */
struct query *query_new(uint32_t id, const struct plan *p, const struct cover *cover);
struct query *query_free(struct query *q);
/* Asked for what lies below an id, not below a stamp: the archive may say that it does not know that id. */
bool query_is_below_id(const struct query *q);
/*
 * A page that is asked for backward comes oldest message first, and with that one the next page begins: it may be asked for
 * before the rest of this one is here. Not where the page seems to reach the span below, or nothing is below it.
 */
bool query_shows_next(const struct query *q);
/* Append a copy of ${m}, which counts as stanza ${n} (0 = not counted). */
void query_add(struct query *q, const struct message *m, uint32_t n);
/*
 * The answer is whole. A result over a limit of the wire may have lost its stamp: the item gets its neighbour's, so
 * that its place and its time are about right; coverage goes on without.
 */
void query_finish(struct query *q, const struct link_fin *f);
/*
 * The messages [from, n) as coverage sees them; with from 0 the ends that had no message inside, which are in RSM's
 * first and last alone, are part of it. ${items} is the caller's to free, its ids are views.
 */
struct cover_page query_page(const struct query *q, size_t from, struct cover_item **ret_items);
/* Message ${i} gets another archive id. Views of the old one end. */
void query_rename(struct query *q, size_t i, const char *id);
/* Forget the oldest messages, those before ${to}: the page begins with that one. */
void query_drop_before(struct query *q, size_t to);
/* The newest messages from ${from} on are dealt with: free them; the page above now begins with the first of them. */
void query_cut_at(struct query *q, size_t from);

/* Lists. take: unlink and return the one with this id, NULL if there is none. */
void query_push(struct query **list, struct query *q); /* at the end */
struct query *query_find(struct query *list, uint32_t id);
struct query *query_take(struct query **list, uint32_t id);
size_t query_count(const struct query *list);
