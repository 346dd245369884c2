/*
 * What printer and parser of the sidecar share. Private to sidecar*.c.
 */
#pragma once

#include "vault/sidecar.h"

enum { SIDECAR_CHECK = 16 };

#define SIDECAR_TITLE "varve archive keys, format "
#define SIDECAR_COMMENT "# Without this file nobody can read the archive beside it. Keep a copy of both; do not edit.\n"
#define SIDECAR_ALG "xchacha20-poly1305"

/* The whole text with the MAC that s->mac has. The caller frees. */
char *sidecar_text(const struct sidecar *s);
void sidecar_check_of(const void *text, size_t len, uint8_t ret[SIDECAR_CHECK]);
