/*
 * The fields of a record, in and out of an sd-bus message: the one place that reads the table of link/vocab.h. Private
 * to link/.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "link/link.h"

/* What ${side} reads under ${name}; LINK_KINDS: nothing. */
enum link_kind fields_kind(enum link_side side, const char *name);
/* All fields of ret->kind, from where ${m} stands. 0 or -errno; strings belong to ${m}. */
int fields_read(sd_bus_message *m, struct link_record *ret);
/* The other way round. >= 0 or sd-bus's -errno; then ${m} is of no use any more. */
int fields_write(sd_bus_message *m, const struct link_record *r);
/* Will fields_write() take it? 0 with what its strings take in *ret_bytes, -EMSGSIZE, -EBADMSG. */
int fields_check(const struct link_record *r, size_t *ret_bytes);
