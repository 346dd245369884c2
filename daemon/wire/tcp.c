#define _GNU_SOURCE
#include "wire/tcp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/limits.h"

void tcp_set_up(int fd)
{
	unsigned int timeout_ms = TCP_USER_TIMEOUT_MS;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

void tcp_acknowledge(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

bool tcp_has_address(int fd)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);
	bool has;
	int probe;

	if (getsockname(fd, (struct sockaddr *)(void *)&own, &len) < 0)
		return true;
	if (own.ss_family == AF_INET)
		((struct sockaddr_in *)(void *)&own)->sin_port = 0;
	else if (own.ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&own)->sin6_port = 0;
	else
		return true;
	probe = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return true;
	has = bind(probe, (const struct sockaddr *)(const void *)&own, len) == 0 || errno != EADDRNOTAVAIL;
	close(probe);
	return has;
}

bool tcp_under_way(int fd, size_t *ret_unacked, int64_t *ret_acked_us)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int unacked = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || ioctl(fd, SIOCOUTQ, &unacked) < 0)
		return false;
	*ret_unacked = (size_t)unacked;
	*ret_acked_us = clock_boot_us() - (int64_t)info.tcpi_last_ack_recv * USEC_PER_MSEC;
	return true;
}

bool tcp_is_unreachable(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == EADDRNOTAVAIL ||
	       error == EAFNOSUPPORT;
}
