/*
 * The signals Typing and Presence: made once, sent to each connection that wants them.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

struct presence_row;

/* One piece of news on its way to many connections; all zero but the account at first. */
struct ephemeral {
	int64_t account;
	sd_bus_message *signal; /* made with the first connection; sd-bus shares a sealed message */
};
void ephemeral_deinit(struct ephemeral *e);

/* What cannot be sent is lost, as the contract has it. */
void ephemeral_typing(struct ephemeral *e, sd_bus *bus, const char *conversation, const char *sender, uint32_t chat_state);
void ephemeral_presence(struct ephemeral *e, sd_bus *bus, const struct presence_row *row);
