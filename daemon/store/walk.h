/*
 * Every message of an account, or of one conversation, from the oldest to the newest, in steps between which the archive goes
 * on changing (docs/decisions/0028): what was stored when the walk began, and is when it ends, comes once.
 */
#pragma once

#include <stdint.h>

#include "base/mem.h"
#include "store/read.h"

struct walk;
/*
 * ${conversation} "": all of them. ${since_us}: from the first message on that sorts at or after it; 0: all. It keeps a bit for
 * each message id that was ever given out: 125 kB a million. ${s} is not kept: each step is told where the store is.
 */
int walk_new(struct store *s, int64_t account, const char *conversation, int64_t since_us, struct walk **ret);
/*
 * Hands out up to ${rows} messages, each in its latest state and once. 1: more may come, also after none; 0: that was the end.
 * They come in archive order; one that is given another place during the walk comes where it was, where it belongs, or between
 * the two. What is stored after the walk began does not come. What ${fn} returns below 0 ends the walk.
 */
int walk_step(struct walk *w, struct store *s, size_t rows, message_row_fn fn, void *userdata);
struct walk *walk_free(struct walk *w);
DEFINE_CLEANUP(struct walk *, walk_free);
