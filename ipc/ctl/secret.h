/*
 * Secrets on their way from a person or a script to varved: prompts without echo, --password-fd, and what is said about
 * a passphrase that protects little.
 */
#pragma once

#include <stdbool.h>

struct ctl;

/*
 * From --password-fd, or asked for with ${prompt} on the terminal. ${noun} is what messages call it: "the password".
 * Several lines may be read one after the other. *ret is the caller's to secret_free(). EXIT_OK, or EXIT_USAGE after
 * having said why not.
 */
int secret_get(struct ctl *c, const char *noun, const char *prompt, char **ret);
/* Whether secret_get() can work at all; EXIT_USAGE after having said so. Before anything else is asked of the daemon. */
int secret_possible(struct ctl *c, const char *noun);

/*
 * A new passphrase: on a terminal asked for twice (three rounds at most). What is too weak is told on stderr, once, and
 * taken all the same. ${skip_empty}: --password-fd may have an empty line before it, for the old one that there is not.
 * EXIT_OK, EXIT_USAGE, or EXIT_FAIL when the two were never the same.
 */
int secret_new(struct ctl *c, bool skip_empty, char **ret);

/*
 * What is weak about ${passphrase}, as a sentence, or NULL: static. Argon2id of a second slows a guess down; it makes
 * up for nothing when there are only a million to try (facts/db.md section 6).
 */
const char *secret_weakness(const char *passphrase);
