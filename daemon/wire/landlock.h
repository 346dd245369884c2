/*
 * What of the file system a wire can see: what TLS, DNS and libc need, for reading, and nothing of the user's. So
 * whoever takes it over through a parser cannot read the archive, its key file or anything in $HOME, and can start no
 * other program. Landlock (Linux 5.13, landlock(7)), through the bare system calls: Debian 12 has no library for it.
 */
#pragma once

/* LANDLOCK_E_MISSING: this kernel has no Landlock, or it is switched off: nothing was taken away. */
enum { LANDLOCK_E_MISSING = 1 };
/* After PR_SET_NO_NEW_PRIVS; cannot be undone. 0, LANDLOCK_E_MISSING or -errno. */
int landlock_enter(void);
