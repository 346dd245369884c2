#include "ipc/ctl/util.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define NEAREST_WORD_MAX 32 /* bytes; longer words are not one of ours mistyped */

static void *need(void *p)
{
	if (!p) {
		fputs("varvectl: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	return need(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
	return need(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
	return s ? need(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	return need(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&s, fmt, ap);
	va_end(ap);
	return need(r < 0 ? NULL : s);
}

char *shell_quote(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
	char *out, *p;

	if (*s && !s[strspn(s, plain)])
		return xstrdup(s);
	out = p = xcalloc(strlen(s) + 1, 4);
	*p++ = '\'';
	for (; *s; s++)
		p = *s == '\'' ? stpcpy(p, "'\\''") : (*p = *s, p + 1);
	*p = '\'';
	return out;
}

char *str_fold(const char *s)
{
	char *copy = xstrdup(s);

	for (char *p = copy; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	return copy;
}

int path_absolute(const char *path, char **ret)
{
	_cleanup_(freep) char *cwd = NULL;

	if (*path == '/') {
		*ret = xstrdup(path);
		return 0;
	}
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return -errno;
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	*ret = xasprintf("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
	return 0;
}

char *xdg_dir(const char *variable, const char *fallback)
{
	const char *value = getenv(variable), *home = getenv("HOME");

	if (value && *value == '/')
		return xasprintf("%s/varve", value);
	return xasprintf("%s/%s/varve", home ? home : "", fallback);
}

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int parse_seconds(const char *s, uint64_t *ret_us)
{
	_cleanup_(freep) char *whole = NULL;
	const char *dot = strchr(s, '.');
	uint64_t sec, us = 0, scale = 100000;

	whole = dot ? xstrndup(s, (size_t)(dot - s)) : xstrdup(s);
	if (parse_u64(whole, &sec) < 0 || sec > UINT32_MAX)
		return -EINVAL;
	if (dot) {
		if (!dot[1])
			return -EINVAL;
		for (const char *p = dot + 1; *p; p++) {
			if (*p < '0' || *p > '9')
				return -EINVAL;
			us += (uint64_t)(*p - '0') * scale;
			scale /= 10;
		}
	}
	*ret_us = sec * (uint64_t)USEC_PER_SEC + us;
	return 0;
}

/* Optimal string alignment distance: Levenshtein plus swaps of neighbours, the commonest slip of a hand. */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t d[NEAREST_WORD_MAX + 1][NEAREST_WORD_MAX + 1];

	for (size_t i = 0; i <= la; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++)
		for (size_t j = 1; j <= lb; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[la][lb];
}

const char *nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *found = NULL;
	size_t len = strlen(word), best = len / 3 + 1;

	if (len == 0 || len > NEAREST_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t d;

		if (strlen(candidates[i]) > NEAREST_WORD_MAX)
			continue;
		d = distance(word, candidates[i]);
		if (d > best || (d == best && found))
			continue;
		best = d;
		found = candidates[i];
	}
	return found;
}

static int64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

int64_t now_real(void)
{
	return now(CLOCK_REALTIME);
}

int64_t now_mono(void)
{
	return now(CLOCK_MONOTONIC);
}
