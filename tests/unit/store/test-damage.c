/* One bad page: the rest stays readable and writable, and nothing remembers the failure. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>

#include "store/copy.h"

enum { MESSAGES = 400, BODY = 700 };

static void fill(struct fx *fx)
{
	char body[BODY + 1];

	memset(body, 'b', BODY);
	body[BODY] = '\0';
	for (int i = 0; i < MESSAGES; i++) {
		char id[16], aid[16];
		struct message m;

		snprintf(id, sizeof(id), "m%d", i);
		snprintf(aid, sizeof(aid), "a%d", i);
		m = with_aid(i % 2 ? text_from(CAROL "/x", id, body) : text_in(id, body), aid);
		fx->now += SEC;
		put_live(fx, m, true);
	}
}

/* Which pages hold rows of table msg, read from the tree itself: leaves (type 13) below its root. */
static uint32_t leaf_of_msg(struct fx *fx, int which)
{
	sqlite3_file *file = NULL;
	uint8_t page[PAGE_SIZE];
	int64_t root;
	uint32_t at;

	assert_int_equal(store_checkpoint(fx->s), 0);
	assert_int_equal(db_number(fx->s->db, "SELECT rootpage FROM sqlite_schema WHERE name='msg'", &root), 0);
	assert_int_equal(sqlite3_file_control(fx->s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file), SQLITE_OK);
	assert_int_equal(file->pMethods->xRead(file, page, PAGE_SIZE, (root - 1) * PAGE_SIZE), SQLITE_OK);
	/* An interior page: cell pointers from byte 12, each cell begins with its child. */
	assert_int_equal(page[0], 5);
	at = (uint32_t)page[12 + 2 * which] << 8 | page[13 + 2 * which];
	at = (uint32_t)page[at] << 24 | (uint32_t)page[at + 1] << 16 | (uint32_t)page[at + 2] << 8 | page[at + 3];
	assert_int_equal(file->pMethods->xRead(file, page, PAGE_SIZE, (int64_t)(at - 1) * PAGE_SIZE), SQLITE_OK);
	assert_int_equal(page[0], 13);
	return at;
}

static int read_one(struct fx *fx, int64_t id)
{
	_cleanup_(freep) char *sql = xasprintf("SELECT length(body) FROM msg WHERE id=%lld", (long long)id);
	int64_t len;
	int r = db_number(fx->s->db, sql, &len);

	if (r == 0)
		assert_int_equal(len, BODY);
	return r;
}

/* An archive with one bad leaf; returns its page, the messages on it are unreadable. */
static uint32_t damaged(struct fx *fx)
{
	_cleanup_(freep) char *path = xstrdup(fx->s->path);
	uint32_t page;

	fill(fx);
	page = leaf_of_msg(fx, 10);
	fx_close(fx);
	spoil(path, page);
	fx_reopen(fx);
	return page;
}

TEST(the_rest_stays_readable)
{
	struct fx *fx = *state;
	int lost = 0;

	(void)damaged(fx);
	/* Twice: the first failure is not remembered, the second is no surprise. */
	for (int round = 0; round < 2; round++) {
		lost = 0;
		for (int64_t id = 1; id <= MESSAGES; id++) {
			int r = read_one(fx, id);

			assert_true(r == 0 || r == -EBADMSG);
			lost += r != 0;
		}
		/* Five rows of some 750 bytes a page. */
		assert_in_range(lost, 3, 6);
	}
}

static int ignore_row(_unused_ void *userdata, _unused_ const struct message_row *row)
{
	return 0;
}

static int read_page(struct fx *fx, const char *conv, enum history_anchor anchor, uint32_t n)
{
	struct history_query q = { .account = fx->account, .conversation = conv, .anchor = anchor, .across_gaps = true };
	uint32_t edges;
	uint64_t seq;

	if (anchor == ANCHOR_OLDEST)
		q.after = n;
	else
		q.before = n;
	return read_history(fx->s, &q, ignore_row, NULL, &edges, &seq);
}

/* Never a page that is silently shorter. */
TEST(a_history_page_over_it_fails_and_others_do_not)
{
	struct fx *fx = *state;

	(void)damaged(fx);
	assert_int_equal(read_page(fx, BOB, ANCHOR_OLDEST, 200), -EBADMSG);
	assert_int_equal(read_page(fx, BOB, ANCHOR_NEWEST, 50), 0);
	assert_int_equal(read_page(fx, CAROL, ANCHOR_NEWEST, 50), 0);
	assert_int_equal(read_page(fx, BOB, ANCHOR_OLDEST, 200), -EBADMSG);
	assert_int_equal(read_page(fx, BOB, ANCHOR_OLDEST, 10), 0);
}

TEST(writing_goes_on_elsewhere)
{
	struct fx *fx = *state;
	struct put_outcome out;
	struct message m;

	(void)damaged(fx);
	(void)read_page(fx, BOB, ANCHOR_OLDEST, 200);
	assert_int_equal(put_live(fx, with_aid(text_in("new", "new"), "new"), true).result, PUT_NEW);

	/* A transaction that needs the page fails as a whole; the next one does not. */
	assert_int_equal(store_begin(fx->s), 0);
	m = text_in("kept?", "no");
	assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now, false, &out), 0);
	assert_int_equal(db_exec(fx->s, "UPDATE msg SET state = 1"), -EBADMSG);
	assert_int_equal(store_commit(fx->s), -EBADMSG);
	assert_int_equal(put_live(fx, with_aid(text_in("newer", "newer"), "newer"), true).result, PUT_NEW);
	for (int restart = 0; restart < 2; restart++) {
		int64_t n;

		assert_int_equal(db_number(fx->s->db, "SELECT count(*) FROM msg WHERE id > 400 AND body LIKE 'new%'", &n), 0);
		assert_int_equal(n, 2);
		fx_reopen(fx);
	}
}

TEST(it_is_found_and_named)
{
	struct fx *fx = *state;
	uint32_t page = damaged(fx), pages[SCAN_PAGES_MAX], total;
	struct scan *x;

	assert_false(fx_sound(fx));
	assert_int_equal(scan_new(fx->s, &x), 0);
	while (scan_step(x, 1000) > 0)
		;
	assert_int_equal(scan_bad(x, pages, &total), 1);
	assert_int_equal(pages[0], page);
	scan_free(x);
}

/* A backup of it would be no backup; what is left of the attempt is nothing. */
TEST(it_is_not_copied)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = xasprintf("%s/backup", fx->dir), *partial = xasprintf("%s.partial", path);
	struct vault_next *n;
	struct copy *c;
	int r;

	(void)damaged(fx);
	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	while ((r = copy_step(c, 1000)) > 0)
		;
	assert_int_equal(r, -EBADMSG);
	assert_int_equal(file_size(partial), -1);
	assert_int_equal(file_size(path), -1);
	copy_free(c);
	vault_next_free(n);
	assert_int_equal(put_live(fx, with_aid(text_in("new", "new"), "new"), true).result, PUT_NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_rest_stays_readable),
		RUN(a_history_page_over_it_fails_and_others_do_not),
		RUN(writing_goes_on_elsewhere),
		RUN(it_is_found_and_named),
		RUN(it_is_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
