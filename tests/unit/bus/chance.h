/*
 * A random writer: what a server, a contact and our other devices may do to an archive, one transaction each. The same
 * prefix and seed do the same. For the feed property test (tests/bus/test_feed_property.py).
 */
#pragma once

#include <stdint.h>

#include "store/store.h"

struct chance {
	struct store *s;
	int64_t account, archive;
	const char *own;	  /* bare JID */
	const char *prefix;	  /* of all ids: another one for each start of the program */
	uint64_t seed;
	unsigned int serial, archived; /* messages made, archive ids given */
	char last_archived[64];	  /* "" = none by us */
};

/* One event, committed. Ends the process with a word on stderr where the store refuses. */
void chance_write(struct chance *c);
