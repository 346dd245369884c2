#include "sync/effect.h"

#include <string.h>

size_t effect_span_named(const struct cover *c, const char *first_id)
{
	size_t named = SIZE_MAX;
	struct gap g;

	for (size_t i = c->n; i-- > 0;) {
		if (strcmp(c->spans[i].first.id, first_id) != 0)
			continue;
		named = i;
		if (cover_gap(c, i, &g) && g.state == GAP_OPEN)
			break;
	}
	return named;
}

/*
 * It was asked with the end of a span as its lower bound, and that span is not there: a cut of this gap that was expected, and
 * refused. Then "complete" says nothing of what lies below the bound, and near it messages may be left out (cover.h).
 */
static bool window_is_gone(const struct query *q, const struct cover *cover, size_t i, const struct cover_page *page, bool complete)
{
	const struct span *below = i > 0 ? &cover->spans[i - 1] : NULL;

	if (!q->start_us || (below && !(below->flags & SPAN_EMPTY) && below->last.us >= q->start_us + COVER_MARGIN_US))
		return false;
	for (size_t k = 0; k < page->n && below && !complete; k++)
		complete = page->items[k].us < q->start_us + COVER_MARGIN_US;
	return !below || complete;
}

/* By time that message is in the answer, if it is there still. */
static bool nothing_below_first(const struct query *q, const struct cover *cover, size_t i, const struct cover_page *page,
				bool complete)
{
	return i == 0 && complete && page->n == 0 && query_is_below_id(q) && !q->run && cover->spans[0].first.us;
}

static enum answer before(const struct engine *e, const struct query *q, size_t from, struct cover *cover,
			  const struct cover_page *page, struct effect *ret)
{
	size_t i = effect_span_named(cover, q->above_id), spans = cover->n;
	bool complete = q->complete && from == 0, met;

	if (i == SIZE_MAX || window_is_gone(q, cover, i, page, complete))
		return ANSWER_GONE;
	/* "Before X" with X in it, or with the newest that we hold: the server did not read the question (A14). */
	if (!q->by_time && !q->sliced &&
	    (cover_page_has(page, q->above_id) || cover_page_has(page, cover->spans[i].last.id)))
		return ANSWER_STUCK;
	/* Nothing is below it: because it is the oldest, or because the server does not have it any more and does not say so (B2)? */
	if (nothing_below_first(q, cover, i, page, complete))
		return ANSWER_STUCK;
	ret->span = cover_before(cover, i, page, complete, q->by_time, &met);
	ret->joined = met && i > 0;
	if (complete && !met) {
		size_t n = cover->n;

		cover_exhausted(cover, ret->span, e->meta_start_us);
		ret->span -= n - cover->n;
	}
	return complete || ret->joined || cover->n != spans ||
			       strcmp(cover->spans[ret->span].first.id, q->above_id) != 0
		       ? ANSWER_MOVED
		       : ANSWER_STUCK;
}

/*
 * Of the gap that was asked about it is, whatever its stamp says (plan.h), unless it is held: then nothing in there has such a
 * stamp, or the gap was filled meanwhile.
 */
static enum answer cut(const struct query *q, struct cover *cover, const struct cover_page *page, struct effect *ret)
{
	ret->span = SIZE_MAX;
	if (page->n != 1 || q->n != 1 || (page->is_held && page->is_held(page->userdata, page->items[0].id)))
		return ANSWER_NO_CUT;
	ret->span = cover_cut(cover, &page->items[0]);
	if (ret->span == SIZE_MAX || strcmp(ret->span > 0 ? cover->spans[ret->span - 1].last.id : "", q->below_id) != 0)
		return ANSWER_NO_CUT;
	return ANSWER_MOVED;
}

enum answer effect_apply(const struct engine *e, const struct query *q, size_t from, struct cover *cover,
			 const struct cover_page *page, struct effect *ret)
{
	*ret = (struct effect){ 0 };
	switch (q->step) {
	case PLAN_NEWEST:
		if (!cover_places_run(cover, page, q->complete, e->end_seen))
			return ANSWER_ASIDE;
		ret->span = cover_newest(cover, page, q->complete, e->io->real_us(e->userdata));
		return page->n > 0 || q->complete ? ANSWER_MOVED : ANSWER_STUCK;
	case PLAN_CUT:
		return cut(q, cover, page, ret);
	default:
		return before(e, q, from, cover, page, ret);
	}
}
