/*
 * A message that came live gets its place: the archive's page that brings it says that it stands elsewhere.
 */
#pragma once

#include "store/store.h"

/*
 * Live message number ${live} of ${from}, "live000123", stands right before number ${before}, which is not the first one: pages
 * of the archive of ${account} that say so, committed.
 */
int settle(struct store *s, int64_t account, int64_t archive, const char *own, const char *from, unsigned long live,
	   unsigned long before);
