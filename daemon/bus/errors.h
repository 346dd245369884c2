/*
 * How failures leave over the bus: an error name of the contract and a sentence that names cause and next step.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/mem.h"
#include "ipc/names.h"

struct hub;

/* Fill ${error}; the return value (a negative errno) is what the handler returns. Text is made fit for D-Bus. */
int error_set(sd_bus_error *error, enum varve_error e, const char *fmt, ...) _printf_(3, 4);
/* org.freedesktop.DBus.Error.InvalidArgs. */
int error_invalid(sd_bus_error *error, const char *fmt, ...) _printf_(2, 3);
/*
 * The answer to what a function of sync/hub.h returned: HUB_E_x with its sentence ${why} (may be NULL), or a negative
 * errno, which becomes Storage for what disks do and Failed otherwise. 0 for 0.
 */
int error_from_hub(sd_bus_error *error, int r, const char *why);
/* Why the archive is not there: Locked, or Storage with the reason. Call it when hub_state() is not HUB_READY. */
int error_from_state(sd_bus_error *error, const struct hub *hub);
/* An argument could not be read (${r}, negative): what it may not be, in words; what says so already stays. */
int error_from_read(sd_bus_error *error, int r);
/* The same for a negative errno of store/. */
int error_from_store(sd_bus_error *error, int r);
/* "AuthFailed" as the hub spells its reasons, or a full name, as the bus spells it; "" for "". The caller frees. */
char *error_full_name(const char *name);
