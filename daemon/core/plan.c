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
	struct gap g;

	if (!policy->metadata_known && policy->metadata)
		return (struct plan){ .step = PLAN_META, .cursor = "" };
	if (!cover_is_live(c))
		return (struct plan){ .step = PLAN_NEWEST, .cursor = "" };
	for (size_t i = c->n; i-- > 0;) {
		if (!cover_gap(c, i, &g) || g.state == GAP_LOST)
			continue;
		if (i == 0 && policy->horizon_us && g.before_us && g.before_us <= policy->horizon_us)
			continue;
		return before_span(&g, policy);
	}
	return (struct plan){ .step = PLAN_DONE, .cursor = "" };
}
