#include "store/place.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "core/order.h"
#include "store/aid.h"
#include "store/known.h"

/*
 * Which messages of [from, to) stay where they are: a longest strictly ascending run of keys between ${lo} and ${hi}
 * among the placed, or the loose ones. All of them, as a rule. But live messages are placed as they come, and a server
 * may have put two of them into its archive the other way round; then as few as possible move. There are at most
 * ARCHIVE_PAGE_MAX, so that the square is cheap.
 */
static void choose_anchors(struct place *places, size_t from, size_t to, bool loose, int64_t lo, int64_t hi)
{
	_cleanup_(freep) size_t *length = xnewn(size_t, to + 1); /* of the longest run that ends here; 0 = none */
	_cleanup_(freep) size_t *before = xnewn(size_t, to + 1); /* its last but one member, ${to} = none */
	size_t best = to, longest = 0;

	for (size_t i = from; i < to; i++) {
		const struct place *p = &places[i];

		if (!(loose ? p->loose : p->placed) || p->key <= lo || p->key >= hi)
			continue;
		length[i] = 1;
		before[i] = to;
		for (size_t j = i; j-- > from;) {
			if (length[j] < length[i] || places[j].key >= p->key)
				continue;
			length[i] = length[j] + 1;
			before[i] = j;
			if (length[j] == longest)
				break;
		}
		if (length[i] > longest) {
			longest = length[i];
			best = i;
		}
	}
	for (size_t i = best; i < to; i = before[i])
		places[i].moved = false;
}

static int neighbour(struct put *p, enum sql id, int64_t key, int64_t none, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);

	put_i(&q, p->archive);
	put_i(&q, key);
	return db_int(&q, none, ret);
}

static int key_of(struct put *p, const char *id, int64_t none, int64_t *ret)
{
	struct aid aid;
	int r = aid_get(p, id, &aid);

	if (r < 0)
		return err_trace(r);
	*ret = aid.known && aid.placed ? aid.key : none;
	return 0;
}

static bool is_in(const struct place *places, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(places[i].id, id) == 0)
			return true;
	return false;
}

/*
 * A message that came live before another one of a page that was stored earlier may have its place in the archive on the
 * other side of that page's end: then it is no anchor, or all that belongs below the end would be placed above it.
 */
static int find_anchors(struct put *p, struct place *places, size_t n, const struct archive_page *page)
{
	int64_t lo = INT64_MIN, hi = INT64_MAX;
	int r = 0;

	if (!p->part && !is_in(places, n, page->below_id))
		r = key_of(p, page->below_id, INT64_MIN, &lo);
	if (r == 0 && !p->part && !page->by_stamp && !is_in(places, n, page->above_id))
		r = key_of(p, page->above_id, INT64_MAX, &hi);
	if (r == 0)
		choose_anchors(places, 0, n, false, lo, hi);
	return r < 0 ? err_trace(r) : 0;
}

/* The open interval that the page lies in, and what of it lies on which side of what the server has dropped. */
struct bounds {
	int64_t lo, hi;
	size_t first, last; /* the outermost anchors, ${n} = none */
	int64_t held, top;  /* what stands before the first lies below ${held}, what stands behind the last above ${top} */
};

/*
 * What is placed next to an outermost anchor and not in the page was dropped by the server, if the page should have it. The span
 * of both has no holes, so what is new lies on its other side. (A page by a stamp may begin above it, with what is held.)
 */
static int find_dropped(struct put *p, const struct place *places, size_t n, const struct archive_page *page, int64_t above,
			struct bounds *b)
{
	bool newest = !*page->above_id && !page->compare;
	int r;

	if (newest || (above != INT64_MAX && places[b->last].key < above))
		r = neighbour(p, SQL_AID_BELOW, above, INT64_MIN, &b->top);
	else
		r = neighbour(p, SQL_AID_ABOVE, places[b->last].key, INT64_MAX, &b->hi);
	if (r == 0 && page->first_id && !is_in(places, n, page->first_id))
		r = key_of(p, page->first_id, INT64_MAX, &b->held);
	return r < 0 ? err_trace(r) : 0;
}

/*
 * With anchors, the placed neighbours of the outermost ones are the tightest bounds, and right ones: a placed message
 * that is not in this page lies outside of it, for a page has no holes. Without, what the caller knows.
 */
static int find_bounds(struct put *p, const struct place *places, size_t n, const struct archive_page *page,
		       struct bounds *ret)
{
	int64_t below, above;
	size_t first = n, last = n;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (places[i].moved)
			continue;
		first = first == n ? i : first;
		last = i;
	}
	r = key_of(p, page->below_id, INT64_MIN, &below);
	if (r == 0)
		r = key_of(p, page->above_id, INT64_MAX, &above);
	if (r < 0)
		return err_trace(r);
	*ret = (struct bounds){ .lo = below, .hi = above, .first = first, .last = last, .held = INT64_MAX, .top = INT64_MIN };
	/* Others of the archive may stand anywhere between the messages of one conversation. */
	if (p->part)
		return 0;
	if (first != n)
		r = find_dropped(p, places, n, page, above, ret);
	if (r == 0 && first != n)
		r = neighbour(p, SQL_AID_BELOW, ret->held < places[first].key ? ret->held : places[first].key, INT64_MIN,
			      &ret->lo);
	else if (r == 0 && above != INT64_MAX)
		r = neighbour(p, SQL_AID_BELOW, above, INT64_MIN, &ret->lo);
	/*
	 * The newest page: nothing lies above. Whatever is placed and not in it lies below, live messages of a session
	 * whose run is forgotten too, even if the phone's clock was ahead when they came.
	 */
	if (r == 0 && first == n && !*page->above_id)
		r = neighbour(p, SQL_AID_BELOW, INT64_MAX, INT64_MIN, &ret->lo);
	/* The boundary has no place. What is placed from the page's last stamp on up is above it, equal stamps too. */
	else if (r == 0 && first == n && above == INT64_MAX)
		r = neighbour(p, SQL_AID_ABOVE, below > places[n - 1].us - 1 ? below : places[n - 1].us - 1,
			      INT64_MAX, &ret->hi);
	if (r < 0)
		return err_trace(r);
	return 0;
}

