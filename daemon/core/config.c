#include "core/config.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/lanes.h"

#define METERED_DAYS INT64_C(7) /* what somebody who pays by the megabyte will look at; the rest waits for a free link */

static bool number(const char *s, const char *unit, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno || end == s || v < min || v > max)
		return false;
	while (*end == ' ')
		end++;
	if (*end && strcmp(end, unit) != 0)
		return false;
	*ret = v;
	return true;
}

static bool all_or_days(const char *value, int64_t *ret_us)
{
	int64_t days;

	if (strcmp(value, "all") == 0) {
		*ret_us = 0;
		return true;
	}
	if (!strstr(value, "day") || (!number(value, "days", 1, 36500, &days) && !number(value, "day", 1, 36500, &days)))
		return false;
	*ret_us = days * 86400 * USEC_PER_SEC;
	return true;
}

static bool set_history(struct config *c, const char *value)
{
	return all_or_days(value, &c->history_us);
}

static bool set_metered(struct config *c, const char *value)
{
	return all_or_days(value, &c->metered_us);
}

static bool set_page(struct config *c, const char *value)
{
	int64_t n;

	if (!number(value, "", 10, 250, &n))
		return false;
	c->page = (uint32_t)n;
	return true;
}

static bool set_lanes(struct config *c, const char *value)
{
	int64_t n;

	if (!number(value, "", 1, LANES_MAX, &n))
		return false;
	c->lanes = (unsigned int)n;
	return true;
}

static bool set_deadline(struct config *c, const char *value)
{
	int64_t s;

	if (!number(value, "seconds", 1, 300, &s))
		return false;
	c->deadline_us = s * USEC_PER_SEC;
	return true;
}

static bool yes_or_no(const char *value, bool *ret)
{
	*ret = strcmp(value, "yes") == 0;
	return *ret || strcmp(value, "no") == 0;
}

static bool set_receipts(struct config *c, const char *value)
{
	return yes_or_no(value, &c->receipts);
}

static bool set_markers(struct config *c, const char *value)
{
	return yes_or_no(value, &c->markers);
}

static bool set_level(struct config *c, const char *value)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "error", LOG_LEVEL_ERROR },
		{ "warning", LOG_LEVEL_WARNING },
		{ "info", LOG_LEVEL_INFO },
		{ "debug", LOG_LEVEL_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(value, levels[i].name) == 0) {
			c->log_level = levels[i].level;
			return true;
		}
	}
	return false;
}

static const struct config_key {
	const char *section, *name, *allowed;
	bool (*set)(struct config *c, const char *value);
} keys[] = {
	{ "sync", "history", "all, or a number of days such as \"365 days\"", set_history },
	{ "sync", "metered", "all, or a number of days such as \"7 days\"", set_metered },
	{ "sync", "page", "a number from 10 to 250", set_page },
	{ "sync", "lanes", "a number from 1 to 16", set_lanes },
	{ "messages", "receipts", "yes or no", set_receipts },
	{ "messages", "markers", "yes or no", set_markers },
	{ "network", "deadline", "a number of seconds from 1 to 300, such as \"15 seconds\"", set_deadline },
	{ "log", "level", "error, warning, info or debug", set_level },
};

void config_init(struct config *c)
{
	*c = (struct config){
		.metered_us = METERED_DAYS * 86400 * USEC_PER_SEC,
		.page = 250, .lanes = LANES_MAX, .deadline_us = 15 * USEC_PER_SEC, .receipts = true, .markers = true,
	};
}

struct parse {
	struct config *config;
	char **why;
};

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct parse *p = user;

	if (*p->why)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
			continue;
		if (keys[i].set(p->config, value))
			return 1;
		*p->why = xasprintf("[%.32s] %.32s = %.64s: must be %s", section, name, value, keys[i].allowed);
		return 0;
	}
	*p->why = *section ? xasprintf("[%.32s] %.32s: no such key (see varve.conf(5))", section, name)
			   : xasprintf("%.32s: a key stands below its section, such as [sync] (see varve.conf(5))", name);
	return 0;
}

int config_parse(struct config *c, const char *text, char **ret_why)
{
	_cleanup_(freep) char *why = NULL;
	struct parse p = { c, &why };
	int line;

	*ret_why = NULL;
	line = ini_parse_string(text, on_key, &p);
	if (line == 0)
		return 0;
	*ret_why = xasprintf("line %d: %s", line > 0 ? line : 0, why ? why : "not understood");
	return CONFIG_E_INVALID;
}
