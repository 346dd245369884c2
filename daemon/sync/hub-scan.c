/*
 * The part of doctor that reads the whole archive: every page in slices, and on demand a copy whose trees a child checks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/err.h"
#include "sync/diagnosis.h"
#include "vault/vault.h"

#define SLICE_US (INT64_C(5) * 1000) /* how long another call may have to wait for a slice */
#define SALVAGE_HINT "stop varved and keep a copy of the directory; then restore a backup, or let varve-salvage copy out " \
		     "every page that can be read"

static int on_idle(_unused_ sd_event_source *s, void *userdata)
{
	struct diagnosis *p = userdata;

	p->step(p);
	return 0;
}

/* One shot, armed anew: a source that stays pending would starve other idle ones. */
static void again(struct diagnosis *p, void (*step)(struct diagnosis *p))
{
	p->step = step;
	sd_event_source_set_enabled(p->idle, SD_EVENT_ONESHOT);
}

void diagnosis_scan_deinit(struct diagnosis *p)
{
	p->idle = sd_event_source_disable_unref(p->idle);
	p->child_source = sd_event_source_disable_unref(p->child_source);
	p->child = child_free(p->child);
	p->scan = scan_free(p->scan);
	p->copy = copy_free(p->copy);
	p->next = vault_next_free(p->next);
}

/* ---- deep: a copy, and a child that reads it ---- */

static void deep_failed(struct diagnosis *p, int r)
{
	if (r == -EBUSY)
		diagnosis_say(p, "archive-deep", "skip", "ask again when it has ended", "another copy is being made");
	else if (r == -EBADMSG)
		diagnosis_say(p, "archive-deep", "fail", SALVAGE_HINT, "it cannot be copied whole: a page is damaged");
	else
		diagnosis_say(p, "archive-deep", "skip", r == -ENOSPC ? "it needs as much free space as the archive has" : "",
			      "the copy that it needs could not be made: %s", strerror(-r));
	diagnosis_end(p);
}

static int on_child(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	char text[CHILD_ANSWER_MAX + 1] = "";
	struct diagnosis *p = userdata;
	size_t len = 0;
	int r;

	r = child_finish(p->child, text, sizeof(text) - 1, &len);
	text[len] = '\0';
	if (r < 0) {
		deep_failed(p, r);
		return 0;
	}
	if (len)
		diagnosis_say(p, "archive-deep", "fail", SALVAGE_HINT, "%s", text);
	else
		diagnosis_say(p, "archive-deep", "ok", "", "SQLite finds all of it sound");
	diagnosis_end(p);
	return 0;
}

static void deep_slice(struct diagnosis *p)
{
	int r;

	r = copy_step(p->copy, SLICE_US);
	if (r > 0) {
		again(p, deep_slice);
		return;
	}
	if (r == 0)
		r = copy_verify_start(p->copy, &p->child);
	if (r == 0)
		r = sd_event_add_io(p->hub->event, &p->child_source, child_fd(p->child), EPOLLIN, on_child, p);
	if (r < 0)
		deep_failed(p, r);
}

static void deep_begin(struct diagnosis *p)
{
	_cleanup_(freep) char *path = NULL;
	struct hub *h = p->hub;
	uint32_t random = 0;
	int r;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)getpid();
	path = xasprintf("%s/archive-check-%08" PRIx32 ".db", h->data_dir, random);
	r = vault_next_at(h->vault, path, &p->next);
	if (r == 0)
		r = copy_new(h->store, COPY_BACKUP, path, vault_next_keys(p->next), &p->copy);
	if (r < 0)
		deep_failed(p, r);
	else
		again(p, deep_slice);
}

/* ---- every page ---- */

static void report_pages(struct diagnosis *p)
{
	_cleanup_(buf_deinit) struct buf list = { 0 };
	uint32_t pages[SCAN_PAGES_MAX], total = 0;
	uint32_t bad = scan_bad(p->scan, pages, &total);

	if (bad == 0) {
		diagnosis_say(p, "archive", "ok", "", "each of its %" PRIu32 " pages is authentic, %" PRId64 " kB", total,
			      store_size(p->hub->store) / 1024);
		return;
	}
	for (uint32_t i = 0; i < bad && i < SCAN_PAGES_MAX; i++)
		buf_addf(&list, "%s%" PRIu32, i ? ", " : " ", pages[i]);
	diagnosis_say(p, "archive", "fail", SALVAGE_HINT,
		      "%" PRIu32 " of %" PRIu32 " pages of %s are damaged (they do not authenticate): page%s%s", bad, total,
		      vault_path(p->hub->vault), buf_str(&list), bad > SCAN_PAGES_MAX ? " ..." : "");
}

static void scan_slice(struct diagnosis *p)
{
	int r;

	r = scan_step(p->scan, SLICE_US);
	if (r > 0) {
		again(p, scan_slice);
		return;
	}
	if (r < 0)
		diagnosis_say(p, "archive", "fail", "save the directory to another disk", "the disk does not answer: %s",
			      strerror(-r));
	else
		report_pages(p);
	p->scan = scan_free(p->scan);
	if (p->deep && r == 0)
		again(p, deep_begin);
	else
		diagnosis_end(p);
}

static void begin(struct diagnosis *p)
{
	struct hub *h = p->hub;
	int r;

	if (h->state == HUB_READY) {
		r = scan_new(h->store, &p->scan);
		if (r == 0) {
			again(p, scan_slice);
			return;
		}
		diagnosis_say(p, "archive", r == -ENOSPC || r == -EDQUOT ? "skip" : "fail", "ask again then",
			      "its pages are checked when its log can be written into it: %s; %s", store_trouble(r), store_remedy(r));
	} else if (h->state == HUB_LOCKED) {
		diagnosis_say(p, "archive", "skip", "varvectl unlock", "locked: its pages cannot be checked");
	} else {
		diagnosis_say(p, "archive", "fail", "keep a copy of the directory before anything else", "%s", h->why);
	}
	diagnosis_end(p);
}

int diagnosis_scan(struct diagnosis *p)
{
	int r;

	p->step = begin;
	if ((r = sd_event_add_defer(p->hub->event, &p->idle, on_idle, p)) < 0 ||
	    (r = sd_event_source_set_priority(p->idle, SD_EVENT_PRIORITY_IDLE)) < 0)
		return err_origin(r);
	return 0;
}
