/* A diagnosis at work, shared by hub-diagnose.c (what is known at once) and hub-scan.c (what reads the archive). */
#pragma once

#include "store/copy.h"
#include "sync/hub-priv.h"

struct diagnosis {
	struct hub *hub;
	hub_check_fn fn;
	hub_diagnosed_fn done;
	void *userdata;
	int r; /* what fn returned, if it was negative */

	/* hub-scan.c: a slice a turn, then perhaps a copy, then a child. */
	bool deep;
	void (*step)(struct diagnosis *p);
	sd_event_source *idle;
	struct scan *scan;
	struct vault_next *next;
	struct copy *copy;
	struct child *child;
	sd_event_source *child_source;
};

/* One check. ${hint}: the next step, or "". */
void diagnosis_say(struct diagnosis *p, const char *name, const char *result, const char *hint, const char *fmt, ...)
	_printf_(5, 6);
/* It is over: tell, and forget. */
void diagnosis_end(struct diagnosis *p);

/* Check the archive; diagnosis_end() follows, from the loop. */
int diagnosis_scan(struct diagnosis *p);
/* Give back what hub-scan.c holds. */
void diagnosis_scan_deinit(struct diagnosis *p);
