#define _GNU_SOURCE /* nftw */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/disk.h"
#include "store/schema.h"

static unsigned int serial;

static const char *const v3_columns[] = {
	"msg DROP COLUMN asks", "msg DROP COLUMN ours", "conv DROP COLUMN pinned",
	"conv DROP COLUMN archived", "conv DROP COLUMN muted_us", "conv DROP COLUMN draft",
	"conv DROP COLUMN opened_us", "conv DROP COLUMN marked", "conv DROP COLUMN told", "conv DROP COLUMN seen",
	"conv DROP COLUMN read_key", "conv DROP COLUMN floor", "conv DROP COLUMN floor_us", "conv DROP COLUMN purging",
	"account DROP COLUMN first_key", "roster DROP COLUMN blocked", "roster DROP COLUMN listed",
};

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

void remove_tree(const char *dir)
{
	_cleanup_(freep) char *config = config_of(dir);

	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	(void)nftw(config, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

char *config_of(const char *dir)
{
	return xasprintf("%s-config", dir);
}

int try_open(const char *dir, struct vault **ret_vault, struct store **ret, char **ret_why)
{
	_cleanup_(freep) char *config = config_of(dir);
	int r;

	*ret = NULL;
	r = store_find(dir, config, ret_vault, ret_why);
	if (r == 0)
		r = store_open(*ret_vault, ret, ret_why);
	if (r != 0) {
		vault_free(*ret_vault);
		*ret_vault = NULL;
	}
	return r;
}

int open_once(const char *dir)
{
	_cleanup_(freep) char *why = NULL;
	struct vault *v = NULL;
	struct store *s = NULL;
	int r = try_open(dir, &v, &s, &why);

	store_free(s);
	vault_free(v);
	return r;
}

void assert_outcome(const char *dir, int want, const char *word)
{
	_cleanup_(freep) char *why = NULL;
	struct vault *v = NULL;
	struct store *s = NULL;
	int r = try_open(dir, &v, &s, &why);

	if (r != want)
		print_error("outcome %d, not %d: %s\n", r, want, str_or_empty(why));
	assert_int_equal(r, want);
	assert_null(s);
	assert_non_null(why);
	assert_non_null(strstr(why, dir));
	if (!strstr(why, word))
		print_error("no \"%s\" in: %s\n", word, why);
	assert_non_null(strstr(why, word));
}

static void fx_open(struct fx *fx)
{
	_cleanup_(freep) char *why = NULL;
	int r = try_open(fx->dir, &fx->v, &fx->s, &why);

	if (r != 0)
		print_error("store_open: %d: %s\n", r, str_or_empty(why));
	assert_int_equal(r, 0);
}

void fx_close(struct fx *fx)
{
	fx->s = store_free(fx->s);
	fx->v = vault_free(fx->v);
}

int64_t fx_account(struct fx *fx, const char *jid, int64_t *ret_archive)
{
	_cleanup_(freep) char *copy = xstrdup(jid);
	struct account a = { .jid = copy, .enabled = true };

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(account_add(fx->s, &a), 0);
	assert_int_equal(archive_id(fx->s, a.id, "", ret_archive), 0);
	assert_int_equal(store_commit(fx->s), 0);
	return a.id;
}

int fx_setup(void **state)
{
	struct fx *fx = xnew(struct fx);

	snprintf(fx->dir, sizeof(fx->dir), "%s/varve-store-%d-%u", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
		 (int)getpid(), ++serial);
	fx->now = T0 + DAY;
	fx_open(fx);
	fx->account = fx_account(fx, OWN, &fx->archive);
	*state = fx;
	return 0;
}

int fx_teardown(void **state)
{
	struct fx *fx = *state;

	fx_close(fx);
	remove_tree(fx->dir);
	free(fx);
	return 0;
}

void fx_reopen(struct fx *fx)
{
	fx_close(fx);
	fx_open(fx);
}

void fx_open_plain(struct fx *fx)
{
	_cleanup_(freep) char *marker = xasprintf("%s/archive.state", fx->dir);
	const char *what = "";
	int64_t size;

	fx_close(fx);
	fx->s = xnew(struct store);
	fx->s->plain = true;
	fx->s->path = xasprintf("%s/archive.db", fx->dir);
	fx->s->limits = store_limits_default;
	assert_int_equal(disk_make_dir(fx->dir), 0);
	assert_int_equal(disk_make_file(fx->s->path, &size), 0);
	assert_int_equal(db_open(fx->s, size == 0, &what), 0);
	assert_int_equal(schema_apply(fx->s, size == 0), 0);
	assert_int_equal(store_checkpoint(fx->s), 0);
	write_file(marker, "format 1; must exist\n", 21);
	if (size == 0)
		fx->account = fx_account(fx, OWN, &fx->archive);
}

void fx_undo_v3(struct fx *fx)
{
	assert_int_equal(db_exec(fx->s, "DROP TABLE push; " /* of 7 */
				 "ALTER TABLE conv DROP COLUMN held_from; ALTER TABLE conv DROP COLUMN held_to; " /* of 5 */
				 "DROP TABLE login; " /* of version 4 */
				 "DROP TABLE outbox; DROP TABLE gone; DROP INDEX conv_now; CREATE INDEX conv_mod ON conv(account, mod);"
				 "DROP INDEX conv_purging; CREATE INDEX conv_activity ON conv(account, activity_us);"
				 "PRAGMA user_version=2"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(v3_columns); i++) {
		_cleanup_(freep) char *sql = xasprintf("ALTER TABLE %s", v3_columns[i]);

		assert_int_equal(db_exec(fx->s, sql), 0);
	}
}

char *path_of(const struct fx *fx, const char *name)
{
	return xasprintf("%s/%s", fx->dir, name);
}

void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

int64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

bool file_has(const char *path, const char *text)
{
	int64_t size = file_size(path);
	_cleanup_(freep) char *data = NULL;
	FILE *f;

	if (size <= 0)
		return false;
	data = xcalloc(1, (size_t)size);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fread(data, 1, (size_t)size, f), (size_t)size);
	fclose(f);
	return memmem(data, (size_t)size, text, strlen(text)) != NULL;
}

bool tree_has(const char *dir, const char *text)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	assert_non_null(d);
	while ((e = readdir(d))) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, e->d_name);

		if (e->d_type == DT_REG && file_has(path, text)) {
			print_message("\"%s\" is in %s\n", text, path);
			found = true;
		}
	}
	closedir(d);
	return found;
}

