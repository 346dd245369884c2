/*
 * Copies that a kill cut off. Before the first byte of a copy is written, the archive itself remembers its name, so
 * that the next start removes exactly what varve made and nothing that a user put there. Private to store/.
 *
 *   meta 'successor', 'predecessor'  file names of a rotation. The copy carries them too: opened under the first name
 *                                    the rotation is done and the predecessor goes; under the second, the successor.
 *   meta 'backup'                    the path of a backup in work: see store/copy.h
 */
#pragma once

#include "store/db.h"

/* Remember that ${path} is being made, in a transaction of its own. */
int leftover_note_backup(struct store *s, const char *path);
int leftover_note_successor(struct store *s, const char *path);
/* Remove, or complete, what is noted; then forget it. */
int leftover_clean(struct store *s);
/* Names of a backup in work: ${path}.partial, ${path}.keys. Caller frees. */
char *leftover_partial(const char *path);
char *leftover_sidecar(const char *path);
