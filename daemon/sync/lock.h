/*
 * One daemon per data directory: an flock()ed file that names its holder.
 */
#pragma once

#include <sys/types.h>

enum { LOCK_E_HELD = 1 };

/*
 * Lock ${dir}/lock (made if missing) and write our pid into it. *ret_fd keeps the lock until closed.
 * LOCK_E_HELD: another process has it; *ret_pid is its pid, 0 if it could not be read.
 */
int lock_take(const char *dir, int *ret_fd, pid_t *ret_pid);
