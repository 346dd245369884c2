/*
 * One wire process: spawned with one end of a socketpair as fd 3, spoken to over the link, killed without mercy.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/mem.h"
#include "link/vocab.h"

struct peer;

/* varve-wire. */
struct peer_program {
	char *path; /* owned */
	int fd;	    /* owned; -1: by its path */
};

typedef void (*peer_record_fn)(void *userdata, const struct link_record *r);
/* The wire is gone, however; called once. peer_free() is allowed and needed. */
typedef void (*peer_gone_fn)(void *userdata, const char *why);

/* Start ${wire}. 0 or -errno. */
int peer_new(sd_event *event, const struct peer_program *wire, peer_record_fn on_record, peer_gone_fn on_gone, void *userdata,
	     struct peer **ret);
/* SIGKILL, forget; the child is reaped in the background. NULL is fine. No callback follows. */
struct peer *peer_free(struct peer *p);
DEFINE_CLEANUP(struct peer *, peer_free);

/* From here on its records and its end are told there. */
void peer_aim(struct peer *p, peer_record_fn on_record, peer_gone_fn on_gone);

/* As link_send(); -ENOTCONN once the wire is gone. */
int peer_send(struct peer *p, const struct link_record *r);
/*
 * Wait until the wire has gone by itself, up to ${timeout_us}: for a clean stop at exit. Records may be handled inside,
 * and the peer may be freed by them: do not touch it afterwards but through what they left.
 */
void peer_drain(struct peer *p, int64_t timeout_us);

/*
 * Where varve-wire is: $VARVE_WIRE, else beside the running program, else the libexec directory. But for the first it is opened
 * here: an upgrade puts another one there, which need not understand a varved that still runs.
 */
void peer_find_wire(struct peer_program *ret);
void peer_forget_wire(struct peer_program *wire);
