/*
 * Memory: small allocations do not fail (they abort), because everything a peer can make us allocate has a named
 * limit. Cleanup attributes instead of goto ladders.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _unused_ __attribute__((unused))

/* One zeroed object, or n of them. Never NULL. The caller frees with free(). */
#define xnew(type) ((type *)xcalloc(1, sizeof(type)))
#define xnewn(type, n) ((type *)xcalloc((n), sizeof(type)))

/* ${n} times ${size} bytes, zeroed or as realloc() leaves them. Never NULL: a product that overflows aborts too. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
/* A copy of ${s}; NULL for NULL. */
char *xstrdup(const char *s);
/* A copy of at most ${n} bytes of ${s}, NUL-terminated. */
char *xstrndup(const char *s, size_t n);
/* As asprintf() and vasprintf(). The caller frees. */
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list ap) _printf_(1, 0);

/* Replace an owned string: frees the old, copies the new (NULL allowed). Safe when both are the same. */
void str_set(char **dst, const char *src);

/* "" for NULL: records and rows never hold NULL strings. */
static inline const char *str_or_empty(const char *s)
{
	return s ? s : "";
}

/* The value, which is the caller's from here on; the variable holds nothing any more. */
#define TAKE_PTR(p)                      \
	({                               \
		__typeof__(p) _p = (p);  \
		(p) = NULL;              \
		_p;                      \
	})

#define TAKE_FD(fd)             \
	({                      \
		int _fd = (fd); \
		(fd) = -1;      \
		_fd;            \
	})

/* For _cleanup_: ${p} is the address of the pointer, or of the descriptor (negative: there is none). */
static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* foo_freep() for a foo_free() that takes NULL. */
#define DEFINE_CLEANUP(type, func)                              \
	static inline void func##p(type *p)                     \
	{                                                       \
		if (*p)                                         \
			func(*p);                               \
	}                                                       \
	struct cleanup_needs_semicolon_##func
