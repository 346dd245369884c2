/*
 * Pages and records read by hand, for varve-salvage. They authenticate before, but a page of a disk that lies, or of a
 * bug of ours, is parsed here too: what it says to be in a record lies in that record, and never beyond.
 */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "salvage/leaf.h"
#include "salvage/names.h"

static void look_at(struct names *names, int64_t rowid, const uint8_t *data, size_t have, size_t total)
{
	/* Of its own size, so that a byte too many is seen. */
	_cleanup_(freep) uint8_t *copy = xcalloc(have ? have : 1, 1);
	struct leaf_value v[LEAF_COLUMNS_MAX];
	size_t n, sum = 0;

	memcpy(copy, data, have);
	n = leaf_record(copy, have, total, v);
	must(n <= LEAF_COLUMNS_MAX, "more columns than there is room for");
	for (size_t i = 0; i < n; i++) {
		must(v[i].len == 0 || (v[i].data >= copy && v[i].data + v[i].len <= copy + have), "a value lies outside");
		must(!v[i].cut || have < total, "cut, though all is there");
		sum += v[i].len;
	}
	must(sum <= have, "values overlap");
	names_take(names, rowid, v, n);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	_cleanup_(freep) uint8_t *page = xcalloc(PAGE_SIZE, 1);
	struct names *names = names_new();
	uint32_t pgno;
	struct leaf_cell c;
	size_t n;

	if (size > 0) {
		pgno = 1 + (data[0] & 1);
		memcpy(page, data + 1, size - 1 < PAGE_SIZE ? size - 1 : PAGE_SIZE);
		n = leaf_count(page, pgno);
		for (size_t i = 0; i <= n; i++) {
			if (!leaf_cell(page, pgno, i, &c))
				continue;
			must(i < n, "a row that is not there");
			must(c.here <= c.total && c.total <= LEAF_RECORD_MAX, "sizes");
			must(c.data >= page && c.data + c.here <= page + PAGE_BODY, "a row lies outside of its page");
			look_at(names, c.rowid, c.data, c.here, c.total);
		}
		look_at(names, 1, data, size, size + data[0]);
	}
	names_sort(names);
	names_account(names, 1);
	names_conversation(names, 1);
	names_free(names);
}
