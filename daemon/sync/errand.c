/*
 * Pages of one conversation (XEP-0313 "with"), before all else: the first screens on a first login or after a long absence,
 * and what an app asks for that scrolls up into a gap or below the horizon. Decisions/0015.
 */
#include <string.h>

#include "store/read.h"
#include "sync/engine-priv.h"

#define TRIES_MAX 2
#define BARREN_MAX 200 /* pages in a row that bring nothing new: 10,000 messages of one conversation are read again, no more */
#define SCREENS_FIRST_US (INT64_C(10) * 1000000) /* a server that is slow with them must not keep the rest waiting */
#define SCREENS_LATER_US (INT64_C(1) * 1000000)	 /* on a quick link: the plan brings thousands of messages in a second */

struct errand {
	struct errand *next;
	uint32_t id;
	bool screen;	  /* nobody waits for it: gone when it has ended */
	char *with;
	char *cursor;	  /* archive id; "" = by end_us, or from the newest on */
	int64_t cursor_us; /* its stamp, 0 = unknown */
	int64_t end_us;
	int64_t held_to;  /* row that the next page lies below; 0 = not known */
	int64_t since_us;
	unsigned int pages, tries, barren;
	enum errand_state state;
	char *why;
};

static void errand_free(struct errand *x)
{
	free(x->with);
	free(x->cursor);
	free(x->why);
	free(x);
}

static struct errand **place_of(struct engine *e, uint32_t id)
{
	struct errand **at = &e->errands;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void drop(struct engine *e, uint32_t id)
{
	struct errand **at = place_of(e, id), *x = *at;

	if (!x)
		return;
	*at = x->next;
	errand_free(x);
}

static struct errand *add(struct engine *e, const char *with)
{
	struct errand *x = xnew(struct errand), **at = &e->errands;

	x->id = ++e->next_errand;
	x->with = xstrdup(with);
	x->cursor = xstrdup("");
	x->why = xstrdup("");
	x->pages = 1;
	x->state = ERRAND_RUNNING;
	while (*at)
		at = &(*at)->next;
	*at = x;
	return x;
}

static void finish(struct engine *e, struct errand *x, enum errand_state state, const char *why)
{
	x->state = state;
	str_set(&x->why, why);
	if (x->screen)
		drop(e, x->id);
	e->io->event(e->userdata, HUB_SYNC);
}

/* ---- first screens ---- */

/* No further back than is kept, and paid for. */
static int64_t screens_since(const struct engine *e)
{
	int64_t length = e->policy.horizon_us;

	if (e->metered && e->policy.metered_us && (length == 0 || e->policy.metered_us < length))
		length = e->policy.metered_us;
	return length ? e->io->real_us(e->userdata) - length : 0;
}

static void add_screen(void *userdata, const char *jid)
{
	struct engine *e = userdata;
	struct errand *x;

	for (size_t i = 0; i < e->n_screened; i++)
		if (strcmp(e->screened[i], jid) == 0)
			return;
	if (e->n_screened == SCREENS_MAX)
		return;
	e->screened[e->n_screened++] = xstrdup(jid);
	x = add(e, jid);
	x->screen = true;
	x->since_us = screens_since(e);
}

/* The newest gap that is to be filled, if it seems long. */
static bool long_gap(const struct engine *e, struct gap *ret)
{
	int64_t horizon = screens_since(e);

	for (size_t i = e->cover.n; i-- > 0;) {
		int64_t low;

		if (!cover_gap(&e->cover, i, ret) || ret->state == GAP_LOST || !ret->before_us)
			continue;
		low = i > 0 ? ret->after_us : e->meta_start_us > horizon ? e->meta_start_us : horizon;
		if (low >= ret->before_us)
			return false;
		/* How far back it goes, or how dense it is, is not known. */
		return low == 0 || e->seen_n == 0 ||
		       (ret->before_us - low) / (e->seen_us / (int64_t)e->seen_n + 1) >
			       (e->policy.screens_gap ? e->policy.screens_gap : SCREENS_GAP);
	}
	return false;
}

/* On a quick link the newest pages of all bring most screens by themselves: what they lack is asked for a second later. */
static bool plan_goes_first(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);

