"""Child processes that never outlive the test: own process group, PR_SET_PDEATHSIG, killed at exit."""

import atexit
import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_children = set()


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(argv, log=None, stdin=subprocess.DEVNULL, **kwargs):
    """Start argv in its own session, stdout and stderr appended to the file `log`."""
    out = open(log, "ab") if log else subprocess.DEVNULL
    try:
        child = subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True, preexec_fn=_die_with_parent, **kwargs)
    finally:
        if log:
            out.close()
    _children.add(child)
    return child


def reap(child, sig=signal.SIGTERM, timeout=10):
    """Signal the child itself, wait, then SIGKILL what is left of its process group. Returns its exit status."""
    if child is None:
        return None
    if child.poll() is None:
        try:
            child.send_signal(sig)
        except ProcessLookupError:
            pass
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()
    _children.discard(child)
    return child.returncode


@atexit.register
def reap_all():
    for child in list(_children):
        reap(child, signal.SIGKILL)
