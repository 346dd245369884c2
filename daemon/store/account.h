/*
 * Accounts and what must survive of their sessions: configuration, secret, XEP-0198 state, roster.
 * All writes need an open transaction (store.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define ACCOUNTS_MAX 32 /* one wire process each; nobody has more, and memory stays bounded */

/* Strings are owned by the struct, "" = absent, never NULL. */
struct account {
	int64_t id;
	char *jid; /* bare, folded */
	char *password;
	bool enabled;
	char *host; /* "" = by SRV */
	uint32_t port;
	uint32_t tls; /* enum link_tls_mode, as a number: store/ does not see link/ */
	char *ca_pem;
	bool allow_plain;
	char *nick;
	char *resource; /* ours, made once, stable across restarts */
	char *push_service; /* store/push.h: "" = none */
};

void account_deinit(struct account *a);
/* ${dst} becomes a deep copy of ${src}; what it held is freed (it may be all zero). */
void account_copy(struct account *dst, const struct account *src);

/* XEP-0198 and session state; written in the transaction of the messages it speaks about (promise 1). */
struct session {
	char *sm_id; /* "" = nothing to resume */
	char *sm_location;
	uint32_t sm_max;
	uint32_t h_in;	      /* committed inbound count */
	uint8_t *ahead;	      /* core/ackline.h: numbers beyond h_in that are durable, 4 bytes each */
	size_t n_ahead;
	uint32_t h_out;	      /* outbound stanzas that the server acknowledged */
	uint32_t grant;	      /* outbound numbers up to here may have been used */
	char *full_jid;
	char *features;
	uint32_t archive;     /* enum link_archive_kind */
	bool stanza_ids;
	uint64_t resumes, binds; /* since the account was added */
	int64_t last_resume_us;
	uint32_t flights;     /* of the last connect */
	int64_t caught_up_us; /* when the account was last caught up */
};

void session_init(struct session *s);
void session_deinit(struct session *s);

/* *ret is an array of *ret_n accounts, each with account_deinit() to do, the array with free(). */
int account_list(struct store *s, struct account **ret, size_t *ret_n);
enum { ACCOUNT_E_EXISTS = 1, ACCOUNT_E_LIMIT };
/* Insert; sets a->id. Ids are never reused. Also makes the account's own archive row. */
int account_add(struct store *s, struct account *a);
/* Update all columns of a->id. ACCOUNT_E_LIMIT: the push service changed too often (PUSH_E_LIMIT). */
int account_update(struct store *s, const struct account *a);
/* Remove the account and everything that belongs to it. */
int account_remove(struct store *s, int64_t id);

/* *ret is to be freed by session_deinit() on success; as by session_init() where none is stored. */
int session_load(struct store *s, int64_t account, struct session *ret);
/* Replace what is stored; in the caller's transaction. */
int session_save(struct store *s, int64_t account, const struct session *session);

struct roster_item {
	const char *jid, *name, *subscription, *groups; /* groups one a line */
	bool ask;
};
/* Insert, change or (subscription "remove") delete, with feed position and tombstone. */
int roster_put(struct store *s, int64_t account, const struct roster_item *item);
/*
 * May ${jid} (bare) know that we are here? Who sees our presence anyway, and to whom we have written lately (among the
 * last ROSTER_LATELY messages with them). 1 or 0.
 */
#define ROSTER_LATELY 200
int roster_trusts(struct store *s, int64_t account, const char *jid);
/* A full roster was received: whatever is not among ${jids} is gone. */
int roster_keep_only(struct store *s, int64_t account, char *const *jids, size_t n);
/*
 * ${jid} (a user, a domain, or a full JID) is on the server's block list (XEP-0191), or not any more. Who is not in the
 * roster has a row there as long as he is blocked, with subscription "none". To be blocked answers what he asked.
 */
int roster_set_blocked(struct store *s, int64_t account, const char *jid, bool blocked);
/* A full block list was received: nobody else is blocked. */
int roster_keep_blocked(struct store *s, int64_t account, char *const *jids, size_t n);
/* "from" or "both" (RFC 6121 section 2.1.2.5). */
bool roster_sees_us(const char *subscription);
/*
 * ${jid} (bare) asks to see our presence (RFC 6121 section 3.1), or that was answered or taken back. Kept in the row of
 * the roster until then; who is not in the roster has one meanwhile, with subscription "none". Nothing of who is
 * blocked or sees us already. A stranger asks without end, under other names: of more than ROSTER_STRANGERS_MAX who are
 * not in the roster the oldest go; the server keeps their requests and tells them again after a bind (section 3.1.3).
 */
#define ROSTER_STRANGERS_MAX 200 /* rows; nobody answers more, and nothing else of the roster is pushed out of sight */
int roster_set_asking(struct store *s, int64_t account, const char *jid, bool asking);
