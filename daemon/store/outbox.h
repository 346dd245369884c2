/*
 * The outbox: what apps, and the keeper itself, want sent. One row an item, from the moment that Send returned until
 * the server has it, and as a record of its id for thirty days more. All writes need an open transaction.
 *
 *                    outbox_put()
 *                        |
 *                        v       outbox_numbered()             ack, resume or <failed h=>: the server has it
 *      +-------------> QUEUED -------------------> SENDING --------------------------------------------> DONE
 *      |                 |  ^                       |   |                                                 ^
 *      | outbox_retry()  |  | resumed, or h says    |   | session lost, no h      its id is in the archive|
 *      |                 |  | that it did not get   |   +---------------> DOUBT --------------------------+
 *      |                 |  | there                 |                       |
 *      |                 |  +-----------------------+-----------------------+ the archive up to now has it not
 *      |                 |  outbox_cancel()
 *      |                 +-----------------> CANCELLED
 *      |                 |  it can never be sent, or the stream died of it too often
 *      +---------------FAILED
 *
 * SENDING means: a stanza with that number may have left. It is durable before the wire sends a byte (link/vocab.h,
 * GO). Only a number of the very session tells what became of it; a lost session leaves DOUBT.
 *
 * Order: within a conversation items go out in the order of ${seq}. One in DOUBT holds back those behind it; one that
 * FAILED holds back nothing (it gets a new place when it is tried again). Receipts, markers and read states take no
 * part in that order and hold back nothing.
 *
 * The message row (msg.state) follows: queued, sending (SENDING and DOUBT), sent, failed, cancelled. Receipts and
 * markers take it further (store/refs.h). An answer of type error to a sent one makes it failed, DONE becomes FAILED:
 * it may be retried. What is about a message that failed or was cancelled before it left is CANCELLED with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/message.h"
#include "store/store.h"

#define OUTBOX_CLIENT_ID_MAX 128		   /* bytes; it becomes the stanza's id, and servers index that */
#define OUTBOX_BODY_MAX (64 * 1024)		   /* bytes; escaped six times longer at worst, and ejabberd cuts at 256 kB */
#define OUTBOX_WAITING_MAX 10000		   /* unfinished items an account: 100 a day for three months offline */
#define OUTBOX_KEEP_US (INT64_C(30) * 86400000000) /* how long a client id is remembered after it is done */
#define OUTBOX_STRIKES_MAX 3			   /* streams that the server ended over one item alone */

enum out_state { /* in the file */
	OUT_QUEUED,
	OUT_SENDING,
	OUT_DOUBT,
	OUT_DONE,
	OUT_FAILED,
	OUT_CANCELLED,
};

/* What is asked for. Strings are the caller's, "" = none. */
struct outgoing {
	enum out_kind kind;
	const char *conversation; /* bare JID; OUT_TEXT alone */
	const char *client_id;	  /* "" = make one (never for OUT_TEXT) */
	const char *body;	  /* OUT_TEXT, OUT_CORRECTION */
	int64_t msg;		  /* OUT_CORRECTION, _RETRACTION, _REACTION: the message it is about */
	int64_t reply_to;	  /* OUT_TEXT: the message it answers, 0 = none */
	const char *emojis;	  /* OUT_REACTION: separated by '\n', "" = all taken back */
};

enum {
	OUTBOX_E_CONFLICT = 1,	/* the client id was used for something else */
	OUTBOX_E_NO_MESSAGE,	/* msg or reply_to is no message of the account (or not of that conversation) */
	OUTBOX_E_NOT_OURS,	/* only own messages can be corrected and retracted */
	OUTBOX_E_UNSUITABLE,	/* not of a kind for that: retracted, failed, never sent, has no id ... */
	OUTBOX_E_FULL,		/* OUTBOX_WAITING_MAX */
	OUTBOX_E_STATE,		/* retry: not failed or cancelled; cancel: it may have left, or is finished */
};

/*
 * Take it on: an item, and what the user sees of it at once (a new row of the message; the text corrected, the
 * reaction set: as its archived copy would do, which then changes nothing). *ret_msg: the row of the message, of the
 * target for other kinds. *ret_existing: the client id is that of the very same request: nothing was done, it is what
 * became of it; longer than OUTBOX_KEEP_US after it was done only a text is recognised, in its conversation. A text
 * that never left is taken back by its retraction without either being sent. ${own_bare} sends it. 0, OUTBOX_E_x or -errno.
 */
int outbox_put(struct store *s, int64_t account, const char *own_bare, const struct outgoing *o, int64_t now_us,
	       int64_t *ret_msg, bool *ret_existing);

/*
 * What we owe for messages of others. ${msg}: the row. A receipt is owed once a message (by its row), goes to whom
 * wrote it, and only if ${msg} asked for it. Nothing to do: 0 and no item.
 */
