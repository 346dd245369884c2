#include "core/verify.h"

#include <string.h>

#include "base/mem.h"

#define USEC INT64_C(1000000)

void verify_init(struct verify *v, const char *with, int64_t since_us)
{
	*v = (struct verify){
		.with = xstrdup(with),
		.since_us = since_us,
		.cursor = xstrdup(""),
		.upper = xstrdup(""),
		.floor_id = xstrdup(""),
		.why = xstrdup(""),
	};
}

void verify_deinit(struct verify *v)
{
	free(v->with);
	free(v->cursor);
	free(v->upper);
	free(v->floor_id);
	free(v->why);
	*v = (struct verify){ 0 };
}

void verify_copy(struct verify *dst, const struct verify *src)
{
	struct verify v = *src;

	v.with = xstrdup(src->with);
	v.cursor = xstrdup(src->cursor);
	v.upper = xstrdup(src->upper);
	v.floor_id = xstrdup(src->floor_id);
	v.why = xstrdup(src->why);
	verify_deinit(dst);
	*dst = v;
}

/* The newest span that pages have proven; NULL if there is none. */
static const struct span *newest_proven(const struct cover *c)
{
	for (size_t i = c->n; i-- > 0;)
		if (!(c->spans[i].flags & (SPAN_RUN | SPAN_EMPTY)) && !cover_is_old(c->spans[i].last.id))
			return &c->spans[i];
	return NULL;
}

static void set_floor(struct verify *v, const struct cover *c)
{
	const struct span *s = &c->spans[0];
	bool open = s->flags & (SPAN_START | SPAN_EMPTY);

	str_set(&v->floor_id, open ? "" : s->first.id);
	v->floor_us = open ? 0 : s->first.us;
	v->oldest_us = s->flags & SPAN_EMPTY ? 0 : s->first.us;
}

static void begin_at(struct verify *v, const struct span *top)
{
	str_set(&v->upper, top->last.id);
	v->cursor_us = v->top_us = top->last.us;
	/*
	 * One conversation is asked for by time: not every server finds the place of an id that the filter leaves out.
	 */
	if (*v->with && top->last.us)
		v->end_us = top->last.us;
	else
		str_set(&v->cursor, top->last.id);
	/* That message was just met: the account is in sync. A conversation's page brings it. */
	v->tally.messages += *v->cursor != '\0';
}

void verify_start(struct verify *v, const struct cover *c)
{
	const struct span *top = newest_proven(c);

	if (v->state != VERIFY_WAITING)
		return;
	if (!top) {
		v->state = VERIFY_DONE;
		return;
	}
	set_floor(v, c);
	if (!*v->upper)
		begin_at(v, top);
	v->state = VERIFY_WALKING;
}

void verify_stop(struct verify *v)
{
	if (v->state == VERIFY_WALKING)
		v->state = VERIFY_WAITING;
}

struct verify_ask verify_next(const struct verify *v)
{
	struct verify_ask ask = { .cursor = v->cursor, .with = v->with, .end_us = *v->cursor ? 0 : v->end_us };

	/* A conversation has no message at the floor to stop at. Filters go by stamp, pages by archive order. */
	if (*v->with)
		ask.start_us = (v->since_us > v->floor_us ? v->since_us : v->floor_us) - COVER_MARGIN_US;
	if (ask.start_us < 0)
		ask.start_us = 0;
	return ask;
}

/* How many of the oldest messages lie below what coverage claims. */
static size_t below_floor(const struct verify *v, const struct cover_item *items, size_t n, bool *ret_reached)
{
	size_t i = 0;

	*ret_reached = false;
	if (!*v->floor_id)
		return 0;
	for (size_t k = 0; k < n; k++)
		if (strcmp(items[k].id, v->floor_id) == 0) {
			*ret_reached = true;
			return k;
		}
	/* The message at the floor is not in the page, or gone at the server: its stamp says where it was. */
	while (i < n && items[i].us && items[i].us < v->floor_us - (*v->with ? 0 : COVER_MARGIN_US))
		i++;
	*ret_reached = i > 0;
	return i;
}

static bool leads_on(const struct verify *v, const struct cover_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*v->cursor && strcmp(items[i].id, v->cursor) == 0)
			return false;
	return true;
}

bool verify_page(struct verify *v, const struct cover_item *items, size_t n, bool complete, size_t *ret_from)
{
	bool reached = false;

	*ret_from = 0;
	if ((n == 0 && !complete) || !leads_on(v, items, n)) {
		verify_trouble(v, "the server's answers lead nowhere");
		return false;
	}
	v->troubles = 0;
	v->tally.pages++;
	if (n) {
		*ret_from = below_floor(v, items, n, &reached);
		str_set(&v->cursor, items[0].id);
		str_set(&v->upper, items[0].id);
		v->cursor_us = items[0].us ? items[0].us : v->cursor_us;
		v->tally.messages += n - *ret_from;
	}
	if (complete || reached || (v->since_us && v->cursor_us < v->since_us - COVER_MARGIN_US))
		v->state = VERIFY_DONE;
	return true;
}

void verify_unknown(struct verify *v)
{
	if (!*v->cursor || !v->cursor_us) {
		verify_trouble(v, "the server does not know its own messages any more");
		return;
	}
	/* What was seen is met again; a message is missing only once. */
	v->end_us = v->cursor_us + (*v->with ? 0 : COVER_MARGIN_US);
	str_set(&v->cursor, "");
	verify_trouble(v, "the server does not know its own messages any more");
}

void verify_trouble(struct verify *v, const char *why)
{
	if (v->state == VERIFY_DONE || v->state == VERIFY_FAILED || ++v->troubles < VERIFY_TROUBLES_MAX)
		return;
	v->state = VERIFY_FAILED;
	str_set(&v->why, why);
}

void verify_progress(const struct verify *v, uint64_t *ret_done, uint64_t *ret_total)
{
	int64_t low = v->since_us > v->oldest_us ? v->since_us : v->oldest_us;

	*ret_done = v->top_us > v->cursor_us ? (uint64_t)((v->top_us - v->cursor_us) / USEC) : 0;
	/* How far back the archive reaches is not known. */
	*ret_total = low && v->top_us > low ? (uint64_t)((v->top_us - low) / USEC) : 0;
	if (*ret_total && *ret_done > *ret_total)
		*ret_done = *ret_total;
}
