/*
 * Rows of the archive as D-Bus structs (ipc/org.varve.Varve1.xml, "Rows"). Every string that came from the network
 * passes rows_text(): sd-bus 252 refuses a whole page for one noncharacter (facts/ipc.md section 1.2 no. 3).
 * All return 0 or a negative errno of sd-bus.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "core/cover.h"
#include "store/read.h"

/* A string, with U+FFFD for whatever D-Bus cannot carry. NULL is "". */
int rows_text(sd_bus_message *m, const char *s);
/* Dictionary entries {sv}; the first only if there is a text. */
int rows_entry_text(sd_bus_message *m, const char *key, const char *value);
int rows_entry_text_or_empty(sd_bus_message *m, const char *key, const char *value);
int rows_entry(sd_bus_message *m, const char *key, const char *type, ...);
/* An array of strings from one string a line. */
int rows_lines(sd_bus_message *m, const char *lines);

int rows_message(sd_bus_message *m, const struct message_row *row, bool skip_body);
int rows_conversation(sd_bus_message *m, const struct conversation_row *row);
int rows_contact(sd_bus_message *m, const struct contact_row *row);

int rows_presence(sd_bus_message *m, const char *jid, const char *show, const char *status, int64_t priority);
/* The fields alone, without a struct around them: the arguments of the signal Presence. */
int rows_presence_fields(sd_bus_message *m, const char *jid, const char *show, const char *status, int64_t priority);

/* Bytes of strings in a row: what a reply weighs, since sd-bus does not say. */
size_t rows_message_size(const struct message_row *row);
size_t rows_conversation_size(const struct conversation_row *row);