void spoil(const char *path, uint32_t page)
{
	long at = (long)(page - 1) * PAGE_SIZE + 77;
	FILE *f = fopen(path, "r+");
	int c;

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	c = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_int_equal(fputc(c ^ 1, f), c ^ 1);
	assert_int_equal(fclose(f), 0);
}

int run_self(const char *command, const char *dir, int kill_at)
{
	char n[16];
	pid_t pid;
	int status;

	snprintf(n, sizeof(n), "%d", kill_at);
	pid = fork();
	if (pid == 0) {
		/* step() reads its environment once: so in a new program. */
		if (kill_at)
			setenv("VARVE_STEP_KILL", n, 1);
		execl("/proc/self/exe", "test", command, dir, NULL);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? RUN_KILLED : WEXITSTATUS(status);
}

int64_t sql(struct fx *fx, const char *text)
{
	int64_t n;

	assert_int_equal(db_number(fx->s->db, text, &n), 0);
	return n;
}

bool fx_sound(struct fx *fx)
{
	_cleanup_(freep) char *bad = NULL;
	int r = db_quick_check(fx->s->db, &bad);

	/* A page that does not authenticate */
	assert_true(r == 0 || r == -EBADMSG);
	return r == 0 && !bad;
}

struct message text_from(const char *from, const char *id, const char *body)
{
	struct message m;

	message_init(&m);
	m.payload = PAYLOAD_TEXT;
	m.from = from;
	m.to = OWN;
	m.type = "chat";
	m.id = id;
	m.body = body;
	return m;
}

struct message text_in(const char *id, const char *body)
{
	return text_from(BOB "/phone", id, body);
}

struct message text_out(const char *id, const char *body)
{
	struct message m = text_from(OWN "/desk", id, body);

	m.to = BOB;
	return m;
}

struct message with_aid(struct message m, const char *aid)
{
	m.archive_id = aid;
	return m;
}

struct message archived(struct message m, const char *aid, int64_t stamp_s)
{
	m.via = VIA_ARCHIVE;
	m.archive_id = aid;
	m.archive_us = T0 + stamp_s * SEC;
	return m;
}

struct message ref_in(enum message_payload payload, const char *target)
{
	struct message m = text_in("", "");

	m.payload = payload;
	m.target_id = target;
	return m;
}

struct message ref_out(enum message_payload payload, const char *target)
{
	struct message m = text_out("", "");

	m.payload = payload;
	m.target_id = target;
	return m;
}

struct put_outcome put_live(struct fx *fx, struct message m, bool extends)
{
	struct put_outcome out;

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now, extends, &out), 0);
	assert_int_equal(store_commit(fx->s), 0);
	return out;
}

void put_page(struct fx *fx, const struct message *items, size_t n, const char *below, const char *above,
	      struct put_outcome *out)
{
	_cleanup_(freep) const struct message **list = xnewn(const struct message *, n + 1);
	_cleanup_(freep) struct put_outcome *outcomes = xnewn(struct put_outcome, n + 1);
	const struct archive_page page = { .items = list, .n = n, .below_id = below, .above_id = above };

