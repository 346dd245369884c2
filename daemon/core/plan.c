#include "core/plan.h"

#include <string.h>

static const struct plan nothing = { .step = PLAN_DONE, .cursor = "", .below_id = "" };

static bool is_busy(const struct plan_policy *policy, enum plan_step step, const char *id)
{
	for (size_t i = 0; i < policy->n_busy; i++)
		if (policy->busy[i].step == step && strcmp(policy->busy[i].id, id) == 0)
			return true;
	return false;
}

/* The gap before span ${i}, if it is to be filled. */
static bool wanted_gap(const struct cover *c, const struct plan_policy *policy, size_t i, struct gap *ret)
{
	if (!cover_gap(c, i, ret) || ret->state == GAP_LOST)
		return false;
	if (policy->metered_us && ret->before_us && ret->before_us <= policy->metered_us)
		return false;
	return i > 0 || !policy->horizon_us || !ret->before_us || ret->before_us > policy->horizon_us;
}

static bool asked_by_time(const struct gap *g, const struct plan_policy *policy)
{
	return policy->by_time_id && strcmp(policy->by_time_id, g->before_id) == 0;
}

/* Below an id, without a bound in time: the server would leave out what a clock that had stepped back has stamped (decision 0036). */
static struct plan before_span(const struct gap *g, const struct plan_policy *policy)
{
	struct plan p = { .step = PLAN_BEFORE, .span = g->span, .cursor = g->before_id, .below_id = "",
			  .after_us = g->after_us };

	if (asked_by_time(g, policy)) {
		p.by_time = true;
		p.start_us = g->after_us > PLAN_STEP_US ? g->after_us - PLAN_STEP_US : 0;
		p.cursor = "";
		p.end_us = g->before_us ? g->before_us + PLAN_MARGIN_US : 0;
	}
	return p;
}

/* The newest gap that nobody asks about; but first that whose boundary the server did not know. */
static struct plan next_gap(const struct cover *c, const struct plan_policy *policy)
{
	struct gap g;

	for (size_t i = c->n; policy->by_time_id && i-- > 0;)
		if (wanted_gap(c, policy, i, &g) && asked_by_time(&g, policy))
			return is_busy(policy, PLAN_BEFORE, g.before_id) ? nothing : before_span(&g, policy);
	for (size_t i = c->n; i-- > 0;)
		if (wanted_gap(c, policy, i, &g) && !cover_is_old(g.before_id) && !is_busy(policy, PLAN_BEFORE, g.before_id))
			return before_span(&g, policy);
	return nothing;
}

const char *plan_old_bound(const struct cover *c, const struct plan_policy *policy)
{
	const char *old = NULL;
	struct gap g;

	for (size_t i = 0; i < c->n; i++) {
		if (!wanted_gap(c, policy, i, &g))
			continue;
		if (!cover_is_old(g.before_id))
			return NULL;
		old = g.before_id;
	}
	return old;
}

/* From where on something may be in the gap; 0 = unknown. */
static int64_t gap_floor(const struct gap *g, const struct plan_policy *policy)
{
	int64_t floor = g->span > 0 ? g->after_us : policy->start_us;

	if (floor == 0)
		return 0;
	if (g->span == 0 && policy->horizon_us > floor)
		floor = policy->horizon_us;
	if (policy->metered_us > floor)
		floor = policy->metered_us;
	if (policy->floor_id && strcmp(policy->floor_id, g->after_id) == 0 && policy->floor_us > floor)
		floor = policy->floor_us;
	return floor;
}

/* The middle of the longest gap that is worth a cut. */
static struct plan next_cut(const struct cover *c, const struct plan_policy *policy)
{
	int64_t longest = policy->us_per_message * policy->page * PLAN_CUT_PAGES;
	struct plan best = nothing;
	struct gap g;

	if (longest < 4 * COVER_MARGIN_US)
		longest = 4 * COVER_MARGIN_US;
	for (size_t i = c->n; policy->us_per_message && i-- > 0;) {
		int64_t floor;

		if (!wanted_gap(c, policy, i, &g) || c->spans[i].flags & SPAN_RUN || asked_by_time(&g, policy) ||
		    cover_is_old(g.before_id) || is_busy(policy, PLAN_CUT, g.after_id))
			continue;
		floor = gap_floor(&g, policy);
		if (floor == 0 || floor >= g.before_us || g.before_us - floor < longest)
			continue;
		longest = g.before_us - floor;
		best = (struct plan){
			.step = PLAN_CUT, .span = i, .cursor = g.before_id, .below_id = g.after_id,
			.end_us = floor + longest / 2,
		};
	}
	return best;
}

struct plan plan_next(const struct cover *c, const struct plan_policy *policy)
{
	unsigned int lanes = policy->lanes ? policy->lanes : 1;
	struct plan best = nothing;

	if (policy->n_busy >= lanes)
		return nothing;
	if (!cover_is_live(c))
		best.step = PLAN_NEWEST;
	else
		best = next_gap(c, policy);
	/*
	 * Where the archive begins and ends tells whether anything is missing at all, and later what is lost. Who holds nothing
	 * misses all.
	 */
	if (best.step != PLAN_DONE && !policy->metadata_known && c->n > 0)
		best = (struct plan){ .step = PLAN_META, .cursor = "", .below_id = "" };
	/* These two decide about everything else: alone. */
	if (best.step == PLAN_META || best.step == PLAN_NEWEST)
		return policy->n_busy ? nothing : best;
	if (is_busy(policy, PLAN_META, "") || is_busy(policy, PLAN_NEWEST, ""))
		return nothing;
	if (best.step == PLAN_DONE && lanes > 1)
		best = next_cut(c, policy);
	return best;
}

bool plan_is_done(const struct cover *c, const struct plan_policy *policy)
{
	struct gap g;

	if (!cover_is_live(c))
		return false;
	for (size_t i = 0; i < c->n; i++)
		if (wanted_gap(c, policy, i, &g))
			return false;
	return true;
}
