/*
 * varvectl backup: a copy of the archive that opens with the same keys, made by the daemon while it goes on.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/slots.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/value.h"

#define BAR_COLUMNS 30

struct backup {
	char *path; /* absolute: the daemon has another current directory */
	uint64_t expect; /* bytes of the archive when it began; 0: not known */
};

static void backup_deinit(struct backup *b)
{
	free(b->path);
}

/* How far the file has grown; what comes after the last byte is the check. */
static void progress(struct ctl *c, void *userdata)
{
	const struct backup *b = userdata;
	_cleanup_(freep) char *line = NULL;
	char bar[BAR_COLUMNS * 4 + 1];
	struct stat st;
	uint64_t now;

	if (c->quiet || c->json != JSON_OFF || b->expect == 0 || stat(b->path, &st) < 0)
		return;
	now = (uint64_t)st.st_size < b->expect ? (uint64_t)st.st_size : b->expect;
	term_bar(now, b->expect, BAR_COLUMNS, bar);
	line = xasprintf("[%s] %3d%%  %s", bar, (int)((double)now * 100 / (double)b->expect),
			 now == b->expect ? "checking the copy" : "copying");
	term_progress(line);
}

static bool opens(const struct slot *s, const void *userdata)
{
	(void)userdata;
	return !*s->problem;
}

static bool cannot_open(const struct slot *s, const void *userdata)
{
	(void)userdata;
	return *s->problem != '\0';
}

static void tell(struct ctl *c, const struct backup *b, uint64_t bytes, const struct slots *slots)
{
	_cleanup_(freep) char *keys = xasprintf("%s.keys", b->path), *clean = NULL, *text = NULL;
	_cleanup_(freep) char *list = slots_describe(slots, " or ", opens, NULL);
	_cleanup_(freep) char *lost = slots_describe(slots, " and ", cannot_open, NULL);
	_cleanup_(json_freep) struct json *j = NULL;
	bool typed = slots_count(slots, SLOT_PASSPHRASE) || slots_count(slots, SLOT_RECOVERY);

	if (c->json != JSON_OFF) {
		j = json_new(stdout, c->json);
		json_object(j, NULL);
		json_string(j, "path", b->path);
		json_string(j, "keys_path", keys);
		json_uint(j, "bytes", bytes);
		json_array(j, "opened_by");
		for (size_t i = 0; i < slots->n; i++)
			if (!*slots->slot[i].problem)
				json_string(j, NULL, slot_word(slots->slot[i].type));
		json_array_end(j);
		json_object_end(j);
		return;
	}
	if (!c->quiet) {
		_cleanup_(freep) char *kb = show_count((int64_t)((bytes + 1023) / 1024));

		text = xasprintf("%s (%s kB) and %s: complete and checked. Keep the two together.", b->path, kb, keys);
		clean = text_clean(text, false);
		term_put(stdout, COLOR_OFF, clean, 0, 4);
		free(text);
		free(clean);
		text = xasprintf("What opens it: %s.%s%s%s", list ? list : "nothing that is here now",
				 lost ? " Not counted, as it cannot be read: " : "", lost ? lost : "", lost ? "." : "");
		clean = text_clean(text, false);
		term_put(stdout, COLOR_OFF, clean, 0, 4);
	}
	if (typed)
		return;
	/* Said even with --quiet: a backup that cannot be opened is none. */
	fflush(stdout);
	fputs(term_color(COLOR_YELLOW), stderr);
	term_put(stderr, COLOR_OFF,
		 list ? "Nothing but this machine's key opens it. Keep a copy of the key file elsewhere too; or, better: "
			"varvectl keys add recovery, and then back up again."
		      : "Nobody can open it unless the key file comes back. Do this now: varvectl keys add recovery, and "
			"then back up again to another file.",
		 0, 4);
	fputs(term_color(COLOR_OFF), stderr);
}

static int run(struct ctl *c, struct backup *b, uint64_t *ret_bytes)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r = varve_call_new(c->varve, VARVE_PATH, VARVE_IFACE_MANAGER, "Backup", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "sa{sv}", b->path, 0);
	if (r < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "the path is not valid UTF-8");
	r = ctl_send_long(c, m, 0, progress, b, &reply);
	if (r == EXIT_OK && sd_bus_message_read(reply, "t", ret_bytes) < 0)
		r = ctl_bad_reply(c, "Backup");
	return r;
}

int cmd_backup(struct ctl *c)
{
	_cleanup_(backup_deinit) struct backup b = { 0 };
	_cleanup_(value_freep) struct value *status = NULL;
	_cleanup_(slots_deinit) struct slots slots = { 0 };
	uint64_t bytes = 0;
	struct stat st;
	int r;

	if (path_absolute(c->opts.args[0], &b.path) < 0)
		return ctl_fail(c, EXIT_FAIL, "give the whole path", "cannot tell the current directory: %s",
				strerror(errno));
	if (stat(b.path, &st) == 0)
		return ctl_fail_as(c, EXIT_FAIL, VARVE_ERROR_CONFLICT, NULL, "%s %s", b.path,
				   S_ISDIR(st.st_mode) ? "is a directory: name a file in it"
						       : "exists already; a backup replaces nothing");
	r = ctl_connect(c);
	if (r == EXIT_OK)
		r = value_status(c, &status);
	if (r == EXIT_OK)
		r = ctl_opened(c, status);
	if (r == EXIT_OK)
		r = slots_get(c, &slots);
	b.expect = (uint64_t)value_int(value_get(status, "archive"), "bytes");
	if (r == EXIT_OK)
		r = run(c, &b, &bytes);
	if (r == EXIT_OK)
		tell(c, &b, bytes, &slots);
	return r;
}
