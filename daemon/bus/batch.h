/*
 * What one call of read_changes() gave, copied: a hundred apps that follow the feed ask for the same changes within the
 * same few milliseconds, and reading them from the store costs more than writing them into an answer. A few batches are
 * kept; each is good until the account's feed moves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "store/read.h"

#define BATCHES_MAX 4			  /* kept: clients that fall behind do so in a few groups */
#define BATCH_BYTES_MAX (256 * 1024)	  /* of strings; a larger one is for somebody who begins, and not kept */

struct batches;
struct batch;

/* What was asked for; all of it must be the same. */
struct batch_key {
	int64_t account;
	uint64_t since, seq; /* the feed's end: any change moves it */
	uint32_t limit;
};

struct batches *batches_new(void);
struct batches *batches_free(struct batches *b);
DEFINE_CLEANUP(struct batches *, batches_free);
/* The store closes: nothing of it stays in memory. */
void batches_drop(struct batches *b);

/*
 * The batch of ${key}, read from ${s} if it is not kept; valid until the next call with ${b}. 0, READ_E_TOO_OLD or
 * -errno, as read_changes() with ${begun}.
 */
int batches_get(struct batches *b, struct store *s, const struct batch_key *key, uint64_t begun, const struct batch **ret);

/* Every row in the order of mod, as read_changes() gives them; a kind without a function is left out. */
int batch_each(const struct batch *x, const struct changes_fns *fns, void *userdata);
uint64_t batch_next(const struct batch *x);
bool batch_more(const struct batch *x);
