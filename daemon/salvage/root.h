/*
 * A new page 1 for an image whose own is lost. It holds the database's header and the root of the table of tables
 * (sqlite_schema): what our schema has does not fit there, so the names and roots of all tables are on other pages,
 * which are found by what they look like.
 */
#pragma once

#include "salvage/image.h"

/* 0 or -errno. The size is filled in by the caller. */
int root_make(const struct image *im, uint8_t page[PAGE_SIZE]);
