/*
 * A first look at a PEM text, so that a wrong file is refused when it is given and not at the next connect. The
 * keeper parses no certificates: whether they are any good is for varve-wire, whose OpenSSL reads them.
 */
#pragma once

#include <stdbool.h>

/* ${text} has at least one block BEGIN CERTIFICATE whose base64 decodes to one whole DER SEQUENCE (RFC 7468 section 5),
 * and all such blocks do. Else *ret_why is a static phrase. */
bool pem_check(const char *text, const char **ret_why);
