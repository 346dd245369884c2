/*
 * Is the server's archive still the one that we know? Private to store/; archive_renew() is in store/archive.h.
 */
#pragma once

#include "store/put.h"

/*
 * ${m} has an archive id that is stored as row ${msg}: is it another message than that? Only what no copy of one message can
 * be: other content, and another id of the sender's (or, where one has none, another stamp of the archive's).
 */
int renew_contradicts(struct put *p, const struct message *m, int64_t msg, bool *ret);
