/*
 * archive.state: one line beside archive.db which says that an archive must exist here. Without it a deleted or
 * unmounted database would silently become a new empty one. "format 1; must exist\n"; a reader that finds anything
 * else only concludes that the file is there. Replaced as a whole (write, fsync, rename, fsync of the directory).
 */
#pragma once

#include <stdbool.h>

/* The directory says that an archive must exist. -errno if it cannot be read. */
int marker_exists(const char *dir, bool *ret);
/* Say so from now on; durable when it returns 0. */
int marker_write(const char *dir);
