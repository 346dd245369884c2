/*
 * A message of an export as text: a line of JSON with the keys that scripts know from varvectl, or lines for people.
 */
#pragma once

#include "base/buf.h"
#include "store/read.h"

/* One JSON object (RFC 8259) and a newline; the keys of "varvectl history -j". */
void export_json(struct buf *b, const struct message_row *row);
/* "2026-03-01T14:02:11Z  bob@example.org  <bob@example.org> text"; further lines of a body are indented. */
void export_text(struct buf *b, const struct message_row *row);
