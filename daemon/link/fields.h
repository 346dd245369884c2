/*
 * The fields of a record, in and out of an sd-bus message or of bytes: the one place that reads the table of link/vocab.h. Private
 * to link/.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/buf.h"
#include "link/link.h"

/* What ${side} reads under ${name}; LINK_KINDS: nothing. */
enum link_kind fields_kind(enum link_side side, const char *name);
/* All fields of ret->kind, from where ${m} stands. 0 or -errno; strings belong to ${m}. */
int fields_read(sd_bus_message *m, struct link_record *ret);
/* The other way round. >= 0 or sd-bus's -errno; then ${m} is of no use any more. */
int fields_write(sd_bus_message *m, const struct link_record *r);
/*
 * The same without sd-bus (decisions/0030): behind what ${b} holds. 0, or -EMSGSIZE, -EBADMSG for a record that breaks a limit:
 * then ${b} is as it was.
 */
int fields_pack(struct buf *b, const struct link_record *r);
/*
 * All fields of ret->kind from *p on, which is then behind them. Whoever wrote them may be hostile: nothing is read from ${end}
 * on, and what a record may not be is -errno. Strings belong to the bytes.
 */
int fields_unpack(const char **p, const char *end, struct link_record *ret);
