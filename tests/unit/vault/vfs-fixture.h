/*
 * A directory of its own and databases in it under fixed keys, for the tests of the cipher VFS.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "vault/vfs.h"

/* What no file may ever hold in clear. */
#define MARKER "Grossmutter's secret recipe"

struct place {
	char dir[64];
	char path[96]; /* dir/a.db, bound to keys of master 1 */
	struct page_keys keys;
	char *paths[32]; /* of place_path() */
	size_t count;
};

#define TEST(name) static void name(void **state)
#define RUN(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

/* cmocka set-up and tear-down: *state is a struct place; VAULT_VFS is registered, path is bound. */
int place_setup(void **state);
int place_teardown(void **state);

/* Keys from a master key of ${master} bytes of that value, file id of ${id} likewise, epoch 1. */
struct page_keys keys_make(uint8_t master, uint8_t id);

/* Open ${path} as the store does: reserve, EXCLUSIVE, journal in ${journal} ("WAL", "DELETE" ...), spill off. */
sqlite3 *db_open(const char *path, const char *journal);
void db_close(sqlite3 *db);
/* Must succeed. */
void db_exec(sqlite3 *db, const char *sql);
/* Extended result code. */
int db_try(sqlite3 *db, const char *sql);
/* First column of the first row; -1 if there is none or it fails. */
int64_t db_int(sqlite3 *db, const char *sql);
/* First column as text; caller frees; NULL if there is none or it fails. */
char *db_text(sqlite3 *db, const char *sql);
/* PRAGMA integrity_check says ok. */
bool db_sound(sqlite3 *db);
/* The file opens, is sound, and has ${rows} rows of db_fill(). */
void assert_holds(const char *path, int rows);
/* A table t(id, body) with ${rows} rows of about ${bytes} bytes, each with MARKER. */
void db_fill(sqlite3 *db, int rows, int bytes);

/* Whole files. The caller frees. */
uint8_t *file_read(const char *path, size_t *ret_size);
void file_write(const char *path, const void *data, size_t size);
void file_patch(const char *path, size_t at, const void *data, size_t size);
void file_copy(const char *from, const char *to);
size_t file_size(const char *path);
bool file_holds(const char *path, const void *what, size_t size);
/* ${place}/${name}; valid as long as the place. */
const char *place_path(struct place *p, const char *name);

/* One file of the VFS by itself, as SQLite's pager holds it. ${type}: SQLITE_OPEN_WAL ...; a.db gives the name. */
sqlite3_file *raw_open(struct place *p, int type);
void raw_close(sqlite3_file *f);
static inline int raw_read(sqlite3_file *f, void *buf, int amt, int64_t off)
{
	return f->pMethods->xRead(f, buf, amt, off);
}
static inline int raw_write(sqlite3_file *f, const void *buf, int amt, int64_t off)
{
	return f->pMethods->xWrite(f, buf, amt, off);
}
/* The file behind raw_open(type), also of a temporary one. */
const char *raw_path(struct place *p, int type);
/* A page of MARKER as SQLite would write it: reserve zero; number 1 with its header. */
void page_fill(uint8_t page[PAGE_SIZE], uint32_t pgno);
