/*
 * The next step after an error that the daemon told: its sentence says what is wrong, and knows nothing of varvectl.
 */
#pragma once

struct ctl;
struct failure;

/* Where the ids of messages are. */
#define HINT_ID "it is the number at the left of a line of: varvectl history CONV"

/*
 * For ${f}, a failure of the verb that runs; NULL: none is known. The caller frees. It may ask the daemon, so what
 * varve_errname() says afterwards is no longer of ${f}.
 */
char *hint_for(struct ctl *c, const struct failure *f);

/* For words of the command line that name no conversation: whom "anna" may mean, or where the names are. The caller frees. */
char *hint_conversation(struct ctl *c);
