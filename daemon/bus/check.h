/*
 * What clients say, checked before it goes anywhere: 0, or negative with ${error} set (InvalidArgs, unless said
 * otherwise). What they say ends up in stanzas: XML 1.0 section 2.2 has no control characters but tab, newline and
 * carriage return, and the last one would come back as a newline (section 2.11).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct store;

/* Not longer than ${max} bytes, no control characters; with ${lines} tab and newline may be there. */
int check_text(const char *what, const char *s, size_t max, bool lines, sd_bus_error *error);
/* As OUTBOX_CLIENT_ID_MAX and Archive.Send have it; ${optional}: "" is fine. */
int check_client_id(const char *id, bool optional, sd_bus_error *error);
/* A bare JID: of a person, or of a server. *ret (caller frees) is folded. */
int check_bare_jid(const char *jid, char **ret, sd_bus_error *error);
/* NoSuchConversation, or what the store says. */
int check_conversation(struct store *s, int64_t account, const char *id, sd_bus_error *error);
/* Ids are positive: what is beyond INT64_MAX is NotFound. */
int check_message_id(uint64_t id, sd_bus_error *error);
