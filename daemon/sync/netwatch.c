#include "sync/netwatch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"

#define CALM_US (INT64_C(250) * 1000)	/* one change of network is a burst of messages */
#define FLAP_MAX_US (INT64_C(8) * 1000000)
#define FLAP_AGE_US (INT64_C(10) * 1000000) /* a change this long after the last one is no flapping */
#define BUFFER_SIZE (32 * 1024)		/* bytes; the kernel never sends more in a datagram */

struct netwatch {
	netwatch_fn fn;
	void *userdata;
	int fd;
	sd_event_source *io, *timer;
	bool known, route; /* what was reported last */
	uint64_t print;	   /* of all routes, in any order */
	int64_t wait_us, told_us;
	bool waiting; /* the timer runs */
	/* The list of all routes that is being read; 0 = none. */
	uint32_t seq, reading;
	bool stale; /* something changed meanwhile */
	bool new_route;
	uint64_t new_print;
};

/* What makes a route this route: not its metrics, not what a cache of the kernel adds. */
static void take_route(struct netwatch *w, struct nlmsghdr *m)
{
	struct rtmsg *r = NLMSG_DATA(m);
	struct rtattr *a = RTM_RTA(r);
	int left = (int)RTM_PAYLOAD(m);
	uint64_t h = HASH_BEGIN;
	uint32_t oif = 0;
	bool link_local = false;

	if (r->rtm_flags & RTM_F_CLONED || (r->rtm_type != RTN_UNICAST && r->rtm_type != RTN_LOCAL))
		return;
	h = hash_bytes(h, &r->rtm_family, sizeof(r->rtm_family));
	h = hash_bytes(h, &r->rtm_dst_len, sizeof(r->rtm_dst_len));
	h = hash_bytes(h, &r->rtm_type, sizeof(r->rtm_type));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) == sizeof(oif))
			memcpy(&oif, RTA_DATA(a), sizeof(oif));
		if (a->rta_type == RTA_DST || a->rta_type == RTA_GATEWAY || a->rta_type == RTA_PREFSRC ||
		    a->rta_type == RTA_OIF) {
			/* fe80::/10 leads to the next cable's end only. */
			link_local |= a->rta_type == RTA_DST && r->rtm_family == AF_INET6 && RTA_PAYLOAD(a) == 16 &&
				      memcmp(RTA_DATA(a), "\xfe\x80", 2) == 0;
			h = hash_bytes(hash_bytes(h, &a->rta_type, sizeof(a->rta_type)), RTA_DATA(a), RTA_PAYLOAD(a));
		}
	}
	/*
	 * The loopback interface is number 1 in every network namespace, and leads nowhere. Each container and virtual machine
	 * brings a cable with link-local addresses, and nobody is another network for that.
	 */
	if (oif <= 1 || link_local)
		return;
	w->new_print += h;
	if (r->rtm_type == RTN_UNICAST && r->rtm_table != RT_TABLE_LOCAL &&
	    !(r->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)))
		w->new_route = true;
}

static int ask_routes(struct netwatch *w)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
	} q = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_GETROUTE,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = ++w->seq },
		.route = { .rtm_family = AF_UNSPEC },
	};

	if (send(w->fd, &q, q.head.nlmsg_len, 0) < 0)
		return err_origin(-errno);
	w->reading = w->seq;
	w->stale = false;
	w->new_print = 0;
	w->new_route = false;
	return 0;
}

static int on_timer(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	struct netwatch *w = userdata;

	w->waiting = false;
	if (ask_routes(w) < 0)
		log_debug("network: routes cannot be asked for");
	return 0;
}

static void look_soon(struct netwatch *w)
{
	int64_t now = clock_boot_us();

	if (w->reading)
		w->stale = true;
	if (w->waiting || w->reading)
		return;
	w->waiting = true;
	if (now - w->told_us > FLAP_AGE_US)
		w->wait_us = CALM_US;
	sd_event_source_set_time(w->timer, (uint64_t)(now + w->wait_us));
	sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void routes_read(struct netwatch *w)
{
	bool changed = w->new_print != w->print || w->new_route != w->route, first = !w->known;

	w->reading = 0;
	w->known = true;
	w->print = w->new_print;
	w->route = w->new_route;
	if (first ? !w->route : changed) {
		w->told_us = clock_boot_us();
		w->wait_us = w->wait_us * 2 < FLAP_MAX_US ? w->wait_us * 2 : FLAP_MAX_US;
		log_info("network: changed%s", w->route ? "" : ", no route is left");
	}
	if (first || changed)
		w->fn(w->userdata, w->route, first);
	if (w->stale)
		look_soon(w);
}

static void take_message(struct netwatch *w, struct nlmsghdr *m)
{
	bool listed = w->reading && m->nlmsg_seq == w->reading && m->nlmsg_flags & NLM_F_MULTI;

	switch (m->nlmsg_type) {
	case NLMSG_DONE:
		if (listed)
			routes_read(w);
		break;
	case NLMSG_ERROR:
		w->reading = 0;
		break;
	case RTM_NEWROUTE:
		if (listed && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)))
			take_route(w, m);
		else if (!listed)
			look_soon(w);
		break;
	case RTM_DELROUTE:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		look_soon(w);
		break;
	}
}

static int on_io(_unused_ sd_event_source *s, int fd, _unused_ uint32_t events, void *userdata)
{
	_Alignas(struct nlmsghdr) char buf[BUFFER_SIZE];
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	struct netwatch *w = userdata;
	ssize_t n;
	int left;

	n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	if (n < 0) {
		/* ENOBUFS: more changed than fitted into the queue. */
		if (errno != EAGAIN && errno != EINTR) {
			w->reading = 0;
			look_soon(w);
		}
		return 0;
	}
	/* Other processes may write to us (netlink(7)); only the kernel is believed. */
	if (from.nl_pid != 0)
		return 0;
	left = (int)n;
	for (struct nlmsghdr *m = (void *)buf; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left))
		take_message(w, m);
	return 0;
}

int netwatch_new(sd_event *event, netwatch_fn fn, void *userdata, struct netwatch **ret)
{
	_cleanup_(netwatch_freep) struct netwatch *w = xnew(struct netwatch);
	const struct sockaddr_nl at = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int r;

	w->fn = fn;
	w->userdata = userdata;
	w->wait_us = CALM_US;
	w->told_us = -FLAP_AGE_US;
	w->route = true;
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd < 0 || bind(w->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_origin(-errno);
	r = sd_event_add_io(event, &w->io, w->fd, EPOLLIN, on_io, w);
	if (r >= 0)
		r = sd_event_add_time(event, &w->timer, CLOCK_BOOTTIME, 0, 0, on_timer, w);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
	r = ask_routes(w);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(w);
	return 0;
}

struct netwatch *netwatch_free(struct netwatch *w)
{
	if (!w)
		return NULL;
	sd_event_source_disable_unref(w->io);
	sd_event_source_disable_unref(w->timer);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	return NULL;
}

bool netwatch_has_route(const struct netwatch *w)
{
	return w->route;
}

bool netwatch_is_known(const struct netwatch *w)
{
	return w->known;
}

uint64_t netwatch_print(const struct netwatch *w)
{
	return w->known ? w->print : 0;
}
