/*
 * Times as people write and read them. Inside, a time is microseconds since the epoch, UTC; the local zone ($TZ) only
 * matters at this edge. (Included as "ipc/ctl/time.h", so it never hides <time.h>.)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TIME_RFC3339_SIZE 40 /* bytes: "+292277-01-09T04:00:54.775807Z" and NUL, with room */
#define TIME_HUMAN_SIZE 48 /* bytes: the longest of the texts below */

/*
 * Parse a point in time: "2026-11-01", "2026-11-01 14:30[:59]" (local), RFC 3339 ("2026-11-01T14:30:59.5Z",
 * "...+02:00"), "@1793541600", "now", "today", "yesterday", "2h ago", "3 days ago". ${now_us} is what "now" means.
 * Returns 0, or -EINVAL if it is none of these or no real date.
 */
int time_parse(const char *s, int64_t now_us, int64_t *ret_us);

/* A length of time: "90s", "10 min", "2h", "3 days"; a number needs its unit. 0, or -EINVAL. */
int time_parse_span(const char *s, int64_t *ret_us);

/* RFC 3339 in UTC, with six decimals only when there are any; returns ${buf}. */
const char *time_rfc3339(int64_t us, char buf[static TIME_RFC3339_SIZE]);

/* "just now", "5 min ago", "3 h ago", "in 20 s"; beyond a week the local date. Returns ${buf}. */
const char *time_relative(int64_t us, int64_t now_us, char buf[static TIME_HUMAN_SIZE]);

/* The shortest that is clear: "14:02" today, "Tue 14:02" within a week, else "2026-03-01". Local. Returns ${buf}. */
const char *time_compact(int64_t us, int64_t now_us, char buf[static TIME_HUMAN_SIZE]);

/* strftime(3) with ${fmt} in local time; returns ${buf}. */
const char *time_local(int64_t us, const char *fmt, char buf[static TIME_HUMAN_SIZE]);

/* A span: "42 s", "3:07 min", "2:15 h", "12 days". Returns ${buf}. */
const char *time_span(int64_t us, char buf[static TIME_HUMAN_SIZE]);
/* The same of a time that somebody has set, which is mostly a whole one: "30 min", "2 h". Returns ${buf}. */
const char *time_setting(int64_t us, char buf[static TIME_HUMAN_SIZE]);
