/*
 * Is the server's archive still the one that we know? Private to store/; archive_renew() is in store/archive.h.
 */
#pragma once

#include "store/put.h"

enum renew_verdict {
	RENEW_UNCLEAR,
	RENEW_SAME,  /* the same content, or the same id of the sender's */
	RENEW_OTHER, /* what no copy of one message can be: other content, and another id of the sender's (or, where one has
		      * none, another stamp of the archive's) */
};

/* What can be no copies of one message, as above. */
bool renew_are_two(const struct message *a, const struct message *b);
/* ${m} has an archive id that is stored as row ${msg}: is it that message? */
int renew_judge(struct put *p, const struct message *m, int64_t msg, enum renew_verdict *ret);