int outbox_owe_receipt(struct store *s, int64_t account, int64_t msg, int64_t now_us);
/* For a correction of it, a message of its own to whoever sent it ${from}: by its id ${id}. Once is the caller's affair. */
int outbox_owe_correction(struct store *s, int64_t account, int64_t msg, const char *id, const char *from, int64_t now_us);
/*
 * The conversation was read up to ${msg}: XEP-0333 marker (if ${marker}, and a message up to there asked for one) and
 * the state for our other devices (XEP-0490, if one of them has an archive id). One of each kind waits per
 * conversation: a newer one takes its place.
 */
int outbox_owe_read(struct store *s, int64_t account, const char *conversation, int64_t msg, bool marker,
		    int64_t now_us);

/* An item that waits. Strings live until the callback returns. */
struct out_item {
	int64_t id;
	enum out_kind kind;
	int64_t seq; /* order of sending */
	int64_t msg; /* row, 0 = none */
	uint32_t strikes;
	bool again; /* it may have been sent before */
	int64_t written_us;
	const char *to, *client_id, *body, *target_id, *text, *reply_id, *reply_jid; /* as SEND of link/vocab.h has them */
};
typedef int (*out_item_fn)(void *userdata, const struct out_item *item);
/*
 * QUEUED items after ${after_seq} that nothing holds back, in order, at most ${max}; receipts and the like after all
 * else, whatever their seq is, or a user who comes back to a thousand messages waits for a thousand receipts. A
 * negative value of ${fn} ends it and is returned; fn must not call the store.
 */
int outbox_next(struct store *s, int64_t account, int64_t after_seq, size_t max, out_item_fn fn, void *userdata);

/*
 * The item goes out as number ${n} of this session. ${anchor}: the newest id of the account's archive that is held
 * for certain ("" = none): its copy in the archive, if there ever is one, lies after it. Only what is QUEUED in the place
 * that it was offered from, ${seq}, with the words of then: 1; cancelled meanwhile, or cancelled and tried again: 0 (the
 * wire must not send it). 0 for ${seq}: whatever its place is.
 */
int outbox_numbered(struct store *s, int64_t account, int64_t item, int64_t seq, uint32_t n, const char *anchor);
/* The server has everything of this session up to ${n} (compared modulo 2^32). *ret: items that became DONE. */
int outbox_acked(struct store *s, int64_t account, uint32_t n, size_t *ret);
/* The session was resumed, the server has up to ${h}: DONE up to it, the others are QUEUED again. */
int outbox_resumed(struct store *s, int64_t account, uint32_t h);
/* The session is lost. With ${has_h} as above; without, SENDING becomes DOUBT; receipts and the like are QUEUED. */
int outbox_session_lost(struct store *s, int64_t account, bool has_h, uint32_t h);
/* It can never be sent: FAILED, with the reason for the user. */
int outbox_failed(struct store *s, int64_t account, int64_t item, const char *condition, const char *text);
/* The stream ended over SENDING items; with one alone a strike against it: FAILED after OUTBOX_STRIKES_MAX. */
int outbox_strike(struct store *s, int64_t account, const char *condition, const char *text);

/*
 * The anchor of the oldest item in DOUBT, and when it was written: 1; 0 if there is none. *ret_anchor: caller frees.
 */
int outbox_oldest_doubt(struct store *s, int64_t account, char **ret_anchor, int64_t *ret_written_us);
/*
 * The item of the newest message that the server took, if that has no archive id yet; *ret 0: it has, or there is none.
 */
int outbox_unproven(struct store *s, int64_t account, int64_t *ret);
/*
 * The archive is held to its end, for which it was asked after the last error that came back: what failed or waits to be
 * sent again, and came back, has as many copies of earlier tries as are known. Before, one for each try has to be reckoned
 * with, though a server may archive nothing of what it bounces.
 */
int outbox_bounces_known(struct store *s, int64_t account);
/*
 * The archive from that anchor to now is held: whatever is in DOUBT, was written before this session, and was not met
 * there never got there: QUEUED again (OUT_AGAIN). *ret: how many.
 */
int outbox_doubt_over(struct store *s, int64_t account, size_t *ret);
/*
 * A failed or cancelled message, or what failed about a good one: to the end of the queue, with the same client id, as
 * the message is shown now. By message row. OUTBOX_E_NO_MESSAGE, _UNSUITABLE (retracted, encrypted), _STATE, _FULL.
 */
int outbox_retry(struct store *s, int64_t account, int64_t msg, int64_t now_us);
/* A message that has not left, for certain: else OUTBOX_E_STATE. The row stays, as cancelled. */
int outbox_cancel(struct store *s, int64_t account, int64_t msg);

struct outbox_counts {
	uint32_t queued, sending, doubt, failed; /* messages and what is about them; not receipts and the like */
};
/* What failed counts as long as its message is there: who deletes that is done with it. */
int outbox_count(struct store *s, int64_t account, struct outbox_counts *ret);
/* Rows of the messages that failed, or that something about failed; oldest first, at most ${max} of them in ${ret}. */
int outbox_failed_rows(struct store *s, int64_t account, int64_t *ret, size_t max, size_t *ret_n);
/* Forget client ids that are done since before ${now_us} - OUTBOX_KEEP_US, some at a time. */
int outbox_expire(struct store *s, int64_t now_us, size_t max);
