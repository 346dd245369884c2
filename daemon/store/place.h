/*
 * Sort keys for one archive page (docs/decisions/0003-sort-keys.md): known messages that are placed are anchors, all
 * others get keys between them.
 */
#pragma once

#include "store/archive.h"
#include "store/put.h"

/* A message of the page; all but the last is filled by the caller. */
struct place {
	const char *id;
	int64_t us;  /* archive stamp */
	bool known;  /* the archive id is stored */
	bool placed; /* with a final key */
	bool loose;  /* not placed, but its row is here, at the place where it came live */
	int64_t key; /* in: of a placed or loose one; out: its place */
	bool moved;  /* out: key is new */
	bool unseen; /* neither the archive id nor a row that it could be another copy of was here before the page */
};

/* Fill ${places}, one for each message of ${page}. May move keys of stored rows up. */
int place_page(struct put *p, struct place *places, const struct archive_page *page);
