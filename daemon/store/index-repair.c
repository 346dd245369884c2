/* What to do when work on the search index fails: is it the index, or a message that it reads? */
#include <errno.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/index-mend.h"
#include "store/index-priv.h"
#include "store/index.h"
#include "store/tokenizer.h"

/* A rebuild costs about 20 us of CPU a message; what fails again at once will again. */
#define RETRY_FIRST_US (60 * USEC_PER_SEC)
enum { RETRY_DOUBLINGS = 11 }; /* 60 s ... 34 h */

static const char trouble_messages[] =
	"messages on a damaged page cannot be read and are not indexed; \"varvectl doctor\" names the page";
static const char trouble_repair[] =
	"the search index is damaged and could not be repaired yet; searches read messages";
static const char trouble_again[] = "the search index was damaged again after it was made anew; searches read messages";

static int64_t delay(int n)
{
	return RETRY_FIRST_US << (n < RETRY_DOUBLINGS ? n : RETRY_DOUBLINGS);
}

static void put_off(struct store *s, const char *why, int64_t until)
{
	if (s->index.trouble != why)
		log_warning("archive: %s", why);
	s->index.trouble = why;
	s->index.retry_us = until;
}

bool repair_waits(const struct store *s)
{
	return s->index.trouble && clock_boot_us() < s->index.retry_us;
}

const char *index_trouble(const struct store *s)
{
	return s->index.trouble;
}

bool repair_begin(struct store *s)
{
	int64_t now = clock_boot_us();

	if (s->index.rebuilds > 0 && now < s->index.rebuild_us) {
		put_off(s, trouble_again, s->index.rebuild_us);
		return false;
	}
	s->index.rebuild_us = now + delay(s->index.rebuilds++);
	return true;
}

/* Whether ${id} reads without error. */
static bool reads(struct store *s, enum sql id, int n, int64_t a, int64_t b)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);

	if (n > 0)
		put_i(&q, a);
	if (n > 1)
		put_i(&q, b);
	return db_row(&q) >= 0;
}

/* The messages that the work may have read; what is left then is the index. */
static bool messages_read(struct store *s, const struct index_state *st)
{
	return reads(s, SQL_SEARCH_TOP, 0, 0, 0) && reads(s, SQL_INDEX_PROBE_NEXT, 2, st->upto, s->index.rows) &&
	       (!reads(s, SQL_INDEX_PROBE_DIRTY, 0, 0, 0) || reads(s, SQL_INDEX_PROBE_CHANGED, 0, 0, 0));
}

int repair_judge(struct store *s, const struct index_state *st, int r)
{
	bool index = s->index.damaged;

	if (!index && !s->index.unread)
		return r;
	if (!st)
		return repair_state(s);
	if (!st->clearing) {
		if (!index && !messages_read(s, st)) {
			put_off(s, trouble_messages, clock_boot_us() + delay(RETRY_DOUBLINGS));
			return r;
		}
		s->index.damaged = true;
		return 0;
	}
	if (!s->index.hard) {
		s->index.hard = true;
		return 0;
	}
	s->index.mend = mend_free(s->index.mend);
	put_off(s, trouble_repair, clock_boot_us() + delay(s->index.rebuilds++));
	return r;
}

static int finish_mend(struct store *s)
{
	int r = index_begin(s);

	if (r < 0)
		return err_trace(r);
	r = mend_finish(s);
	if (r == 0) {
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_INDEX_CLEARED);

		r = db_run(&q);
	}
	r = index_finish(s, r, "index.mend");
	if (r < 0)
		return err_trace(r);
	s->index.hard = false;
	s->index.damaged = false;
	s->index.merge_idle = false;
	return 0;
}

int repair_mend(struct store *s, int64_t budget_us)
{
	int r;

	if (!s->index.mend) {
		r = mend_new(s, &s->index.mend);
		return r < 0 ? err_trace(r) : 0;
	}
	r = mend_step(s->index.mend, budget_us);
	if (r > 0)
		return 0;
	s->index.mend = mend_free(s->index.mend);
	if (r == 0)
		r = finish_mend(s);
	return r < 0 ? err_trace(r) : 0;
}

int repair_state(struct store *s)
{
	/* edits: no number that a search has seen. */
	static const char sql[] = "INSERT OR REPLACE INTO fts_state VALUES(0, 0, %d, unixepoch(), unixepoch(), 0, 1)";
	_cleanup_(freep) char *text = xasprintf(sql, TOKENIZER_VERSION);
	int r;

	log_warning("archive: the search index is damaged and is made anew; no message is affected");
	if (s->copying)
		return err_origin(-EBUSY);
	r = reads(s, SQL_INDEX_STATE, 0, 0, 0) ? 0 : mend_state(s);
	if (r == 0)
		r = index_begin(s);
	if (r < 0)
		return err_trace(r);
	r = index_finish(s, db_exec(s, text), "index.state");
	return r < 0 ? err_trace(r) : 0;
}
