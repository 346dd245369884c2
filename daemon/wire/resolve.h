/*
 * Where to connect: SRV records (RFC 6120 section 3.2.1, XEP-0368), then addresses. Blocks: a wire does nothing else
 * meanwhile, and the keeper kills it when its deadline passes.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "link/vocab.h"
#include "wire/limits.h"

struct srv {
	char host[256];
	uint16_t port;
	uint16_t priority;
	uint16_t weight;
	bool direct; /* from _xmpps-client: TLS from the first byte */
};

struct endpoint {
	struct sockaddr_storage address;
	socklen_t len;
	bool direct;
	unsigned int group; /* addresses of one host and port have the same */
};

/* resolve(): why there is nothing to connect to. *ret_why is a sentence. */
#define RESOLVE_E_NONE 1

/*
 * Order both services' records as one set (XEP-0368 section 5): by priority, within it by weighted chance (RFC 2782).
 * ${chance} gives numbers from 0 to 2^32-1. In place. Pure.
 */
void srv_merge(struct srv *records, size_t n, uint32_t (*chance)(void *userdata), void *userdata);

/* ${text} is "host", "host:port", "[v6]" or "[v6]:port" (XEP-0198 location). ${port} 0 when absent. False if not. */
bool resolve_split(const char *text, char host[256], uint16_t *ret_port);

/*
 * The addresses to try, in order: START's sm_location first when there is one, then its host and port, or what DNS says
 * of ${domain}. Up to ADDRESSES_MAX. 0, or RESOLVE_E_NONE with *ret_why, which the caller frees.
 */
int resolve(const struct link_start *start, const char *domain, struct endpoint ret[ADDRESSES_MAX], size_t *ret_n,
	    char **ret_why);
/* In one host's addresses, take turns between the families, beginning with the first's (RFC 8305 section 4). Pure. */
void resolve_interleave(struct endpoint *e, size_t n);

/* An address to remember: "d203.0.113.9:5223", with s for STARTTLS. ${buf} has 65 bytes; returns it. */
char *endpoint_text(const struct endpoint *e, char *buf);
/* False if ${text} is none. */
bool endpoint_parse(const char *text, struct endpoint *ret);
/* "203.0.113.9:5223", "[2001:db8::1]:5222". ${buf} has 64 bytes; returns it. */
char *endpoint_name(const struct endpoint *e, char *buf);
