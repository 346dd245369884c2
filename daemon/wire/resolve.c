#define _GNU_SOURCE
#include "wire/resolve.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

#define PORT_STARTTLS 5222
#define PORT_DIRECT 5223
#define DNS_ANSWER_MAX 65535 /* bytes; RFC 1035 section 4.2.2 */

/* Pick by weight among the ${n} records of one priority, as RFC 2782 says: those of weight 0 first, then by sum. */
static size_t pick(const struct srv *records, size_t n, uint32_t (*chance)(void *userdata), void *userdata)
{
	uint64_t total = 0, at, sum = 0;

	for (size_t i = 0; i < n; i++)
		total += records[i].weight;
	at = (uint64_t)chance(userdata) * (total + 1) >> 32;
	for (size_t i = 0; i < n; i++)
		if (records[i].weight == 0 && at == 0)
			return i;
	for (size_t i = 0; i < n; i++) {
		sum += records[i].weight;
		if (sum >= at && records[i].weight)
			return i;
	}
	return 0;
}

void srv_merge(struct srv *records, size_t n, uint32_t (*chance)(void *userdata), void *userdata)
{
	/* Insertion keeps equal ones in order, and there are few. */
	for (size_t i = 1; i < n; i++) {
		struct srv s = records[i];
		size_t k = i;

		for (; k > 0 && records[k - 1].priority > s.priority; k--)
			records[k] = records[k - 1];
		records[k] = s;
	}
	for (size_t i = 0; i < n; i++) {
		size_t same = 1, chosen;
		struct srv s;

		while (i + same < n && records[i + same].priority == records[i].priority)
			same++;
		chosen = i + pick(records + i, same, chance, userdata);
		s = records[chosen];
		memmove(records + i + 1, records + i, (chosen - i) * sizeof(s));
		records[i] = s;
	}
}

static uint32_t real_random(_unused_ void *userdata)
{
	uint32_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		abort();
	return n;
}

bool resolve_split(const char *text, char host[256], uint16_t *ret_port)
{
	const char *end, *colon;
	char *stop;
	unsigned long port = 0;
	size_t len;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strrchr(text, ':');
		/* Two colons without brackets: an IPv6 address alone. */
		if (colon && memchr(text, ':', (size_t)(colon - text)))
			colon = NULL;
		end = colon ? colon : text + strlen(text);
	}
	len = (size_t)(end - text);
	if (len == 0 || len > 255)
		return false;
	if (colon) {
		port = strtoul(colon + 1, &stop, 10);
		if (*stop || stop == colon + 1 || port == 0 || port > 65535)
			return false;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	*ret_port = (uint16_t)port;
	return true;
}

void resolve_interleave(struct endpoint *e, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		size_t k = i;
		struct endpoint other;

		while (k < n && e[k].address.ss_family == e[i - 1].address.ss_family)
			k++;
		if (k == n)
			return;
		other = e[k];
		memmove(e + i + 1, e + i, (k - i) * sizeof(*e));
		e[i] = other;
	}
}

/* Append the addresses of one host. Returns getaddrinfo's error. */
static int add_host(const char *host, uint16_t port, bool direct, struct endpoint *ret, size_t *n)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char service[8];
	size_t first = *n;
	int r;

	snprintf(service, sizeof(service), "%u", (unsigned int)port);
	r = getaddrinfo(host, service, &hints, &list);
	/* AI_ADDRCONFIG does not count loopback: a machine with nothing else still reaches itself. */
	if (r == EAI_NONAME || r == EAI_ADDRFAMILY) {
		const struct addrinfo plain = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };

		r = getaddrinfo(host, service, &plain, &list);
	}
	if (r != 0)
		return r;
	for (struct addrinfo *a = list; a && *n < ADDRESSES_MAX; a = a->ai_next) {
		memcpy(&ret[*n].address, a->ai_addr, a->ai_addrlen);
		ret[*n].len = a->ai_addrlen;
		ret[*n].group = (unsigned int)first;
		ret[(*n)++].direct = direct;
	}
	freeaddrinfo(list);
	resolve_interleave(ret + first, *n - first);
	return 0;
}

/* One service's records appended; true if the domain says that it does not offer the service (a single "."). */
static bool add_service(const char *service, const char *domain, bool direct, struct srv *records, size_t *n)
{
	_cleanup_(freep) unsigned char *answer = xcalloc(1, DNS_ANSWER_MAX);
	_cleanup_(freep) char *name = xasprintf("%s.%s", service, domain);
	ns_msg msg;
	ns_rr rr;
	int len = res_query(name, ns_c_in, ns_t_srv, answer, DNS_ANSWER_MAX);

	if (len < 0 || ns_initparse(answer, len < DNS_ANSWER_MAX ? len : DNS_ANSWER_MAX, &msg) < 0)
		return false;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) && *n < SRV_MAX; i++) {
		struct srv *s = &records[*n];

		if (ns_parserr(&msg, ns_s_an, i, &rr) < 0 || ns_rr_type(rr) != ns_t_srv || ns_rr_rdlen(rr) < 7)
			continue;
		s->priority = (uint16_t)ns_get16(ns_rr_rdata(rr));
		s->weight = (uint16_t)ns_get16(ns_rr_rdata(rr) + 2);
		s->port = (uint16_t)ns_get16(ns_rr_rdata(rr) + 4);
		s->direct = direct;
		if (dn_expand(ns_msg_base(msg), ns_msg_end(msg), ns_rr_rdata(rr) + 6, s->host, sizeof(s->host)) < 0)
			continue;
		if (!s->host[0] || strcmp(s->host, ".") == 0)
			return true;
		(*n)++;
	}
	return false;
}

