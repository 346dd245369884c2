/*
 * Pages of history, one after the other, as one list of rows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ctl/row.h"

struct ctl;

#define PAGE_LOST (-1)	  /* no exit code */
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

/* The same, and nothing is said: 0, or what varve_history() returned. */
int page_try(struct ctl *c, const struct varve_history_query *q, struct page *ret);
/*
 * At most ${n} rows beyond the newest (${older}: the oldest) end of ${p}, a page of ${q->conversation}. Messages move, and are
 * deleted: so the next page is anchored at one of ${p} that did neither. EXIT_OK, with no rows at the end alone; PAGE_LOST if
 * there is none to go on from; or the exit code after having said what is wrong.
 */
int page_beyond(struct ctl *c, const struct varve_history_query *q, const struct page *p, bool older, uint32_t n,
		struct page *ret);

/* Put the rows of ${more} (emptied) before or behind those of ${p}; edges and seq are left alone. */
void page_prepend(struct page *p, struct page *more);
void page_append(struct page *p, struct page *more);
/* Drop the first ${n} rows, or all from ${n} on. */
void page_drop(struct page *p, size_t n);
void page_cut(struct page *p, size_t n);
