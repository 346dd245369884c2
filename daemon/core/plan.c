#include "core/plan.h"

static struct plan before_span(const struct gap *g, const struct plan_policy *policy)
{
	struct plan p = { .step = PLAN_BEFORE, .span = g->span, .cursor = g->before_id };

	if (g->after_us > PLAN_MARGIN_US)
		p.start_us = g->after_us - PLAN_MARGIN_US;
	if (policy->by_time) {
		p.cursor = "";
		p.end_us = g->before_us ? g->before_us + PLAN_MARGIN_US : 0;
	}
	return p;
}

struct plan plan_next(const struct cover *c, const struct plan_policy *policy)
{
	struct plan best = { .step = PLAN_DONE, .cursor = "" };
	struct gap g;

	if (!cover_is_live(c))
		best.step = PLAN_NEWEST;
	for (size_t i = c->n; i-- > 0 && best.step == PLAN_DONE;) {
		if (!cover_gap(c, i, &g) || g.state == GAP_LOST)
			continue;
		if (i == 0 && policy->horizon_us && g.before_us && g.before_us <= policy->horizon_us)
			continue;
		best = before_span(&g, policy);
	}
	/* Where the archive begins and ends tells whether anything is missing at all, and later what is lost. */
	if (best.step != PLAN_DONE && !policy->metadata_known)
		return (struct plan){ .step = PLAN_META, .cursor = "" };
	return best;
}
