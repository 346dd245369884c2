/*
 * Every message of the account, or of one conversation, oldest first, while varved goes on storing: what is there when the walk
 * begins, and still when it ends, comes once (docs/decisions/0028).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/varve.h"

struct ctl;

struct walk {
	const char *conversation; /* "": all */
	int64_t since_us;	  /* 0: all */
	void (*row)(void *userdata, const struct varve_message *m);
	bool (*page)(void *userdata); /* after each page; false: that is enough */
	void *userdata;
	/* How many came out of their order: another place became known, and they were behind the walk by then. */
	uint64_t late;
};
/* EXIT_OK, or the exit code after having said what is wrong. */
int walk_all(struct ctl *c, struct walk *w);
