/*
 * Writing the archive: messages, their archive ids, their order, coverage. All need an open transaction.
 *
 * Tables (the schema file has the columns): msg (one row a message), aid (archive, archive id -> message and sort
 * key; the identity of design.md section 5; also for archived stanzas that made no row), span (core/cover.h).
 * Sort keys are those of core/order.h; a row is "placed" once an archive run or the live end of a span fixed its key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cover.h"
#include "core/message.h"
#include "store/store.h"

/*
 * Messages of a page: servers send at most 250 (ejabberd MAX_PAGE_SIZE), and a transaction must stay in memory. More
 * is -E2BIG.
 */
#define ARCHIVE_PAGE_MAX 1000

/* The rowid of an account's archive: ${jid} "" is its own. Made on demand. */
int archive_id(struct store *s, int64_t account, const char *jid, int64_t *ret);

/* *ret, written on success, is to be freed by cover_deinit(); empty where nothing is stored. */
int cover_read(struct store *s, int64_t archive, struct cover *ret);
/* Replace what is stored for this archive by ${c}. */
int cover_write(struct store *s, int64_t archive, const struct cover *c);

enum put_result {
	PUT_NEW,     /* a new message row */
	PUT_KNOWN,   /* it was there: (archive, archive id), or merged by the identity rules */
	PUT_APPLIED, /* changed or awaits another message (correction, receipt, ...): no row of its own */
	PUT_NOTHING, /* nothing to keep; the archive id is remembered as a place in the archive */
};

struct put_outcome {
	enum put_result result;
	int64_t msg;	  /* row id, 0 if none */
	int64_t corrected; /* PUT_APPLIED: the row that has another text by it, the first time that it came; 0 = none */
	bool aid_is_new;  /* the archive id was not known before */
	/* its archive id is known as another message: live it is stored without; a page: see ARCHIVE_E_ANOTHER */
	bool another;
	bool twin; /* the same of a message before it in the page */
	/* with ARCHIVE_E_ANOTHER: */
	bool same;	     /* its archive id is known as this very message */
	int64_t another_key; /* where the message that is known stands */
	/* of a page that was asked to compare, and PUT_KNOWN: */
	bool moved;	  /* it had a final place, and a wrong one */
	bool different;	  /* another content than it was first received with, which is kept */
};

/*
 * Store one message that came live or as a carbon (not an archive result). ${own_bare}: the account's JID.
 * ${now_us}: local clock, used for the display time only where nothing better is known, and as the natural sort key.
 * It is appended after everything that is placed. ${extends}: the engine will extend coverage by it, so its key is
 * final; otherwise an archive page may move it later.
 *
 * Identity, in this order: (archive, archive id); own message by origin-id; same sender + same id + same
 * message_hash() where one of the two has no archive id yet and the stamps are within ten minutes. Two archive ids
 * map to one row only for the same origin-id by the same sender, or for a message to self with the same id (C1, C4).
 * Otherwise different archive ids are different messages whatever their ids say (C3).
 */
int archive_put_live(struct store *s, int64_t account, int64_t archive, const char *own_bare,
		     const struct message *m, int64_t now_us, bool extends, struct put_outcome *ret);

/*
 * An archive page. Known items that are placed are anchors; all others get keys between them (core/order.h). ${part}: it is
 * of one conversation alone, so it says nothing about what lies between its messages: those that are new get a place by
 * their stamps, between those of the conversation that have one, and keep it until a page of the whole archive brings
 * them. ${compare}: see put_outcome.
 */
struct archive_page {
	const struct message *const *items; /* oldest first, all VIA_ARCHIVE */
	size_t n;
	const char *below_id; /* of the message that it may at most reach down to; "" = none known */
	const char *above_id; /* of the message that it lies below; "" = it ends at the newest end */
	bool part, compare;
	int64_t ahead_us; /* our clock is ahead by so much at most: so long ago, by it, the archive's newest message was */
	bool by_stamp; /* asked for by a stamp alone: it may lie around above_id, or above it */
	const char *first_id; /* by a stamp: what is held begins with this message, and what is new lies below it; NULL = not */
	/*
	 * part: nothing of this conversation is missing from the page up to the row held_to (0 = only within it); ${to_start}: nor
	 * below it, for the server has nothing older. Then history pages of it do not stop at the account's gaps there.
	 */
	const char *with;
	int64_t held_to;
	bool held_inside; /* it was asked for by a stamp, which proves nothing: only if that row is one of the page's */
	bool to_start;
};
/* Store it. ${ret}: one an item. */
int archive_put(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct archive_page *page,
		int64_t now_us, struct put_outcome *ret);
