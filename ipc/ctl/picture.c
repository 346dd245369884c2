#include "ipc/ctl/picture.h"

#include <string.h>
#include <time.h>

#include "ipc/ctl/time.h"
#include "ipc/ctl/util.h"
#include "ipc/names.h"

#define DAY_US (24 * 3600 * USEC_PER_SEC)

void picture_range(const struct picture_span *spans, size_t n, int64_t server_first_us, int64_t server_last_us,
		   int64_t *ret_from, int64_t *ret_to)
{
	int64_t from = server_first_us, to = server_last_us;

	if (n > 0 && spans[0].first_us && (!from || spans[0].first_us < from))
		from = spans[0].first_us;
	if (n > 0 && spans[n - 1].last_us > to)
		to = spans[n - 1].last_us;
	/* How far the past reaches is not known: give the gap before the first span a twentieth of the picture. */
	if (n > 0 && !(spans[0].flags & VARVE_SPAN_START) && from == spans[0].first_us)
		from -= (to - from) / 19 + 1;
	if (to <= from)
		to = from + USEC_PER_SEC;
	*ret_from = from;
	*ret_to = to;
}

struct canvas {
	int64_t from, to;
	size_t columns;
	enum picture_cell *cells;
	double held;
};

static size_t column_of(const struct canvas *v, int64_t us)
{
	double at = (double)(us - v->from) / (double)(v->to - v->from) * (double)v->columns;

	return at <= 0 ? 0 : at >= (double)v->columns ? v->columns - 1 : (size_t)at;
}

static void hole(struct canvas *v, int64_t a, int64_t b, bool lost)
{
	if (b < a)
		b = a; /* stamps need not be in order (sync.md): at least its place is shown */
	for (size_t i = column_of(v, a); i <= column_of(v, b > a ? b - 1 : b); i++)
		if (v->cells[i] != CELL_MISSING)
			v->cells[i] = lost ? CELL_LOST : CELL_MISSING;
	v->held -= (double)(b - a) / (double)(v->to - v->from);
}

double picture_draw(const struct picture_span *spans, size_t n, int64_t from, int64_t to, int64_t server_last_us,
		    size_t columns, enum picture_cell *cells)
{
	struct canvas v = { .from = from, .to = to, .columns = columns, .cells = cells, .held = 1 };

	for (size_t i = 0; i < columns; i++)
		cells[i] = CELL_HELD;
	if (n == 0) {
		hole(&v, from, to, false);
		return 0;
	}
	if (!(spans[0].flags & VARVE_SPAN_START))
		hole(&v, from, spans[0].first_us, spans[0].flags & VARVE_SPAN_LOST);
	for (size_t i = 1; i < n; i++)
		hole(&v, spans[i - 1].last_us, spans[i].first_us, spans[i].flags & VARVE_SPAN_LOST);
	if (!(spans[n - 1].flags & VARVE_SPAN_LIVE) && server_last_us > spans[n - 1].last_us)
		hole(&v, spans[n - 1].last_us, server_last_us, false);
	return v.held < 0 ? 0 : v.held;
}

/* The start of the unit (year, month or day) that is ${step} units after the one ${us} lies in. */
static int64_t unit_start(int64_t us, char unit, int step)
{
	time_t t = (time_t)(us / USEC_PER_SEC);
	struct tm tm;

	localtime_r(&t, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	if (unit == 'd') {
		tm.tm_mday += step;
	} else {
		tm.tm_mday = 1;
		if (unit == 'y') {
			tm.tm_mon = 0;
			tm.tm_year += step;
		} else {
			tm.tm_mon += step;
		}
	}
	return mktime(&tm) * USEC_PER_SEC;
}

char *picture_ticks(int64_t from, int64_t to, size_t columns)
{
	struct canvas v = { .from = from, .to = to, .columns = columns };
	int64_t length = to - from;
	char unit = length > 3 * 365 * DAY_US ? 'y' : length > 60 * DAY_US ? 'm' : 'd';
	char *line = xcalloc(columns + 1, 1);
	size_t free_from = 0;

	memset(line, ' ', columns);
	for (int64_t at = from; at < to; at = unit_start(at, unit, 1)) {
		char text[TIME_HUMAN_SIZE];
		size_t col = column_of(&v, at), len;

		/* January says the year; what does not fit beside its neighbour is left out. */
		time_local(at, unit == 'y' ? "%Y" : unit == 'm' ? "%Y-%m" : "%m-%d", text);
		len = strlen(text);
		if (col < free_from || col + len > columns)
			continue;
		memcpy(line + col, text, len);
		free_from = col + len + 2;
	}
	return line;
}
