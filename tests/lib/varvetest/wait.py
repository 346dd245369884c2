"""Waiting for a condition with a deadline; the only way in which a test may wait."""

import time


class Timeout(AssertionError):
    pass


def wait_for(condition, timeout=20, what=None, interval=0.03):
    """Poll `condition` until it returns something true, which is returned. `what` names it in the failure."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            name = what() if callable(what) else what
            raise Timeout(f"not within {timeout} s: {name or getattr(condition, '__name__', condition)}")
        time.sleep(interval)


def holds(condition, seconds, what=None):
    """The opposite: `condition` must be true now and stay true for so long. For things that must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = what() if callable(what) else what
        assert condition(), f"did not stay so for {seconds} s: {name or condition}"
        time.sleep(0.03)
