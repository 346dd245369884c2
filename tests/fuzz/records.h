/*
 * What no record from the wire may ever break, whatever came in.
 */
#pragma once

#include "link/link.h"

/* Every text of ${r} is within its limit in link/vocab.h, and fit for D-Bus; else abort(). */
void must_fit(const struct link_record *r);
