/*
 * varvectl export: every message, in the order of the archive.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/row.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/walk.h"

#define PROGRESS_US 250000 /* between two progress lines */
#define ORDER_TRIES 3 /* of a file in which something is out of order */

struct export
{
	struct ctl *c;
	FILE *f;
	struct json *json; /* NULL: text */
	char **only; /* folded JIDs; empty: all */
	size_t n_only;
	uint64_t written;
	int64_t began_us, told_us;
};

static bool wanted(const struct export *e, const struct varve_message *m)
{
	for (size_t i = 0; i < e->n_only; i++)
		if (strcmp(e->only[i], m->conversation) == 0)
			return true;
	return e->n_only == 0;
}

/* "2026-03-01 14:02:11  bob@example.org  <me> text"; further lines of a body are indented. */
static void put_text(FILE *f, const struct varve_message *m)
{
	_cleanup_(freep) char *author = message_author(m), *clean_author = text_clean(author, false);
	_cleanup_(freep) char *conversation = text_clean(m->conversation, false),
			      *body = text_clean(message_text(m), true);
	char when[TIME_HUMAN_SIZE];

	fprintf(f, "%s  %s  <%s> %s", time_local(m->time_usec, "%Y-%m-%d %H:%M:%S", when), conversation, clean_author,
		message_label(m));
	for (const char *p = body; *p; p++) {
		fputc(*p, f);
		if (*p == '\n')
			fputs("    ", f);
	}
	fputc('\n', f);
}

static void put(struct export *e, const struct varve_message *m)
{
	if (!wanted(e, m))
		return;
	e->written++;
	if (!e->json) {
		put_text(e->f, m);
		return;
	}
	json_object(e->json, NULL);
	message_json(e->json, m);
	json_object_end(e->json);
}

static void progress(struct export *e)
{
	int64_t now = now_mono();
	_cleanup_(freep) char *count = NULL, *line = NULL;

	/* A progress line in the middle of the messages would help nobody. */
	if (e->c->quiet || term_is_tty(e->f) || now - e->told_us < PROGRESS_US)
		return;
	e->told_us = now;
	count = show_count((int64_t)e->written);
	line = xasprintf("%s messages  %.0f/s", count,
			 (double)e->written * (double)USEC_PER_SEC / (double)(now - e->began_us + 1));
	term_progress(line);
}

static void on_row(void *userdata, const struct varve_message *m)
{
	put(userdata, m);
}

static bool on_page(void *userdata)
{
	struct export *e = userdata;

	progress(e);
	return !ferror(e->f);
}

/* *ret_late: messages that came out of order, at the end. */
static int walk(struct export *e, int64_t since, uint64_t *ret_late)
{
	struct walk w = {
		.conversation = e->n_only == 1 ? e->only[0] : "",
		.since_us = since,
		.row = on_row,
		.page = on_page,
		.userdata = e,
	};
	int r = walk_all(e->c, &w);

	*ret_late = w.late;
	return r;
}

/* A file can be written anew, and then everything is in its place. */
static int walk_in_order(struct export *e, int64_t since)
{
	uint64_t late = 0;
	int r = walk(e, since, &late);

	for (int i = 1; r == EXIT_OK && late > 0 && i < ORDER_TRIES && !ferror(e->f); i++) {
		if (fflush(e->f) != 0 || fseeko(e->f, 0, SEEK_SET) < 0 || ftruncate(fileno(e->f), 0) < 0)
			return ctl_fail(e->c, EXIT_FAIL, NULL, "cannot write the file anew: %s", strerror(errno));
		e->written = 0;
		r = walk(e, since, &late);
	}
	return r;
}

/* Into a file beside ${path} that takes its place when it is complete: half an export never looks like a whole one. */
static int to_file(struct export *e, const char *path, enum json_mode mode, int64_t since)
{
	_cleanup_(freep) char *temp = xasprintf("%s.XXXXXX", path);
	int fd, r;

	fd = mkostemp(temp, O_CLOEXEC); /* 0600: these are letters */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return ctl_fail(e->c, EXIT_FAIL, "make it first, or name another file", "there is no directory for %s", path);
	if (fd < 0)
		return ctl_fail(e->c, errno == EACCES ? EXIT_DENIED : EXIT_FAIL, NULL, "cannot create a file beside %s: %s", path,
				strerror(errno));
	e->f = fdopen(fd, "w");
	if (!e->f)
		abort();
	e->json = mode != JSON_OFF ? json_new(e->f, mode) : NULL;
	r = walk_in_order(e, since);
	if (r == EXIT_OK && (ferror(e->f) || fflush(e->f) != 0 || fsync(fd) < 0))
		r = ctl_fail(e->c, EXIT_FAIL, "make room and try again; an older file was not touched",
			     "cannot write %s: %s", temp, strerror(errno));
	if (fclose(e->f) != 0 && r == EXIT_OK)
		r = ctl_fail(e->c, EXIT_FAIL, NULL, "cannot write %s: %s", temp, strerror(errno));
	if (r == EXIT_OK && rename(temp, path) < 0)
		r = ctl_fail(e->c, EXIT_FAIL, NULL, "cannot replace %s: %s", path, strerror(errno));
	if (r != EXIT_OK)
		unlink(temp);
	return r;
}

/* A device or a pipe is written to: to put a file in the place of /dev/null would be worse than useless. */
static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int to_special(struct export *e, const char *path, enum json_mode mode, int64_t since)
{
	uint64_t late;
	int r;

	e->f = fopen(path, "we");
	if (!e->f)
		return ctl_fail(e->c, errno == EACCES ? EXIT_DENIED : EXIT_FAIL, NULL, "cannot open %s: %s", path, strerror(errno));
	e->json = mode != JSON_OFF ? json_new(e->f, mode) : NULL;
	r = walk(e, since, &late);
	if ((ferror(e->f) | fclose(e->f)) != 0 && r == EXIT_OK)
		r = ctl_fail(e->c, EXIT_FAIL, NULL, "cannot write %s: %s", path, strerror(errno));
	return r;
}

int cmd_export(struct ctl *c)
{
	struct export e = { .c = c, .began_us = now_mono() };
	const char *format = ctl_opt(c, FORMAT), *output = ctl_opt(c, OUTPUT);
	bool text = format && strcmp(format, "text") == 0;
	/* A file is one object a line whatever -j says, so that its name tells what is in it. */
	enum json_mode mode = text ? JSON_OFF : JSON_SHORT;
	uint64_t late;
	int64_t since;
	int r;

	if (format && !text && strcmp(format, "jsonl") != 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "--format=%s: jsonl or text", format);
	r = ctl_time(c, "since", ctl_opt(c, SINCE), &since);
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r != EXIT_OK)
		return r;
	e.only = xcalloc(c->opts.n_args, sizeof(*e.only));
	for (; e.n_only < c->opts.n_args; e.n_only++)
		e.only[e.n_only] = str_fold(c->opts.args[e.n_only]);
	if (output && strcmp(output, "-") != 0) {
		r = (is_special(output) ? to_special : to_file)(&e, output, mode, since);
		term_progress(NULL);
		if (r == EXIT_OK && !c->quiet)
			fprintf(stderr, "%llu messages\n", (unsigned long long)e.written);
	} else {
		e.f = stdout;
		e.json = mode != JSON_OFF ? json_new(stdout, mode) : NULL;
		r = walk(&e, since, &late);
		term_progress(NULL);
	}
	json_free(e.json);
	while (e.n_only > 0)
		free(e.only[--e.n_only]);
	free(e.only);
	return r;
}
