/*
 * Pages of history, one after the other, as one list of rows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ctl/row.h"

struct ctl;

#define PAGE_ROWS_MAX 500 /* rows an answer: the daemon's own limit (org.varve.Varve1.xml, GetHistory) */

struct page {
	const struct varve_message **rows; /* oldest first; of the sets */
	size_t n;
	struct varve_messages **sets;
	size_t n_sets;
	uint32_t edges; /* enum varve_edge */
	uint64_t seq;
};

void page_deinit(struct page *p);

/* Ask for a page. EXIT_OK, or the exit code after having said what is wrong. */
int page_get(struct ctl *c, const struct varve_history_query *q, struct page *ret);

/* Put the rows of ${more} (emptied) before or behind those of ${p}; edges and seq are left alone. */
void page_prepend(struct page *p, struct page *more);
void page_append(struct page *p, struct page *more);
/* Drop the first ${n} rows, or all from ${n} on. */
void page_drop(struct page *p, size_t n);
void page_cut(struct page *p, size_t n);
