/*
 * The position of a reader in the change feed, kept in a file between runs.
 *
 * Format: one line of text, "varve-cursor 1 ACCOUNT EPOCH SEQ\n", ACCOUNT a bare JID (which has no space), EPOCH a word,
 * SEQ decimal. A file that is anything else is not touched.
 */
#pragma once

#include <stdint.h>

struct cursor {
	char *account;
	char *epoch;
	uint64_t seq;
};

void cursor_deinit(struct cursor *c);

/* CURSOR_E_NONE: there is no such file, or an empty one. CURSOR_E_FOREIGN: not a cursor, or of another account. */
enum { CURSOR_E_NONE = 1, CURSOR_E_FOREIGN };
/* Read ${path} into epoch and seq of ${c}. 0, an outcome above, or -errno. */
int cursor_load(const char *path, const char *account, struct cursor *c);

/* Replace ${path} so that a crash leaves the old or the new line, never half of one. 0 or -errno. */
int cursor_save(const char *path, const struct cursor *c);
