/*
 * As much of org.freedesktop.DBus as stock tools ask for before they talk to anybody (facts/ipc.md section 1.3).
 */
#pragma once

#include <systemd/sd-bus.h>

struct conn;

/* On /org/freedesktop/DBus and, for xdg-dbus-proxy, on /. */
int driver_register(sd_bus *bus, struct conn *c);
