#include "core/cover.h"

#include <string.h>

#include "base/mem.h"

void cover_init(struct cover *c)
{
	*c = (struct cover){ 0 };
}

static void span_deinit(struct span *s)
{
	free(s->first.id);
	free(s->last.id);
}

void cover_deinit(struct cover *c)
{
	for (size_t i = 0; i < c->n; i++)
		span_deinit(&c->spans[i]);
	free(c->spans);
	cover_init(c);
}

static struct span *insert_at(struct cover *c, size_t i, const char *first_id, int64_t first_us, const char *last_id,
			      int64_t last_us, uint32_t flags)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 4;
		c->spans = xrealloc(c->spans, c->cap, sizeof(*c->spans));
	}
	memmove(&c->spans[i + 1], &c->spans[i], (c->n - i) * sizeof(*c->spans));
	c->n++;
	c->spans[i] = (struct span){
		.first = { xstrdup(first_id), first_us },
		.last = { xstrdup(last_id), last_us },
		.flags = flags,
	};
	return &c->spans[i];
}

static void remove_at(struct cover *c, size_t i)
{
	span_deinit(&c->spans[i]);
	memmove(&c->spans[i], &c->spans[i + 1], (c->n - i - 1) * sizeof(*c->spans));
	c->n--;
}

void cover_copy(struct cover *dst, const struct cover *src)
{
	struct cover c = { 0 };

	for (size_t i = 0; i < src->n; i++) {
		const struct span *s = &src->spans[i];

		insert_at(&c, i, s->first.id, s->first.us, s->last.id, s->last.us, s->flags);
	}
	cover_deinit(dst);
	*dst = c;
}

void cover_load(struct cover *c, const char *first_id, int64_t first_us, const char *last_id, int64_t last_us,
		uint32_t flags)
{
	insert_at(c, c->n, first_id, first_us, last_id, last_us, flags);
}

static void set_edge(struct edge *e, const char *id, int64_t us)
{
	str_set(&e->id, id);
	e->us = us;
}

bool cover_page_has(const struct cover_page *p, const char *id)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->items[i].id, id) == 0)
			return true;
	return false;
}

/*
 * The lowest stamp that ${page} is known to reach: of its first message that has one. A result over a limit of the
 * wire, or one without a message, has none; 0 would be below everything. INT64_MAX: nothing is known.
 */
static int64_t page_floor(const struct cover_page *page)
{
	for (size_t i = 0; i < page->n; i++)
		if (page->items[i].us != 0)
			return page->items[i].us;
	return INT64_MAX;
}

/*
 * Does a run of pages that reaches down to ${page} include the end of the older span ${s}? By id, or because the run
 * goes below that end: the run has no holes, so the end would have been in it, had the server still got it. A
 * stamp is no proof of that, for the server's clock may have stepped back, by days: something of the page has to be held
 * there; or the answer was complete.
 */
static bool meets_older(const struct cover_page *page, const struct span *s, bool complete)
{
	if (page->n == 0 || s->flags & SPAN_EMPTY)
		return false;
	if (page->start_us && s->last.us && s->last.us < page->start_us + COVER_MARGIN_US)
		return false;
	if (cover_page_has(page, s->last.id))
		return true;
	if (complete)
		return page_floor(page) < s->last.us;
	if (page_floor(page) >= s->last.us - COVER_MARGIN_US)
		return false;
	return !page->overlaps || page->overlaps(page->userdata, page, s);
}

/* Span ${i} swallows the one before it; ${page}, if any, is the run that met it. */
static void join_older(struct cover *c, size_t i, const struct cover_page *page)
{
	struct span *s = &c->spans[i];
	struct span *o = &c->spans[i - 1];

	s->flags &= ~(uint32_t)(SPAN_LOST | SPAN_START);
	s->flags |= o->flags & (SPAN_START | SPAN_LOST);
	/* The page may reach below all of the older span; an empty archive has no ends to take over. */
	if (!(o->flags & SPAN_EMPTY) &&
	    !(page && !page->start_us && (cover_page_has(page, o->first.id) || page_floor(page) < o->first.us - COVER_MARGIN_US)))
		set_edge(&s->first, o->first.id, o->first.us);
	remove_at(c, i - 1);
}

