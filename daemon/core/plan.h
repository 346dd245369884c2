/*
 * What to ask the archive next: a value computed from coverage and what is already being asked. Pure.
 *
 * Order: where the archive ends (metadata, else the newest page), so that a screen is useful at once; then gaps,
 * newest first; then the past, down to the horizon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cover.h"

/*
 * How far below a boundary's stamp a query bounded by time begins. Archive stamps are the server's clock, which may
 * step back (NTP after a power cut); Dino uses five minutes since 2021. Costs nothing as long as the boundary's id is
 * met, because paging stops there.
 */
#define PLAN_MARGIN_US (INT64_C(300) * 1000000)

enum plan_step {
	PLAN_DONE,	/* nothing is missing */
	PLAN_META,	/* ask where the archive begins and ends */
	PLAN_NEWEST,	/* the newest page */
	PLAN_BEFORE,	/* the page before span ${span} */
};

struct plan_policy {
	bool metadata_known;	/* this stream's answer is in */
	int64_t horizon_us;	/* do not go into the past below this stamp; 0 = all */
	bool by_time;		/* the boundary id was refused (item-not-found): bound by its stamp instead (B5) */
};

struct plan {
	enum plan_step step;
	size_t span;		/* PLAN_BEFORE */
	const char *cursor;	/* id to page back from; "" = from the end of the window; a view into the cover */
	int64_t start_us;	/* lower bound, 0 = none */
	int64_t end_us;		/* upper bound, 0 = none */
};

/* The next thing to ask. ${c} must outlive the result. */
struct plan plan_next(const struct cover *c, const struct plan_policy *policy);
