/*
 * A table for people: columns as wide as what is in them, the last one cut at the edge of the terminal unless told.
 */
#pragma once

#include <stddef.h>

#include "ipc/ctl/term.h"

struct table;

#define TABLE_COLUMNS_MAX 8

/* ${heads}: titles, NULL-terminated, at most TABLE_COLUMNS_MAX; a title that begins with '>' aligns right. */
struct table *table_new(const char *const *heads);
struct table *table_free(struct table *t);
static inline void table_freep(struct table **t)
{
	table_free(*t);
}

/* No column but the last is wider than this many columns; longer text is cut, and more of it in a narrow terminal. */
void table_limit(struct table *t, size_t column, size_t width);
/* The last column is never cut, as it is to be copied: what is too long for its line has one of its own. Before the
 * first cell. */
void table_whole(struct table *t);
/* Add a cell, row by row. The text is copied and cleaned, of the last column what a line can show; NULL is "". */
void table_cell(struct table *t, const char *text);
void table_cell_color(struct table *t, enum color color, const char *text);
/* Print it, with titles unless there is no row. */
void table_print(struct table *t, FILE *f);
