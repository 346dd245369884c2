/* The rest of the stand-in: sync/keyring.h. One call is at work at a time, and ends when the test says so. */
#pragma once

#include <stdbool.h>

/* Whatever keyring call is at work ends so; false if there is none. */
bool hub_double_finish(int r, const char *why);
