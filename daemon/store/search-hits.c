/* What a search has found: the best rows, and the page of them with its cursor. */
#include "store/search-priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/read-row.h"

int hits_parse_cursor(const char *text, struct position *ret)
{
	char again[64];
	int end = 0;

	if (sscanf(text, "%" SCNd64 ".%" SCNd64 "%n", &ret->key, &ret->id, &end) != 2 || ret->id < 1)
		return SEARCH_E_CURSOR;
	/* Only as it was printed: no spaces, no signs, no overflow, nothing behind. */
	snprintf(again, sizeof(again), "%" PRId64 ".%" PRId64, ret->key, ret->id);
	return strcmp(again, text) == 0 ? 0 : SEARCH_E_CURSOR;
}

bool hits_full(const struct search *x)
{
	return x->n_found == x->limit + 1;
}

bool hits_may(const struct search *x, struct position p)
{
	return above(x->below, p) && (!hits_full(x) || above(p, x->found[x->limit]));
}

void hits_keep(struct search *x, struct position p)
{
	size_t at = x->n_found;

	for (size_t i = 0; i < x->n_found; i++) {
		if (x->found[i].id == p.id)
			return;
	}
	if (hits_full(x))
		at--;
	else
		x->n_found++;
	while (at > 0 && above(p, x->found[at - 1])) {
		x->found[at] = x->found[at - 1];
		at--;
	}
	x->found[at] = p;
}

struct page {
	struct search *x;
	search_hit_fn fn;
	void *userdata;
	size_t bytes, n;
	bool cut;
	int r; /* of ${fn} */
};

static int on_row(void *userdata, const struct message_row *row)
{
	struct search_range ranges[SEARCH_RANGES_MAX];
	struct page *p = userdata;
	size_t n = 0, size = row_size(row);
	bool match;
	int r;

	/* It may have been retracted or corrected since it was found. */
	if (strcmp(row->kind, "text") != 0)
		return 0;
	r = query_ranges(p->x->s->tokenizer, &p->x->terms, row->body, &match, ranges, &n);
	if (r < 0 || !match)
		return r < 0 ? err_trace(r) : 0;
	if (p->n && p->bytes + size > READ_BYTES_MAX) {
		p->cut = true;
		return 0;
	}
	p->bytes += size;
	p->n++;
	p->r = p->fn(p->userdata, row, ranges, n);
	return p->r;
}

int search_hits(struct search *x, search_hit_fn fn, void *userdata, char **ret_cursor)
{
	struct page p = { .x = x, .fn = fn, .userdata = userdata };
	size_t n = x->n_found < x->limit ? x->n_found : x->limit, i;
	const struct position *last;
	int r;

	for (i = 0; i < n; i++) {
		r = row_emit(x->s, x->account, x->found[i].id, on_row, &p);
		if (r < 0 || p.r != 0)
			return r;
		if (p.cut)
			break;
	}
	if (i == x->n_found) {
		*ret_cursor = xstrdup("");
		return 0;
	}
	last = &x->found[i - 1];
	*ret_cursor = xasprintf("%" PRId64 ".%" PRId64, last->key, last->id);
	return 0;
}
