/*
 * Archive.Export: messages into the client's descriptor, page by page when the loop has nothing else to do.
 */
#pragma once

#include <systemd/sd-bus.h>

/* The method's handler; userdata is the struct conn. */
int export_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
