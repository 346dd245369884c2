#include "damage.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "salvage/bytes.h"
#include "vault/vault.h"

static char *body_of(size_t i)
{
	size_t len = i % 23 == 0 ? 4000 + i % 7 * 3900 : 10 + i % 400;
	char *s;

	if (i % 31 == 0)
		return xasprintf("m%zu \xf0\x9f\x8c\x8a \xe4\xb8\x9c\xe4\xba\xac \"quoted\" \\ \t\x7f end", i);
	s = xcalloc(len + 32, 1);
	for (size_t n = (size_t)sprintf(s, "m%zu ", i); n < len; n++)
		s[n] = (char)('a' + (n + i) % 26);
	return s;
}

void fill(struct fx *fx, size_t n)
{
	char id[32], target[32];

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *body = body_of(i);

		snprintf(id, sizeof(id), "id-%zu", i);
		put_live(fx, i % 3 == 0 ? text_out(id, body) : i % 3 == 1 ? text_in(id, body) : text_from(CAROL, id, body),
			 false);
		if (i % 40 == 10) { /* i % 3 == 1: from Bob */
			snprintf(target, sizeof(target), "id-%zu", i);
			if (i % 3 == 1)
				put_live(fx, ref_in(PAYLOAD_RETRACTION, target), false);
		}
	}
}

void rows_deinit(struct rows *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->list[i].account);
		free(r->list[i].conversation);
		free(r->list[i].sender);
		free(r->list[i].body);
	}
	free(r->list);
}

static void add_row(struct rows *r, struct row row)
{
	r->list = xrealloc(r->list, r->n + 1, sizeof(row));
	r->list[r->n++] = row;
}

static char *column(sqlite3_stmt *q, int i)
{
	return xstrdup((const char *)sqlite3_column_text(q, i));
}

struct rows rows_of(sqlite3 *db)
{
	static const char sql[] = "SELECT m.id, m.mod, m.direction, m.time_us, a.jid, c.jid, m.sender, m.body FROM msg m "
				  "JOIN conv c ON c.id = m.conv JOIN account a ON a.id = m.account ORDER BY m.id";
	struct rows r = { 0 };
	sqlite3_stmt *q;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW)
		add_row(&r, (struct row){ .id = sqlite3_column_int64(q, 0),
					  .mod = sqlite3_column_int64(q, 1),
					  .direction = sqlite3_column_int64(q, 2),
					  .time_us = sqlite3_column_int64(q, 3),
					  .account = column(q, 4),
					  .conversation = column(q, 5),
					  .sender = column(q, 6),
					  .body = column(q, 7),
					  .complete = true,
					  .on_disk = true });
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	return r;
}

struct pages pages_of(struct fx *fx, const char *table, const char *type)
{
	struct pages p = { 0 };
	sqlite3_stmt *q;

	assert_int_equal(sqlite3_prepare_v2(fx->s->db,
					    "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 ORDER BY path", -1,
					    &q, NULL),
			 SQLITE_OK);
	sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, type, -1, SQLITE_STATIC);
	while (sqlite3_step(q) == SQLITE_ROW) {
		p.list = xrealloc(p.list, p.n + 1, sizeof(uint32_t));
		p.list[p.n++] = (uint32_t)sqlite3_column_int64(q, 0);
	}
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	return p;
}

void pages_deinit(struct pages *p)
{
	free(p->list);
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char buf[65536];
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	assert_int_equal(n, 0);
}

void copy_files(struct fx *fx, struct files *ret)
{
	_cleanup_(freep) char *log = xasprintf("%s-wal", vault_path(fx->v));

	snprintf(ret->db, sizeof(ret->db), "%s-copy.db", fx->dir);
	snprintf(ret->log, sizeof(ret->log), "%s-copy.db-wal", fx->dir);
	snprintf(ret->image, sizeof(ret->image), "%s-image.db", fx->dir);
	copy_file(vault_path(fx->v), ret->db);
	copy_file(log, ret->log);
}

void remove_files(const struct files *f)
{
	unlink(f->db);
	unlink(f->log);
	unlink(f->image);
}

void flip(const char *path, int64_t at)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(bytes_read(fd, &byte, 1, at), 0);
	byte ^= 0x10;
	assert_int_equal(bytes_write(fd, &byte, 1, at), 0);
}

void flip_page(const struct files *f, uint32_t pgno)
{
	flip(f->db, (int64_t)(pgno - 1) * PAGE_SIZE + 1 + pgno % 4000);
}

