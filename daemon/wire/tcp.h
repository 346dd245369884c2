/* What is set and asked of a connected TCP socket, apart from its bytes. Nothing is kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small writes leave at once; what the other end does not acknowledge for TCP_USER_TIMEOUT_MS (limits.h) breaks it. */
void tcp_set_up(int fd);
/* Acknowledge what was read now, and not with the next write. Lasts for this once. */
void tcp_acknowledge(int fd);
/* Our end's address is still one of this machine's; true when that cannot be said. */
bool tcp_has_address(int fd);
/*
 * Bytes written that the other end has not acknowledged, and when it last acknowledged anything, CLOCK_BOOTTIME.
 * False, and nothing is written, where the kernel does not say.
 */
bool tcp_under_way(int fd, size_t *ret_unacked, int64_t *ret_acked_us);
/* The error of a connect that has nothing to do with the server: this machine has no way there. */
bool tcp_is_unreachable(int error);