static bool has_end_below(const struct cover_page *page, const struct cover *c, size_t i)
{
	while (i-- > 0)
		if (cover_page_has(page, c->spans[i].last.id))
			return true;
	return false;
}

/*
 * The newest span below ${i} that the page meets, SIZE_MAX if none. If it has the end of one further down, those between are held
 * too, whatever has become of their ends at the server.
 */
static size_t find_met(const struct cover_page *page, const struct cover *c, size_t i, bool complete)
{
	while (i-- > 0) {
		if (meets_older(page, &c->spans[i], complete))
			return i;
		if (page->start_us || !has_end_below(page, c, i))
			break;
	}
	return SIZE_MAX;
}

/*
 * A page may reach below several spans at once: they all join. But one that was bounded by a stamp says nothing below the
 * end that it met, for its messages there are not stored from it. Returns the new index.
 */
static size_t join_met(struct cover *c, size_t i, const struct cover_page *page, bool complete)
{
	size_t met;

	while ((met = find_met(page, c, i, complete)) != SIZE_MAX) {
		for (; i - 1 > met; i--)
			remove_at(c, i - 1);
		join_older(c, i, page);
		i--;
		if (page->start_us)
			break;
	}
	return i;
}

static struct span *run_of(struct cover *c)
{
	return c->n && c->spans[c->n - 1].flags & SPAN_RUN ? &c->spans[c->n - 1] : NULL;
}

static void clear_live(struct cover *c)
{
	if (c->n)
		c->spans[c->n - 1].flags &= ~(uint32_t)SPAN_LIVE;
}

/* The part of the run that ${page}, the newest one, proves leaves it. Returns what is left of the run. */
static struct span *trim_run(struct cover *c, const struct cover_page *page)
{
	struct span *run = run_of(c);

	if (!run)
		return NULL;
	if (cover_page_has(page, run->last.id)) {
		remove_at(c, c->n - 1);
		return NULL;
	}
	run->flags &= ~(uint32_t)SPAN_NEXT;
	if (cover_page_has(page, run->first.id)) {
		set_edge(&run->first, page->items[page->n - 1].id, 0);
		run->flags |= SPAN_NEXT;
	}
	return run;
}

bool cover_places_run(const struct cover *c, const struct cover_page *page, bool complete, const char *seen_id)
{
	const struct span *run = c->n ? &c->spans[c->n - 1] : NULL;

	if (!run || !(run->flags & SPAN_RUN) || complete || page->n == 0)
		return true;
	if (cover_page_has(page, run->first.id) || cover_page_has(page, run->last.id))
		return true;
	if (seen_id && cover_page_has(page, seen_id))
		return true;
	return c->n > 1 && meets_older(page, &c->spans[c->n - 2], false);
}

/*
 * The server has nothing older than ${page}. So the first span is the archive's beginning, if the page reaches down to where
 * that begins; else the server does not have that message any more, nor what was below it and was not fetched yet.
 */
static void set_beginning(struct span *s, const struct cover_page *page)
{
	bool reached = s->first.us == 0 || cover_page_has(page, s->first.id) || page_floor(page) <= s->first.us;

	if (!(s->flags & (SPAN_START | SPAN_LOST)))
		s->flags |= reached ? SPAN_START : SPAN_LOST;
}

size_t cover_newest(struct cover *c, const struct cover_page *page, bool complete, int64_t now_us)
{
	const struct cover_item *end;
	struct span *run;
	size_t i;

	if (page->n == 0) {
		if (complete)
			cover_confirm_empty(c, now_us);
		return 0;
	}
	end = &page->items[page->n - 1];
	run = trim_run(c, page);
	if (!run)
		clear_live(c);
	i = run ? c->n - 1 : c->n;
	insert_at(c, i, page->items[0].id, page->items[0].us, end->id, end->us, run ? 0 : SPAN_LIVE);
	i = join_met(c, i, page, complete);
	if (complete && i > 0) {
		size_t n = c->n;

		cover_exhausted(c, i, page->items[0].us);
		i -= n - c->n;
	} else if (complete) {
		set_beginning(&c->spans[0], page);
	}
	return i;
}

