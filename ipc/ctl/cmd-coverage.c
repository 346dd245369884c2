/*
 * varvectl sync coverage: the picture of what is held.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/picture.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"

#define LABEL_MAX 28 /* columns for the name of an archive */

struct archive {
	char *name;
	int64_t first_us, last_us; /* of the server; 0 unknown */
	struct picture_span *spans;
	char **ids; /* first and last id of each span, for JSON */
	size_t n;
};

struct archives {
	struct archive *list;
	size_t n;
};

static void archives_deinit(struct archives *a)
{
	for (size_t i = 0; i < a->n; i++) {
		for (size_t k = 0; k < a->list[i].n * 2; k++)
			free(a->list[i].ids[k]);
		free(a->list[i].ids);
		free(a->list[i].spans);
		free(a->list[i].name);
	}
	free(a->list);
}

static int read_spans(sd_bus_message *m, struct archive *a)
{
	int r = sd_bus_message_enter_container(m, 'a', VARVE_SIG_SPAN);

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_SPAN_FIELDS)) > 0) {
		struct picture_span s;
		const char *first, *last;

		r = sd_bus_message_read(m, "xxssu", &s.first_us, &s.last_us, &first, &last, &s.flags);
		if (r >= 0)
			r = sd_bus_message_skip(m, "a{sv}");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
		a->spans = xrealloc(a->spans, a->n + 1, sizeof(*a->spans));
		a->ids = xrealloc(a->ids, (a->n + 1) * 2, sizeof(*a->ids));
		a->spans[a->n] = s;
		a->ids[a->n * 2] = xstrdup(first);
		a->ids[a->n * 2 + 1] = xstrdup(last);
		a->n++;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_archives(sd_bus_message *m, struct archives *out)
{
	int r = sd_bus_message_enter_container(m, 'a', VARVE_SIG_COVERAGE);

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_COVERAGE_FIELDS)) > 0) {
		struct archive *a;
		const char *name;

		out->list = xrealloc(out->list, out->n + 1, sizeof(*out->list));
		a = &out->list[out->n];
		*a = (struct archive){ 0 };
		r = sd_bus_message_read(m, "sxx", &name, &a->first_us, &a->last_us);
		if (r < 0)
			return r;
		a->name = xstrdup(name);
		out->n++;
		r = read_spans(m, a);
		if (r >= 0)
			r = sd_bus_message_skip(m, "a{sv}");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r;
}

static void put_json(enum json_mode mode, const struct archive *a)
{
	_cleanup_(json_freep) struct json *j = json_new(stdout, mode);

	json_object(j, NULL);
	json_string(j, "archive", a->name);
	json_time(j, "server_first", a->first_us);
	json_time(j, "server_last", a->last_us);
	json_array(j, "spans");
	for (size_t i = 0; i < a->n; i++) {
		const struct picture_span *s = &a->spans[i];

		json_object(j, NULL);
		json_string_or_null(j, "first_stanza_id", a->ids[i * 2]);
		json_string_or_null(j, "last_stanza_id", a->ids[i * 2 + 1]);
		json_time(j, "first", s->first_us);
		json_time(j, "last", s->last_us);
		json_bool(j, "start", s->flags & VARVE_SPAN_START);
		json_bool(j, "live", s->flags & VARVE_SPAN_LIVE);
		json_bool(j, "lost_before", s->flags & VARVE_SPAN_LOST);
		json_bool(j, "fetching_before", s->flags & VARVE_SPAN_FETCHING);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void put_cells(const enum picture_cell *cells, size_t columns)
{
	static const char *const signs[2][3] = { { "#", ".", "x" }, { "█", "░", "✗" } };
	static const enum color colors[] = { COLOR_GREEN, COLOR_YELLOW, COLOR_RED };
	bool utf8 = text_is_utf8();

	for (size_t i = 0; i < columns; i++) {
		if (i == 0 || cells[i] != cells[i - 1])
			printf("%s%s", term_color(COLOR_OFF), term_color(colors[cells[i]]));
		fputs(signs[utf8][cells[i]], stdout);
	}
	fputs(term_color(COLOR_OFF), stdout);
}

static void put_archive(const struct archive *a, int64_t from, int64_t to, size_t label, size_t columns)
{
	_cleanup_(freep) enum picture_cell *cells = xcalloc(columns, sizeof(*cells));
	_cleanup_(freep) char *clean = text_clean(a->name, false), *name = text_ellipsis(clean, label);
	double held = picture_draw(a->spans, a->n, from, to, a->last_us, columns, cells);

	printf("%s%*s  ", name, (int)(label - text_width(name)), "");
	if (a->n > 0 && a->spans[a->n - 1].flags & VARVE_SPAN_EMPTY && a->n == 1) {
		puts("(the server's archive is empty)");
		return;
	}
	put_cells(cells, columns);
	/* Rounded down: what is nearly complete is not complete. */
	printf(" %3d%%\n", (int)(held * 100));
}

static void put_pictures(const struct archives *a)
{
	size_t label = 7, columns, edge = term_columns();
	int64_t from = INT64_MAX, to = INT64_MIN;
	_cleanup_(freep) char *ticks = NULL;
	bool utf8 = text_is_utf8();

	for (size_t i = 0; i < a->n; i++) {
		_cleanup_(freep) char *clean = text_clean(a->list[i].name, false);
		size_t w = text_width(clean);
		int64_t f, t;

		label = w > LABEL_MAX ? LABEL_MAX : w > label ? w : label;
		picture_range(a->list[i].spans, a->list[i].n, a->list[i].first_us, a->list[i].last_us, &f, &t);
		if (a->list[i].n == 0 && !(a->list[i].first_us && a->list[i].last_us))
			continue; /* no picture begins in 1970 because nobody knows yet when it begins */
		from = f < from ? f : from;
		to = t > to ? t : to;
	}
	if (from >= to) {
		puts("nothing is known of the archive yet");
		return;
	}
	columns = edge - label - 2 - 5;
	ticks = picture_ticks(from, to, columns);
	for (size_t n = strlen(ticks); n > 0 && ticks[n - 1] == ' '; n--)
		ticks[n - 1] = '\0';
	printf("%*s  %s\n", (int)label, "", ticks);
	for (size_t i = 0; i < a->n; i++)
		put_archive(&a->list[i], from, to, label, columns);
	printf("%*s  %s%s held  %s missing  %s lost%s\n", (int)label, "", term_color(COLOR_DIM), utf8 ? "█" : "#",
	       utf8 ? "░" : ".", utf8 ? "✗" : "x", term_color(COLOR_OFF));
}

int cmd_sync_coverage(struct ctl *c)
{
	_cleanup_(archives_deinit) struct archives archives = { 0 };
	_cleanup_(unrefp) sd_bus_message *reply = NULL;
	int r;

	r = ctl_account(c, NULL);
	if (r == EXIT_OK)
		r = ctl_call(c, VARVE_IFACE_SYNC, "GetCoverage", &reply, "a{sv}", 0);
	if (r != EXIT_OK)
		return r;
	if (read_archives(reply, &archives) < 0)
		return ctl_bad_reply(c, "GetCoverage");
	if (c->json == JSON_OFF)
		put_pictures(&archives);
	for (size_t i = 0; i < archives.n && c->json != JSON_OFF; i++)
		put_json(c->json, &archives.list[i]);
	return EXIT_OK;
}