	for (size_t i = 0; i < n; i++)
		list[i] = &items[i];
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(archive_put(fx->s, fx->account, fx->archive, OWN, &page, fx->now, outcomes), 0);
	assert_int_equal(store_commit(fx->s), 0);
	if (out)
		memcpy(out, outcomes, n * sizeof(*out));
}

void put_cover(struct fx *fx, const char *spec)
{
	struct cover c;
	char first[32], last[32], flags[8];
	int used;

	cover_init(&c);
	for (; sscanf(spec, " %31[^- ]-%31[^ *^!]%n", first, last, &used) == 2; spec += used) {
		uint32_t f = 0;

		spec += used;
		used = 0;
		if (sscanf(spec, "%7[*^!]%n", flags, &used) == 1)
			f = (strchr(flags, '^') ? SPAN_START : 0u) | (strchr(flags, '*') ? SPAN_LIVE : 0u) |
			    (strchr(flags, '!') ? SPAN_LOST : 0u);
		cover_load(&c, first, 0, last, 0, f);
	}
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(cover_write(fx->s, fx->archive, &c), 0);
	assert_int_equal(store_commit(fx->s), 0);
	cover_deinit(&c);
}

static int add_body(void *userdata, const struct message_row *row)
{
	struct buf *b = userdata;

	if (b->len)
		buf_adds(b, " ");
	buf_adds(b, *row->body ? row->body : row->kind);
	return 0;
}

const char *bodies(struct fx *fx, const char *conversation)
{
	static struct buf b;
	struct history_query q = {
		.account = fx->account, .conversation = conversation, .anchor = ANCHOR_OLDEST,
		.after = READ_ROWS_MAX + 1, .across_gaps = true,
	};
	uint32_t edges;
	uint64_t seq;
	int r;

	buf_reset(&b);
	r = read_history(fx->s, &q, add_body, &b, &edges, &seq);
	if (r == READ_E_NO_CONVERSATION)
		return "(none)";
	assert_int_equal(r, 0);
	assert_true(edges & EDGE_OLDEST);
	assert_true(edges & (EDGE_NEWEST | EDGE_CUT));
	return buf_str(&b);
}

uint64_t count_messages(struct fx *fx)
{
	uint64_t n;

	assert_int_equal(archive_count(fx->s, fx->account, &n), 0);
	return n;
}

static void keep_row(struct message_row *dst, const struct message_row *src)
{
	static char *kept[64];
	static size_t next;
	const char **fields[] = { &dst->conversation, &dst->sender, &dst->body, &dst->stanza_id, &dst->origin_id,
				  &dst->xmpp_id, &dst->encryption, &dst->error, &dst->error_text, &dst->reactions };

	*dst = *src;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t slot = next++ % ARRAY_SIZE(kept);

		free(kept[slot]);
		kept[slot] = xstrdup(*fields[i]);
		*fields[i] = kept[slot];
	}
}

struct wanted {
	const char *body;
	struct message_row row;
	bool found;
};

static int match_body(void *userdata, const struct message_row *row)
{
	struct wanted *w = userdata;

	if (!w->found && strcmp(*row->body ? row->body : row->kind, w->body) == 0) {
		keep_row(&w->row, row);
		w->found = true;
	}
	return 0;
}

struct message_row row_of(struct fx *fx, const char *body)
{
	struct history_query q = { .account = fx->account, .conversation = "", .anchor = ANCHOR_OLDEST,
				   .after = READ_ROWS_MAX, .across_gaps = true };
	struct wanted w = { .body = body };
	uint32_t edges;
	uint64_t seq;

	assert_int_equal(read_history(fx->s, &q, match_body, &w, &edges, &seq), 0);
	assert_true(w.found);
	return w.row;
}

static int keep_conv(void *userdata, const struct conversation_row *row)
{
	struct conversation_row *dst = userdata;
	struct message_row last;

	*dst = *row;
	keep_row(&last, &row->last);
	dst->last = last;
	dst->kind = strcmp(row->kind, "room") == 0 ? "room" : "direct";
	dst->id = NULL;
	dst->title = NULL;
	return 0;
}

struct conversation_row conv_of(struct fx *fx, const char *jid)
{
	struct conversation_row row;

	assert_int_equal(read_conversation(fx->s, fx->account, jid, keep_conv, &row), 0);
	return row;
}

uint64_t seq_of(struct fx *fx)
{
	uint64_t seq, oldest;

	assert_int_equal(read_seq(fx->s, fx->account, &seq, &oldest), 0);
	return seq;
}
