/*
 * Rows of the tables account and conv: which JID a number in a message stands for. They are few and small; the limit is
 * what an archive can hold, since every one of them was read from a page that authenticated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "salvage/leaf.h"

struct names;

struct names *names_new(void);
struct names *names_free(struct names *n);
/* Take the row if it is one of these tables, or of sqlite_sequence. ${v}: its ${n_v} columns. */
void names_take(struct names *n, int64_t rowid, const struct leaf_value *v, size_t n_v);
/* After the last row. */
void names_sort(struct names *n);
/* "" when not known. */
const char *names_account(const struct names *n, int64_t id);
const char *names_conversation(const struct names *n, int64_t id);
/* The account is known to be removed: its rows wait for being purged. */
bool names_removed(const struct names *n, int64_t account);
/* The highest id that msg ever had; 0 when not known. */
int64_t names_last_message(const struct names *n);
