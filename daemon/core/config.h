/*
 * varve.conf: one table of keys, parsed by inih. Pure: text in, values out. docs/man/varve.conf.5.scd describes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_SIZE_MAX (64 * 1024) /* bytes of varve.conf; the commented example is 2 kB */

struct config {
	int64_t history_us;   /* [sync] history: how far back is kept in sync; 0 = all */
	int64_t metered_us;   /* [sync] metered: the same while the link is metered; 0 = as history */
	uint32_t page;	      /* [sync] page: messages to ask for at once */
	unsigned int lanes;   /* [sync] lanes: pages to ask for at a time, at most */
	int64_t deadline_us;  /* [network] deadline: for each step of a connect */
	bool receipts;	      /* [messages] receipts: tell contacts that their messages arrived (XEP-0184) */
	bool markers;	      /* [messages] markers: tell contacts that they were read (XEP-0333) */
	int log_level;	      /* [log] level: enum log_level, 0 = not set */
};

void config_init(struct config *c);
enum { CONFIG_E_INVALID = 1 };
/* Parse ${text} over the defaults. CONFIG_E_INVALID: *ret_why (caller frees) names line, key and what is allowed. */
int config_parse(struct config *c, const char *text, char **ret_why);
