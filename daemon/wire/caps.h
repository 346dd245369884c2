/*
 * What this client can do, said in one table: as an answer to disco#info (XEP-0030), and as the hash of it in presence
 * (XEP-0115), without which no server sends us the events of our own nodes (XEP-0163).
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

#define CAPS_NODE "https://varve.org"

/* The verification string, base64; computed once. */
const char *caps_ver(void);
/* Append <c/>, for a presence. */
void caps_add(struct buf *b);
/* ${node}: of a disco#info request, "" without. Append the <query/> that answers it; false if it is none of ours. */
bool caps_answer(struct buf *b, const char *node);
/* The string that is hashed, appended; for tests. */
void caps_string(struct buf *b);
