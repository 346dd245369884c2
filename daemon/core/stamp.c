#define _GNU_SOURCE
#include "core/stamp.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool digits(const char **s, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return false;
		v = v * 10 + (**s - '0');
	}
	*ret = v;
	return true;
}

static bool literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool parse_zone(const char *s, int *ret_s)
{
	int sign, h, m;

	*ret_s = 0;
	if (strcmp(s, "Z") == 0)
		return true;
	if (*s != '+' && *s != '-')
		return false;
	sign = *s++ == '-' ? -1 : 1;
	if (!digits(&s, 2, &h) || !literal(&s, ':') || !digits(&s, 2, &m) || *s || h > 14 || m > 59)
		return false;
	*ret_s = sign * (h * 3600 + m * 60);
	return true;
}

bool stamp_parse(const char *s, int64_t *ret_us)
{
	struct tm tm = { 0 };
	int64_t us = 0, scale = 100000;
	int zone;

	if (!digits(&s, 4, &tm.tm_year) || !literal(&s, '-') || !digits(&s, 2, &tm.tm_mon) || !literal(&s, '-') ||
	    !digits(&s, 2, &tm.tm_mday) || !literal(&s, 'T') || !digits(&s, 2, &tm.tm_hour) || !literal(&s, ':') ||
	    !digits(&s, 2, &tm.tm_min) || !literal(&s, ':') || !digits(&s, 2, &tm.tm_sec))
		return false;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 24 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	if (*s == '.') {
		for (s++; isdigit((unsigned char)*s); s++, scale /= 10)
			us += (*s - '0') * scale;
	}
	if (!parse_zone(s, &zone))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret_us = ((int64_t)timegm(&tm) - zone) * 1000000 + us;
	return true;
}

char *stamp_format(int64_t us, char *buf)
{
	time_t sec = us / 1000000;
	int frac = (int)(us % 1000000);
	struct tm tm;
	size_t n;

	if (frac < 0) {
		frac += 1000000;
		sec--;
	}
	if (!gmtime_r(&sec, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < 1 - 1900) {
		snprintf(buf, STAMP_SIZE, "1970-01-01T00:00:00Z");
		return buf;
	}
	n = strftime(buf, STAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac)
		snprintf(buf + n, STAMP_SIZE - n, ".%06dZ", frac);
	else
		snprintf(buf + n, STAMP_SIZE - n, "Z");
	return buf;
}
