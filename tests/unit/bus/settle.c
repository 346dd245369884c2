#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/message.h"
#include "store/archive.h"
#include "store/read.h"

struct copy {
	char id[24], aid[32];
	char *body;
	int64_t time_us;
	struct message m;
};

static int on_row(void *userdata, const struct message_row *row)
{
	struct copy *c = userdata;

	str_set(&c->body, row->body);
	c->time_us = row->time_us;
	return 0;
}

/* Live message ${n} as its archived copy, right below ${us} (0: at its own time). */
static int archived(struct copy *c, struct store *s, int64_t account, const char *own, const char *from, unsigned long n,
		    int64_t us)
{
	_cleanup_(freep) char *bare = xstrndup(from, strcspn(from, "/"));
	int64_t row = 0;
	int r;

	snprintf(c->id, sizeof(c->id), "live%06lu", n);
	snprintf(c->aid, sizeof(c->aid), "settled%06lu", n);
	r = read_find(s, account, bare, "id", c->id, &row);
	if (r == 0)
		r = read_messages(s, account, &row, 1, on_row, c);
	message_init(&c->m);
	c->m.payload = PAYLOAD_TEXT;
	c->m.via = VIA_ARCHIVE;
	c->m.type = "chat";
	c->m.from = from;
	c->m.to = own;
	c->m.id = c->id;
	c->m.body = c->body;
	c->m.archive_id = c->aid;
	c->m.archive_us = us ? us - 1 : c->time_us;
	return r;
}

static int put(struct store *s, int64_t account, int64_t archive, const char *own, const struct message *const *items,
	       size_t n)
{
	struct put_outcome out[3];
	/* What it lies below is not known. */
	const struct archive_page page = { .items = items, .n = n, .below_id = "", .above_id = "?", .by_stamp = true };
	int r = store_begin(s);

	if (r == 0)
		r = archive_put(s, account, archive, own, &page, items[0]->archive_us, out);
	if (r == 0)
		r = store_commit(s);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = out[i].result == PUT_KNOWN ? 0 : -EINVAL;
	return r;
}

int settle(struct store *s, int64_t account, int64_t archive, const char *own, const char *from, unsigned long live,
	   unsigned long before)
{
	struct copy it = { 0 }, above = { 0 }, below = { 0 };
	int r = archived(&above, s, account, own, from, before, 0);

	if (r == 0)
		r = archived(&below, s, account, own, from, before - 1, 0);
	if (r == 0)
		r = archived(&it, s, account, own, from, live, above.m.archive_us);
	/* First the others, which stay: what has its place is what the new one is placed by. */
	if (r == 0)
		r = put(s, account, archive, own, (const struct message *[]){ &below.m, &above.m }, 2);
	if (r == 0)
		r = put(s, account, archive, own, (const struct message *[]){ &below.m, &it.m, &above.m }, 3);
	free(it.body);
	free(above.body);
	free(below.body);
	return r;
}
