#include "ipc/ctl/marked.h"

#include <string.h>

#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/util.h"

#define BEFORE_LINES 1 /* lines shown before the first match, when not all fit */

static bool is_marked(const struct varve_mark *marks, size_t n, uint64_t point)
{
	for (size_t i = 0; i < n; i++)
		if (point >= marks[i].start && point - marks[i].start < marks[i].length)
			return true;
	return false;
}

struct marked marked_new(const char *s, const struct varve_mark *marks, size_t n)
{
	size_t len = strlen(s), size = 0;
	/* A code point of at least one byte is cleaned into at most three: U+FFFD for a byte that is not UTF-8. */
	struct marked m = { xcalloc(len * 3 + 1, 1), xcalloc(len * 3 + 1, sizeof(bool)) };

	for (uint64_t point = 0; len > 0; point++) {
		uint32_t cp;
		size_t used = text_decode(s, len, &cp);
		char one[5] = "";
		_cleanup_(freep) char *clean = NULL;

		memcpy(one, s, used);
		/* "\r\n" is one line end, as in text_clean(), which sees one code point at a time here. */
		clean = cp == '\r' && len > 1 && s[1] == '\n' ? xstrdup("") : text_clean(one, true);
		for (const char *p = clean; *p; p++) {
			m.text[size] = *p;
			m.on[size++] = is_marked(marks, n, point);
		}
		s += used;
		len -= used;
	}
	return m;
}

void marked_deinit(struct marked *m)
{
	free(m->text);
	free(m->on);
	*m = (struct marked){ 0 };
}

static void put_bytes(const struct marked *m, FILE *f, size_t from, size_t n)
{
	bool on = false;

	for (size_t i = from; i < from + n; i++) {
		if (m->on[i] != on) {
			on = m->on[i];
			fprintf(f, "%s%s", term_color(COLOR_OFF), on ? term_color(COLOR_BOLD) : "");
			if (on)
				fputs(term_color(COLOR_YELLOW), f);
		}
		fputc(m->text[i], f);
	}
	if (on)
		fputs(term_color(COLOR_OFF), f);
}

/* The number of the line, of lines ${columns} wide, in which the first mark begins; *ret_total: how many there are. */
static size_t line_of_mark(const struct marked *m, size_t columns, size_t *ret_total)
{
	size_t at = 0, line = 0, found = SIZE_MAX, skip;

	do {
		size_t n = text_wrap(m->text + at, columns, &skip);

		for (size_t i = at; i < at + n && found == SIZE_MAX; i++)
			if (m->on[i])
				found = line;
		at += n + skip;
		line++;
	} while (m->text[at]);
	*ret_total = line;
	return found == SIZE_MAX ? 0 : found;
}

void marked_print(const struct marked *m, FILE *f, size_t indent, size_t lines)
{
	const char *dots = text_is_utf8() ? "…" : "...";
	/* Two columns for the ellipses. */
	size_t edge = term_columns(), columns = edge > indent + 12 ? edge - indent - 2 : 10;
	size_t total, first = line_of_mark(m, columns, &total), at = 0, skip;

	if (total <= lines || first <= BEFORE_LINES)
		first = 0;
	else
		first = first - BEFORE_LINES + lines > total ? total - lines : first - BEFORE_LINES;
	for (size_t line = 0; line < first + lines; line++) {
		size_t n = text_wrap(m->text + at, columns, &skip);
		bool last = !m->text[at + n + skip];

		if (line >= first) {
			fprintf(f, "%*s%s", (int)indent, "", line == first && first > 0 ? dots : "");
			put_bytes(m, f, at, n);
			fprintf(f, "%s\n", !last && line + 1 == first + lines ? dots : "");
		}
		at += n + skip;
		if (last)
			break;
	}
}
