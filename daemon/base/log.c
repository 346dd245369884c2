#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static enum log_level log_max = LOG_LEVEL_INFO;
static const char *log_ident = "varve";
static int log_prefix;

void log_init(const char *ident)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{ "error", LOG_LEVEL_ERROR },
		{ "warning", LOG_LEVEL_WARNING },
		{ "info", LOG_LEVEL_INFO },
		{ "debug", LOG_LEVEL_DEBUG },
	};
	const char *want = getenv("VARVE_LOG");

	log_ident = ident;
	log_prefix = getenv("JOURNAL_STREAM") != NULL;
	for (size_t i = 0; want && i < ARRAY_SIZE(levels); i++)
		if (strcmp(want, levels[i].name) == 0)
			log_max = levels[i].level;
}

void log_set_level(enum log_level level)
{
	log_max = level;
}

enum log_level log_get_level(void)
{
	return log_max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* A peer's string may hold control characters: a log line is one line. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (log_prefix)
		fprintf(stderr, "<%d>%s: %s\n", (int)level, log_ident, text);
	else
		fprintf(stderr, "%s: %s\n", log_ident, text);
}

const char *log_jid(const char *jid)
{
	static char ring[4][24];
	static unsigned int next;
	uint32_t h = 2166136261u;
	char *out;

	if (!jid)
		return "(none)";
	if (log_max >= LOG_LEVEL_DEBUG)
		return jid;
	for (const char *p = jid; *p && *p != '/'; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	out = ring[next++ % ARRAY_SIZE(ring)];
	snprintf(out, sizeof(ring[0]), "jid#%06x", h & 0xffffffu);
	return out;
}
