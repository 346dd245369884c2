/*
 * Archive.Changes: the pull side of the feed (facts/ipc.md section 3.6).
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

/*
 * Readings of the feed from its beginning that a connection has under way. Who reads from 0 holds nothing that was
 * removed before it began; so it may go on from its last `next` although tombstones above that have expired. Without
 * this memory it would be told ChangesTooOld at its second page, begin again, and so on for ever. The least recently
 * used is forgotten, and then told so.
 */
enum { CHANGES_RUNS_MAX = 8 }; /* readings at a time: an app has an account or two, and reads one kind after the other */
struct changes_runs {
	struct changes_run {
		int64_t account;
		uint64_t next;	/* where it goes on, 0 = free */
		uint64_t begun; /* the feed's end when it began */
		uint64_t used;
	} runs[CHANGES_RUNS_MAX];
	uint64_t clock; /* of used */
};

/* The method's handler; userdata is the struct conn. */
int changes_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