/* The page below a run: a proven span of its own, which the run follows. */
static void insert_below_run(struct cover *c, size_t i, const struct cover_page *page)
{
	const struct cover_item *end = &page->items[page->n - 1];
	uint32_t moved = c->spans[i].flags & (SPAN_START | SPAN_LOST);

	c->spans[i].flags &= ~moved;
	c->spans[i].flags |= SPAN_NEXT;
	insert_at(c, i, page->items[0].id, page->items[0].us, end->id, end->us, moved);
}

size_t cover_before(struct cover *c, size_t i, const struct cover_page *page, bool complete, bool by_time,
		    bool *ret_met)
{
	struct span *s = &c->spans[i];
	size_t joined;

	*ret_met = i == 0;
	/* Unbounded below only for the first span. Asked for by id, the server has that message. */
	if (complete && i == 0 && by_time)
		set_beginning(s, page);
	else if (complete && i == 0)
		s->flags |= SPAN_START;
	if (page->n == 0)
		return i;
	/*
	 * Asked for by id, the page lies below whatever its stamps say (the server's clock may have stepped back). Asked
	 * for by time it may repeat the boundary and more; the span only grows.
	 */
	if (s->flags & SPAN_RUN)
		insert_below_run(c, i, page);
	else if (!by_time || s->first.us == 0 || page_floor(page) <= s->first.us)
		set_edge(&s->first, page->items[0].id, page->items[0].us);
	joined = join_met(c, i, page, complete);
	if (joined < i)
		*ret_met = true;
	return joined;
}

size_t cover_cut(struct cover *c, const struct cover_item *item)
{
	for (size_t i = c->n; item->us && i-- > 0;) {
		struct gap g;

		if (!cover_gap(c, i, &g) || g.state == GAP_LOST || c->spans[i].flags & SPAN_RUN || g.before_us == 0 ||
		    item->us >= g.before_us - COVER_MARGIN_US)
			continue;
		/* An unknown stamp would be below everything. */
		if (i > 0 && (c->spans[i - 1].last.us == 0 || item->us <= c->spans[i - 1].last.us + COVER_MARGIN_US))
			continue;
		insert_at(c, i, item->id, item->us, item->id, item->us, 0);
		return i;
	}
	return SIZE_MAX;
}

void cover_exhausted(struct cover *c, size_t i, int64_t archive_start_us)
{
	const struct span *o;
	bool same;

	if (i == 0)
		return;
	o = &c->spans[i - 1];
	same = o->flags & SPAN_EMPTY || (archive_start_us && archive_start_us < o->last.us);
	if (same && c->spans[i].flags & SPAN_RUN)
		c->spans[i].flags |= SPAN_NEXT;
	else if (same)
		join_older(c, i, NULL);
	else
		c->spans[i].flags |= SPAN_LOST;
}

void cover_live(struct cover *c, const char *id)
{
	struct span *run = run_of(c);
	uint32_t next = cover_is_live(c) ? SPAN_NEXT : 0;

	if (run) {
		str_set(&run->last.id, id);
		return;
	}
	clear_live(c);
	insert_at(c, c->n, id, 0, id, 0, SPAN_RUN | SPAN_LIVE | next);
}

bool cover_confirm_end(struct cover *c, const char *id, int64_t us)
{
	const struct edge *end = c->n ? &c->spans[c->n - 1].last : NULL;

	if (!end || strcmp(end->id, id) != 0)
		return false;
	if (us && end->us && (us > end->us + COVER_MARGIN_US || us < end->us - COVER_MARGIN_US))
		return false;
	c->spans[c->n - 1].flags |= SPAN_LIVE;
	return true;
}

