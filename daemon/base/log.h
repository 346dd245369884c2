/*
 * Logs are for the owner of the phone:
 *
 *   error    an account stopped, or the archive is unusable
 *   warning  varve recovered; the owner may care
 *   info     at most one line a sync or a connection
 *   debug    free
 *
 * Never a message body at any level; never another person's JID above debug: use LOG_JID(), which prints a short
 * stable token instead. To stderr, with the <N> prefixes of sd-daemon(3) when stderr is the journal.
 */
#pragma once

#include "base/mem.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* ${ident} is printed before each line (not copied). Level from $VARVE_LOG (error, warning, info, debug). */
void log_init(const char *ident);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_line(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                          \
	do {                                                    \
		if (log_get_level() >= LOG_LEVEL_DEBUG)         \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* A JID as it may be logged: itself at debug level, "jid#1a2b3c" otherwise. Valid until four more calls. */
const char *log_jid(const char *jid);
#define LOG_JID(j) log_jid(j)
