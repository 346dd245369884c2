/*
 * The settings of an account as the bus spells them: options of AddAccount, changes of Configure, GetConfig.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "store/account.h"

/* Strings of ${a} become copies, so that account_deinit() frees them. NULL strings become "". */
void settings_copy(struct account *dst, const struct account *src);
/* Wipes the password too. */
void settings_deinit(struct account *a);

/*
 * Read the dictionary at the current position of ${m} into ${a}, whose strings are replaced. ${with_password}: the
 * key "password" is known too. 0, or negative with ${error} set to a sentence that names what is malformed and how
 * it should look.
 */
int settings_read(sd_bus_message *m, struct account *a, bool with_password, sd_bus_error *error);
/* A password that can be stored: UTF-8 without control characters (RFC 8265 section 4.2.2), not too long. */
int settings_check_password(const char *password, sd_bus_error *error);
/* Append all settings but the password as a{sv}. */
int settings_append(sd_bus_message *m, const struct account *a);