/*
 * The page has an archive id that is known as another message, or two messages with one: the server gave it twice, or
 * its archive is not the one that we know (B8). Nothing was written; ${ret} says of each item what its id is known as.
 * An id that cover_twin_id() made instead is the second one's alone.
 */
enum { ARCHIVE_E_ANOTHER = 1 };
/* The same of the messages before that, which are not to be stored yet: 0. In the transaction. */
int archive_judge(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct message *const *items,
		  size_t n, int64_t now_us, struct put_outcome *ret);

/*
 * The server has another archive now (ARCHIVE_E_ANOTHER): what is stored stays and is the old one's, *ret is a new one of the
 * account's own, without coverage; ids that stand above ${key} are the new one's. ${old}: the old one's coverage after
 * cover_set_old() with archive_mark(); the caller writes it as the new one's. What conversations hold across gaps is forgotten.
 */
int archive_renew(struct store *s, int64_t account, int64_t archive, const struct cover *old, int64_t key, int64_t *ret);
#define ARCHIVE_MARK_MAX 24
void archive_mark(int64_t archive, char *ret, size_t size);

#define ARCHIVE_SCREEN 50 /* messages: what an app shows at first */
typedef void (*archive_screen_fn)(void *userdata, const char *jid);
/*
 * Conversations and contacts with less than a screen of messages from archive id ${above_id} on: at most ${max}, those of the
 * latest messages first. ${fn} may write to the store.
 */
int archive_short_screens(struct store *s, int64_t account, int64_t archive, const char *above_id, size_t max,
			  archive_screen_fn fn, void *userdata);
/* The row of the newest message that has its final place; 0 if there is none. */
int archive_newest_row(struct store *s, int64_t archive, int64_t *ret);

/*
 * What has a place between these two, which no span holds any more, loses it: pages will say where it belongs (decision 0007).
 * Not if there are more than ARCHIVE_LOOSEN_MAX, or one of the two has none: *ret is false then.
 */
#define ARCHIVE_LOOSEN_MAX 500 /* a lost session has some hundred messages at most that no page has proven */
int archive_loosen(struct store *s, int64_t archive, const char *below_id, const char *above_id, bool *ret);

#define ARCHIVE_GONE_MAX 5000 /* archive ids looked at for one page: more are not counted */
/*
 * How many archive ids have their place from the first of ${ids} up to ${upper_id} (exclusive), and are none of ${ids},
 * which is what the server has there: it does not have them any more. ${with}: of that conversation alone, "" = of all.
 */
int archive_count_gone(struct store *s, int64_t account, int64_t archive, const char *with, const char *const *ids,
		       size_t n, const char *upper_id, uint64_t *ret);

/*
 * Another device of ours has read the conversation ${jid} up to archive id ${stanza_id} (XEP-0490; link/vocab.h, READ):
 * everything up to there is read, never back. If that is not here yet, it waits for it; the newest of a conversation.
 */
int archive_put_read(struct store *s, int64_t account, int64_t archive, const char *jid, const char *stanza_id,
		     int64_t now_us);

/*
 * How far back pages were stored of which the server said that they are not settled (core/recheck.h, since_us); 0 = all are.
 * Durable with the transaction.
 */
int archive_unsettled(struct store *s, int64_t archive, int64_t *ret_us);
int archive_set_unsettled(struct store *s, int64_t archive, int64_t us);

/* Messages stored for this account. */
int archive_count(struct store *s, int64_t account, uint64_t *ret);

/* Where an archive id has its final place in the order: 1; 0: it has none here. */
int archive_place(struct store *s, int64_t archive, const char *id, int64_t *ret_key);

/*
 * Whether nothing has a final place between these two archive ids ("" = before everything): no page can then be told
 * from its stamps to stand on the wrong side of it. Messages that a lost session delivered live have such places.
 */
int archive_gap_is_clean(struct store *s, int64_t archive, const char *below_id, const char *above_id, bool *ret);
