"""A failing disk and a wrong clock for one daemon: the other side of tests/story/storm.c."""

import errno
import os
import struct

from . import daemon

WRITE, SYNC, READ, ACCEPT = range(4)
_AHEAD, _ERROR, _LEFT, _HITS = 0, 8, 24, 40
SIZE = 56
DAY = 86400


def library():
    return os.path.join(daemon.build_dir(), "tests/unit/store/libstorm.so")


class Storm:
    """Above `varved`, which is not started yet."""

    def __init__(self, varved):
        self.path = os.path.join(varved.dir, "storm")
        with open(self.path, "wb") as f:
            f.write(bytes(SIZE))
        self.fd = os.open(self.path, os.O_RDWR)
        env = {"LD_PRELOAD": library(), "STORM": self.path, "STORM_DIR": varved.data}
        varved.extra_env.update(env)
        # The wire keeps nothing of our environment, and has a clock too.
        wire = os.path.join(varved.dir, "wire")
        with open(wire, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + "".join(f"export {k}='{v}'\n" for k, v in env.items()) + f"exec '{daemon.program('varve-wire')}'\n")
        os.chmod(wire, 0o700)
        varved.extra_env["VARVE_WIRE"] = wire

    def _put(self, fmt, at, value):
        os.pwrite(self.fd, struct.pack(fmt, value), at)

    def fail(self, call, error=errno.EIO, times=-1):
        """From now on such calls fail."""
        self._put("=i", _LEFT + 4 * call, times)
        self._put("=i", _ERROR + 4 * call, error)

    def over(self):
        for call in (WRITE, SYNC, READ, ACCEPT):
            self._put("=i", _ERROR + 4 * call, 0)

    def hits(self, call):
        return struct.unpack("=i", os.pread(self.fd, 4, _HITS + 4 * call))[0]

    def ahead(self, seconds):
        """The daemon's clock is ahead of ours by so much; it hears that it was set."""
        self._put("=q", _AHEAD, int(seconds * 1000000))