	if (!lanes_is_quick(&e->lanes))
		return false;
	e->screens_due_us = e->screens_due_us ? e->screens_due_us : now + SCREENS_LATER_US;
	return now < e->screens_due_us;
}

/*
 * When a session's newest page is here; and on a first login already with the question for it: that misses all, and has the
 * roster to go by.
 */
void errand_look(struct engine *e)
{
	bool first = e->cover.n == 0;
	struct gap gap = { .before_id = "" };

	if (e->paused || e->screens_looked || (first ? e->screens_began : !cover_is_live(&e->cover) || e->whole) ||
	    plan_goes_first(e))
		return;
	if (first && commit_now(e) < 0)
		return;
	e->screens_began = true;
	e->screens_looked = !first;
	e->screens_us = e->io->boot_us(e->userdata) + SCREENS_FIRST_US;
	if (first || long_gap(e, &gap))
		archive_short_screens(e->store, e->account.id, e->archive, gap.before_id, SCREENS_MAX, add_screen, e);
}

bool errand_first(const struct engine *e)
{
	for (const struct errand *x = e->errands; x; x = x->next)
		if (x->screen)
			return e->io->boot_us(e->userdata) < e->screens_us;
	return false;
}

void errand_session(struct engine *e)
{
	for (struct errand *x = e->errands, *next; x; x = next) {
		next = x->next;
		if (x->screen)
			drop(e, x->id);
	}
	e->screens_looked = e->screens_began = false;
	e->screens_due_us = 0;
	while (e->n_screened)
		free(e->screened[--e->n_screened]);
}

/* ---- asking ---- */

static bool is_asked(const struct engine *e, uint32_t id)
{
	for (const struct query *q = e->aside; q; q = q->next)
		if (q->use == FOR_ERRAND && q->errand == id)
			return true;
	return false;
}

static void ask(struct engine *e, struct errand *x)
{
	int64_t end_us = *x->cursor || !x->end_us ? 0 : x->end_us + COVER_MARGIN_US;
	struct query *q = query_new_aside(++e->next_query, FOR_ERRAND, x->with, x->cursor, x->since_us, end_us);

	q->errand = x->id;
	/* From the newest on: nothing of it is missing above what is the newest of all now. */
	if (!*x->cursor && !x->end_us && archive_newest_row(e->store, e->archive, &x->held_to) < 0)
		x->held_to = 0;
	query_push(&e->aside, q);
	asking_send(e, q, e->page_max < ASIDE_PAGE ? e->page_max : ASIDE_PAGE);
}

bool errand_waits(const struct engine *e)
{
	for (const struct errand *x = e->errands; x; x = x->next)
		if (x->state == ERRAND_RUNNING)
			return true;
	return false;
}

/* In the room that the plan leaves: while we wait, as much as one page takes (room() in asking.c). */
static bool has_room(const struct engine *e)
{
	return asking_unacknowledged(e) + ASIDE_PAGE <= (e->narrow ? ROOM : LANES_MAX * LANES_PAGE);
}

void errand_go(struct engine *e)
{
	size_t most = lanes_is_quick(&e->lanes) ? ERRANDS_QUICK : e->narrow ? LANES_NARROW : LANES_MAX;

	if (e->paused)
		return;
	/* What a short stream does not carry to its end fills the next one. */
	if (e->short_streams)
		most = 1;
	for (struct errand *x = e->errands; x && query_count(e->aside) < most && has_room(e); x = x->next)
		if (x->state == ERRAND_RUNNING && !is_asked(e, x->id))
			ask(e, x);
}

/* ---- answers ---- */

/* The oldest message of the page that has a row. */
static int64_t oldest_row(const struct put_outcome *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (out[i].msg)
			return out[i].msg;
	return 0;
}

static bool leads_on(const struct errand *x, const struct cover_page *page, bool complete)
{
	return (page->n > 0 || complete) && !(*x->cursor && cover_page_has(page, x->cursor));
}

