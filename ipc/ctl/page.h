/*
 * Pages of history: one answer of GetHistory, and the walk from page to page.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ctl/row.h"

struct ctl;

#define PAGE_ROWS_MAX 500 /* rows an answer: the daemon's own limit (org.varve.Varve1.xml, GetHistory) */

struct page {
	struct message *rows; /* oldest first */
	size_t n;
	uint32_t edges; /* enum varve_edge */
	uint64_t seq;
};

struct page_query {
	const char *conversation; /* "": all of the account */
	const char *anchor; /* "newest" "oldest" "message" "time" */
	uint64_t value;
	uint32_t before, after;
	bool across_gaps;
};

void page_deinit(struct page *p);

/* Ask for a page. EXIT_OK, or the exit code after having said what is wrong. */
int page_get(struct ctl *c, const struct page_query *q, struct page *ret);

/* Put the rows of ${more} (emptied) before or behind those of ${p}; edges and seq are left alone. */
void page_prepend(struct page *p, struct page *more);
void page_append(struct page *p, struct page *more);
/* Drop the first ${n} rows, or all from ${n} on. */
void page_drop(struct page *p, size_t n);
void page_cut(struct page *p, size_t n);
