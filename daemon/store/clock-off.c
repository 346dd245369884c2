/*
 * By how much our clock was seen to be off: identity.h looks for the archived copy of what came live under it so much further.
 * In the archive too, for the copy may come after a crash.
 */
#include <inttypes.h>

#include "base/err.h"
#include "base/log.h"
#include "store/db.h"
#include "store/store.h"

#define NOTE "clock_off_us"
#define NOTE_STEP_US (INT64_C(3600) * 1000000) /* less more than what is kept is not worth a write: the window is a day */

static bool is_due(const struct store *s)
{
	return s->clock_off_us >= s->clock_off_kept_us + NOTE_STEP_US;
}

int clock_off_load(struct store *s)
{
	int r = store_note_get(s, NOTE, &s->clock_off_kept_us);

	if (s->clock_off_kept_us < 0)
		s->clock_off_kept_us = 0;
	s->clock_off_us = s->clock_off_kept_us;
	return r < 0 ? err_trace(r) : 0;
}

int clock_off_keep(struct store *s)
{
	return is_due(s) ? store_note_put(s, NOTE, s->clock_off_us) : 0;
}

void clock_off_kept(struct store *s)
{
	if (is_due(s))
		s->clock_off_kept_us = s->clock_off_us;
}

void store_clock_was_off(struct store *s, int64_t us)
{
	us = us < 0 ? -us : us;
	if (us <= s->clock_off_us)
		return;
	s->clock_off_us = us;
	/* In a transaction its commit keeps it; and where this one fails, the next. */
	if (s->in_tx || !is_due(s) || store_begin(s) < 0)
		return;
	if (store_commit(s) < 0)
		log_debug("that the clock was off is not kept yet");
}
