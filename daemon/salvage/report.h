/* What came out of a damaged archive, and what did not: the summary on standard output. */
#pragma once

#include <stdbool.h>

#include "salvage/carve.h"
#include "salvage/image.h"

/* Pages and the log. */
void report_image(const struct image *im);
/* ${lost}: as report_lost(). */
void report_messages(const struct carve_result *r, const char *path, bool lost);
/* Some page is not there, or may be older than it should be. */
bool report_lost(const struct image *im);
