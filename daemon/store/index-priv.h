/* What the files of the search index share: its state, its transactions, its repair. Private to index*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"

struct index_state {
	int64_t upto, tokenizer, edits, erasing, erased;
	bool clearing;
	/* index_read_waiting() */
	int64_t top; /* greatest message id */
	bool dirty;
};

/*
 * A transaction that need not outlive a power cut, because it is only the index and carries its watermark: it does not
 * wait for the disk, and the next message's commit makes it durable with its own (facts/db.md section 7). finish: end
 * it according to ${r}, which is returned, then step(${what}).
 */
int index_begin(struct store *s);
int index_finish(struct store *s, int r, const char *what);

/* 0 or -errno; notes what was damaged or could not be read (struct index_pace). */
int index_read_state(struct store *s, struct index_state *ret);
/* What waits for the index: reads a message and fts_dirty, so it may fail where index_read_state() does not. */
int index_read_waiting(struct store *s, struct index_state *st);
/* Run ${id} with ${n} numbers, at most two, in the transaction that is open. 0 or -errno; notes damage. */
int index_run(struct store *s, enum sql id, int n, int64_t a, int64_t b);

/* index-work.c: what a batch begins with; it adapts to the budget of index_step() */
enum {
	INDEX_ROWS_FIRST = 200,
	INDEX_PAGES_FIRST = 16,
};

/* index-repair.c */
/* It is not time yet for the next try. */
bool repair_waits(const struct store *s);
/*
 * Work on the index failed with ${r}, ${st} being its state, NULL if even that could not be read. 0: what to repair is
 * noted, go on; else ${r}, and with a page of messages that cannot be read the next try is put off.
 */
int repair_judge(struct store *s, const struct index_state *st, int r);
/* The index is damaged: may it be made anew now? Puts it off if it was for this reason not long ago. */
bool repair_begin(struct store *s);
/* A step of index-mend.h, instead of emptying the index row by row; its last one ends the clearing. */
int repair_mend(struct store *s, int64_t budget_us);
/* A state that cannot be read or is missing begins anew: it is one row, and the index is emptied and filled again. */
int repair_state(struct store *s);

/* index-sample.c */
/* Of a pass, evenly over the ids: some 30 ms. A segment holds more than a 200th of them, or is small. */
enum { INDEX_SAMPLES = 200 };
bool sample_due(const struct store *s, int64_t upto);
/* Ask the index for the next few messages of the pass. 0, or -errno; notes damage. */
int sample_step(struct store *s, int64_t upto);
