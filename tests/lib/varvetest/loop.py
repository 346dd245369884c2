"""One asyncio loop in a thread of its own, so that tests can be written top to bottom without `async`."""

import asyncio
import threading

_loop = None
_lock = threading.Lock()


def loop():
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, daemon=True, name="varvetest-loop").start()
        return _loop


def run(coro, timeout=60):
    """Run a coroutine on the loop and return its result; TimeoutError after `timeout` seconds, and it is cancelled."""
    future = asyncio.run_coroutine_threadsafe(coro, loop())
    try:
        return future.result(timeout)
    except BaseException:
        future.cancel()
        raise


def call(function, *args):
    """Call a plain function on the loop's thread."""
    async def wrap():
        return function(*args)
    return run(wrap(), 10)
