/*
 * Archive order as a property. A server archive grows while we come and go; its stamps tie; our clock is anywhere within a day of
 * its own. What we get of it live, delayed or by pages is random; the questions are those of core/plan.h and the
 * bounds those of sync/catchup.c. In the end our history is the archive, in its order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "core/plan.h"
#include "fixture.h"

#define MODEL_MAX 160

struct model {
	struct fx *fx;
	struct cover cover;
	size_t n;
	int64_t stamp_s[MODEL_MAX];
	char id[MODEL_MAX][8];
	int64_t server_s;
	bool online, meta_known, asking;
	size_t page;
};

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static struct message model_message(const struct model *m, size_t i, bool in_archive)
{
	struct message msg = i % 3 ? text_in(m->id[i], m->id[i]) : text_out(m->id[i], m->id[i]);

	if (i % 3 && i % 7 == 5)
		msg.from = CAROL "/x";
	return in_archive ? archived(msg, m->id[i], m->stamp_s[i]) : with_aid(msg, m->id[i]);
}

static void model_append(struct model *m)
{
	static const int steps[] = { 0, 0, 0, 1, 1, 5, 100, 4000 };

	m->server_s += steps[rnd(ARRAY_SIZE(steps))];
	m->stamp_s[m->n] = m->server_s;
	snprintf(m->id[m->n], sizeof(m->id[0]), "m%zu", m->n);
	m->n++;
}

static void model_live(struct model *m, size_t i)
{
	struct message msg = model_message(m, i, false);
	struct put_outcome out;
	bool extends;

	/* While a page is on its way these two cannot be told from older ones: docs/decisions/0003-sort-keys.md. */
	if (rnd(12) == 0 && !m->asking) {
		msg.delay_us = T0 + m->stamp_s[i] * SEC;
		msg.delay_trusted = true;
	} else if (rnd(20) == 0 && !m->asking) {
		msg.archive_id = "";
	}
	m->fx->now = T0 + (m->server_s + (int)rnd(170000) - 85000) * SEC;
	extends = *msg.archive_id && !msg.delay_us;
	assert_int_equal(store_begin(m->fx->s), 0);
	assert_int_equal(archive_put_live(m->fx->s, m->fx->account, m->fx->archive, OWN, &msg, m->fx->now, extends,
					  &out), 0);
	if (extends && out.aid_is_new)
		cover_live(&m->cover, msg.archive_id);
	assert_int_equal(cover_write(m->fx->s, m->fx->archive, &m->cover), 0);
	assert_int_equal(store_commit(m->fx->s), 0);
}

/* The last ${page} messages with a stamp from start_us on, before ${cursor}. */
static size_t model_answer(const struct model *m, const struct plan *p, size_t *idx, bool *complete)
{
	size_t end = m->n, n = 0;

	for (size_t i = 0; *p->cursor && i < m->n; i++)
		if (strcmp(m->id[i], p->cursor) == 0)
			end = i;
	*complete = true;
	for (size_t i = end; i-- > 0;) {
		if (p->start_us && T0 + m->stamp_s[i] * SEC < p->start_us)
			continue;
		if (n == m->page) {
			*complete = false;
			break;
		}
		idx[n++] = i;
	}
	for (size_t i = 0; i < n / 2; i++) {
		size_t t = idx[i];

		idx[i] = idx[n - 1 - i];
		idx[n - 1 - i] = t;
	}
	return n;
}

