/*
 * The few helpers every file of varvectl wants. ipc/ includes nothing of daemon/ (docs/ARCHITECTURE.md), so that the
 * client side can be lifted out; hence this page and not daemon/base/mem.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _unused_ __attribute__((unused))

#define USEC_PER_SEC ((int64_t)1000000)

/* Allocate or abort: everything allocated here is bounded by a page of the bus (facts/ipc.md section 2.1). */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
/* A copy; NULL for NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);

/* ${s} as one word of a shell, for a command that somebody may copy: an address may hold $(...). */
char *shell_quote(const char *s);

/* A copy of ${s} with ASCII letters in lower case: JIDs are stored folded (RFC 7622 section 3.2, 3.3). */
char *str_fold(const char *s);

/* ${path} with the current directory in front unless it is absolute. 0, or -errno: there is no current directory. */
int path_absolute(const char *path, char **ret);

/*
 * "varve" below $VARIABLE when that is absolute (XDG base directory specification), else below $HOME/${fallback}; as
 * varved does.
 */
char *xdg_dir(const char *variable, const char *fallback);

/*
 * Parse a decimal number; 0, or -EINVAL for anything else than digits, -ERANGE beyond uint64_t.
 */
int parse_u64(const char *s, uint64_t *ret);
/* A time span in seconds with an optional fraction ("2.5"); 0 or -EINVAL. *ret_us in microseconds. */
int parse_seconds(const char *s, uint64_t *ret_us);

/*
 * The candidate nearest to ${word} (edits of one character; a swap counts one), or NULL if none is near enough to be
 * what was meant.
 */
const char *nearest(const char *word, const char *const *candidates, size_t n);

/* CLOCK_REALTIME and CLOCK_MONOTONIC, microseconds. */
int64_t now_real(void);
int64_t now_mono(void);

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
