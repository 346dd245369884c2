/*
 * How many messages an account has. Counting a million takes 60 ms, so it is known up to an id: meta has "counted.N", up to
 * which id the messages of account N are counted, and "count.N", how many those are. Ids only grow, so what comes in
 * changes neither; what is deleted is taken off in its own transaction. Upkeep follows behind.
 */
#pragma once

#include "store/put.h"

/* Message row ${msg} of the account goes. */
int count_removed(struct put *p, int64_t msg);
/* Some more of what is not counted, a transaction: 1; 0: there is little. */
int count_step(struct store *s);
bool count_due(struct store *s);
