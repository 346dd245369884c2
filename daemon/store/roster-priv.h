/*
 * Rows of the roster, for roster.c and blocked.c.
 */
#pragma once

#include "store/account.h"
#include "store/db.h"

/* A row as it is stored. Strings are owned. */
struct stored {
	bool known;
	char *name, *subscription, *groups;
	bool ask, blocked, listed;
};
void stored_deinit(struct stored *x);
int roster_read(struct store *s, int64_t account, const char *jid, struct stored *ret);
/* With feed position. */
int roster_write(struct store *s, int64_t account, const struct roster_item *item, bool listed, bool blocked);
/* With tombstone. */
int roster_delete(struct store *s, int64_t account, const char *jid);

/* The JIDs that statement ${id} finds, with ${pattern} if it is not NULL: roster_free_list(). */
int roster_list(struct store *s, enum sql id, int64_t account, const char *pattern, char ***ret, size_t *ret_n);
void roster_free_list(char **list, size_t n);
typedef int (*roster_drop_fn)(struct store *s, int64_t account, const char *jid);
/* ${drop} what statement ${id} finds and is not among ${jids}. */
int roster_keep(struct store *s, enum sql id, int64_t account, char *const *jids, size_t n, roster_drop_fn drop);
