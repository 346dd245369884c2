/*
 * The listening sockets: those that systemd hands over, or our own below the runtime directory.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "bus/roles.h"

#define LISTENERS_MAX 3

struct listener {
	int fd;
	enum role role; /* what a connection to it may do at most */
	bool others;	/* processes of other users may connect: whom its mode lets in */
	char *path;	/* owned; NULL when it is systemd's */
	dev_t dev;	/* of the path, so that only our own is removed */
	ino_t ino;
};

struct listeners {
	struct listener of[LISTENERS_MAX];
	size_t n;
};

enum { LISTEN_E_BUSY = 1, LISTEN_E_UNUSABLE };

/*
 * Sockets named "full", "readonly" and "status" by sd_listen_fds_with_names(3), at most one of each; if there is none
 * of them, ${dir}/bus and ${dir}/bus-ro (directory made if missing, 0700; sockets 0600). A socket that is there is
 * replaced only when nobody answers on it. LISTEN_E_BUSY: somebody does; LISTEN_E_UNUSABLE: the directory or path;
 * *ret_why is then a sentence with the next step, for the caller to free.
 */
int listeners_open(struct listeners *l, const char *dir, char **ret_why);
/* The path of the socket that serves everything, "" if there is none or it has no name; the caller frees. */
char *listeners_path(const struct listeners *l);
/* Close and remove what we made. */
void listeners_close(struct listeners *l);
