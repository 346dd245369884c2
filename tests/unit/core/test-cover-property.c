/*
 * core/cover's promise: a server archive of numbered messages with coarse stamps; random pages, live messages, sessions. After
 * every operation everything inside a span has been delivered; and following the plan ends with the whole archive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/cover.h"
#include "core/plan.h"

#define SEC INT64_C(1000000)
#define T0 (INT64_C(1700000000) * SEC)

struct world {
	int n;		/* messages 1..n exist */
	int64_t us[400];
	bool have[400];
	unsigned int seed;
	int lost_below; /* expired: ids below are gone at the server */
	bool quiet;	/* nothing comes any more */
	char seen[16];	/* the archive's newest when there was no run */
};

static void name(char *buf, int i)
{
	snprintf(buf, 16, "m%d", i);
}

static int number(const char *id)
{
	return id[0] ? atoi(id + 1) : 0;
}

static void check_claims(const struct cover *c, const struct world *w)
{
	int prev = 0;

	assert_true(cover_valid(c));
	for (size_t i = 0; i < c->n; i++) {
		int a = number(c->spans[i].first.id), b = number(c->spans[i].last.id);

		if (c->spans[i].flags & SPAN_EMPTY)
			continue;
		/* What a page has proven of a run has left it, but for the end that they share. */
		if (a < prev || (a == prev && !(c->spans[i].flags & SPAN_NEXT)))
			fail_msg("seed %u: span %d..%d lies below what ends at %d", w->seed, a, b, prev);
		/* A run claims what the session delivered, for as long as the session lasts. */
		if (c->spans[i].flags & SPAN_RUN)
			continue;
		assert_true(b >= a);
		for (int k = a; k <= b; k++)
			if (!w->have[k])
				fail_msg("seed %u: span %d..%d claims %d", w->seed, a, b, k);
		prev = b;
	}
}

static void archived(struct world *w)
{
	w->n++;
	w->us[w->n] = (w->n > 1 ? w->us[w->n - 1] : T0) + (rand() % 3 ? 0 : rand() % 900 * SEC);
}

static void live(struct cover *c, struct world *w)
{
	char id[16];

	archived(w);
	w->have[w->n] = true;
	name(id, w->n);
	cover_live(c, id);
}

/* The world goes on while a question, or its answer, is under way. */
static void meanwhile(struct cover *c, struct world *w)
{
	for (int i = rand() % 2 ? 0 : rand() % 30; i > 0 && w->n < 390; i--)
		if (rand() % 3)
			archived(w);
		else
			live(c, w);
}

static void fetch(struct cover *c, struct world *w, const struct plan *p, int max)
{
	struct cover_item items[64];
	char names[64][16];
	struct cover_page pg = { items, 0 };
	int top, from, lowest = w->lost_below > 1 ? w->lost_below : 1;
	bool complete;
	size_t at;
	bool met;

	if (p->step == PLAN_NEWEST && !w->quiet)
		meanwhile(c, w);
	top = p->step == PLAN_BEFORE && *p->cursor ? number(p->cursor) - 1 : w->n;
	while (p->start_us && lowest <= w->n && w->us[lowest] < p->start_us)
		lowest++;
	from = top - max + 1 > lowest ? top - max + 1 : lowest;
	complete = from <= lowest;
	for (int i = from; i <= top; i++) {
		name(names[pg.n], i);
		items[pg.n] = (struct cover_item){ names[pg.n], w->us[i] };
		pg.n++;
		w->have[i] = true;
	}
	if (p->step == PLAN_NEWEST) {
		if (!w->quiet)
			meanwhile(c, w);
		if (cover_places_run(c, &pg, complete, w->seen)) {
			cover_newest(c, &pg, complete, T0);
			return;
		}
		snprintf(w->seen, sizeof(w->seen), "%s", pg.items[pg.n - 1].id);
		cover_session_lost(c);
		return;
	}
	at = cover_before(c, p->span, &pg, complete, false, &met);
	if (complete && !met)
		cover_exhausted(c, at, w->us[w->lost_below > 1 ? w->lost_below : 1]);
}

static void coverage_never_claims_what_is_not_stored(_unused_ void **state)
{
	for (unsigned int seed = 1; seed <= 3000; seed++) {
		struct plan_policy policy = { .metadata_known = true };
		struct cover c = { 0 };
		struct world w = { .seed = seed };
		struct plan p;

		srand(seed);
		for (int op = 0; op < 60; op++) {
			int kind = rand() % 10;

			if (kind < 4 && w.n < 390) { /* while we are away, or not delivered */
				archived(&w);
			} else if (kind < 7 && w.n < 390) {
				live(&c, &w);
			} else if (kind == 7) {
				cover_session_lost(&c);
			} else if (kind == 8 && w.n > 5 && rand() % 4 == 0) {
				w.lost_below += rand() % 3;
			} else {
				p = plan_next(&c, &policy);
				if (p.step != PLAN_DONE)
					fetch(&c, &w, &p, 1 + rand() % 20);
			}
			check_claims(&c, &w);
		}
		cover_session_lost(&c);
		w.quiet = true;
		for (int i = 0; i < 2000; i++) {
			p = plan_next(&c, &policy);
			if (p.step == PLAN_DONE)
				break;
			fetch(&c, &w, &p, 1 + rand() % 20);
			check_claims(&c, &w);
		}
		assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
		for (int i = w.lost_below > 1 ? w.lost_below : 1; i <= w.n; i++)
			if (!w.have[i])
				fail_msg("seed %u: message %d of %d never fetched", seed, i, w.n);
		cover_deinit(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(coverage_never_claims_what_is_not_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
