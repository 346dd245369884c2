#include "ipc/ctl/time.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ipc/ctl/util.h"

#define MINUTE ((int64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Exactly ${n} digits at *p, which moves behind them. */
static bool digits(const char **p, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return true;
}

static bool eat(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool date(const char **p, struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, m, d, leap;

	if (!digits(p, 4, &y) || !eat(p, '-') || !digits(p, 2, &m) || !eat(p, '-') || !digits(p, 2, &d))
		return false;
	leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
	if (m < 1 || m > 12 || d < 1 || d > days[m - 1] + (m == 2 ? leap : 0))
		return false;
	tm->tm_year = y - 1900;
	tm->tm_mon = m - 1;
	tm->tm_mday = d;
	return true;
}

/* "14:30", "14:30:59", "14:30:59.25"; 60 is a leap second (RFC 3339 section 5.6). */
static bool clock_time(const char **p, struct tm *tm, int64_t *ret_fraction_us)
{
	int64_t scale = USEC_PER_SEC / 10;

	*ret_fraction_us = 0;
	if (!digits(p, 2, &tm->tm_hour) || !eat(p, ':') || !digits(p, 2, &tm->tm_min))
		return false;
	if (eat(p, ':') && !digits(p, 2, &tm->tm_sec))
		return false;
	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		return false;
	if (!eat(p, '.'))
		return true;
	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++, scale /= 10)
		*ret_fraction_us += (**p - '0') * scale;
	return true;
}

/* "Z" or "+02:00"; *ret_zone is the offset in seconds. */
static bool zone(const char **p, int64_t *ret_zone)
{
	int h, m, sign = **p == '-' ? -1 : 1;

	*ret_zone = 0;
	if (eat(p, 'Z') || eat(p, 'z'))
		return true;
	if (!eat(p, '+') && !eat(p, '-'))
		return false;
	if (!digits(p, 2, &h) || !eat(p, ':') || !digits(p, 2, &m) || h > 23 || m > 59)
		return false;
	*ret_zone = sign * (h * HOUR + m * MINUTE);
	return true;
}

static bool parse_calendar(const char *s, int64_t *ret_us)
{
	struct tm tm = { .tm_isdst = -1 };
	int64_t fraction = 0, offset;

	if (!date(&s, &tm))
		return false;
	if (*s && !eat(&s, 'T') && !eat(&s, 't') && !eat(&s, ' '))
		return false;
	if (*s && !clock_time(&s, &tm, &fraction))
		return false;
	if (!*s) { /* no zone: what the clock on the wall says */
		*ret_us = mktime(&tm) * USEC_PER_SEC + fraction;
		return !strchr("Tt ", s[-1]);
	}
	if (!zone(&s, &offset) || *s)
		return false;
	*ret_us = (timegm(&tm) - offset) * USEC_PER_SEC + fraction;
	return true;
}

static int64_t unit_seconds(const char *unit)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {
		{ "s", 1 },
		{ "sec", 1 },
		{ "second", 1 },
		{ "m", MINUTE },
		{ "min", MINUTE },
		{ "minute", MINUTE },
		{ "h", HOUR },
		{ "hour", HOUR },
		{ "d", DAY },
		{ "day", DAY },
		{ "w", 7 * DAY },
		{ "week", 7 * DAY },
		{ "month", 30 * DAY },
		{ "y", 365 * DAY },
		{ "year", 365 * DAY },
	};
	size_t len = strlen(unit);

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(unit, units[i].name, n) == 0 && (len == n || (n > 1 && len == n + 1 && unit[n] == 's')))
			return units[i].seconds;
	}
	return 0;
}

/* What ${s} begins with, and what follows it. NULL if that is no length of time. */
static const char *parse_length(const char *s, int64_t *ret_us)
{
	char unit[16];
	unsigned n;
	int end = -1;
	int64_t sec;

	/* A space in the format matches none as well. */
	if (!isdigit((unsigned char)*s) || sscanf(s, "%8u %15[a-z]%n", &n, unit, &end) < 2 || end < 0)
		return NULL;
	sec = unit_seconds(unit);
	if (sec == 0)
		return NULL;
	*ret_us = n * sec * USEC_PER_SEC;
	return s + end;
}

int time_parse_span(const char *s, int64_t *ret_us)
{
	const char *rest;
	int64_t us;

	rest = parse_length(s, &us);
	if (!rest || *rest)
		return -EINVAL;
	*ret_us = us;
	return 0;
}

/* "2h ago", "2 hours ago", "90min ago". */
static bool parse_ago(const char *s, int64_t now_us, int64_t *ret_us)
{
	const char *rest;
	int64_t us;

	rest = parse_length(s, &us);
	if (!rest)
		return false;
	rest += strspn(rest, " \t\n\v\f\r");
	if (strcmp(rest, "ago") != 0)
		return false;
	*ret_us = now_us - us;
	return true;
}

