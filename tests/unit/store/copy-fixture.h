/* What the suites of copies share: an archive with something in it, a copy of it to its end, and what is in a copy. */
#pragma once

#include "base/child.h"
#include "fixture.h"
#include "store/copy-priv.h"
#include "store/copy.h"

/* Messages ${from} to ${from} + ${n} - 1 from Bob, each with ${len} bytes of text, in one transaction. */
void fill(struct fx *fx, int from, int n, size_t len);
void put_session(struct fx *fx);

/* Everything that a copy must have, as one string; ${db} any connection. The caller frees. */
char *digest(sqlite3 *db);
char *digest_of(const char *path, const struct page_keys *keys);
/* The one number that ${sql} asks of a copy. */
int64_t number_of(const char *path, const struct page_keys *keys, const char *sql);

/* copy_step() to its end. */
void finish(struct copy *c);
/* copy_verify_start(): what is wrong with it, "" = nothing. */
void verify(struct copy *c, char bad[CHILD_ANSWER_MAX]);
void assert_sound(struct copy *c);
/* The whole way of a backup, to "backup.varve": its path, and in *ret (may be NULL) its keys. The caller frees both. */
char *back_up(struct fx *fx, struct vault_next **ret);
