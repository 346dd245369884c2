/* varvectl monitor for people: each message once, then what becomes of it. */
#pragma once

#include "ipc/varve.h"

/* Of the messages that were shown last, what was shown. */
#define SHOWN_MAX 256

struct shown {
	uint64_t id; /* 0: free */
	uint64_t text, reactions; /* hashes */
	uint8_t state;
};

struct monitor_text {
	struct shown shown[SHOWN_MAX]; /* by id, modulo: newer ones take the place of older ones */
};

/* One line, or none if there is nothing in it for people. */
void monitor_text_put(struct monitor_text *t, const struct varve_event *e);