static void model_store_page(struct model *m, const struct plan *p, size_t q_span, const char *q_above,
			     const size_t *idx, size_t n, bool complete)
{
	struct message items[MODEL_MAX];
	struct cover_item citems[MODEL_MAX];
	const struct message *list[MODEL_MAX];
	struct put_outcome out[MODEL_MAX];
	struct cover_page page = { citems, n };
	_cleanup_(freep) char *above = xstrdup(q_above), *below = NULL;
	struct cover c = { 0 };
	size_t span;

	for (size_t i = 0; i < n; i++) {
		items[i] = model_message(m, idx[i], true);
		list[i] = &items[i];
		citems[i] = (struct cover_item){ items[i].archive_id, items[i].archive_us };
	}
	cover_copy(&c, &m->cover);
	if (p->step == PLAN_NEWEST) {
		if (cover_is_live(&c))
			str_set(&above, c.spans[c.n - 1].first.id);
		span = cover_newest(&c, &page, complete, T0);
	} else {
		bool met;

		span = cover_before(&c, q_span, &page, complete, false, &met);
		if (complete && !met) {
			size_t before = c.n;

			cover_exhausted(&c, span, T0);
			span -= c.n < before;
		}
	}
	below = xstrdup(span > 0 && span < c.n ? c.spans[span - 1].last.id : "");
	assert_int_equal(store_begin(m->fx->s), 0);
	assert_int_equal(archive_put(m->fx->s, m->fx->account, m->fx->archive, OWN,
				     &(struct archive_page){ .items = list, .n = n, .below_id = below, .above_id = above },
				     m->fx->now, out), 0);
	assert_int_equal(cover_write(m->fx->s, m->fx->archive, &c), 0);
	assert_int_equal(store_commit(m->fx->s), 0);
	cover_deinit(&m->cover);
	m->cover = c;
}

/* One question, with live messages between it and its answer. False: nothing to ask. */
static bool model_step(struct model *m, unsigned int live)
{
	struct plan_policy policy = { .metadata_known = m->meta_known };
	struct plan p = plan_next(&m->cover, &policy);
	_cleanup_(freep) char *above = NULL;
	size_t idx[MODEL_MAX], n;
	bool complete;

	if (p.step == PLAN_META) {
		m->meta_known = true;
		if (!cover_is_live(&m->cover) && m->n)
			cover_confirm_end(&m->cover, m->id[m->n - 1], 0);
		else if (!cover_is_live(&m->cover))
			cover_confirm_empty(&m->cover, T0);
		return true;
	}
	if (p.step == PLAN_DONE)
		return false;
	above = xstrdup(p.step == PLAN_BEFORE ? m->cover.spans[p.span].first.id : "");
	n = model_answer(m, &p, idx, &complete);
	m->asking = true;
	for (; live && m->n < MODEL_MAX; live--) {
		model_append(m);
		model_live(m, m->n - 1);
	}
	m->asking = false;
	model_store_page(m, &p, p.span, above, idx, n, complete);
	return true;
}

static void model_connect(struct model *m, bool online)
{
	if (m->online && !online)
		cover_session_lost(&m->cover);
	m->online = online;
	m->meta_known = false;
}

static void model_run(struct model *m)
{
	m->page = 1 + rnd(12);
	for (unsigned int i = rnd(40); i > 0; i--)
		model_append(m);
	for (int i = 0; i < 40; i++) {
		unsigned int what = rnd(10);

		if (what == 0) {
			model_connect(m, !m->online);
			continue;
		}
		if (!m->online || what < 5) {
			if (m->n == MODEL_MAX)
				continue;
			model_append(m);
			if (m->online)
				model_live(m, m->n - 1);
			continue;
		}
		model_step(m, rnd(4) ? 0 : rnd(3));
	}
	/* A new session, as after a lost one, until nothing is missing. */
	model_connect(m, false);
	model_connect(m, true);
	for (int i = 0; model_step(m, 0); i++)
		assert_true(i < 1000);
}

static void model_check(struct model *m, unsigned int seed)
{
	struct buf want = { 0 };
	const char *got = bodies(m->fx, "");

	for (size_t i = 0; i < m->n; i++)
		buf_addf(&want, "%s%s", i ? " " : "", m->id[i]);
	if (strcmp(got, buf_str(&want)) != 0)
		print_error("seed %u, page %zu\n", seed, m->page);
	assert_string_equal(got, buf_str(&want));
	buf_deinit(&want);
}

TEST(random_archives_end_in_archive_order)
{
	const char *env = getenv("VARVE_TEST_SEED"), *runs = getenv("VARVE_TEST_RUNS");
	unsigned int first = env ? (unsigned int)strtoul(env, NULL, 10) : 1;
	unsigned int n = runs ? (unsigned int)strtoul(runs, NULL, 10) : 60;

	(void)state;
	for (unsigned int seed = first; seed < first + n; seed++) {
		void *inner = NULL;
		struct model m = { 0 };

		srand(seed);
		fx_setup(&inner);
		m.fx = inner;
		m.server_s = 100000;
		model_run(&m);
		model_check(&m, seed);
		cover_deinit(&m.cover);
		fx_teardown(&inner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_archives_end_in_archive_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
