/*
 * The gaps of a conversation or of the account's archive.
 */
#pragma once

#include "ipc/ctl/row.h"

struct ctl;

#define GAPS_MAX 10000 /* more gaps than this are not worth listing one by one; the daemon merges neighbours */

struct gaps {
	struct gap *gap; /* oldest first */
	size_t n;
};

void gaps_deinit(struct gaps *g);
/* All of them, page by page. EXIT_OK, or the exit code after having said what is wrong. */
int gaps_get(struct ctl *c, const char *conversation, struct gaps *ret);
