/*
 * Is this message here already? Asked only when its (archive, archive id) is not known. The rules, with the cases of
 * facts/sync.md section 2 that they come from; a rule that fails to find a message costs a duplicate, a rule that
 * finds too much loses one, so every rule needs the same author and the same content as well as an id:
 *
 *   o  what our own outbox sent, by its client id alone: nothing else of ours has it, whatever it says by now (C8)
 *   a  own message, same origin-id: the copy of what this or another device sent. Content may differ (encrypted there,
 *      clear here) as long as the row has no archive id yet (C7, C8)
 *   b  same author, origin-id and content within IDENTITY_RESEND_US: sent again after a lost session; the row then
 *      owns both archive ids (C1)
 *   c  to oneself, same id and content within IDENTITY_WINDOW_US: archived once for each direction (C4)
 *   d  same author, id and content, and one of the two has no archive id: two deliveries of one stanza, live and
 *      archived, in either order (C9, C10), within IDENTITY_WINDOW_US of each other
 *
 *   f  a tombstone (XEP-0424 section 4), which has no content: same author and id, and the row has no archive id yet (H4)
 *   e  same author, id, content and archive's stamp: one message under two archive ids, because the archive was carried over
 *      to another server (B8)
 *
 * Everything else is another message, whatever its id says (C3). All look-ups go through indexes: how long ago the
 * first copy was stored does not matter (C13).
 */
#pragma once

#include "store/put.h"
#include "store/row.h"

#define IDENTITY_WINDOW_US (INT64_C(600) * 1000000) /* ten minutes: delivery takes seconds, clocks of servers agree */
/*
 * Where one of the two stamps is of our own clock, which may be a day off (F2), and more than that where it was seen to be
 * (store_clock_was_off()) and the other is the archive's. No message is lost by it: both deliveries of both messages are
 * archived, so at worst two copies of one text swap rows.
 */
#define IDENTITY_CLOCK_US (INT64_C(26) * 3600 * 1000000)
#define IDENTITY_RESEND_US (INT64_C(7) * 86400 * 1000000) /* a phone that was off for a holiday sends again */

/* Is ${it} another copy of ${c}, by these rules? */
bool identity_is(const struct item *it, const struct candidate *c);
/* *ret_msg: the row that ${it} is another copy of, 0 if it is new. */
int identity_find(struct put *p, const struct item *it, int64_t *ret_msg);