static int take(void *userdata, const struct carved *m)
{
	struct got *g = userdata;

	add_row(&g->rows, (struct row){ .id = m->id,
					.mod = m->mod,
					.direction = m->direction,
					.time_us = m->time_us,
					.account = xstrdup(m->account),
					.conversation = xstrdup(m->conversation),
					.sender = xstrdup(m->sender),
					.body = xstrdup(m->body),
					.complete = !m->cut });
	return 0;
}

struct got salvage(struct fx *fx, const struct files *f)
{
	_cleanup_(image_freep) struct image *im = NULL;
	_cleanup_(closep) int db = open(f->db, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int log = open(f->log, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int out = open(f->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct got g = { 0 };

	assert_int_equal(image_new(db, log, vault_keys(fx->v), out, &im), 0);
	g.counts = image_counts(im);
	assert_int_equal(carve_messages(im, take, &g, &g.result), 0);
	assert_int_equal(g.result.messages, g.rows.n);
	return g;
}

void got_deinit(struct got *g)
{
	rows_deinit(&g->rows);
	carve_result_deinit(&g->result);
}

static bool among(uint32_t pgno, const uint32_t *bad, size_t n_bad)
{
	for (size_t i = 0; i < n_bad; i++)
		if (bad[i] == pgno)
			return true;
	return false;
}

/* "/000/001+000003": the fourth overflow page of a cell on that leaf; its row is found by the cell's number. */
void mark_damage(struct fx *fx, struct rows *sql, const uint32_t *bad, size_t n_bad)
{
	static const char leaves[] = "SELECT pageno, ncell, path FROM dbstat WHERE name = 'msg' AND pagetype = 'leaf' "
				     "ORDER BY path";
	static const char tails[] = "SELECT pageno, path FROM dbstat WHERE name = 'msg' AND pagetype = 'overflow' "
				    "AND path GLOB ?1 || '*'";
	sqlite3_stmt *q, *t;
	size_t at = 0;

	assert_int_equal(sqlite3_prepare_v2(fx->s->db, leaves, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(fx->s->db, tails, -1, &t, NULL), SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW) {
		size_t cells = (size_t)sqlite3_column_int64(q, 1);
		const char *path = (const char *)sqlite3_column_text(q, 2);

		assert_true(at + cells <= sql->n);
		for (size_t i = 0; i < cells; i++)
			sql->list[at + i].on_disk = !among((uint32_t)sqlite3_column_int64(q, 0), bad, n_bad);
		sqlite3_bind_text(t, 1, path, -1, SQLITE_STATIC);
		while (sqlite3_step(t) == SQLITE_ROW) {
			const char *tail = (const char *)sqlite3_column_text(t, 1) + strlen(path);
			size_t cell = strtoul(tail, NULL, 16);

			assert_true(cell < cells);
			if (among((uint32_t)sqlite3_column_int64(t, 0), bad, n_bad))
				sql->list[at + cell].tail_damaged = true;
		}
		sqlite3_reset(t);
		at += cells;
	}
	assert_int_equal(at, sql->n);
	sqlite3_finalize(t);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
}

static void assert_row(const struct row *got, const struct row *want)
{
	assert_int_equal(got->id, want->id);
	assert_int_equal(got->mod, want->mod);
	assert_int_equal(got->direction, want->direction);
	assert_int_equal(got->time_us, want->time_us);
	assert_string_equal(got->sender, want->sender);
	/* Their own rows may be lost. */
	if (*got->account)
		assert_string_equal(got->account, want->account);
	if (*got->conversation)
		assert_string_equal(got->conversation, want->conversation);
	assert_int_equal(got->complete, !want->tail_damaged);
	if (!want->body) {
		assert_null(got->body);
		return;
	}
	assert_non_null(got->body);
	if (got->complete)
		assert_string_equal(got->body, want->body);
	else
		assert_memory_equal(got->body, want->body, strlen(got->body));
}

void assert_salvaged(const struct got *g, const struct rows *sql)
{
	size_t at = 0;

	for (size_t i = 0; i < sql->n; i++) {
		if (!sql->list[i].on_disk)
			continue;
		assert_true(at < g->rows.n);
		assert_row(&g->rows.list[at++], &sql->list[i]);
	}
	assert_int_equal(at, g->rows.n);
}

int64_t count_in_image(const struct files *f)
{
	sqlite3_stmt *q = NULL;
	int64_t n = -1;
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(f->image, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, "SELECT count(body) + count(*) - count(body) FROM msg NOT INDEXED", -1, &q, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}
