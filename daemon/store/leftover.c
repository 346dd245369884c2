#include "store/leftover.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "store/disk.h"
#include "vault/vault.h"

char *leftover_partial(const char *path)
{
	return xasprintf("%s.partial", path);
}

char *leftover_sidecar(const char *path)
{
	return xasprintf("%s.keys", path);
}

static int put_name(struct store *s, const char *name, const char *value)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_META_PUT);

	put_t(&q, name);
	put_t(&q, value);
	return db_run(&q);
}

static int get_name(struct store *s, const char *name, char **ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_META_GET);
	int r;

	*ret = NULL;
	put_t(&q, name);
	r = db_row(&q);
	if (r > 0)
		*ret = xstrdup(col_t(&q, 0));
	return r < 0 ? err_trace(r) : 0;
}

static int forget(struct store *s)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_META_FORGET_COPIES);
	int r;

	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	r = db_run(&q);
	if (r == 0)
		return store_commit(s);
	store_rollback(s);
	return err_trace(r);
}

static int note(struct store *s, const char *names[2], const char *values[2])
{
	int r;

	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	for (int i = 0; i < 2 && r == 0; i++)
		if (names[i])
			r = put_name(s, names[i], values[i]);
	if (r == 0)
		return store_commit(s);
	store_rollback(s);
	return err_trace(r);
}

int leftover_note_backup(struct store *s, const char *path)
{
	return note(s, (const char *[2]){ "backup" }, (const char *[2]){ path });
}

int leftover_note_successor(struct store *s, const char *path)
{
	_cleanup_(freep) char *next = xstrdup(path), *now = xstrdup(s->path);

	return note(s, (const char *[2]){ "successor", "predecessor" },
		    (const char *[2]){ basename(next), basename(now) });
}

/* A file of ours under the name that we noted: nothing in it yet, no first page yet, or one that is sealed. Another
 * file may be there by now: the note outlives the backup. */
static bool is_partial(const char *path)
{
	static const uint8_t none[16];
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	uint8_t head[sizeof(none)];
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));

	return n == 0 || (n == sizeof(head) && memcmp(head, none, sizeof(none)) == 0) || disk_is_sealed(path);
}

/* A sidecar whose text a power cut kept from the disk. It can be read: disk_kind() did. */
static bool is_torn(const char *path)
{
	_cleanup_(vault_freep) struct vault *v = NULL;
	_cleanup_(freep) char *why = NULL;

	return vault_load_file(path, "/", &v, &why) == VAULT_E_DAMAGED;
}

/* The sidecar is written when the copy is complete and verified: with it only the last rename is missing. */
static int clean_backup(const char *path)
{
	_cleanup_(freep) char *partial = leftover_partial(path), *sidecar = leftover_sidecar(path);
	enum disk_kind have, keys;
	int r;

	r = disk_kind(partial, &have);
	if (r == 0)
		r = disk_kind(sidecar, &keys);
	if (r < 0)
		return err_trace(r);
	if (have == DISK_NONE || !is_partial(partial))
		return 0;
	if (keys != DISK_NONE && is_torn(sidecar)) {
		r = disk_remove(sidecar);
		if (r < 0)
			return err_trace(r);
		keys = DISK_NONE;
	}
	if (keys == DISK_NONE) {
		log_info("archive: a backup that was cut off is removed");
		return disk_remove_db(partial);
	}
	return disk_rename(partial, path, false);
}

/* ${name} is in the directory of the archive, and not the archive. */
static int remove_sibling(struct store *s, const char *name)
{
	_cleanup_(freep) char *copy = xstrdup(s->path), *path = NULL;

	if (strchr(name, '/') || strncmp(name, "archive", 7) != 0)
		return 0;
	path = xasprintf("%s/%s", dirname(copy), name);
	if (strcmp(path, s->path) == 0)
		return 0;
	return disk_remove_db(path);
}

static int clean_rotation(struct store *s, const char *next, const char *last)
{
	_cleanup_(freep) char *copy = xstrdup(s->path);
	const char *own = basename(copy);

	if (strcmp(own, next) == 0)
		return remove_sibling(s, last);
	if (strcmp(own, last) == 0)
		return remove_sibling(s, next);
	/* Somebody renamed the archive: what the names mean now is not for us to guess. */
	return 0;
}

int leftover_clean(struct store *s)
{
	_cleanup_(freep) char *next = NULL, *last = NULL, *backup = NULL;
	int r;

	r = get_name(s, "successor", &next);
	if (r == 0)
		r = get_name(s, "predecessor", &last);
	if (r == 0)
		r = get_name(s, "backup", &backup);
	if (r < 0)
		return err_trace(r);
	if (!next && !last && !backup)
		return 0;
	if (next && last)
		r = clean_rotation(s, next, last);
	/* A backup on a stick that is not there now, or whose name was taken: forgotten, nothing else was promised. */
	if (r == 0 && backup && clean_backup(backup) < 0)
		log_info("archive: what is left of a backup that was cut off could not be removed");
	if (r == 0)
		r = forget(s);
	return r < 0 ? err_trace(r) : 0;
}
