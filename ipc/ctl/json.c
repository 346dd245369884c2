#include "ipc/ctl/json.h"

#include <math.h>
#include <string.h>

#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/util.h"

struct json {
	FILE *f;
	enum json_mode mode;
	unsigned depth;
	bool filled[JSON_DEPTH_MAX + 1]; /* a value was written at this depth */
};

struct json *json_new(FILE *f, enum json_mode mode)
{
	struct json *j = xcalloc(1, sizeof(*j));

	j->f = f;
	j->mode = mode;
	return j;
}

struct json *json_free(struct json *j)
{
	free(j);
	return NULL;
}

static void newline(struct json *j)
{
	if (j->mode != JSON_PRETTY)
		return;
	fputc('\n', j->f);
	for (unsigned i = 0; i < j->depth; i++)
		fputs("  ", j->f);
}

static void put_string(FILE *f, const char *s)
{
	size_t len = strlen(s);

	fputc('"', f);
	while (len > 0) {
		uint32_t cp;
		char utf8[4];
		size_t used = text_decode(s, len, &cp);

		if (cp == '"' || cp == '\\')
			fprintf(f, "\\%c", (char)cp);
		else if (cp == '\n')
			fputs("\\n", f);
		else if (cp == '\t')
			fputs("\\t", f);
		else if (cp == '\r')
			fputs("\\r", f);
		else if (text_is_control(cp)) /* more than RFC 8259 section 7 asks: the output may meet a terminal */
			fprintf(f, "\\u%04x", (unsigned)cp);
		else
			fwrite(utf8, 1, text_encode(cp, utf8), f);
		s += used;
		len -= used;
	}
	fputc('"', f);
}

/* What comes before a value: comma, indentation, key. */
static void lead(struct json *j, const char *key)
{
	if (j->filled[j->depth])
		fputc(',', j->f);
	j->filled[j->depth] = true;
	if (j->depth > 0)
		newline(j);
	if (key) {
		put_string(j->f, key);
		fputs(j->mode == JSON_PRETTY ? ": " : ":", j->f);
	}
}

/* What comes after one: a line end at the top, where values stand alone. */
static void trail(struct json *j)
{
	if (j->depth > 0)
		return;
	fputc('\n', j->f);
	j->filled[0] = false;
}

static void begin(struct json *j, const char *key, char bracket)
{
	lead(j, key);
	fputc(bracket, j->f);
	if (j->depth == JSON_DEPTH_MAX)
		abort();
	j->filled[++j->depth] = false;
}

static void end(struct json *j, char bracket)
{
	bool filled = j->filled[j->depth--];

	if (filled)
		newline(j);
	fputc(bracket, j->f);
	trail(j);
}

void json_object(struct json *j, const char *key)
{
	begin(j, key, '{');
}

void json_object_end(struct json *j)
{
	end(j, '}');
}

void json_array(struct json *j, const char *key)
{
	begin(j, key, '[');
}

void json_array_end(struct json *j)
{
	end(j, ']');
}

void json_null(struct json *j, const char *key)
{
	lead(j, key);
	fputs("null", j->f);
	trail(j);
}

void json_string(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}
	lead(j, key);
	put_string(j->f, value);
	trail(j);
}

void json_string_or_null(struct json *j, const char *key, const char *value)
{
	json_string(j, key, value && *value ? value : NULL);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	lead(j, key);
	fprintf(j->f, "%lld", (long long)value);
	trail(j);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->f, "%llu", (unsigned long long)value);
	trail(j);
}

void json_double(struct json *j, const char *key, double value)
{
	if (!isfinite(value)) { /* JSON has no such numbers */
		json_null(j, key);
		return;
	}
	lead(j, key);
	fprintf(j->f, "%.17g", value);
	trail(j);
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	fputs(value ? "true" : "false", j->f);
	trail(j);
}

void json_time(struct json *j, const char *key, int64_t us)
{
	_cleanup_(freep) char *usec_key = xasprintf("%s_usec", key);
	char text[TIME_RFC3339_SIZE];

	if (us == 0) {
		json_null(j, key);
		json_null(j, usec_key);
		return;
	}
	json_string(j, key, time_rfc3339(us, text));
	json_int(j, usec_key, us);
}
