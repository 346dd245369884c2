/*
 * Which message a reference means: the newest one of that name before it about which its author may say that (store/refs.h).
 * Clients that count from 1 in each session give a name to many (C3), and history is read backwards. Private to refs.c.
 */
#pragma once

#include "store/refs.h"
#include "store/row.h"

/* The caller sets ref and exact; the rest is of the best that was found, msg 0 = none. */
struct target {
	const struct ref *ref;
	bool exact; /* by an id that only one has, wherever that stands */
	int64_t msg;
	int64_t key;
	bool before;
	uint32_t state;
	enum row_kind kind;
};

/* By any name that ref->target may be. 0 or -errno. */
int target_find(struct put *p, struct target *t);
/* By the id or origin-id ${id} alone, as row_candidates(); by its row. */
int target_by_name(struct put *p, struct target *t, const char *id, enum row_side side);
int target_by_row(struct put *p, struct target *t, int64_t msg);
/* The message in ${conv} that the correction called ${id} is about, 0 if none of that name was applied. */
int target_corrected(struct put *p, int64_t conv, const char *id, int64_t *ret_msg);
