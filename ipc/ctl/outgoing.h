/*
 * What the verbs that write have in common: texts from the command line or a file, ids, and waiting for what becomes of
 * a message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/varve.h"

struct ctl;

#define TEXT_MAX (64 * 1024) /* bytes: the daemon's own limit (org.varve.Varve1.xml, Send) */

/* ${word} as the id of a message. EXIT_OK or EXIT_USAGE. */
int outgoing_id(struct ctl *c, const char *word, uint64_t *ret);
/*
 * ${word} itself; stdin for "-" or NULL, without its last line end. On a terminal it says how to end it. EXIT_OK, or
 * EXIT_USAGE after having said what is wrong with it. The caller frees.
 */
int outgoing_text(struct ctl *c, const char *word, char **ret);
/* --id, or a new one. EXIT_OK or EXIT_USAGE. The caller frees. */
int outgoing_client_id(struct ctl *c, char **ret);

/* The state of a message as it is now, and why if it failed (caller frees; may be NULL). EXIT_OK, or told. */
int outgoing_state(struct ctl *c, uint64_t id, uint8_t *ret_state, char **ret_why);
/* EXIT_OK; EXIT_REMOTE for one that failed, EXIT_FAIL for a cancelled one: told, with ${why} (may be NULL). */
int outgoing_verdict(struct ctl *c, uint64_t id, uint8_t state, const char *why);
/* Has it come as far as ${goal} (VARVE_SENT, say), or to an end? */
bool outgoing_reached(uint8_t state, uint8_t goal);
/*
 * Wait until it has; ${epoch} and ${since} are a position before it was sent. EXIT_OK with its state, EXIT_REMOTE when
 * it failed, EXIT_OFFLINE when nothing is going to happen, EXIT_TIMEOUT: all but the first have been told.
 */
int outgoing_wait(struct ctl *c, const char *epoch, uint64_t since, uint64_t id, uint8_t goal, uint8_t *ret_state);
