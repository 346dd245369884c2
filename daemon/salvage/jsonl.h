/*
 * A message as one line of JSON (RFC 8259), with the names that varvectl export --json uses.
 */
#pragma once

#include <stdio.h>

#include "salvage/carve.h"

void jsonl_put(FILE *f, const struct carved *m);
