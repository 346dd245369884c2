/*
 * A text with marked places, on its way to a terminal: cleaned and wrapped without losing where the marks are. Pure but
 * for the printing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ipc/varve.h"

struct marked {
	char *text; /* cleaned; line ends kept */
	bool *on; /* for each byte of it */
};

/* ${marks}: code points of the text as the bus gave it; may overlap, be in any order and reach beyond the end. */
struct marked marked_new(const char *s, const struct varve_mark *marks, size_t n);
void marked_deinit(struct marked *m);
/*
 * Print it ${indent} columns in, marks in bold yellow where colours are on: at most ${lines} lines, those around the
 * first mark, with an ellipsis where something is left out.
 */
void marked_print(const struct marked *m, FILE *f, size_t indent, size_t lines);
