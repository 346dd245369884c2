/*
 * Match rules of one connection (D-Bus specification, "Match Rules"): which of our signals it has asked for. Only
 * type, interface, member, path and path_namespace are looked at; clients filter the rest themselves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define MATCHES_MAX 64	    /* rules a connection; GIO proxies of every object use fewer than 20 */
#define MATCH_RULE_MAX 1024 /* bytes of a rule, as in dbus-daemon's session configuration */

struct matches;

struct matches *matches_new(void);
struct matches *matches_free(struct matches *m);
DEFINE_CLEANUP(struct matches *, matches_free);

enum { MATCHES_E_LIMIT = 1, MATCHES_E_MALFORMED, MATCHES_E_NONE };
/* Add a rule; "" matches everything. 0, MATCHES_E_LIMIT or MATCHES_E_MALFORMED. */
int matches_add(struct matches *m, const char *rule);
/* Remove one rule that was added with the same text. 0 or MATCHES_E_NONE. */
int matches_remove(struct matches *m, const char *rule);
/* Some rule wants this signal. */
bool matches_want(const struct matches *m, const char *path, const char *interface, const char *member);
