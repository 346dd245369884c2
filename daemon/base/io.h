/*
 * The few things that read(2), write(2) and mkdir(2) leave to their callers: going on after an interruption or a short
 * count, parents that are missing, and the directory that must be synced too before a name is durable.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Read until ${size} bytes are there or the file ends: how many, or -errno. Not traced: callers word it. */
ssize_t io_read(int fd, void *data, size_t size);
/* Write all of it: 0 or -errno. Not traced. A write of nothing without an error is -ENOSPC. */
int io_write(int fd, const void *data, size_t len);
/* fsync of the directory that ${path} is in: its name is durable then. 0 or -errno. */
int io_sync_parent(const char *path);
/*
 * The directory ${path} and what is missing above it, mode 0700: 1 if its last part was made, 0 if it was there
 * (something was: not necessarily a directory), -errno. Nothing is synced.
 */
int io_make_dirs(const char *path);
