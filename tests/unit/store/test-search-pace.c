/* How many windows a search through a million ids takes on machines of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/search-pace.h"

#define IDS 1000000
#define BUDGET 1000 /* us: SEARCH_SLICE_US of bus/search.h */
#define GUARD 3000  /* GUARD_US of search.c */

struct machine {
	double begin_us, id_us; /* what a window costs to begin, and each id of it */
	int hiccups;		/* one window of so many takes hiccup_us more: another program ran; 0 = none */
	double hiccup_us;
};

struct walk {
	int windows, vain; /* read to their end, and ended before */
	double us, longest_us;
};

static struct walk search_all(struct machine m)
{
	struct walk w = { 0 };
	struct pace p;
	bool bare = false;

	pace_init(&p);
	srand(1);
	for (int64_t left = IDS; left > 0;) {
		double took = m.begin_us + m.id_us * (double)p.ids, most = (double)(BUDGET + GUARD + p.begin_us);

		if (m.hiccups && rand() % m.hiccups == 0)
			took += m.hiccup_us;
		if (took > most && !bare) {
			w.us += most;
			w.vain++;
			bare = !pace_too_long(&p);
			continue;
		}
		w.longest_us = took > w.longest_us ? took : w.longest_us;
		w.us += took;
		w.windows++;
		bare = false;
		left -= p.ids;
		pace_done(&p, (int64_t)took, BUDGET);
	}
	return w;
}

static void expect(struct machine m, int windows)
{
	struct walk w = search_all(m);

	if (w.windows + w.vain > windows)
		fail_msg("%d windows and %d in vain, %.1f ms, with %.0f us to begin and %.3f us an id: more than %d", w.windows, w.vain,
			 w.us / 1000, m.begin_us, m.id_us, windows);
}

/* They were 15,625 of 64 ids each wherever beginning one took more than 250 us: 20 s for three words of ten thousand messages. */
static void what_a_window_costs_to_begin_makes_none_smaller(_unused_ void **state)
{
	expect((struct machine){ .begin_us = 10, .id_us = 0.001 }, 20);
	expect((struct machine){ .begin_us = 500, .id_us = 0.001 }, 20);
	expect((struct machine){ .begin_us = 1200, .id_us = 0.001 }, 20);
	expect((struct machine){ .begin_us = 5000, .id_us = 0.001 }, 40);
	expect((struct machine){ .begin_us = 20000, .id_us = 0.001 }, 40);
}

static void a_busy_machine_makes_none_small_for_good(_unused_ void **state)
{
	expect((struct machine){ .begin_us = 500, .id_us = 0.001, .hiccups = 3, .hiccup_us = 8000 }, 60);
	expect((struct machine){ .begin_us = 1200, .id_us = 0.005, .hiccups = 2, .hiccup_us = 4000 }, 200);
	expect((struct machine){ .begin_us = 1200, .id_us = 0.005, .hiccups = 2, .hiccup_us = 900 }, 200);
}

/* What an id costs does: a slice is not longer than its budget by more than what cannot be cut. */
static void a_window_takes_no_more_than_its_beginning_and_a_slice(_unused_ void **state)
{
	for (double id_us = 0.01; id_us < 1; id_us *= 2) {
		struct machine m = { .begin_us = 300, .id_us = id_us };
		struct walk w = search_all(m);

		if (w.longest_us > m.begin_us + BUDGET)
			fail_msg("%.0f us with %.2f us an id", w.longest_us, id_us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_window_costs_to_begin_makes_none_smaller),
		cmocka_unit_test(a_busy_machine_makes_none_small_for_good),
		cmocka_unit_test(a_window_takes_no_more_than_its_beginning_and_a_slice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
