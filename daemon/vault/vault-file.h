/*
 * The files of a vault on disk: read with suspicion, written so that a crash at any moment leaves the old text or the
 * new one. Private to vault/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Outcomes are those of vault/vault.h; ${ret_why}: a sentence that begins with the path, set for > 0. */

/*
 * The whole of ${path}. NONE: it does not exist. UNREADABLE: no permission, not a regular file, or another user may
 * write it. DAMAGED: the disk cannot read it, or it is larger than SIDECAR_MAX. The caller frees.
 */
int file_read(const char *path, char **ret_text, size_t *ret_len, char **ret_why);

/*
 * Replace archive.keys in ${dir} and then archive.keys.bak by ${text}. Both new files are on the disk before either
 * name changes, so that a full disk changes nothing. -errno: archive.keys holds the old text, or (only if the directory
 * cannot be synced any more) the new one. *ret_bak: whether the copy is replaced too; if not, it is logged and the copy
 * is what it was.
 */
int file_replace_pair(const char *dir, const char *text, bool *ret_bak);
/* Replace only the copy. */
int file_replace_bak(const char *dir, const char *text);
/* Put ${text}, which is that of the copy, in place of a missing or damaged archive.keys; the damaged one is kept as
 * archive.keys.damaged. */
int file_restore(const char *dir, const char *text);
/* Remove what a crash left: new files that got no name yet. */
void file_tidy(const char *dir);
/* Remove archive.keys.damaged: its slots must not outlive their removal. */
void file_forget_damaged(const char *dir);

/* Make ${path} with mode 0600, durable. UNREADABLE: not allowed there. -EEXIST: it is there already. Nothing of it is
 * left on failure. ${name}: of the step. */
int file_create(const char *path, const char *text, const char *name, char **ret_why);
/* The same without the outcome. */
int file_write(const char *path, const char *text, const char *name);
/* Make the directory with mode 0700, and its parents, durable; it may be there. UNREADABLE. */
int file_mkdir(const char *path, char **ret_why);
/* Unlink, durable. Not being there is fine. */
int file_unlink(const char *path);
