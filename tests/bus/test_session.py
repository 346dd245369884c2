"""How varved is found and started: sockets that systemd hands over, by name; the bootstrap name on the session bus."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ET

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, IFACE, NAME, ROOT, Daemon, V, call, error_name, wait_for

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data")
ERROR = "org.varve.Varve1.Error."
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={dir}/session</listen><servicedir>{dir}/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


def directory():
    return tempfile.mkdtemp(prefix="bus-s", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")


class SessionBus:
    """A dbus-daemon of our own, which can start varved."""

    def __init__(self):
        self.dir = directory()
        os.mkdir(self.dir + "/services")
        self.run = self.dir + "/run"
        os.mkdir(self.run, 0o700)
        with open(os.path.join(DATA, "org.varve.Varve1.service.in")) as f:
            service = f.read().replace("@bindir@", os.path.dirname(os.environ["VARVED"]))
        with open(self.dir + "/services/org.varve.Varve1.service", "w") as f:
            f.write(service)
        with open(self.dir + "/bus.conf", "w") as f:
            f.write(CONFIG.format(dir=self.dir))
        env = dict(os.environ, XDG_RUNTIME_DIR=self.run, XDG_DATA_HOME=self.dir, XDG_CONFIG_HOME=self.dir, HOME=self.dir)
        env.pop("NOTIFY_SOCKET", None)
        self.address = f"unix:path={self.dir}/session"
        self.proc = subprocess.Popen(["dbus-daemon", "--nofork", "--config-file=" + self.dir + "/bus.conf"], env=env,
                                     stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.dir + "/session"), what="the session bus")

    def connect(self):
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        return Gio.DBusConnection.new_for_address_sync(self.address, flags, None, None)

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


def bus_call(conn, dest, path, iface, member, args=None):
    return conn.call_sync(dest, path, iface, member, args, None, Gio.DBusCallFlags.NONE, 20000, None).unpack()


def owner(conn):
    try:
        return bus_call(conn, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", V("(s)", NAME))[0]
    except GLib.Error:
        return None


CONNS_OTHERS = 16  # server.c


class Bootstrap(unittest.TestCase):
    def setUp(self):
        self.bus = SessionBus()
        self.addCleanup(self.bus.stop)

    def daemon(self):
        d = Daemon(seed=50, env=dict(os.environ, DBUS_SESSION_BUS_ADDRESS=self.bus.address))
        self.addCleanup(d.stop)
        return d

    def test_the_address_and_nothing_else(self):
        d, conn = self.daemon(), self.bus.connect()
        wait_for(lambda: owner(conn), what="the name")
        (address,) = bus_call(conn, NAME, ROOT, IFACE + "Manager", "GetAddress")
        self.assertEqual(address, d.address)
        self.assertEqual(call(Gio.DBusConnection.new_for_address_sync(address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None),
                              ROOT, "Manager", "GetAddress"), (address,))
        (props,) = bus_call(conn, NAME, ROOT, "org.freedesktop.DBus.Properties", "GetAll", V("(s)", IFACE + "Manager"))
        self.assertEqual(sorted(props), ["ApiRevision", "Features", "Network", "Role", "State", "StateReason", "Version"])
        self.assertEqual((props["Role"], props["State"]), ("status", "ready"))
        (xml,) = bus_call(conn, NAME, ROOT, "org.freedesktop.DBus.Introspectable", "Introspect")
        node = ET.fromstring(xml)
        ours = {i.get("name"): [m.get("name") for m in i.findall("method")] for i in node.iter("interface")
                if i.get("name").startswith("org.varve.")}
        self.assertEqual((ours, node.findall("node")), ({IFACE + "Manager": ["GetAddress"]}, []))
        for path, iface, member, args in (
                (ROOT, "Manager", "GetStatus", V("(a{sv})", {})), (ROOT, "Keyring", "ListSlots", V("(a{sv})", {})),
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "a@b", {})), (ACCOUNT, "Archive", "Search", V("(ssua{sv})", "a", "", 1, {})),
                (ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "newest", 0, 1, 0, {})),
                (ACCOUNT, "Archive", "Send", V("(sssa{sv})", "a@b", "k", "x", {}))):
            with self.assertRaises(GLib.Error) as e:
                bus_call(conn, NAME, path, IFACE + iface, member, args)
            self.assertRegex(error_name(e.exception), r"\.Unknown(Method|Object|Interface)$", member)
        with self.assertRaises(GLib.Error):
            bus_call(conn, NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")

    def test_its_state_is_told(self):
        d, conn = self.daemon(), self.bus.connect()
        wait_for(lambda: owner(conn), what="the name")
        told = []
        conn.signal_subscribe(NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", ROOT, None, Gio.DBusSignalFlags.NONE,
                              lambda c, s, p, i, m, args: told.append(args.unpack()[1]))
        bus_call(conn, NAME, ROOT, "org.freedesktop.DBus.Peer", "Ping")
        d.cmd("archive locked")

        def heard():
            while GLib.MainContext.default().iteration(False):
                pass
            return told
        wait_for(heard, what="the state")
        self.assertEqual(told[0]["State"], "locked")

    def test_a_session_bus_that_ends_or_is_not_there_changes_nothing(self):
        d, conn = self.daemon(), self.bus.connect()
        wait_for(lambda: owner(conn), what="the name")
        conn.set_exit_on_close(False)
        self.bus.proc.kill()
        self.bus.proc.wait()
        for _ in range(20):
            call(d.peer(), ROOT, "Manager", "GetStatus", V("(a{sv})", {}))
        for address in ("unix:path=/nonexistent/bus", "tcp:host=192.0.2.1,port=9", "nonsense", "unixexec:path=/bin/false", ""):
            other = Daemon(env=dict(os.environ, DBUS_SESSION_BUS_ADDRESS=address, XDG_RUNTIME_DIR="/nonexistent"))
            call(other.peer(), ROOT, "Manager", "GetStatus", V("(a{sv})", {}))
            self.assertEqual(other.stop(), 0, address)
        self.assertEqual(d.stop(), 0)

    def test_a_second_one_does_without_the_name(self):
        first, conn = self.daemon(), self.bus.connect()
        name = wait_for(lambda: owner(conn), what="the name")
        second = self.daemon()
        call(second.peer(), ROOT, "Manager", "GetStatus", V("(a{sv})", {}))
        self.assertEqual(owner(conn), name)
        self.assertEqual((second.stop(), first.stop()), (0, 0))

    def test_an_app_that_asks_for_it_starts_it(self):
        """The installed file, and the real varved: activated by dbus-daemon."""
        conn = self.bus.connect()
        (address,) = bus_call(conn, NAME, ROOT, IFACE + "Manager", "GetAddress")
        self.assertEqual(address, f"unix:path={self.bus.run}/varve/bus")
        (pid,) = bus_call(conn, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixProcessID",
                          V("(s)", NAME))
        peer = Gio.DBusConnection.new_for_address_sync(address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)
        self.assertEqual(call(peer, ROOT, "Manager", "GetStatus", V("(a{sv})", {}))[0]["state"], "ready")
        os.kill(pid, 15)
        wait_for(lambda: owner(conn) is None, what="it to leave")

    def test_the_unit_is_what_the_file_names(self):
        with open(os.path.join(DATA, "org.varve.Varve1.service.in")) as f:
            text = f.read()
        unit = re.search(r"^SystemdService=(.*)$", text, re.M).group(1)
        self.assertTrue(os.path.exists(os.path.join(DATA, unit + ".in")))
        self.assertIn("Name=" + NAME + "\n", text)


class Activation(unittest.TestCase):
    def setUp(self):
        self.dir = directory()
        self.addCleanup(shutil.rmtree, self.dir, True)
        os.chmod(self.dir, 0o755)

    def listen(self, name):
        s = socket.socket(socket.AF_UNIX)
        s.bind(os.path.join(self.dir, name))
        s.listen(8)
        self.addCleanup(s.close)
        return s

    def start(self, sockets, names):
        """As systemd does: descriptors from 3 on, and their names."""
        env = dict(os.environ, LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join(names))
        fds = [os.dup(s.fileno()) for s in sockets]

        def place():
            high = [os.dup(os.dup2(fd, 40 + i)) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
        proc = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$1"', os.environ["BUS_DAEMON"], self.dir], env=env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=place, close_fds=False)
        self.addCleanup(proc.stdout.close)
        self.addCleanup(proc.wait, 10)
        self.addCleanup(proc.stdin.close)
        for fd in fds:
            os.close(fd)
        self.assertEqual(proc.stdout.readline().strip(), "ready")
        return proc

    def peer(self, name):
        return Gio.DBusConnection.new_for_address_sync("unix:path=" + os.path.join(self.dir, name),
                                                       Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)

    def role(self, name):
        conn = self.peer(name)
        role = call(conn, ROOT, "org.freedesktop.DBus.Properties", "Get", V("(ss)", IFACE + "Manager", "Role"))[0]
        return role, call(conn, ROOT, "Manager", "GetAddress")[0]

    def test_roles_go_by_the_names_of_descriptors(self):
        names = ["status", "full", "readonly"]
        proc = self.start([self.listen(n + ".sock") for n in names], names)
        address = f"unix:path={self.dir}/full.sock"
        self.assertEqual([self.role(n + ".sock") for n in names], [("status", address), ("admin", address), ("read", address)])
        # None of its own beside them, and theirs stay when it goes.
        self.assertFalse(os.path.exists(self.dir + "/varve/bus"))
        conn = self.peer("status.sock")
        for path, iface, member, args in ((ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "newest", 0, 1, 0, {})),
                                          (ROOT, "Manager", "SetInterest", V("(a{sv})", {}))):
            with self.assertRaises(GLib.Error) as e:
                call(conn, path, iface, member, args)
            self.assertEqual(error_name(e.exception), ERROR + "Denied")
        proc.stdin.write("quit\n")
        proc.stdin.flush()
        self.assertEqual(proc.wait(10), 0)
        self.assertTrue(os.path.exists(self.dir + "/full.sock"))

    def test_sockets_that_are_not_ours_are_left_alone(self):
        proc = self.start([self.listen("a"), self.listen("b"), self.listen("c")], ["web", "full", "full"])
        self.assertEqual(self.role("b")[0], "admin")
        self.assertIsNone(proc.poll())

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "systemd-socket-activate is not here")
    def test_systemd_starts_it_with_the_first_connection(self):
        """The real varved, by systemd's own tool; nobody's call is lost while it starts."""
        run, log = os.path.join(self.dir, "run"), open(os.path.join(self.dir, "log"), "w+")
        self.addCleanup(log.close)
        os.mkdir(run, 0o700)
        env = {"XDG_RUNTIME_DIR": run, "XDG_DATA_HOME": self.dir, "XDG_CONFIG_HOME": self.dir, "HOME": self.dir}
        paths = [os.path.join(self.dir, n) for n in ("bus", "bus-ro")]
        setenv = [a for k, v in env.items() for a in ("-E", f"{k}={v}")]
        proc = subprocess.Popen(["systemd-socket-activate", "-l", paths[0], "-l", paths[1], "--fdname=full:readonly", *setenv,
                                 os.environ["VARVED"]], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def end():
            proc.terminate()
            proc.wait(20)
        self.addCleanup(end)
        wait_for(lambda: all(os.path.exists(p) for p in paths), what="the sockets")
        self.assertEqual(self.role("bus"), ("admin", "unix:path=" + paths[0]))
        self.assertEqual(self.role("bus-ro")[0], "read")
        self.assertFalse(os.path.exists(run + "/varve/bus"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_another_user_is_let_in_where_the_status_socket_lets_him(self):
        socks = {n: self.listen(n + ".sock") for n in ("full", "status")}
        for n in socks:
            os.chmod(os.path.join(self.dir, n + ".sock"), 0o666)
        self.start(list(socks.values()), list(socks))
        script = ("import sys; sys.path.insert(0, sys.argv[1]); from busdaemon import *\n"
                  "c = Raw(sys.argv[2]); m = c.reply(c.send(ROOT, 'Manager', 'GetStatus', V('(a{sv})', {})))\n"
                  "print(m.get_message_type() == Gio.DBusMessageType.METHOD_RETURN)\n"
                  "m = c.reply(c.send(ACCOUNT, 'Archive', 'GetHistory', history_args(1))); print(m.get_error_name())\n")
        self.assertEqual(self.as_nobody(script, "status.sock").split(), ["True", ERROR + "Denied"])
        self.assertEqual(self.as_nobody(script, "full.sock"), "")

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_another_user_does_not_take_all_places(self):
        socks = {n: self.listen(n + ".sock") for n in ("full", "status")}
        os.chmod(os.path.join(self.dir, "status.sock"), 0o666)
        self.start(list(socks.values()), list(socks))
        script = ("import sys; sys.path.insert(0, sys.argv[1]); from busdaemon import *\n"
                  "got = []\n"
                  "for _ in range(40):\n"
                  "    try:\n"
                  "        got.append(Raw(sys.argv[2]))\n"
                  "    except (EOFError, OSError):\n"
                  "        pass\n"
                  "print(len(got))\n")
        self.assertEqual(self.as_nobody(script, "status.sock").strip(), str(CONNS_OTHERS))
        # They are gone, and so are their places.
        wait_for(lambda: self.as_nobody(script, "status.sock").strip() == str(CONNS_OTHERS), what="places for others")
        # The owner's are as many as before.
        self.assertEqual(len([self.peer("full.sock") for _ in range(CONNS_OTHERS + 4)]), CONNS_OTHERS + 4)

    def as_nobody(self, script, name):
        here = os.path.dirname(os.path.abspath(__file__))
        tests = os.path.join(self.dir, "tests")
        os.makedirs(tests, exist_ok=True)
        shutil.copy(os.path.join(here, "busdaemon.py"), tests)
        return subprocess.run(["/usr/bin/python3", "-c", script, tests, os.path.join(self.dir, name)], user="nobody",
                              capture_output=True, text=True, cwd="/", check=False).stdout


if __name__ == "__main__":
    unittest.main()
