/*
 * Files of the archive's directory as such: make, look at, overwrite, rename, remove, each durable. Private to store/.
 *
 * A descriptor on a database that SQLite has open must never be closed here: POSIX would drop SQLite's locks with it.
 * So all of this is for files that are not open.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Make ${dir} and its parents (0700) where missing, and see that it can be written. */
int disk_make_dir(const char *dir);
/*
 * Make sure that the file is there and that only its owner can read it, also under a lax umask: SQLite gives -wal the
 * mode of the database. *ret_size: its size; 0 for a new one.
 */
int disk_make_file(const char *path, int64_t *ret_size);
/* A new file (O_EXCL, 0600). -EEXIST. */
int disk_make_new(const char *path);
/* Size of a file, -1 if there is none; -errno below that. */
int disk_size(const char *path, int64_t *ret);

enum disk_kind { DISK_NONE, DISK_EMPTY, DISK_PLAIN, DISK_FOREIGN, DISK_OTHER };
/* What the first bytes of ${path} are: no file, no bytes, a plain database of varve, somebody else's plain database,
 * anything else (an encrypted one, garbage). */
int disk_kind(const char *path, enum disk_kind *ret);

/* Which file a name is: zeros if there is none. */
struct disk_id {
	uint64_t dev, ino;
};
struct disk_id disk_id(const char *path);

/* Whether ${path} begins as an encrypted database does; what cannot be read does not. */
bool disk_is_sealed(const char *path);

/* fsync of a file. */
int disk_sync(const char *path);
/* Rename, durable. ${replace} false: -EEXIST if ${to} is there. */
int disk_rename(const char *from, const char *to, bool replace);
/* Remove, durable; 0 also if it is not there. */
int disk_remove(const char *path);
/* A database file with its -wal and -journal. */
int disk_remove_db(const char *path);
/* Overwrite with zeros once, unless it has other names (hard links), then remove. What flash storage keeps of it is beyond us. */
int disk_wipe(const char *path);
