/* A bus that is good for making messages and nothing else, and a message sealed for reading. */
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

static inline sd_bus *message_bus(void)
{
	sd_bus *bus = NULL;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 || sd_bus_new(&bus) < 0 ||
	    sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
		abort();
	/* fds[1] stays open: the bus must not see an end. */
	return bus;
}

static inline sd_bus_message *message_call(sd_bus *bus, const char *interface, const char *member)
{
	sd_bus_message *m = NULL;

	if (sd_bus_message_new_method_call(bus, &m, "org.varve.Varve1", "/org/varve/Varve1", interface, member) < 0)
		abort();
	return m;
}

static inline void message_seal(sd_bus_message *m)
{
	if (sd_bus_message_seal(m, 1, 0) < 0 || sd_bus_message_rewind(m, 1) < 0)
		abort();
}
