/* sim.h: what the store holds against what the server has, for the tests to expect. */
#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/engine-priv.h"

struct walk {
	message_row_fn take;
	void *userdata;
	size_t n;
	int64_t last;
};

static int on_row(void *userdata, const struct message_row *row)
{
	struct walk *w = userdata;

	/* The anchor of a page comes again. */
	if (w->n && row->id == w->last)
		return 0;
	w->n++;
	w->last = row->id;
	return w->take(w->userdata, row);
}

void sim_history(struct sim *s, message_row_fn take, void *userdata)
{
	struct walk w = { .take = take, .userdata = userdata };
	struct history_query q = {
		.account = s->account.id, .conversation = "", .anchor = ANCHOR_OLDEST, .after = 499, .across_gaps = true,
	};
	uint32_t edges = 0;
	uint64_t seq;
	size_t before;

	do {
		before = w.n;
		assert_int_equal(read_history(s->store, &q, on_row, &w, &edges, &seq), 0);
		q.anchor = ANCHOR_MESSAGE;
		q.value = w.last;
	} while (w.n > before && !(edges & EDGE_NEWEST));
}

struct texts {
	char **bodies;
	size_t n;
};

static int keep_text(void *userdata, const struct message_row *row)
{
	struct texts *x = userdata;

	x->bodies = xrealloc(x->bodies, x->n + 1, sizeof(char *));
	x->bodies[x->n++] = xstrdup(row->body);
	return 0;
}

struct count {
	const char *body;
	int n;
};

static int count_text(void *userdata, const struct message_row *row)
{
	struct count *x = userdata;

	x->n += strcmp(row->body, x->body) == 0;
	return 0;
}

int sim_count(struct sim *s, const char *body)
{
	struct count x = { .body = body };

	sim_history(s, count_text, &x);
	return x.n;
}

/* The archive has other ids now; it is stored under the first ones. */
static bool held_before_it_moved(struct sim *s, int64_t archive, int k)
{
	int64_t us, msg;
	char id[16];

	snprintf(id, sizeof(id), "a%d", k);
	return s->prefix != 'a' && read_aid_time(s->store, archive, id, &us, &msg) == 0;
}

void sim_expect_honest(struct sim *s)
{
	int64_t archive, us, msg;
	const struct cover *c = engine_cover(s->engine, &archive);

	assert_true(cover_valid(c));
	for (size_t i = 0; i < c->n; i++) {
		const struct span *sp = &c->spans[i];

		/* A run claims only what the session delivered, and only while it lasts. What is of an archive before this
		 * one is for the story to look at. */
		if (sp->flags & (SPAN_EMPTY | SPAN_RUN) || cover_is_old(sp->last.id))
			continue;
		for (int k = cover_is_old(sp->first.id) ? 0 : atoi(sp->first.id + 1); k <= atoi(sp->last.id + 1); k++)
			if ((read_aid_time(s->store, archive, s->archive[k].id, &us, &msg) != 0 ||
			     (!msg && !s->archive[k].receipt)) && !held_before_it_moved(s, archive, k))
				fail_msg("seed %u: span %s..%s claims %s which is not stored", s->seed, sp->first.id,
					 sp->last.id, s->archive[k].id);
	}
}

void sim_expect_all(struct sim *s, int from)
{
	struct texts x = { 0 };
	size_t want = (size_t)(s->n - from);

	sim_history(s, keep_text, &x);
	for (size_t i = 0; i < want && i < x.n; i++)
		if (strcmp(x.bodies[i], s->archive[from + (int)i].body) != 0)
			fail_msg("seed %u: place %zu of the archive: \"%s\" stands where \"%s\" should (stored %d times); "
				 "%zu stored, %zu in the archive", s->seed, i, x.bodies[i],
				 s->archive[from + (int)i].body, sim_count(s, s->archive[from + (int)i].body), x.n, want);
	if (x.n != want)
		fail_msg("seed %u: %zu messages stored, the archive has %zu", s->seed, x.n, want);
	for (size_t i = 0; i < x.n; i++)
		free(x.bodies[i]);
	free(x.bodies);
	sim_expect_honest(s);
}
