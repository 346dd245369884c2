"""A NetworkManager on somebody's system bus (login1.Login1's, say): `python -m varvetest.networkmanager` reads values of Metered."""

import os
import subprocess
import sys

UNKNOWN, YES, NO, GUESS_YES, GUESS_NO = range(5)


class NetworkManager:
    def __init__(self, address, metered):
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=address,
                   PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.process = subprocess.Popen(["/usr/bin/python3", "-m", "varvetest.networkmanager", str(metered)], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready"

    def set(self, metered):
        self.process.stdin.write(f"{metered}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "set"

    def close(self):
        self.process.kill()
        self.process.wait()


def main():
    import threading

    import dbus
    import dbus.service
    from dbus.mainloop.glib import DBusGMainLoop
    from gi.repository import GLib

    DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    iface, properties = "org.freedesktop.NetworkManager", "org.freedesktop.DBus.Properties"
    value = [int(sys.argv[1])]

    class Manager(dbus.service.Object):
        @dbus.service.method(properties, in_signature="ss", out_signature="v")
        def Get(self, interface, name):
            assert (interface, name) == (iface, "Metered")
            return dbus.UInt32(value[0])

        @dbus.service.signal(properties, signature="sa{sv}as")
        def PropertiesChanged(self, interface, changed, gone):
            pass

    manager = Manager(bus, "/org/freedesktop/NetworkManager")
    name = dbus.service.BusName(iface, bus)
    loop = GLib.MainLoop()

    def change(new):
        value[0] = new
        manager.PropertiesChanged(iface, {"Metered": dbus.UInt32(new)}, [])
        print("set", flush=True)
        return False

    def read():
        for line in sys.stdin:
            GLib.idle_add(change, int(line))
        GLib.idle_add(loop.quit)

    threading.Thread(target=read, daemon=True).start()
    print("ready", flush=True)
    loop.run()
    del name


if __name__ == "__main__":
    main()
