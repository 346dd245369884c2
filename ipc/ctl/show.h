/*
 * GetStatus for people: the block of an account, the progress of its sync, and what is wrong with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ipc/ctl/term.h"
#include "ipc/ctl/value.h"

/* "5,000"; the caller frees. */
char *show_count(int64_t n);
enum color show_state_color(const char *state);

/* The account with this JID, or NULL. */
const struct value *show_find(const struct value *status, const char *jid);

/*
 * How fast the archive arrives, from samples of GetStatus. Pass zeroes first. A rate is over the last five seconds,
 * so that it neither jumps nor lags.
 */
#define RATE_SAMPLES 6
struct rate {
	struct {
		int64_t mono_us;
		int64_t messages;
		int64_t done;
	} sample[RATE_SAMPLES];
	size_t n;
};
void rate_add(struct rate *r, const struct value *account, int64_t mono_us);
/* Messages a second; 0 when nothing moves. */
double rate_messages(const struct rate *r);
/* Microseconds until `done` reaches `total` at this pace, or -1 if that cannot be told. */
int64_t rate_eta(const struct rate *r, const struct value *account);

/*
 * "[████░░]  62%  3,120 messages  850/s  0:12 min left", the bar as long as ${columns} leave room, and less of the rest
 * where there is too little; the caller frees.
 */
char *show_progress(const struct value *account, const struct rate *r, size_t columns);

#define SHOW_INDENT 12 /* column of the texts in the block of an account */

/* The block of one account; ${r} may be NULL. */
void show_account(FILE *f, const struct value *account, const struct rate *r);

/* What is wrong with the account, as a sentence (the caller frees), or NULL if nothing is. */
char *show_problem(const struct value *account);
