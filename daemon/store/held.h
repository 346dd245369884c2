/*
 * What a conversation holds without a hole although the account's archive has gaps there, because it was asked for
 * alone (XEP-0313 "with"). Two rows: from the older one up to the newer one (which may be of another conversation, and
 * then says only when) nothing of the conversation is missing. If one of them is deleted, nothing is known any more.
 */
#pragma once

#include "store/put.h"
#include "store/walls.h"

#define HELD_TO_START (-1) /* in place of the older row: the server has nothing older */

/* Nothing of ${conv} is missing between these two; joins what was known, if that begins where this ends. */
int held_note(struct put *p, int64_t conv, int64_t from_msg, int64_t to_msg);
/* As walls_read(), without those that do not stand in ${conv} (0 = all conversations: all walls). */
int held_walls(struct store *s, int64_t account, int64_t conv, struct walls *ret);
