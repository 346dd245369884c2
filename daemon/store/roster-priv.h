/*
 * Rows of the roster, for roster.c, blocked.c and asking.c.
 */
#pragma once

#include "store/account.h"
#include "store/db.h"

/* Why there is a row. Without any there is none. */
enum roster_mark {
	ROSTER_LISTED = 1,  /* the server's roster has it */
	ROSTER_BLOCKED = 2, /* XEP-0191 */
	ROSTER_ASKING = 4,  /* they ask to see our presence */
};

/* Bits of the column "ask". Of the first one RFC 6121 section 2.1.2.2 speaks. */
enum ask_bit {
	ASK_OURS = 1,
	ASK_THEIRS = 2,
};

/* A row as it is stored, or of nobody. Strings are owned. */
struct stored {
	char *name, *subscription, *groups;
	bool ask;
	unsigned int marks; /* enum roster_mark; 0: no row */
};
void stored_deinit(struct stored *x);
int roster_read(struct store *s, int64_t account, const char *jid, struct stored *ret);
/* With feed position; without ${marks} (enum roster_mark) the row goes, with tombstone. */
int roster_write(struct store *s, int64_t account, const struct roster_item *item, unsigned int marks);
/* The row that was read into ${x} gets these marks; without ROSTER_LISTED it has nothing from the server's roster. */
int roster_mark(struct store *s, int64_t account, const char *jid, const struct stored *x, unsigned int marks);

/* The JIDs that statement ${id} finds, with ${pattern} if it is not NULL: roster_free_list(). */
int roster_list(struct store *s, enum sql id, int64_t account, const char *pattern, char ***ret, size_t *ret_n);
/* Who asks and is not in the server's roster, but for the latest ${keep}: roster_free_list(). */
int roster_strangers(struct store *s, int64_t account, int64_t keep, char ***ret, size_t *ret_n);
void roster_free_list(char **list, size_t n);
typedef int (*roster_drop_fn)(struct store *s, int64_t account, const char *jid);
/* ${drop} what statement ${id} finds and is not among ${jids}. */
int roster_keep(struct store *s, enum sql id, int64_t account, char *const *jids, size_t n, roster_drop_fn drop);
