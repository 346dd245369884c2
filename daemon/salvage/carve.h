/*
 * Messages out of an image, without SQL: every leaf page that holds rows of the table msg gives them up, whether or not
 * the pages above it are left (fileformat2.html says what they look like, store/schema.c what is in them). SQLite
 * overwrites what it frees (secure_delete), so nothing that was deleted comes back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "salvage/image.h"

/* Text is "" where there is none; clean UTF-8. */
struct carved {
	int64_t id, mod, conv_id;
	const char *account, *conversation; /* "" when the row that says so is lost */
	const char *sender, *xmpp_id, *origin_id, *encryption, *error, *error_text;
	const char *kind; /* text retracted dropped */
	int64_t direction, state, time_us, edited_us, reply_to;
	const char *body; /* NULL: it has none */
	bool cut;	  /* its end is on a lost page */
};

/* Row ids that ought to be there and are not. */
struct carve_range {
	int64_t from, to;
};

struct carve_result {
	uint64_t messages; /* given to the callback */
	uint64_t cut;	   /* of these */
	uint64_t missing;  /* ids between those found, and up to the last one ever given out if that is known */
	struct carve_range *ranges;
	size_t n_ranges;
};

/* Non-zero stops and is returned. */
typedef int (*carve_fn)(void *userdata, const struct carved *m);

/* All messages in the order of their ids, each once (the newest state of it that was found), but those of accounts that
 * were removed. 0, what ${fn} returned, or -errno. */
int carve_messages(const struct image *im, carve_fn fn, void *userdata, struct carve_result *ret);
void carve_result_deinit(struct carve_result *r);
