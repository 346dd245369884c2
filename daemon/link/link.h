/*
 * One end of the socketpair between keeper and wire: records of link/vocab.h as sd-bus messages. Framing,
 * marshalling and disconnects are libsystemd's; limits and the vocabulary are ours.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/mem.h"
#include "link/vocab.h"

struct link;

enum link_side { LINK_KEEPER, LINK_WIRE };

/* A record arrived. Strings in ${r} die when it returns. link_free() may be called from inside. */
typedef void (*link_record_fn)(void *userdata, const struct link_record *r);
/* The other side is gone or broke the vocabulary (${why}, static). Called once, last; link_free() allowed. */
typedef void (*link_gone_fn)(void *userdata, const char *why);

/*
 * Take over ${fd} (owned from here on, also on failure) and speak on ${event}. 0 or -errno.
 */
int link_new(sd_event *event, int fd, enum link_side side, link_record_fn on_record, link_gone_fn on_gone,
	     void *userdata, struct link **ret);
/* Closes the socket; NULL is fine. */
struct link *link_free(struct link *l);
DEFINE_CLEANUP(struct link *, link_free);

/*
 * Queue one record. Strings over their limit or not UTF-8, and times beyond LINK_I64_MAX, are an error of the caller:
 * -EMSGSIZE, -EBADMSG, nothing is sent. Never blocks. -ENOTCONN after the end. MSGs leave together with the next turn
 * of the event loop, or before the next record of another kind: the order stays.
 */
int link_send(struct link *l, const struct link_record *r);
/* How many records may be queued and not yet written, no less than there are: the wire stops reading while it is high. */
size_t link_queued(struct link *l);
/*
 * Write out what is queued, blocking up to ${timeout_us}. For last words before an exit. Callbacks may run inside;
 * -ENOTCONN: one of them freed the link, it is gone.
 */
int link_flush(struct link *l, int64_t timeout_us);

/* "MSG", "FIN" ... for logs. */
const char *link_kind_name(enum link_kind kind);
/* A record of this kind with all strings "" and all numbers 0. */
void link_record_init(struct link_record *r, enum link_kind kind);
