/*
 * What somebody may want of one conversation: pages of it, whatever coverage says (sync/engine.h, engine_errand()).
 */
#pragma once

#include <stdint.h>

struct errand_wish {
	const char *with;      /* bare JID */
	const char *before_id; /* archive id; "" = see before_us */
	int64_t before_us;     /* messages up to this stamp; 0 and no id = from the newest on */
	int64_t before_msg;    /* row of that message, 0 = none */
	int64_t since_us;      /* down to here; 0 = to the beginning */
	unsigned int pages;    /* at most; 0 = until then */
};
enum errand_state { ERRAND_NONE, ERRAND_RUNNING, ERRAND_DONE, ERRAND_FAILED };
