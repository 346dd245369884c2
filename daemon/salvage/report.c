#include "salvage/report.h"

#include <inttypes.h>
#include <stdio.h>

enum { RANGES_SHOWN = 12 }; /* of pages and ids */

static void show_range(uint64_t *shown, int64_t from, int64_t to)
{
	if (*shown < RANGES_SHOWN)
		printf(from == to ? "%s%" PRId64 : "%s%" PRId64 "-%" PRId64, *shown > 0 ? ", " : "", from, to);
	else if (*shown == RANGES_SHOWN)
		fputs(", ...", stdout);
	++*shown;
}

static void show_pages(const struct image *im)
{
	struct image_counts c = image_counts(im);
	uint64_t shown = 0;

	printf("pages     %" PRIu32 " of %" PRIu32 "\n", c.good, c.pages);
	if (c.good == c.pages)
		return;
	printf("lost      %" PRIu32 " damaged, %" PRIu32 " missing: ", c.bad, c.missing);
	for (uint32_t from = 1, to; from <= c.pages; from = to + 1) {
		to = from;
		if (image_has(im, from) || image_is_lock_page(from))
			continue;
		while (to < c.pages && !image_has(im, to + 1) && !image_is_lock_page(to + 1))
			to++;
		show_range(&shown, from, to);
	}
	putchar('\n');
	if (c.format > 0)
		printf("          %" PRIu32 " of them are in the format of a newer varve\n", c.format);
	if (c.header_made)
		puts("          page 1 is one of them: a new one was made, with the tables that could be found");
}

static void show_log(const struct image *im)
{
	struct wal_counts l = image_counts(im).log;

	if (l.frames == 0)
		return;
	printf("log       %" PRIu32 " of %" PRIu32 " frames", l.good, l.good + l.bad);
	if (l.bad > 0)
		fputs("; pages whose frames are damaged may be older than the others", stdout);
	if (l.unfinished > 0)
		printf("; %" PRIu32 " more belong to nothing that was finished", l.unfinished);
	putchar('\n');
	if (l.header_lost)
		puts("          its header is lost");
}

void report_image(const struct image *im)
{
	show_pages(im);
	show_log(im);
}

bool report_lost(const struct image *im)
{
	struct image_counts c = image_counts(im);

	return c.good < c.pages || c.log.bad > 0 || c.log.header_lost || c.pages == 0;
}

void report_messages(const struct carve_result *r, const char *path, bool lost)
{
	uint64_t shown = 0;

	printf("messages  %" PRIu64 " written to %s\n", r->messages, path);
	if (r->cut > 0)
		printf("          %" PRIu64 " of them without their end (\"complete\": false)\n", r->cut);
	/* Ids also go missing when messages are removed: without damage that is all there is to it. */
	if (!lost || r->missing == 0)
		return;
	printf("missing   at most %" PRIu64 " messages, with the ids ", r->missing);
	for (size_t i = 0; i < r->n_ranges; i++)
		show_range(&shown, r->ranges[i].from, r->ranges[i].to);
	putchar('\n');
}
