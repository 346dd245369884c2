/*
 * An archive that nobody uses locks itself: a timer of the clock that goes on in a sleep, which runs while the archive is
 * open and nobody is there who may write.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sync/hub-priv.h"
#include "sync/keyring.h"

#define META "auto_lock_us" /* in the archive: whoever has the files of a locked one cannot turn it off */

static void arm(struct hub *h)
{
	bool on = h->state == HUB_READY && h->auto_lock_us && !h->used;

	if (on)
		sd_event_source_set_time(h->auto_lock, (uint64_t)(h->used_us + h->auto_lock_us));
	sd_event_source_set_enabled(h->auto_lock, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_unused(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	_cleanup_(freep) char *why = NULL, *refused = NULL;
	struct hub *h = userdata;
	int r;

	if (h->state != HUB_READY || h->used || !h->auto_lock_us)
		return 0;
	why = xasprintf("It locked itself, because nobody used it for %" PRId64 " s: varvectl unlock opens it.",
			h->auto_lock_us / USEC_PER_SEC);
	r = keyring_lock_unused(h, why, &refused);
	if (r == 0)
		return 0;
	log_warning("the archive does not lock itself: %s", str_or_empty(refused));
	h->used_us = clock_boot_us();
	arm(h);
	return 0;
}

int hub_auto_lock_init(struct hub *h)
{
	int r;

	r = sd_event_add_time(h->event, &h->auto_lock, CLOCK_BOOTTIME, 0, 0, on_unused, h);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(h->auto_lock, SD_EVENT_OFF);
	return 0;
}

void hub_auto_lock_free(struct hub *h)
{
	h->auto_lock = sd_event_source_disable_unref(h->auto_lock);
}

void hub_auto_lock_opened(struct hub *h)
{
	if (store_note_get(h->store, META, &h->auto_lock_us) < 0)
		log_warning("whether the archive is to lock itself cannot be read: it stays as it was");
	h->used_us = clock_boot_us();
	arm(h);
}

int64_t hub_auto_lock_us(const struct hub *h)
{
	return h->auto_lock_us;
}

static int put(struct store *s, void *us)
{
	return store_note_put(s, META, *(int64_t *)us);
}

int hub_set_auto_lock(struct hub *h, int64_t us, char **ret_why)
{
	int r = hub_check_ready(h, ret_why);

	if (r != 0)
		return r;
	if (us && (us < AUTO_LOCK_MIN_US || us > AUTO_LOCK_MAX_US)) {
		*ret_why = xstrdup("the time must be from 10 seconds to 366 days, or 0: never");
		return HUB_E_INVALID;
	}
	r = hub_transaction(h->store, put, &us);
	if (r < 0)
		return hub_storage(r, ret_why);
	h->auto_lock_us = us;
	/* From now on, whatever was before. */
	h->used_us = clock_boot_us();
	arm(h);
	return 0;
}

void hub_set_used(struct hub *h, bool used)
{
	h->used = used;
	h->used_us = clock_boot_us();
	arm(h);
}
