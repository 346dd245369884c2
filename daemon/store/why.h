/*
 * What the user is told when the archive does not open: one sentence for each outcome of store/store.h, with cause and
 * next step. Private to store/.
 */
#pragma once

/* Set *ret_why for STORE_E_x ${what}; ${path}: the file or directory, ${detail}: what was found there, may be NULL.
 * Returns ${what}. */
int why_outcome(int what, const char *path, const char *detail, char **ret_why);
/* A negative errno of opening as an outcome where the user can do something; itself otherwise. */
int why_errno(int r, const char *path, char **ret_why);
