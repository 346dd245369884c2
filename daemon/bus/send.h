/*
 * The members of Archive that write: Send and what is said about a message later. Each answers when the archive has it.
 * Handlers; userdata is the struct conn.
 */
#pragma once

#include <systemd/sd-bus.h>

int send_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
int send_edit(sd_bus_message *call, void *userdata, sd_bus_error *error);
int send_retract(sd_bus_message *call, void *userdata, sd_bus_error *error);
int send_react(sd_bus_message *call, void *userdata, sd_bus_error *error);
int send_retry(sd_bus_message *call, void *userdata, sd_bus_error *error);
int send_cancel(sd_bus_message *call, void *userdata, sd_bus_error *error);
int send_delete_local(sd_bus_message *call, void *userdata, sd_bus_error *error);
