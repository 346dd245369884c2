/*
 * Whole reads and writes at an offset.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The file ends before ${len} bytes, or the disk could not read them: damaged, as far as salvage is concerned. */
enum { BYTES_E_SHORT = 1 };

/* Read ${len} bytes at ${at}; what could not be read is zero. 0, BYTES_E_SHORT, -errno. EIO counts as short: a sector
 * that the disk gave up is one more damaged page. */
int bytes_read(int fd, void *buf, size_t len, int64_t at);
int bytes_write(int fd, const void *buf, size_t len, int64_t at);
