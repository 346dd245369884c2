#include "salvage/jsonl.h"

#include <inttypes.h>

#include "base/mem.h"
#include "core/stamp.h"

/* ${s} is clean UTF-8 (core/text.h). DEL and the C1 controls are escaped too: the file may be looked at on a terminal. */
static void put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(f, "\\u%04x", *p);
		else if (*p == 0xc2 && p[1] < 0xa0)
			fprintf(f, "\\u%04x", *++p);
		else
			fputc(*p, f);
	}
	fputc('"', f);
}

static void string_or_null(FILE *f, const char *key, const char *s)
{
	fprintf(f, ",\"%s\":", key);
	if (s && *s)
		put_string(f, s);
	else
		fputs("null", f);
}

static void time_or_null(FILE *f, const char *key, int64_t us)
{
	char stamp[STAMP_SIZE];

	if (us == 0)
		fprintf(f, ",\"%s\":null,\"%s_usec\":null", key, key);
	else
		fprintf(f, ",\"%s\":\"%s\",\"%s_usec\":%" PRId64, key, stamp_format(us, stamp), key, us);
}

/* The numbers are part of the format (store/read.h, enum message_state). */
static const char *state_name(int64_t state)
{
	static const char *const names[] = {
		[0] = "received",   [1] = "read",      [10] = "queued", [11] = "sending",   [12] = "sent",
		[13] = "delivered", [14] = "displayed", [20] = "failed", [21] = "cancelled",
	};
	const char *name = state >= 0 && (uint64_t)state < ARRAY_SIZE(names) ? names[state] : NULL;

	return name ? name : "unknown";
}

void jsonl_put(FILE *f, const struct carved *m)
{
	fprintf(f, "{\"id\":%" PRId64 ",\"mod\":%" PRId64, m->id, m->mod);
	string_or_null(f, "account", m->account);
	string_or_null(f, "conversation", m->conversation);
	fprintf(f, ",\"conversation_id\":%" PRId64, m->conv_id);
	string_or_null(f, "sender", m->sender);
	fprintf(f, ",\"direction\":\"%s\",\"state\":\"%s\",\"kind\":\"%s\"", m->direction ? "out" : "in", state_name(m->state),
		m->kind);
	time_or_null(f, "time", m->time_us);
	fputs(",\"body\":", f);
	if (m->body)
		put_string(f, m->body);
	else
		fputs("null", f);
	fprintf(f, ",\"complete\":%s", m->cut ? "false" : "true");
	string_or_null(f, "origin_id", m->origin_id);
	string_or_null(f, "xmpp_id", m->xmpp_id);
	time_or_null(f, "edited", m->edited_us);
	if (m->reply_to > 0)
		fprintf(f, ",\"reply_to\":%" PRId64, m->reply_to);
	else
		fputs(",\"reply_to\":null", f);
	string_or_null(f, "encryption", m->encryption);
	string_or_null(f, "error", m->error);
	string_or_null(f, "error_text", m->error_text);
	fputs("}\n", f);
}
