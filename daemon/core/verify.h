/*
 * Verifying: walk what coverage claims once more, newest first, page by page, and compare ids with the server's archive
 * (A11). The walk begins at the newest message that a page has proven and ends where coverage begins, or at a time that
 * was asked for. Pure: says what to ask and what an answer means for the walk; the engine asks, compares and stores.
 *
 *     WAITING --verify_start()--> WALKING --verify_page()--> DONE
 *        ^                           |
 *        +----- stream lost ---------+--verify_trouble()---> FAILED
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cover.h"

#define VERIFY_TROUBLES_MAX 3 /* answers in a row that are none: who asked is told, and may ask again */

enum verify_state { VERIFY_WAITING, VERIFY_WALKING, VERIFY_DONE, VERIFY_FAILED };

/* What was found, for the report. */
struct verify_tally {
	uint64_t pages;
	uint64_t messages;  /* archived messages compared, with what makes no row of its own */
	uint64_t missing;   /* the server has it, coverage claimed it, it was not here: stored now */
	uint64_t different; /* another content than when it was first received: the first is kept */
	uint64_t gone;	    /* held, and not at the server any more: kept */
	uint64_t moved;	    /* stood elsewhere in the order than in the archive: corrected */
};

struct verify {
	enum verify_state state;
	char *with;	   /* bare JID, "" = the whole archive; owned */
	int64_t since_us;  /* 0 = everything that coverage claims */
	char *cursor;	   /* the next page lies before this archive id; "" = below end_us; owned */
	int64_t cursor_us; /* its stamp, 0 = unknown */
	char *upper;	   /* archive id that the next page lies below, whatever it is asked by; owned */
	char *floor_id;	   /* where coverage begins; "" = at the archive's beginning; owned */
	int64_t floor_us;
	int64_t oldest_us; /* stamp of the oldest message that coverage claims; 0 = unknown */
	int64_t top_us;	   /* where the walk began */
	int64_t end_us;	   /* with cursor "": the page ends at this stamp */
	unsigned int troubles;
	char *why;	   /* of FAILED; owned */
	struct verify_tally tally;
};

/* What to ask: the page before ${cursor}, or with "" the last one of the window. Views into the verify. */
struct verify_ask {
	const char *cursor, *with;
	int64_t start_us, end_us; /* 0 = none */
};

/* ${with} "" for the whole archive. */
void verify_init(struct verify *v, const char *with, int64_t since_us);
void verify_deinit(struct verify *v);
/* ${dst} becomes a deep copy; its old content is freed. */
void verify_copy(struct verify *dst, const struct verify *src);
/*
 * The account is in sync: begin where ${c} was last proven, or go on where the walk stopped, over what ${c} claims now.
 * DONE at once if it claims nothing.
 */
void verify_start(struct verify *v, const struct cover *c);
/* The stream is gone: what was asked has no answer. */
void verify_stop(struct verify *v);
/* While WALKING. */
struct verify_ask verify_next(const struct verify *v);
/*
 * The answer, oldest first, ${complete} as the server says. *ret_from: its messages before this index lie below what
 * coverage claims: not to be looked at. Then the walk stands at the page's first message, or is DONE. False: the answer
 * leads nowhere (A14), and counts as trouble.
 */
bool verify_page(struct verify *v, const struct cover_item *items, size_t n, bool complete, size_t *ret_from);
/* The archive does not know the cursor (any more): the next page is asked for by its stamp. Trouble if it has none. */
void verify_unknown(struct verify *v);
/* No answer, or a refusal. ${why}: for whoever asked, should it be the last. */
void verify_trouble(struct verify *v, const char *why);
/* Seconds of archive time: walked, and to walk in all. */
void verify_progress(const struct verify *v, uint64_t *ret_done, uint64_t *ret_total);
