/*
 * What to ask the archive next: a value computed from coverage and what is already being asked. Pure.
 *
 * Order: where the archive ends (metadata, else, or if nothing is held, the newest page), so that a screen is useful at
 * once; then gaps,
 * newest first; then the past, down to the horizon. With more than one lane, gaps that are worth it are cut in two,
 * so that each half can be paged on its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cover.h"

/* How far below a boundary's stamp a query bounded by time begins. Costs nothing as long as the boundary's id is met,
 * because paging stops there. */
#define PLAN_MARGIN_US COVER_MARGIN_US
/* The same below: what a server archived while its clock had stepped back has stamps below a boundary that it lies above. */
#define PLAN_STEP_US (INT64_C(86400) * 1000000)
#define PLAN_CUT_PAGES 4 /* a gap is cut when it seems to hold so many pages: half of them are worth a question */

enum plan_step {
	PLAN_DONE,	/* nothing is missing, or all of it is being asked for */
	PLAN_META,	/* ask where the archive begins and ends */
	PLAN_NEWEST,	/* the newest page */
	PLAN_BEFORE,	/* the page before span ${span} */
	/*
	 * One message from the middle of the gap before span ${span}: of those below that span, the last one in the archive's
	 * order that is stamped end_us or before. What lies below the gap is one of these, so it is that, or lies above it.
	 */
	PLAN_CUT,
};

/* A question that is on its way. */
struct plan_busy {
	enum plan_step step;
	const char *id; /* PLAN_BEFORE: first id of the span; PLAN_CUT: id below the gap, "" = the past */
};

struct plan_policy {
	bool metadata_known;	 /* this stream's answer is in */
	int64_t horizon_us;	 /* do not go into the past below this stamp; 0 = all */
	int64_t metered_us;	 /* a metered link: nothing below this stamp for now, gaps included; 0 = it is free */
	const char *by_time_id;	 /* this boundary id was refused (item-not-found): bound by its stamp instead (B5);
				  * NULL = none */
	const struct plan_busy *busy;
	size_t n_busy;
	unsigned int lanes;	 /* questions at a time; 0 means 1 */
	/* for cuts: */
	int64_t start_us;	 /* stamp of the oldest message that the server has, 0 = unknown */
	int64_t us_per_message;	 /* what pages have shown, 0 = unknown: nothing is cut */
	uint32_t page;		 /* messages in a page */
	const char *floor_id;	 /* the gap above this id ("" = the past) is empty up to floor_us; NULL = nothing is
				  * known */
	int64_t floor_us;
};

struct plan {
	enum plan_step step;
	size_t span;		/* PLAN_BEFORE, PLAN_CUT */
	const char *cursor;	/* id to page back from; "" = from the end of the window; a view into the cover */
	const char *below_id;	/* PLAN_CUT: id below the gap, "" = the past; a view */
	int64_t start_us;	/* lower bound, 0 = none */
	int64_t after_us;	/* PLAN_BEFORE: the stamp of what lies below, by which that is bounded; 0 = unknown */
	int64_t end_us;		/* upper bound, 0 = none */
	bool by_time;
};

/* The next thing to ask. ${c} must outlive the result. */
struct plan plan_next(const struct cover *c, const struct plan_policy *policy);
/*
 * Only gaps are wanted still whose boundary is an id of an archive that is not there any more: that of the newest of
 * them, which is to be asked by its stamp (by_time_id). NULL: none, or others go first.
 */
const char *plan_old_bound(const struct cover *c, const struct plan_policy *policy);
/* Whether nothing is missing, asked for or not. */
bool plan_is_done(const struct cover *c, const struct plan_policy *policy);
