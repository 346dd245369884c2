/*
 * What was accepted for sending in a random history, and what the receivers are to have of it: each message exactly once and in
 * order, but those that were cancelled; these once too when they were tried again. For test-property.c.
 */
#pragma once

#include <stdlib.h>

#include "sim.h"

#define SENDS_MAX 400
#define FRIENDS 3

/* 0 to n - 1. */
static inline int pick(unsigned int *dice, int n)
{
	return rand_r(dice) % n;
}

/* What was accepted for sending, in order. */
struct accepted {
	struct {
		char id[16];
		int64_t msg;
		int friend;
		bool cancelled;
	} sends[SENDS_MAX];
	int n;
	unsigned int dice; /* of its own: histories without sends stay what they were */
};

/* Send, cancel or disturb: what the dice say. At most ${few} at a time, in one of four times ${many}. */
void accepted_something(struct sim *s, struct accepted *a, int few, int many);
/* Those that were cancelled never arrived. They are sent now, and are the last in their conversations. */
void accepted_retry_cancelled(struct sim *s, struct accepted *a);
/* Fails unless all is where it should be; ${retried}: so are those that were cancelled. */
void accepted_expect_arrived(struct sim *s, const struct accepted *a, bool retried);