/* As commit_aside(). */
static int store(struct engine *e, struct errand *x, struct query *q)
{
	_cleanup_(freep) struct put_outcome *out = xnewn(struct put_outcome, q->n + 1);
	const struct archive_page stored = {
		.items = (const struct message *const *)q->items, .n = q->n, .below_id = "", .above_id = "", .part = true,
		.with = x->with, .held_to = x->held_to, .held_inside = q->end_us, .to_start = q->complete && !q->start_us,
	};
	int64_t row;
	int r;

	r = commit_aside(e, q, 0, &stored, out);
	if (r != 0)
		return r;
	row = oldest_row(out, q->n);
	x->held_to = row ? row : x->held_to;
	x->barren++;
	for (size_t i = 0; i < q->n; i++)
		if (out[i].aid_is_new)
			x->barren = 0;
	return 0;
}

void errand_answer(struct engine *e, struct query *q)
{
	_cleanup_(freep) struct cover_item *items = NULL;
	struct cover_page page = query_page(q, 0, &items);
	struct errand *x = *place_of(e, q->errand);
	int r;

	if (!x || x->state != ERRAND_RUNNING) {
		catchup_discard(e, q);
		return;
	}
	if (!leads_on(x, &page, q->complete)) {
		errand_failed(e, q, false, "the server's answers lead nowhere");
		return;
	}
	r = store(e, x, q);
	if (r > 0) {
		errand_answer(e, q);
		return;
	}
	if (r < 0) {
		catchup_discard(e, q);
		catchup_drop_all(e);
		return;
	}
	x->tries = 0;
	if (page.n) {
		str_set(&x->cursor, page.items[0].id);
		x->cursor_us = page.items[0].us ? page.items[0].us : x->cursor_us;
	}
	if (q->complete || (x->pages && --x->pages == 0) ||
	    (x->since_us && x->cursor_us && x->cursor_us < x->since_us - COVER_MARGIN_US))
		finish(e, x, ERRAND_DONE, "");
	else if (x->barren > BARREN_MAX)
		finish(e, x, ERRAND_FAILED, "the server's answers bring nothing new");
	else
		e->io->event(e->userdata, HUB_SYNC);
	e->page_bytes -= q->bytes;
	query_free(q);
}

void errand_failed(struct engine *e, struct query *q, bool unknown_id, const char *why)
{
	struct errand *x = *place_of(e, q->errand);

	catchup_discard(e, q);
	if (!x || x->state != ERRAND_RUNNING)
		return;
	/* The server does not know the id any more: its stamp says where it was. */
	if (unknown_id && *x->cursor && x->cursor_us) {
		x->end_us = x->cursor_us;
		str_set(&x->cursor, "");
	}
	if (++x->tries >= TRIES_MAX)
		finish(e, x, ERRAND_FAILED, why);
}

void errand_renewed(struct engine *e)
{
	for (struct errand *x = e->errands; x; x = x->next) {
		x->held_to = 0;
		if (*x->cursor && x->cursor_us)
			x->end_us = x->cursor_us;
		str_set(&x->cursor, "");
	}
}

/* ---- whoever waits ---- */

uint32_t engine_errand(struct engine *e, const struct errand_wish *w)
{
	struct errand *x = add(e, w->with);
	uint32_t id = x->id;

	/* A row may have the id of an archive that is not there any more. */
	if (read_aid_time(e->store, e->archive, w->before_id, &(int64_t){ 0 }, &(int64_t){ 0 }) == 0)
		str_set(&x->cursor, w->before_id);
	x->cursor_us = x->end_us = w->before_us;
	x->held_to = w->before_msg;
	x->since_us = w->since_us;
	x->pages = w->pages;
	catchup_go(e);
	return id;
}

enum errand_state engine_errand_state(const struct engine *e, uint32_t errand, int64_t *ret_us, const char **ret_why)
{
	const struct errand *x = e->errands;

	while (x && x->id != errand)
		x = x->next;
	if (!x)
		return ERRAND_NONE;
	if (ret_us)
		*ret_us = x->cursor_us;
	*ret_why = x->why;
	return x->state;
}

void engine_errand_end(struct engine *e, uint32_t errand)
{
	drop(e, errand);
}

void engine_deepen(struct engine *e, int64_t us)
{
	if (e->policy.horizon_us && (e->deeper_us == 0 || us < e->deeper_us)) {
		e->deeper_us = us > 0 ? us : 1;
		catchup_go(e);
	}
}

void errand_deinit(struct engine *e)
{
	errand_session(e);
	while (e->errands)
		drop(e, e->errands->id);
}