/* Midnight of the local day that lies ${back} days before now. */
static int64_t midnight(int64_t now_us, int back)
{
	time_t t = (time_t)(now_us / USEC_PER_SEC);
	struct tm tm;

	localtime_r(&t, &tm);
	tm.tm_mday -= back;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return mktime(&tm) * USEC_PER_SEC;
}

int time_parse(const char *s, int64_t now_us, int64_t *ret_us)
{
	uint64_t sec;

	if (strcmp(s, "now") == 0)
		*ret_us = now_us;
	else if (strcmp(s, "today") == 0)
		*ret_us = midnight(now_us, 0);
	else if (strcmp(s, "yesterday") == 0)
		*ret_us = midnight(now_us, 1);
	else if (*s == '@' && parse_u64(s + 1, &sec) == 0 && sec <= INT64_MAX / (uint64_t)USEC_PER_SEC)
		*ret_us = (int64_t)sec * USEC_PER_SEC;
	else if (!parse_calendar(s, ret_us) && !parse_ago(s, now_us, ret_us))
		return -EINVAL;
	return 0;
}

/* Seconds rounded towards the past, so that times before 1970 come out right too. */
static time_t whole(int64_t us, int64_t *ret_fraction)
{
	int64_t sec = us / USEC_PER_SEC, fraction = us % USEC_PER_SEC;

	if (fraction < 0) {
		fraction += USEC_PER_SEC;
		sec--;
	}
	*ret_fraction = fraction;
	return (time_t)sec;
}

const char *time_rfc3339(int64_t us, char buf[static TIME_RFC3339_SIZE])
{
	int64_t fraction;
	time_t t = whole(us, &fraction);
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(buf, TIME_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	if (fraction > 0)
		n += (size_t)snprintf(buf + n, TIME_RFC3339_SIZE - n, ".%06d", (int)fraction);
	snprintf(buf + n, TIME_RFC3339_SIZE - n, "Z");
	return buf;
}

const char *time_local(int64_t us, const char *fmt, char buf[static TIME_HUMAN_SIZE])
{
	int64_t fraction;
	time_t t = whole(us, &fraction);
	struct tm tm;

	localtime_r(&t, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are all in this directory */
	if (strftime(buf, TIME_HUMAN_SIZE, fmt, &tm) == 0)
		buf[0] = '\0';
#pragma GCC diagnostic pop
	return buf;
}

const char *time_relative(int64_t us, int64_t now_us, char buf[static TIME_HUMAN_SIZE])
{
	int64_t sec = (now_us - us) / USEC_PER_SEC, abs = sec < 0 ? -sec : sec;
	const char *in = sec < 0 ? "in " : "", *ago = sec < 0 ? "" : " ago";

	if (abs < 2)
		snprintf(buf, TIME_HUMAN_SIZE, "%s", "just now");
	else if (abs < 2 * MINUTE)
		snprintf(buf, TIME_HUMAN_SIZE, "%s%d s%s", in, (int)abs, ago);
	else if (abs < 2 * HOUR)
		snprintf(buf, TIME_HUMAN_SIZE, "%s%d min%s", in, (int)(abs / MINUTE), ago);
	else if (abs < 2 * DAY)
		snprintf(buf, TIME_HUMAN_SIZE, "%s%d h%s", in, (int)(abs / HOUR), ago);
	else if (abs < 7 * DAY)
		snprintf(buf, TIME_HUMAN_SIZE, "%s%d days%s", in, (int)(abs / DAY), ago);
	else
		time_local(us, "%Y-%m-%d", buf);
	return buf;
}

const char *time_compact(int64_t us, int64_t now_us, char buf[static TIME_HUMAN_SIZE])
{
	if (us >= midnight(now_us, 0) && us < midnight(now_us, -1))
		return time_local(us, "%H:%M", buf);
	if (us >= midnight(now_us, 6) && us < now_us)
		return time_local(us, "%a %H:%M", buf);
	return time_local(us, "%Y-%m-%d", buf);
}

const char *time_span(int64_t us, char buf[static TIME_HUMAN_SIZE])
{
	int64_t sec = us / USEC_PER_SEC;

	if (sec < MINUTE)
		snprintf(buf, TIME_HUMAN_SIZE, "%d s", (int)sec);
	else if (sec < HOUR)
		snprintf(buf, TIME_HUMAN_SIZE, "%d:%02d min", (int)(sec / MINUTE), (int)(sec % MINUTE));
	else if (sec < 2 * DAY)
		snprintf(buf, TIME_HUMAN_SIZE, "%d:%02d h", (int)(sec / HOUR), (int)(sec % HOUR / MINUTE));
	else
		snprintf(buf, TIME_HUMAN_SIZE, "%lld days", (long long)(sec / DAY));
	return buf;
}

const char *time_setting(int64_t us, char buf[static TIME_HUMAN_SIZE])
{
	char *none;

	time_span(us, buf);
	none = strstr(buf, ":00 ");
	if (none)
		memmove(none, none + 3, strlen(none + 3) + 1);
	return buf;
}
