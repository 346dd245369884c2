/*
 * An archive that did not open for a reason that may pass by itself (a full disk, a file system that is not mounted, an error of
 * the disk, a key file that is not there) is tried again: ever more rarely, and at once when something has happened that may have
 * mended it. As "varvectl unlock" without a secret does; what an archive needs somebody's hand for is not tried.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sync/hub-priv.h"
#include "sync/keyring.h"
#include "sync/lock.h"

#define REOPEN_FIRST_US (INT64_C(5) * USEC_PER_SEC) /* a card that is mounted a moment after us */
#define REOPEN_CAP_US (INT64_C(600) * USEC_PER_SEC) /* a phone that lies idle is woken up so rarely; asleep, never */
#define REOPEN_LATE 8 /* a part of the wait: it wakes together with others */

bool hub_reopen_passes(const struct hub *h, int r)
{
	switch (r) {
	case STORE_E_UNWRITABLE:
	case STORE_E_FULL:
	case STORE_E_MISSING:
		return true;
	case STORE_E_LOCKED:
		/* A passphrase is for its user to give. A credential is there from the start, or never. */
		for (size_t i = 0; i < vault_slot_count(h->vault); i++)
			if (vault_slot_at(h->vault, i).type == SLOT_KEYFILE)
				return true;
		return false;
	default:
		return r < 0;
	}
}

static int64_t wait_us(const struct hub *h)
{
	int64_t us = REOPEN_FIRST_US << (h->reopen_tries < 16 ? h->reopen_tries : 16);

	return us < REOPEN_CAP_US ? us : REOPEN_CAP_US;
}

static void arm(struct hub *h)
{
	int64_t us = wait_us(h);

	sd_event_source_set_time_accuracy(h->reopen, (uint64_t)us / REOPEN_LATE);
	sd_event_source_set_time(h->reopen, (uint64_t)(clock_boot_us() + us));
	sd_event_source_set_enabled(h->reopen, SD_EVENT_ONESHOT);
}

static bool is_armed(const struct hub *h)
{
	int enabled = SD_EVENT_OFF;

	return h->reopen && sd_event_source_get_enabled(h->reopen, &enabled) >= 0 && enabled != SD_EVENT_OFF;
}

/* What lies at the path by now may be on another file system, with a lock of its own. */
static int take_lock(struct hub *h)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", h->data_dir);
	struct stat ours, there;
	pid_t pid = 0;
	int fd, r;

	if (h->lock_fd >= 0 && fstat(h->lock_fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		return 0;
	r = lock_take(h->data_dir, &fd, &pid);
	if (r != 0)
		return r < 0 ? err_trace(r) : -EBUSY;
	if (h->lock_fd >= 0)
		close(h->lock_fd);
	h->lock_fd = fd;
	return 0;
}

static void try(struct hub *h)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	/* Before: whatever comes of it says whether that is to be the last. */
	arm(h);
	/* Who removes it to start anew does not want it made again. */
	if (access(h->data_dir, F_OK) < 0)
		return;
	r = take_lock(h);
	if (r == 0)
		r = keyring_unlock(h, NULL, 0, NULL, NULL, &why);
	if (r != 0)
		log_debug("the archive is not tried again now: %s", why ? why : strerror(r < 0 ? -r : EBUSY));
}

static int on_timer(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	struct hub *h = userdata;

	h->reopen_tries++;
	try(h);
	return 0;
}

void hub_reopen_now(struct hub *h)
{
	if (!is_armed(h))
		return;
	h->reopen_tries = 0;
	try(h);
}

static int on_mounts(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t events, void *userdata)
{
	struct hub *h = userdata;

	log_debug("something was mounted: is the archive there?");
	hub_reopen_now(h);
	return 0;
}

/* The kernel tells of every change (proc_pid_mountinfo(5)); without it there is the timer. */
static void watch_mounts(struct hub *h)
{
	int fd = h->mounts ? -1 : open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (sd_event_add_io(h->event, &h->mounts, fd, EPOLLPRI, on_mounts, h) < 0) {
		close(fd);
		return;
	}
	sd_event_source_set_io_fd_own(h->mounts, 1);
}

void hub_reopen_later(struct hub *h, bool passes)
{
	if (!passes) {
		hub_reopen_end(h);
		return;
	}
	if (is_armed(h))
		return;
	h->reopen_tries = 0;
	arm(h);
	watch_mounts(h);
}

void hub_reopen_end(struct hub *h)
{
	h->mounts = sd_event_source_disable_unref(h->mounts);
	if (h->reopen)
		sd_event_source_set_enabled(h->reopen, SD_EVENT_OFF);
}

int hub_reopen_init(struct hub *h)
{
	int r;

	if ((r = sd_event_add_time(h->event, &h->reopen, CLOCK_BOOTTIME, 0, 0, on_timer, h)) < 0 ||
	    (r = sd_event_source_set_enabled(h->reopen, SD_EVENT_OFF)) < 0)
		return err_origin(r);
	return 0;
}

void hub_reopen_free(struct hub *h)
{
	hub_reopen_end(h);
	h->reopen = sd_event_source_disable_unref(h->reopen);
}
