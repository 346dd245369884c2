#define _GNU_SOURCE /* nftw */
#include "load.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/account.h"
#include "store/disk.h"
#include "store/read.h"
#include "store/schema.h"

void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "bench: %s: %d\n", what, r);
	exit(1);
}

double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double quantile(double *x, size_t n, double p)
{
	qsort(x, n, sizeof(*x), by_value);
	return x[(size_t)((double)(n - 1) * p)];
}

void load_message(struct load_line *l, struct message *m, long k)
{
	unsigned int seed = (unsigned int)k * 2654435761u;
	size_t len = 40 + seed % 320;
	bool out = seed % 3 == 0;

	snprintf(l->id, sizeof(l->id), "%08x-%08x-%lx", seed, seed * 48271u, k);
	snprintf(l->aid, sizeof(l->aid), "%08x%08lx", seed * 16807u, k);
	snprintf(out ? l->to : l->from, sizeof(l->from), "contact%ld@b.example%s", k % LOAD_CONTACTS,
		 out ? "" : "/phone");
	snprintf(out ? l->from : l->to, sizeof(l->to), "%s", out ? LOAD_OWN "/desk" : LOAD_OWN);
	for (size_t i = 0; i < len; i++)
		l->body[i] = i % 6 == 5 ? ' ' : (char)('a' + (seed >> (i % 24)) % 26);
	l->body[len] = '\0';
	message_init(m);
	m->payload = PAYLOAD_TEXT;
	m->via = VIA_ARCHIVE;
	m->type = "chat";
	m->from = l->from;
	m->to = l->to;
	m->id = m->origin_id = l->id;
	m->archive_id = l->aid;
	m->archive_us = LOAD_T0 + k * 1000000;
	m->body = l->body;
}

static void open_plain(struct load *b, const char *dir)
{
	const char *what = "";
	int64_t size;

	b->s = xnew(struct store);
	b->s->plain = true;
	b->s->limits = store_limits_default;
	b->s->path = xasprintf("%s/archive.db", dir);
	check(disk_make_dir(dir), "directory");
	check(disk_make_file(b->s->path, &size), "file");
	check(db_open(b->s, size == 0, &what), "open");
	check(schema_apply(b->s, size == 0), "schema");
	check(sqlite3_db_config(b->s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL), "config");
}

void load_open(struct load *b, const char *dir, bool plain)
{
	_cleanup_(freep) char *why = NULL;
	char jid[] = LOAD_OWN;
	struct account a = { .jid = jid };

	b->v = NULL;
	if (plain) {
		open_plain(b, dir);
	} else {
		check(store_find(dir, dir, &b->v, &why), "keys");
		check(store_open(b->v, &b->s, &why), "open");
	}
	if (b->account)
		return;
	check(store_begin(b->s), "begin");
	check(account_add(b->s, &a), "account");
	check(archive_id(b->s, a.id, "", &b->archive), "archive");
	check(store_commit(b->s), "commit");
	b->account = a.id;
}

void load_close(struct load *b)
{
	b->s = store_free(b->s);
	b->v = vault_free(b->v);
}

void load_init(struct load *b, long n, long batch)
{
	memset(b, 0, sizeof(*b));
	b->n = b->end = n;
	b->batch = batch;
	b->lines = xnewn(struct load_line, (size_t)batch);
	b->messages = xnewn(struct message, (size_t)batch);
	b->list = xnewn(const struct message *, (size_t)batch);
	b->out = xnewn(struct put_outcome, (size_t)batch);
	for (long i = 0; i < batch; i++)
		b->list[i] = &b->messages[i];
}

void load_deinit(struct load *b)
{
	free(b->lines);
	free(b->messages);
	free(b->list);
	free(b->out);
}

double load_batch(struct load *b)
{
	long end = b->end, first = end > b->batch ? end - b->batch : 0;
	const struct archive_page page = {
		.items = b->list, .n = (size_t)(end - first), .below_id = "", .above_id = b->above,
	};
	struct cover c;
	double t;

	if (end <= 0)
		return -1;
	for (long k = first; k < end; k++)
		load_message(&b->lines[k - first], &b->messages[k - first], k);
	check(store_begin(b->s), "begin");
	check(archive_put(b->s, b->account, b->archive, LOAD_OWN, &page, LOAD_T0, b->out), "put");
	if (!*b->last)
		snprintf(b->last, sizeof(b->last), "%s", b->lines[end - first - 1].aid);
	snprintf(b->above, sizeof(b->above), "%s", b->lines[0].aid);
	cover_init(&c);
	cover_load(&c, b->above, LOAD_T0 + first * 1000000, b->last, LOAD_T0 + b->n * 1000000, 0);
	check(cover_write(b->s, b->archive, &c), "cover");
	cover_deinit(&c);
	t = now_s(CLOCK_MONOTONIC);
	check(store_commit(b->s), "commit");
	b->end = first;
	return (now_s(CLOCK_MONOTONIC) - t) * 1000;
}

static int count_row(void *userdata, const struct message_row *row)
{
	*(size_t *)userdata += *row->body != '\0';
	return 0;
}

size_t load_page(struct load *b, int contact, long k)
{
	char conv[48];
	struct history_query q = {
		.account = b->account, .conversation = conv, .anchor = ANCHOR_TIME, .before = 49,
		.value = LOAD_T0 + (int64_t)k * 1000000,
	};
	size_t rows = 0;
	uint32_t edges;
	uint64_t seq;

	snprintf(conv, sizeof(conv), "contact%d@b.example", contact);
	check(read_history(b->s, &q, count_row, &rows, &edges, &seq), "history");
	return rows;
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

void load_remove(const char *dir)
{
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