static bool direct_by_port(uint32_t tls, uint16_t port)
{
	return tls == TLS_DIRECT || (tls == TLS_AUTO && port == PORT_DIRECT);
}

static uint16_t default_port(uint32_t tls)
{
	return tls == TLS_DIRECT ? PORT_DIRECT : PORT_STARTTLS;
}

static int fail(char **ret_why, const char *host, int r)
{
	const char *why = r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r);

	if (r == EAI_NONAME || r == EAI_NODATA)
		*ret_why = xasprintf("the name %s does not exist in DNS", host);
	else if (r == EAI_AGAIN)
		*ret_why = xasprintf("DNS does not answer for %s: is the network up?", host);
	else
		*ret_why = xasprintf("DNS failed for %s: %s", host, why);
	return RESOLVE_E_NONE;
}

static int by_srv(const struct link_start *start, const char *domain, struct endpoint *ret, size_t *n, char **ret_why)
{
	struct srv records[SRV_MAX];
	size_t n_srv = 0;
	bool none = false;
	int last = EAI_NONAME;
	const char *host = domain;

	if (start->tls != TLS_STARTTLS)
		none |= add_service("_xmpps-client._tcp", domain, true, records, &n_srv);
	if (start->tls != TLS_DIRECT)
		none |= add_service("_xmpp-client._tcp", domain, false, records, &n_srv);
	if (n_srv == 0 && none) {
		*ret_why = xasprintf("%s says in DNS that it offers no XMPP", domain);
		return RESOLVE_E_NONE;
	}
	srv_merge(records, n_srv, real_random, NULL);
	for (size_t i = 0; i < n_srv; i++) {
		host = records[i].host;
		last = add_host(host, records[i].port, records[i].direct, ret, n);
	}
	/* RFC 6120 section 3.2.2: without SRV the domain itself. */
	if (n_srv == 0)
		last = add_host(domain, default_port(start->tls), start->tls == TLS_DIRECT, ret, n);
	return *n > 0 ? 0 : fail(ret_why, host, last);
}

int resolve(const struct link_start *start, const char *domain, struct endpoint ret[ADDRESSES_MAX], size_t *ret_n,
	    char **ret_why)
{
	char host[256];
	uint16_t port;
	int r;

	*ret_n = 0;
	*ret_why = NULL;
	if (*start->sm_id && *start->sm_location && resolve_split(start->sm_location, host, &port)) {
		if (!port)
			port = default_port(start->tls);
		r = add_host(host, port, direct_by_port(start->tls, port), ret, ret_n);
		if (r != 0)
			log_debug("resume location does not resolve: %s", gai_strerror(r));
	}
	if (!*start->host)
		return by_srv(start, domain, ret, ret_n, ret_why);
	port = start->port ? (uint16_t)start->port : default_port(start->tls);
	r = add_host(start->host, port, direct_by_port(start->tls, port), ret, ret_n);
	return *ret_n > 0 ? 0 : fail(ret_why, start->host, r);
}

char *endpoint_name(const struct endpoint *e, char *buf)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (e->address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)&e->address;

		inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
		snprintf(buf, 64, "[%s]:%u", host, (unsigned int)ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)&e->address;

		inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
		snprintf(buf, 64, "%s:%u", host, (unsigned int)ntohs(a->sin_port));
	}
	return buf;
}

char *endpoint_text(const struct endpoint *e, char *buf)
{
	buf[0] = e->direct ? 'd' : 's';
	endpoint_name(e, buf + 1);
	return buf;
}

bool endpoint_parse(const char *text, struct endpoint *ret)
{
	struct endpoint e = { .direct = text[0] == 'd' };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	char host[256];
	uint16_t port;

	if ((text[0] != 'd' && text[0] != 's') || !resolve_split(text + 1, host, &port) || !port)
		return false;
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		v4.sin_port = htons(port);
		memcpy(&e.address, &v4, sizeof(v4));
		e.len = sizeof(v4);
	} else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		v6.sin6_port = htons(port);
		memcpy(&e.address, &v6, sizeof(v6));
		e.len = sizeof(v6);
	} else {
		return false;
	}
	*ret = e;
	return true;
}
