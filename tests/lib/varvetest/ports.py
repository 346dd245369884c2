"""
Free loopback ports. VARVE_TEST_PORTS=LOW-HIGH confines them; else a range that Linux hands to nobody. One is taken until its process
ends, some two a story: all stories together need more than a thousand.
"""

import errno
import fcntl
import os
import socket
import tempfile

_held = []      # lock files, so that two test processes at once never take the same port
_next = None


def _range():
    low, high = os.environ.get("VARVE_TEST_PORTS", "20000-29999").split("-")
    return int(low), int(high)


def _claim(port):
    path = os.path.join(tempfile.gettempdir(), f".varvetest-port-{os.getuid()}-{port}")
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return False
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError as e:
            os.close(fd)
            if e.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    _held.append(fd)
    return True


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, ours until this process ends."""
    global _next
    low, high = _range()
    if _next is None:
        _next = low + os.getpid() * 37 % (high - low + 1)
    for _ in range(high - low + 1):
        port, _next = _next, _next + 1 if _next < high else low
        if _claim(port):
            return port
    raise RuntimeError(f"no free port in {low}-{high}")
