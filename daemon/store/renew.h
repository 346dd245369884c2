/*
 * Is the server's archive still the one that we know? Private to store/; archive_renew() is in store/archive.h.
 */
#pragma once

#include "store/aid.h"

/*
 * What can be no copies of one message: other content, and another id of the sender's (or, where one has none, another stamp of
 * the archive's).
 */
bool renew_are_two(const struct message *a, const struct message *b);
/* Is the archive id of ${m}, which is known as ${aid}, known as this message? Sets another, same and another_key. */
int renew_judge(struct put *p, const struct message *m, const struct aid *aid, struct put_outcome *ret);
