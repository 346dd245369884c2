/*
 * A dictionary "a{sv}" of a message, key by key. Private to libvarve and varvectl, which links it statically.
 */
#pragma once

#include <systemd/sd-bus.h>

/*
 * Called with the variant not yet opened, ${contents} is the type in it. Reads it and returns 1; returns 0 to have it
 * skipped: dictionaries may grow; -errno ends the walk.
 */
typedef int (*dict_fn)(sd_bus_message *m, const char *key, const char *contents, void *userdata);

/* Each key of the dictionary that comes next. 1, or -errno: not a dictionary, or what ${fn} said. */
int varve__dict_each(sd_bus_message *m, dict_fn fn, void *userdata);
