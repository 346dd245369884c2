/*
 * Which stanzas of a session are durable. XEP-0198's h is cumulative, but varve does not always finish stanzas in
 * order: a live message commits within milliseconds while the archive page that was already coming in commits only
 * when it is whole. The line knows the committed prefix (that is h) and the numbers beyond it which are durable
 * already; both are stored in the transaction that made them so. After a resume the server repeats everything beyond
 * h; what is on the line is then skipped. So nothing is acknowledged early, and nothing is stored twice.
 *
 * Numbers are modulo 2^32 (XEP-0198 section 4: 2^32-1 is followed by 0). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Numbers beyond h that can be outstanding. The wire stops reading at 2000 uncommitted stanzas (wire/limits.h); twice
 * that leaves room for a burst already read.
 */
#define ACKLINE_WINDOW 4096

struct ackline {
	uint32_t h;	/* everything up to here is durable */
	uint32_t seen;	/* the highest number met so far in this stream */
	uint64_t done[ACKLINE_WINDOW / 64]; /* bit k: number h+1+k is durable */
	size_t ahead;	/* bits set */
};

/* Start at ${h} with nothing ahead. */
void ackline_init(struct ackline *a, uint32_t h);
/* A new stream of the same session: the server repeats from h+1. Keeps h and what is ahead. */
void ackline_rewind(struct ackline *a);

/*
 * Stanza ${n} arrived; numbers between the last one seen and ${n} had no effect and count as done. Returns true when
 * ${n} is durable already (a repetition): skip it. false: handle it and call ackline_done() when its effects are in
 * the open transaction. A number beyond the window is refused: *ret_bad is set, the link is broken.
 */
bool ackline_seen(struct ackline *a, uint32_t n, bool *ret_bad);
void ackline_done(struct ackline *a, uint32_t n);

/* The numbers beyond h that are durable, as 32-bit little-endian values, for the session row. Returns the count. */
size_t ackline_save(const struct ackline *a, uint8_t *buf, size_t max_numbers);
void ackline_load(struct ackline *a, uint32_t h, const uint8_t *buf, size_t n_numbers);
