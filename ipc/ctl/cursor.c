#include "ipc/ctl/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ipc/ctl/util.h"

#define CURSOR_LINE_MAX 4096 /* bytes; a JID has at most 3071 (RFC 7622 section 3.1) */

void cursor_deinit(struct cursor *c)
{
	free(c->account);
	free(c->epoch);
	*c = (struct cursor){ 0 };
}

int cursor_load(const char *path, const char *account, struct cursor *c)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_(freep) char *line = xcalloc(CURSOR_LINE_MAX, 1);
	char *save = NULL, *word[5];
	uint64_t seq;

	if (!f)
		return errno == ENOENT ? CURSOR_E_NONE : -errno;
	if (!fgets(line, CURSOR_LINE_MAX, f))
		return ferror(f) ? -EIO : CURSOR_E_NONE;
	if (!strchr(line, '\n'))
		return CURSOR_E_FOREIGN;
	for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
		word[i] = strtok_r(i == 0 ? line : NULL, " \n", &save);
		if (!word[i])
			return CURSOR_E_FOREIGN;
	}
	if (strcmp(word[0], "varve-cursor") != 0 || strcmp(word[1], "1") != 0 || strcmp(word[2], account) != 0 ||
	    parse_u64(word[4], &seq) < 0 || strtok_r(NULL, " \n", &save))
		return CURSOR_E_FOREIGN;
	free(c->epoch);
	c->epoch = xstrdup(word[3]);
	c->seq = seq;
	return 0;
}

static int write_line(int fd, const char *line)
{
	size_t len = strlen(line);

	/* A regular file takes a line whole, or the disk is full. */
	if (write(fd, line, len) != (ssize_t)len)
		return errno ? -errno : -ENOSPC;
	return 0;
}

int cursor_save(const char *path, const struct cursor *c)
{
	_cleanup_(freep) char *temp = xasprintf("%s.XXXXXX", path);
	_cleanup_(freep) char *line =
		xasprintf("varve-cursor 1 %s %s %llu\n", c->account, c->epoch, (unsigned long long)c->seq);
	_cleanup_(closep) int fd = mkostemp(temp, O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	errno = 0;
	r = write_line(fd, line);
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temp);
	return r;
}
