/*
 * The members of Conversations that write. Each answers when the archive has it. Handlers; userdata is the struct conn.
 */
#pragma once

#include <systemd/sd-bus.h>

int conversation_open_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
int conversation_set_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
int conversation_mark_read_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
int conversation_delete_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
