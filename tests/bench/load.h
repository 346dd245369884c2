/*
 * What the benches of the store have in common: a load like that of a first sync (newest page first, 30 contacts, 40 to
 * 360 bytes of text, random ids: the worst case for indexes), clocks and medians.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "core/message.h"
#include "store/archive.h"
#include "store/db.h"
#include "store/store.h"
#include "vault/vault.h"

#define LOAD_OWN "alice@a.example"
#define LOAD_CONTACTS 30
#define LOAD_T0 INT64_C(1700000000000000)

struct load_line {
	char id[40], aid[24], from[48], to[48], body[400];
};

/* One store that is filled. */
struct load {
	struct vault *v; /* NULL for plain SQLite */
	struct store *s;
	int64_t account, archive;
	long n, batch;	/* messages in all, in a transaction */
	long end;	/* messages still to put: n ... 0 */
	struct load_line *lines;
	struct message *messages;
	const struct message **list;
	struct put_outcome *out;
	char above[24], last[24];
};

/* Ends the program with a line on stderr unless ${r} is 0. */
void check(int r, const char *what);
double now_s(clockid_t clock);
/* Sorts ${x}. ${p}: 0 ... 1. */
double quantile(double *x, size_t n, double p);
/* Message ${k}. */
void load_message(struct load_line *l, struct message *m, long k);
/* Open ${dir} as store_open() does, or (${plain}) the same with SQLite's own files; an account if it is new. */
void load_open(struct load *b, const char *dir, bool plain);
void load_close(struct load *b);
/* Prepare for ${n} messages in batches of ${batch}. */
void load_init(struct load *b, long n, long batch);
void load_deinit(struct load *b);
/* The next batch, a transaction with its coverage. Returns how long its commit took, in ms; < 0 when all are there. */
double load_batch(struct load *b);
/* One history page of 50 of contact ${contact}, ending at message ${k}; returns its rows. */
size_t load_page(struct load *b, int contact, long k);
/* Remove a directory with what is in it. */
void load_remove(const char *dir);
