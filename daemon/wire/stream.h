/*
 * One XMPP stream from START to its end: resolve, connect, secure, log in, resume or bind, settle, then carry stanzas
 * until something ends it. Nothing is repaired in here: the keeper starts another wire.
 *
 *   RESOLVE > CONNECT > TLS > FEATURES > AUTH > RESTARTED > RESUME > READY          direct TLS, resumed
 *             CONNECT > FEATURES > STARTTLS > TLS > ...                             STARTTLS
 *                                     ... RESTARTED > BIND > ENABLE > SETTLE > READY  a new session
 *                                     ... RESUME > BIND                             <failed/>: the old one is gone
 *                       TLS > HELD > FEATURES ...                                 a second wire, until RESUME
 *   any > STOPPED, FAILED                                                           the process ends
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "link/link.h"

struct stream;

/*
 * Begin as ${start} says, which is copied. Blocks for DNS. ${link} stays the caller's. The end of the stream ends
 * ${event}, after FAILED was written. 0 or -errno.
 */
int stream_new(sd_event *event, struct link *link, const struct link_start *start, struct stream **ret);
struct stream *stream_free(struct stream *s);
DEFINE_CLEANUP(struct stream *, stream_free);

/* It ended by itself, with a FAILED that the keeper should read; not by STOP. */
bool stream_has_failed(const struct stream *s);

/* A record from the keeper other than START. */
void stream_record(struct stream *s, const struct link_record *r);