static int run_shift(struct put *p, enum sql id, int64_t from, int64_t by)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, id);

	put_i(&q, by);
	put_i(&q, p->account);
	put_i(&q, from);
	return db_run(&q);
}

/*
 * Everything of the account from key ${from} on moves up by ${by}: order stays, so no row changes for anybody. All
 * archives together, because the account's history is one list.
 */
static int shift(struct put *p, int64_t from, int64_t by)
{
	static const enum sql steps[] = { SQL_SHIFT_MSG, SQL_SHIFT_EDIT, SQL_SHIFT_AID, SQL_SHIFT_REF,
					  SQL_SHIFT_PENDING, SQL_SHIFT_CONV, SQL_SHIFT_ACCOUNT };
	int r = 0;

	log_debug("sort keys: no room, everything from %lld on moves up", (long long)from);
	p->s->key_shifts++;
	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
		r = run_shift(p, steps[i], from, by);
	known_shift(p, from, by);
	return r < 0 ? err_trace(r) : 0;
}

/* Place the run [from, to) strictly between lo and *hi; *moved_by: how far everything from *hi on moved up. */
static int place_run(struct put *p, struct place *places, size_t from, size_t to, int64_t lo, int64_t *hi,
		     bool touches_lo, int64_t *moved_by)
{
	size_t n = to - from;
	_cleanup_(freep) int64_t *us = xnewn(int64_t, n);
	_cleanup_(freep) int64_t *keys = xnewn(int64_t, n);
	int r;

	*moved_by = 0;
	for (size_t i = 0; i < n; i++)
		us[i] = places[from + i].us;
	if (!order_place(us, n, lo, *hi, touches_lo, keys)) {
		/* Natural places may lie above hi; enough room for them and for what is still missing below. */
		*moved_by = 2 * ORDER_ROOM + (int64_t)n;
		if (us[n - 1] > *hi)
			*moved_by += us[n - 1] - *hi;
		r = shift(p, *hi, *moved_by);
		if (r < 0)
			return err_trace(r);
		*hi += *moved_by;
		if (!order_place(us, n, lo, *hi, touches_lo, keys))
			return err_origin(-ERANGE);
	}
	for (size_t i = 0; i < n; i++)
		places[from + i].key = keys[i];
	return 0;
}

/* The end of the run of moved messages that begins at ${i}. */
static size_t run_end(const struct place *places, size_t n, size_t i)
{
	while (i < n && places[i].moved)
		i++;
	return i;
}

/* The place that the run from ${i} on lies above, where ${lo} stands right below it. */
static int64_t run_lo(const struct bounds *b, size_t i, int64_t lo)
{
	return i > b->last && b->top > lo ? b->top : lo;
}

/* The place that the run up to ${end} lies below. */
static int64_t run_hi(const struct bounds *b, const struct place *places, size_t n, size_t end)
{
	int64_t hi = end < n ? places[end].key : b->hi;

	return end <= b->first && b->held < hi ? b->held : hi;
}

/*
 * Loose messages whose place agrees with the placed ones stay there too. Their neighbours may be other loose ones
 * that no page will ever bring (own messages of other devices, which Prosody's carbons bring without an archive id):
 * moving one of them would turn two messages round.
 */
static void keep_loose(struct place *places, size_t n, const struct bounds *b)
{
	int64_t lo = b->lo;

	for (size_t i = 0, end; i < n; i = end) {
		end = run_end(places, n, i);
		if (end == i) {
			lo = places[i].key;
			end++;
			continue;
		}
		choose_anchors(places, i, end, true, run_lo(b, i, lo), run_hi(b, places, n, end));
	}
}

int place_page(struct put *p, struct place *places, const struct archive_page *page)
{
	struct bounds b;
	int64_t lo, hi, moved_by;
	size_t n = page->n;
	bool touches = false; /* what stands right below is one of the page, so nothing comes between */
	int r;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		places[i].moved = true;
	r = find_anchors(p, places, n, page);
	if (r == 0)
		r = find_bounds(p, places, n, page, &b);
	if (r < 0)
		return err_trace(r);
	keep_loose(places, n, &b);
	lo = b.lo;
	for (size_t i = 0, end; i < n; i = end) {
		end = run_end(places, n, i);
		if (end == i) {
			lo = places[i].key;
			touches = true;
			end++;
			continue;
		}
		hi = run_hi(&b, places, n, end);
		r = place_run(p, places, i, end, run_lo(&b, i, lo), &hi, touches, &moved_by);
		if (r < 0)
			return err_trace(r);
		/* The anchors above moved with everything else. */
		for (size_t j = end; moved_by && j < n; j++)
			if (!places[j].moved)
				places[j].key += moved_by;
		if (moved_by && b.hi != INT64_MAX)
			b.hi += moved_by;
		if (moved_by && b.held != INT64_MAX && end < b.first)
			b.held += moved_by;
		if (moved_by && b.top != INT64_MIN && i <= b.last)
			b.top += moved_by;
		lo = places[end - 1].key;
	}
	/* A part of an archive does not know what lies between its messages: what has its place keeps it. */
	for (size_t i = 0; p->part && i < n; i++)
		if (places[i].placed)
			places[i].moved = false;
	return 0;
}
