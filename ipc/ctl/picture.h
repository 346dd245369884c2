/*
 * The coverage picture: what an archive holds, as one line of cells from left (old) to right (new). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A span of GetCoverage; times in us since the epoch. */
struct picture_span {
	int64_t first_us, last_us;
	uint32_t flags; /* enum varve_span_flag */
};

enum picture_cell { CELL_HELD, CELL_MISSING, CELL_LOST };

/* What of [from, to] is drawn for an archive: the ends of its spans and, where known (not 0), those of the server. */
void picture_range(const struct picture_span *spans, size_t n, int64_t server_first_us, int64_t server_last_us,
		   int64_t *ret_from, int64_t *ret_to);

/*
 * Fill ${cells} (${columns} of them) for the time [from, to). A cell shows the worst of what it stands for: missing,
 * then lost, then held; so a gap of a minute is seen in a picture of ten years. Returns the part of the time that is
 * held, 0 to 1.
 */
double picture_draw(const struct picture_span *spans, size_t n, int64_t from, int64_t to, int64_t server_last_us,
		    size_t columns, enum picture_cell *cells);

/* A line of ${columns} with years or months (or days) where they begin, local time. The caller frees. */
char *picture_ticks(int64_t from, int64_t to, size_t columns);
