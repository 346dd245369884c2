/*
 * Many apps that follow the feed of one account, in one process: for tests/bench/bench_live.py.
 *
 *   bench-follow SOCKET CLIENTS MESSAGES
 *
 * Prints "ready" when all have read what there is; then, when each of them holds MESSAGES messages more, the time
 * (CLOCK_MONOTONIC, seconds), the number of pulls and of rows that came, and ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "client.h"
#include "load.h"

struct replica {
	struct follow *f;
	sd_bus *bus;
	uint64_t since, told;
	bool asking;
	uint64_t newest;     /* message id: ids grow, so a greater one is a new message */
	unsigned long count; /* new ones */
};

struct follow {
	sd_event *event;
	struct replica *replicas;
	size_t n, current; /* that have all they should */
	unsigned long messages, pulls, rows;
	bool started;
};

static void pull(struct replica *x);

static void arrived(struct follow *f)
{
	if (++f->current < f->n)
		return;
	f->current = 0;
	if (f->started) {
		printf("%.6f %lu %lu\n", now_s(CLOCK_MONOTONIC), f->pulls, f->rows);
		sd_event_exit(f->event, 0);
	} else {
		printf("ready\n");
		f->started = true;
		f->pulls = f->rows = 0;
		for (size_t i = 0; i < f->n; i++)
			f->replicas[i].count = 0;
	}
	fflush(stdout);
}

static int on_changes(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct replica *x = userdata;
	int more, r;

	check(sd_bus_message_is_method_error(m, NULL), "Changes");
	x->asking = false;
	check(sd_bus_message_read(m, "tb", &x->since, &more) < 0, "answer");
	check(sd_bus_message_enter_container(m, 'a', "(ttssxyyssa{sv})") < 0, "rows");
	while ((r = sd_bus_message_enter_container(m, 'r', "ttssxyyssa{sv}")) > 0) {
		const char *conversation, *sender, *kind, *body;
		uint8_t direction, state;
		uint64_t id, mod;
		int64_t us;

		check(sd_bus_message_read(m, "ttssxyyss", &id, &mod, &conversation, &sender, &us, &direction, &state, &kind,
					  &body) < 0, "row");
		check(sd_bus_message_skip(m, "a{sv}") < 0, "extra");
		check(sd_bus_message_exit_container(m) < 0, "row");
		x->f->rows++;
		if (id > x->newest) {
			x->newest = id;
			x->count++;
		}
	}
	check(r < 0, "rows");
	if (more || x->told > x->since)
		pull(x);
	else if (!x->f->started || x->count == x->f->messages)
		arrived(x->f);
	return 1;
}

static void pull(struct replica *x)
{
	if (x->asking)
		return;
	x->asking = true;
	x->f->pulls++;
	check(sd_bus_call_method_async(x->bus, NULL, NULL, BENCH_ACCOUNT, BENCH_IFACE "Archive", "Changes", on_changes, x,
				       "stua{sv}", "", x->since, 500, 0) < 0, "call");
}

static int on_bell(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct replica *x = userdata;
	const char *epoch;

	check(sd_bus_message_read(m, "st", &epoch, &x->told) < 0, "bell");
	if (x->told > x->since)
		pull(x);
	return 0;
}

int main(int argc, char **argv)
{
	struct follow f = { 0 };

	if (argc != 4)
		return 2;
	f.n = strtoul(argv[2], NULL, 10);
	f.messages = strtoul(argv[3], NULL, 10);
	f.replicas = xnewn(struct replica, f.n);
	check(sd_event_new(&f.event) < 0, "event");
	for (size_t i = 0; i < f.n; i++) {
		struct replica *x = &f.replicas[i];

		x->f = &f;
		check(client_connect(argv[1], &x->bus), "connect");
		check(sd_bus_match_signal(x->bus, NULL, NULL, BENCH_ACCOUNT, BENCH_IFACE "Archive", "Changed", on_bell, x) < 0,
		      "match");
		check(sd_bus_attach_event(x->bus, f.event, 0) < 0, "attach");
		pull(x);
	}
	sd_event_loop(f.event);
	for (size_t i = 0; i < f.n; i++)
		sd_bus_flush_close_unref(f.replicas[i].bus);
	free(f.replicas);
	sd_event_unref(f.event);
	return 0;
}
