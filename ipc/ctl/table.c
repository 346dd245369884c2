#include "ipc/ctl/table.h"

#include <string.h>

#include "ipc/ctl/text.h"
#include "ipc/ctl/util.h"

#define WHOLE_INDENT 4 /* columns before what has a line of its own */
#define LAST_LEAST 10 /* columns that the last one gets, however narrow the terminal is */
#define CUT_LEAST 8 /* columns of one that is cut for them */
#define BYTES_A_COLUMN 16 /* kept of a text that is cut: more than any script needs, less than stacked marks can take */

struct cell {
	char *text;
	enum color color;
};

struct table {
	size_t columns;
	const char *heads[TABLE_COLUMNS_MAX];
	size_t limit[TABLE_COLUMNS_MAX];
	bool whole;
	struct cell *cells; /* row by row */
	size_t n, cap;
};

struct table *table_new(const char *const *heads)
{
	struct table *t = xcalloc(1, sizeof(*t));

	while (heads[t->columns] && t->columns < TABLE_COLUMNS_MAX) {
		t->heads[t->columns] = heads[t->columns];
		t->limit[t->columns++] = SIZE_MAX;
	}
	return t;
}

struct table *table_free(struct table *t)
{
	if (t) {
		for (size_t i = 0; i < t->n; i++)
			free(t->cells[i].text);
		free(t->cells);
		free(t);
	}
	return NULL;
}

void table_limit(struct table *t, size_t column, size_t width)
{
	t->limit[column] = width;
}

void table_whole(struct table *t)
{
	t->whole = true;
}

/*
 * What a line can show of the cleaned ${text}, which is consumed: rows wait here until the widths are known, and ten
 * thousand bodies of 64 KiB shall not wait with them.
 */
static char *shown_part(char *text)
{
	size_t columns = term_columns() > LAST_LEAST ? term_columns() : LAST_LEAST, n;
	char *cut = text_ellipsis(text, columns);

	free(text);
	if (strlen(cut) <= columns * BYTES_A_COLUMN)
		return cut;
	for (n = columns * BYTES_A_COLUMN; n > 0 && (cut[n] & 0xC0) == 0x80; n--)
		;
	cut[n] = '\0';
	return xrealloc(cut, n + 1, 1);
}

void table_cell_color(struct table *t, enum color color, const char *text)
{
	char *clean = text_clean(text ? text : "", false);

	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->cells = xrealloc(t->cells, t->cap, sizeof(*t->cells));
	}
	if (t->n % t->columns == t->columns - 1 && !t->whole)
		clean = shown_part(clean);
	t->cells[t->n++] = (struct cell){ clean, color };
}

void table_cell(struct table *t, const char *text)
{
	table_cell_color(t, COLOR_OFF, text);
}

static void put(FILE *f, const char *text, size_t width, bool right, bool last, enum color color)
{
	_cleanup_(freep) char *cut = text_ellipsis(text, width);
	size_t pad = width - text_width(cut);

	if (right)
		fprintf(f, "%*s", (int)pad, "");
	if (color != COLOR_OFF)
		fprintf(f, "%s%s%s", term_color(color), cut, term_color(COLOR_OFF));
	else
		fputs(cut, f);
	if (last)
		fputc('\n', f);
	else
		fprintf(f, "%*s", right ? 2 : (int)pad + 2, "");
}

/* How wide each column wants to be. */
static void want(const struct table *t, size_t *width)
{
	for (size_t c = 0; c < t->columns; c++)
		width[c] = text_width(t->heads[c] + (*t->heads[c] == '>'));
	for (size_t i = 0; i < t->n; i++) {
		size_t w = text_width(t->cells[i].text), c = i % t->columns;

		if (w > t->limit[c])
			w = t->limit[c];
		if (w > width[c])
			width[c] = w;
	}
}

/*
 * Into a narrow terminal: columns with a limit hold what may be cut, so the widest of them gets narrower until the line
 * fits. The last one gets what is left, and is not pushed out by the others.
 */
static void fit(const struct table *t, size_t *width)
{
	size_t last = t->columns - 1, edge = term_columns(), used = 0;
	size_t least = t->whole ? text_width(t->heads[last]) : width[last] < LAST_LEAST ? width[last] : LAST_LEAST;

	for (size_t c = 0; c < last; c++)
		used += width[c] + 2;
	for (; used + least > edge; used--) {
		size_t widest = last;

		for (size_t c = 0; c < last; c++)
			if (t->limit[c] != SIZE_MAX && width[c] > CUT_LEAST && (widest == last || width[c] > width[widest]))
				widest = c;
		if (widest == last)
			break;
		width[widest]--;
	}
	width[last] = edge > used + LAST_LEAST ? edge - used : LAST_LEAST;
}

static void put_row(const struct table *t, FILE *f, const struct cell *row, const size_t *width)
{
	size_t n = t->columns;
	const char *tail = row[n - 1].text;
	bool own_line = t->whole && text_width(tail) > width[n - 1];

	if (own_line)
		n--;
	while (n > 1 && !*row[n - 1].text) /* no blanks at the end of a line */
		n--;
	for (size_t c = 0; c < n; c++)
		put(f, row[c].text, width[c], *t->heads[c] == '>', c + 1 == n, row[c].color);
	if (own_line)
		fprintf(f, "%*s%s\n", WHOLE_INDENT, "", tail);
}

void table_print(struct table *t, FILE *f)
{
	size_t width[TABLE_COLUMNS_MAX] = { 0 };
	struct cell heads[TABLE_COLUMNS_MAX] = { 0 };

	if (t->n == 0)
		return;
	want(t, width);
	fit(t, width);
	for (size_t c = 0; c < t->columns; c++) {
		heads[c].text = xstrdup(t->heads[c] + (*t->heads[c] == '>'));
		heads[c].color = COLOR_DIM;
	}
	put_row(t, f, heads, width);
	for (size_t i = 0; i < t->n; i += t->columns)
		put_row(t, f, t->cells + i, width);
	for (size_t c = 0; c < t->columns; c++)
		free(heads[c].text);
}
