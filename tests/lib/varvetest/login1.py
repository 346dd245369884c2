"""A system bus with a logind that can be told to sleep: `python -m varvetest.login1` reads sleep, wake from stdin."""

import os
import subprocess
import sys

from .wait import wait_for


class Login1:
    """.address is for DBUS_SYSTEM_BUS_ADDRESS."""

    def __init__(self, directory):
        self.address = f"unix:path={directory}/system-bus"
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={self.address}"],
                                    stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(f"{directory}/system-bus"), 10)
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.address,
                   PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.logind = subprocess.Popen(["/usr/bin/python3", "-m", "varvetest.login1"], env=env, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready"

    def _line(self):
        return self.logind.stdout.readline().strip()

    def _say(self, word):
        self.logind.stdin.write(word + "\n")
        self.logind.stdin.flush()
        return self._line()

    def inhibitors(self):
        return int(self._say("count"))

    def sleep(self):
        """Announce it, wait for those who asked to be waited for: seconds that it took, or None after five."""
        answer = self._say("sleep")
        return None if answer == "late" else float(answer)

    def wake(self):
        self._say("wake")

    def close(self):
        for child in (self.logind, self.bus):
            child.kill()
            child.wait()


def main():
    import threading
    import time

    import dbus
    import dbus.service
    from dbus.mainloop.glib import DBusGMainLoop
    from gi.repository import GLib

    DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    name = dbus.service.BusName("org.freedesktop.login1", bus)
    held = []

    class Manager(dbus.service.Object):
        @dbus.service.method("org.freedesktop.login1.Manager", in_signature="ssss", out_signature="h")
        def Inhibit(self, what, who, why, mode):
            assert what == "sleep" and mode == "delay", (what, mode)
            read, write = os.pipe()
            held.append(read)
            answer = dbus.types.UnixFd(write)
            os.close(write)
            return answer

        @dbus.service.signal("org.freedesktop.login1.Manager", signature="b")
        def PrepareForSleep(self, begins):
            pass

    manager = Manager(bus, "/org/freedesktop/login1")

    def released(fd):
        import select
        return bool(select.select([fd], [], [], 0)[0])

    def say(text):
        print(text, flush=True)
        return False

    def sleep():
        began = time.monotonic()
        manager.PrepareForSleep(True)

        def look():
            held[:] = [fd for fd in held if not released(fd)]
            if not held:
                return say(f"{time.monotonic() - began:.3f}")
            if time.monotonic() - began > 5:
                return say("late")
            return True
        GLib.timeout_add(5, look)
        return False

    def wake():
        manager.PrepareForSleep(False)
        return say("awake")

    def count():
        held[:] = [fd for fd in held if not released(fd)]
        return say(str(len(held)))

    def read():
        for line in sys.stdin:
            GLib.idle_add({"sleep": sleep, "wake": wake, "count": count}[line.strip()])
        GLib.idle_add(loop.quit)

    loop = GLib.MainLoop()
    threading.Thread(target=read, daemon=True).start()
    say("ready")
    loop.run()
    del name


if __name__ == "__main__":
    main()