void cover_confirm_empty(struct cover *c, int64_t now_us)
{
	if (c->n == 0)
		insert_at(c, 0, "", now_us, "", now_us, SPAN_START | SPAN_EMPTY);
	c->spans[c->n - 1].flags |= SPAN_LIVE;
}

void cover_session_lost(struct cover *c)
{
	if (run_of(c))
		remove_at(c, c->n - 1);
	clear_live(c);
}

static void mark_old(struct edge *e, const char *mark)
{
	char *id;

	if (!*e->id || cover_is_old(e->id))
		return;
	id = xasprintf("%s%s", mark, e->id);
	free(e->id);
	e->id = id;
}

void cover_set_old(struct cover *c, size_t n, const char *mark)
{
	struct gap g;

	cover_session_lost(c);
	while (c->n > n)
		remove_at(c, c->n - 1);
	for (size_t i = 0; i < c->n; i++) {
		/* Where it was is all that is left to ask by. */
		if (cover_gap(c, i, &g) && !g.before_us)
			c->spans[i].flags |= SPAN_LOST;
		mark_old(&c->spans[i].first, mark);
		mark_old(&c->spans[i].last, mark);
	}
}

/* COVER_OLD, TWIN, 16 digits, ":", the server's id */
#define TWIN '='
#define TWIN_PREFIX 19

char *cover_twin_id(const char *id, uint64_t hash)
{
	return xasprintf("%c%c%016llx:%s", COVER_OLD, TWIN, (unsigned long long)hash, id);
}

bool cover_is_twin(const char *id)
{
	return *id == COVER_OLD && id[1] == TWIN && strlen(id) > TWIN_PREFIX;
}

bool cover_is_old(const char *id)
{
	return *id == COVER_OLD && !cover_is_twin(id);
}

const char *cover_shown_id(const char *id)
{
	return cover_is_twin(id) ? id + TWIN_PREFIX : cover_is_old(id) ? "" : id;
}

bool cover_is_live(const struct cover *c)
{
	return c->n && c->spans[c->n - 1].flags & SPAN_LIVE;
}

bool cover_gap(const struct cover *c, size_t i, struct gap *ret)
{
	const struct span *s = &c->spans[i];
	const struct span *o = i ? &c->spans[i - 1] : NULL;

	if (s->flags & SPAN_NEXT || (!o && s->flags & SPAN_START))
		return false;
	*ret = (struct gap){
		.span = i,
		.after_id = o ? o->last.id : "",
		.after_us = o && !(o->flags & SPAN_EMPTY) ? o->last.us : 0,
		.before_id = s->first.id,
		.before_us = s->first.us,
		.state = s->flags & SPAN_LOST ? GAP_LOST : GAP_OPEN,
	};
	return true;
}

bool cover_tail(const struct cover *c, struct gap *ret)
{
	const struct span *s = c->n ? &c->spans[c->n - 1] : NULL;

	if (cover_is_live(c))
		return false;
	*ret = (struct gap){
		.span = c->n,
		.after_id = s ? s->last.id : "",
		.after_us = s && !(s->flags & SPAN_EMPTY) ? s->last.us : 0,
		.before_id = "",
		.state = GAP_OPEN,
	};
	return true;
}

size_t cover_count_gaps(const struct cover *c, bool lost)
{
	size_t n = 0;
	struct gap g;

	for (size_t i = 0; i < c->n; i++)
		if (cover_gap(c, i, &g) && (g.state == GAP_LOST) == lost)
			n++;
	return n;
}

bool cover_valid(const struct cover *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct span *s = &c->spans[i];

		if ((s->flags & (SPAN_LIVE | SPAN_RUN) && i + 1 != c->n) || (s->flags & SPAN_START && i > 0))
			return false;
		if (s->flags & SPAN_NEXT && (i == 0 || !(s->flags & SPAN_RUN)))
			return false;
		if (!(s->flags & SPAN_EMPTY) && (!*s->first.id || !*s->last.id))
			return false;
	}
	return true;
}
