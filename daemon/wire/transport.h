/*
 * Bytes to and from the server: TCP to the first address that answers (wire/race.h), then TLS when told, without ever
 * blocking. Everything ends in one gone(), after which nothing is called any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "link/vocab.h"
#include "wire/resolve.h"

struct transport;

/* The transport must not be freed from inside any of these. */
struct transport_ops {
	void (*connecting)(void *userdata); /* the next address is tried */
	void (*more)(void *userdata);	    /* no address is left, or answers soon: transport_connect() with all others */
	void (*connected)(void *userdata, const struct endpoint *e); /* TCP is up */
	void (*secured)(void *userdata); /* TLS is up and the server is who it should be */
	void (*ticket)(void *userdata, const char *ticket); /* as tls_on_ticket() */
	void (*received)(void *userdata, const char *data, size_t len);
	/* ${condition} and ${text} die when it returns. */
	void (*gone)(void *userdata, enum link_failure failure, const char *condition, const char *text);
};

/* ${ops} is static. 0 or -errno. */
int transport_new(sd_event *event, const struct transport_ops *ops, void *userdata, struct transport **ret);
/* Closes without a word to the server. */
struct transport *transport_free(struct transport *t);
DEFINE_CLEANUP(struct transport *, transport_free);

/* Try ${n} addresses, besides earlier ones. ${complete}: more() need not be called. */
void transport_connect(struct transport *t, const struct endpoint *endpoints, size_t n, bool complete);
/*
 * Begin TLS; what was read and not handed out is gone. Arguments as of tls_new() and tls_use_ticket(). 0, TLS_E_CA (nothing happens),
 * -errno.
 */
int transport_secure(struct transport *t, const char *domain, const char *ca_pem, const char *ticket,
		     bool direct);
bool transport_is_secure(const struct transport *t);

/* As tls_binding(); 0 without TLS. */
size_t transport_binding(const struct transport *t, unsigned int type, unsigned char *ret);

/* Queue bytes; those of one turn of the event loop leave together. */
void transport_write(struct transport *t, const char *data, size_t len);
/* Our end's address is still one of this machine's; true when that cannot be said. */
bool transport_has_address(const struct transport *t);
/* Bytes queued and not written. */
size_t transport_queued(const struct transport *t);
/*
 * Bytes queued or written that the other end's TCP has not acknowledged, and when it last acknowledged anything,
 * CLOCK_BOOTTIME, 0 unknown.
 */
size_t transport_under_way(const struct transport *t, int64_t *ret_acked_us);
/* Stop or go on reading the network. */
void transport_pause(struct transport *t, bool pause);
/*
 * While set, acknowledge each read at once: Prosody writes without TCP_NODELAY and waits for a delayed ACK, 40 ms a
 * page (measured on loopback: 910 messages/s without, 5,600 with).
 */
void transport_set_quickack(struct transport *t, bool quick);
/* Writes after having waited for the server, TCP's SYN and TLS included. */
unsigned int transport_flights(const struct transport *t);
/* A round trip of the TLS handshake, in us: to the server itself and back, whoever answers TCP's SYN. 0: there was none. */
uint32_t transport_round_trip_us(const struct transport *t);
/*
 * Last words: write what is queued, close our direction, wait until the server closes its own. Blocks for
 * ${timeout_us} at most. Without the wait unread input would make TCP reset, and the server lose our last bytes.
 */
void transport_finish(struct transport *t, int64_t timeout_us);
