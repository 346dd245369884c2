/*
 * What doctor can see without a daemon: directories, permissions, which files are there. Plain files only: nothing is
 * opened with a key, and nothing is changed.
 */
#pragma once

/* ${result}: "ok" "warn" "fail" "skip"; ${hint}: the next step, or NULL. */
typedef void (*offline_fn)(void *userdata, const char *check, const char *result, const char *text, const char *hint);

void offline_checks(offline_fn fn, void *userdata);
