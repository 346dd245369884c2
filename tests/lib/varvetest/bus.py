"""GetStatus over the socket itself, with dbus-python: how long the daemon lets a client wait."""

import threading
import time

import dbus
import dbus.connection

PATH = "/org/varve/Varve1"
MANAGER = "org.varve.Varve1.Manager"
NAME = "org.varve.Varve1"


class Bus:
    def __init__(self, varved):
        self.connection = dbus.connection.Connection(f"unix:path={varved.socket}")
        # libdbus authenticates with the first call, and who has not after 10 s is closed.
        self.status()

    def call(self, interface, method, signature="", args=(), path=PATH, timeout=20):
        return self.connection.call_blocking(NAME, path, interface, method, signature, args, timeout=timeout)

    def status(self):
        return self.call(MANAGER, "GetStatus", "a{sv}", ({},))

    def close(self):
        self.connection.close()


class Told:
    """What PropertiesChanged says of an interface while the body of the `with` runs: called, it is the newest of each; .all is
    each (name, value) in order."""

    def __init__(self, varved, interface, path=PATH):
        from gi.repository import Gio, GLib
        self.context = GLib.MainContext.default()
        self.all = []
        self.connection = Gio.DBusConnection.new_for_address_sync(f"unix:path={varved.socket}",
                                                                  Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)
        self.connection.signal_subscribe(None, "org.freedesktop.DBus.Properties", "PropertiesChanged", path, interface, 0,
                                         lambda c, s, p, i, m, args: self.all.extend(args.unpack()[1].items()))
        # Signals begin with the first call.
        self.connection.call_sync(None, PATH, MANAGER, "GetStatus", GLib.Variant("(a{sv})", ({},)), None, 0, -1)

    def __call__(self):
        while self.context.iteration(False):
            pass
        return dict(self.all)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.connection.close_sync()


class Latency:
    """Calls GetStatus without pause in a thread while the body of the `with` runs; after it, in milliseconds, how long that took
    (.took), the median and the longest of the calls: .p50, .longest."""

    def __init__(self, varved, pause=0.002):
        self.bus = Bus(varved)
        self.pause = pause
        self.samples = []
        self.error = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        try:
            while not self._end.is_set():
                begin = time.monotonic()
                self.bus.status()
                self.samples.append((time.monotonic() - begin) * 1000)
                self._end.wait(self.pause)
        except Exception as e:
            self.error = e

    def __enter__(self):
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.took = (time.monotonic() - self._begin) * 1000
        self._end.set()
        self._thread.join(30)
        self.bus.close()

    def _at(self, part):
        assert self.error is None, self.error
        assert len(self.samples) >= 50, f"only {len(self.samples)} calls"
        return sorted(self.samples)[min(int(len(self.samples) * part), len(self.samples) - 1)]

    @property
    def p50(self):
        return self._at(0.5)

    @property
    def longest(self):
        return self._at(1)
