#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

enum { CALL_US = 60 * 1000000 };

int client_connect(const char *path, sd_bus **ret)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	sd_bus *bus = NULL;
	int fd, r;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	check(sd_bus_new(&bus), "bus");
	check(sd_bus_set_fd(bus, fd, fd), "fd");
	r = sd_bus_start(bus);
	check(r < 0 ? r : 0, "start");
	*ret = bus;
	return 0;
}

static double call(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	double t = now_s(CLOCK_MONOTONIC);
	int r;

	r = sd_bus_call(bus, m, CALL_US, &error, ret);
	t = now_s(CLOCK_MONOTONIC) - t;
	if (r < 0)
		fprintf(stderr, "bench: %s: %s\n", error.name, error.message);
	check(r < 0 ? r : 0, sd_bus_message_get_member(m));
	sd_bus_message_unref(m);
	return t * 1000;
}

static sd_bus_message *new_call(sd_bus *bus, const char *path, const char *iface, const char *member)
{
	sd_bus_message *m = NULL;

	check(sd_bus_message_new_method_call(bus, &m, NULL, path, iface, member), "call");
	return m;
}

double client_ping(sd_bus *bus)
{
	sd_bus_message *reply = NULL;
	double ms = call(bus, new_call(bus, "/org/varve/Varve1", "org.freedesktop.DBus.Peer", "Ping"), &reply);

	sd_bus_message_unref(reply);
	return ms;
}

double client_history(sd_bus *bus, const char *conversation, int64_t us, unsigned int *ret_rows)
{
	sd_bus_message *m = new_call(bus, BENCH_ACCOUNT, BENCH_IFACE "Archive", "GetHistory"), *reply = NULL;
	double ms;

	check(sd_bus_message_append(m, "sstuua{sv}", conversation, us ? "time" : "newest", (uint64_t)us, us ? 49 : 50, 0, 0) < 0,
	      "arguments");
	ms = call(bus, m, &reply);
	check(sd_bus_message_enter_container(reply, 'a', "(ttssxyyssa{sv})") < 0, "rows");
	for (*ret_rows = 0; sd_bus_message_skip(reply, "(ttssxyyssa{sv})") > 0;)
		++*ret_rows;
	sd_bus_message_unref(reply);
	return ms;
}

double client_send(sd_bus *bus, const char *conversation, const char *client_id, const char *body)
{
	sd_bus_message *m = new_call(bus, BENCH_ACCOUNT, BENCH_IFACE "Archive", "Send"), *reply = NULL;
	double ms;

	check(sd_bus_message_append(m, "sssa{sv}", conversation, client_id, body, 0) < 0, "arguments");
	ms = call(bus, m, &reply);
	sd_bus_message_unref(reply);
	return ms;
}

double client_search(sd_bus *bus, const char *query)
{
	sd_bus_message *m = new_call(bus, BENCH_ACCOUNT, BENCH_IFACE "Archive", "Search"), *reply = NULL;
	double ms;

	check(sd_bus_message_append(m, "ssua{sv}", query, "", 50, 0) < 0, "arguments");
	ms = call(bus, m, &reply);
	sd_bus_message_unref(reply);
	return ms;
}
