/*
 * A fuzz target defines fuzz_one(). With clang and -Dfuzz=true libFuzzer calls it (tests/fuzz/run.sh); otherwise
 * replay.c's main() calls it for every file of the directories named: the normal test run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whatever ${data} is, this returns; what must hold and does not aborts. */
void fuzz_one(const uint8_t *data, size_t size);

void must(bool ok, const char *what);
/* A new directory in memory, where there is such a thing; removed with its files by fuzz_remove_dir(). */
char *fuzz_make_dir(void);
void fuzz_remove_dir(const char *dir);
/* Whole files. */
void fuzz_write(const char *path, const void *data, size_t size);
void *fuzz_read(const char *path, size_t *ret_size);
