/* Checking a copy from its bytes on the disk: for copy.c, takeover.c and their tests. Private to store/. */
#pragma once

#include <stdint.h>

#include "vault/page.h"

/* The newest message: what a copy must have too. */
#define COPY_NEWEST "SELECT max(id) FROM msg"

/*
 * Read the database at ${path}, which nobody has open: every page authenticates with ${keys}, SQLite's quick_check is
 * content, there are as many messages in the table as in its index, and ${messages} of them (negative: any number), and
 * the newest is ${newest}. 0 with *ret_bad NULL, or a sentence that the caller frees; -errno if it could not be checked.
 */
int copy_check(const char *path, const struct page_keys *keys, int64_t messages, int64_t newest, char **ret_bad);
