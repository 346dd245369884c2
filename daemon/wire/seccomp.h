/*
 * The system calls that a wire may make: those of sockets, timers and memory, and reading files. Whoever takes it over
 * through a parser can start nothing, write to no file, trace and signal no other process, and meets a small part of
 * the kernel (seccomp(2)). A filter by hand: libseccomp would be a dependency for 100 lines.
 */
#pragma once

/* SECCOMP_E_MISSING: this kernel or this machine's kind has none that we know: nothing was taken away. */
enum { SECCOMP_E_MISSING = 1 };
/* After PR_SET_NO_NEW_PRIVS; cannot be undone. 0, SECCOMP_E_MISSING or -errno. */
int seccomp_enter(void);
