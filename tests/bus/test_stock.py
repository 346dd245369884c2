"""Stock D-Bus clients, unmodified, at the same chores: connect, list conversations, page history, follow, send, and get
errors by name. What a client cannot do is said in its class. The server's side of it is in test_clients.py.
"""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import unittest
import urllib.request

import dbus
import dbus.connection
import dbus.mainloop.glib
from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, IFACE, NAME, ROOT, XML, Daemon, V, call, error_name, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
N = 1000
CONV = "contact07@example.net"
# Kept beside the build, so that only the first run compiles and asks the registry of npm.
CACHE = os.environ.get("BUS_CACHE") or tempfile.mkdtemp(prefix="bus-stock")


def run(*args, env=None, code=0):
    p = subprocess.run(args, capture_output=True, text=True, timeout=30, env=env)
    if code is not None and p.returncode != code:
        raise AssertionError(f"{' '.join(args)}: {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout + p.stderr


class Listening:
    """A program that prints what it hears; gone when the block ends."""

    def __init__(self, *args, env=None):
        self.proc = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        self.lines = []
        self.thread = threading.Thread(target=lambda: [self.lines.append(line) for line in self.proc.stdout], daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        self.thread.join()
        self.proc.stdout.close()

    def heard(self, text):
        return any(text in line for line in self.lines)


class Stock:
    """The chores. A client's class says how it does each; None: it cannot."""

    conversations = page = follow = send = error = None

    @classmethod
    def setUpClass(cls):
        cls.prepare()
        cls.d = Daemon(seed=N)
        cls.truth = cls.d.peer()

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    @classmethod
    def prepare(cls):
        """What has to be built or fetched."""

    def need(self, chore):
        if getattr(self, chore) is None:
            self.skipTest(f"{type(self).__name__} cannot: {type(self).__doc__}")

    def test_lists_conversations(self):
        self.need("conversations")
        rows, _, _ = call(self.truth, ACCOUNT, "Conversations", "List", V("(sua{sv})", "", 7, {}))
        self.assertEqual(self.conversations(), [r[0] for r in rows])

    def test_pages_through_history(self):
        self.need("page")
        newest = self.page(CONV, "newest", 0, 4)
        older = self.page(CONV, "message", newest[0][0], 4)
        self.assertEqual([body for _, body in older[:-1] + newest],
                         [f"message {i}" for i in range(N) if i % 30 == 7][-8:])
        self.assertEqual(older[-1], newest[0])

    def test_follows(self):
        """Each message once and in order, from the doorbell to the row."""
        self.need("follow")
        want = [f"{type(self).__name__} {i}" for i in range(5)]
        with self.follow() as listening:
            wait_for(lambda: listening.heard(f"message {N - 2}"), what="the rows that are there already")
            for text in want:
                self.d.cmd(f"live bob@example.com/x {text}")
            wait_for(lambda: listening.heard(want[-1]), what="the last of the new ones")
            self.assertEqual([line.strip() for line in listening.lines if line.strip() in want], want)

    def test_sends(self):
        self.need("send")
        key, text = "k-" + type(self).__name__, "sent by " + type(self).__name__
        first, existing = self.send(CONV, key, text)
        self.assertFalse(existing)
        self.assertEqual(self.send(CONV, key, text), (first, True))
        ((row,),) = call(self.truth, ACCOUNT, "Archive", "GetMessages", V("(ata{sv})", [first], {}))
        self.assertEqual((row[2], row[5], row[8]), (CONV, 1, text))

    def test_gets_errors_by_name(self):
        self.need("error")
        told = self.error()
        self.assertIn("a conversation is named by an address", told)
        if type(self) is not Busctl:        # prints the sentence alone
            self.assertIn(IFACE + "Error.NoSuchConversation", told)


class Busctl(Stock, unittest.TestCase):
    def busctl(self, *args, **kw):
        return run("busctl", "--address=" + self.d.address, *args, **kw)

    def json(self, *args):
        return json.loads(self.busctl("--json=short", "call", NAME, ACCOUNT, *args))["data"]

    def conversations(self):
        return [row[0] for row in self.json(IFACE + "Conversations", "List", "sua{sv}", "", "7", "0")[0]]

    def page(self, conversation, anchor, value, n):
        return [(row[0], row[8]) for row in self.json(IFACE + "Archive", "GetHistory", "sstuua{sv}", conversation, anchor,
                                                      str(value), str(n), "0", "0")[0]]

    def send(self, conversation, key, text):
        return tuple(self.json(IFACE + "Archive", "Send", "sssa{sv}", conversation, key, text, "0"))

    def error(self):
        return self.busctl("call", NAME, ACCOUNT, IFACE + "Archive", "GetHistory", "sstuua{sv}", "x@y", "newest", "0", "1",
                           "0", "0", code=1)

    def test_tree_and_introspect(self):
        self.assertIn(ACCOUNT, self.busctl("tree", NAME))
        self.assertIn("GetCoverage", self.busctl("introspect", NAME, ACCOUNT))
        self.assertEqual(self.busctl("get-property", NAME, ACCOUNT, IFACE + "Account", "Jid").strip(), 's "me@example.org"')
        self.assertIn(NAME, self.busctl("list"))
        self.assertIn("PID=", self.busctl("status", NAME))

    def test_monitor_in_json(self):
        with Listening("busctl", "--address=" + self.d.address, "--json=short", "monitor") as listening:
            def rung():
                self.d.cmd("flood 1")
                return [line for line in listening.lines if '"Changed"' in line]
            signal = json.loads(wait_for(rung, what="the doorbell")[0])
            self.assertEqual((signal["interface"], signal["path"]), (IFACE + "Archive", ACCOUNT))
            epoch, seq = signal["payload"]["data"]
            self.assertEqual((len(epoch) > 0, seq > N), (True, True))


class Gdbus(Stock, unittest.TestCase):
    def gdbus(self, verb, *args, path=ACCOUNT, **kw):
        return run("gdbus", verb, "--address", self.d.address, "--dest", NAME, "--object-path", path, *args, **kw)

    def unpack(self, method, *args):
        return GLib.Variant.parse(None, self.gdbus("call", "--method", IFACE + method, "--", *args), None, None).unpack()

    def conversations(self):
        return [row[0] for row in self.unpack("Conversations.List", "", "7", "{}")[0]]

    def page(self, conversation, anchor, value, n):
        return [(row[0], row[8]) for row in self.unpack("Archive.GetHistory", conversation, anchor, str(value), str(n), "0",
                                                        "{}")[0]]

    def send(self, conversation, key, text):
        return self.unpack("Archive.Send", conversation, key, text, "{}")

    def error(self):
        return self.gdbus("call", "--method", IFACE + "Archive.GetHistory", "x@y", "newest", "0", "1", "0", "{}", code=1)

    def test_introspect(self):
        self.assertIn(IFACE + "Archive", self.gdbus("introspect"))
        self.assertIn("node account", self.gdbus("introspect", "--recurse", path=ROOT).replace("/org/varve/Varve1/", ""))
        self.assertIn("Jid = 'me@example.org'", self.gdbus("introspect", "--only-properties"))

    def test_wait(self):
        run("gdbus", "wait", "--address", self.d.address, "--timeout", "5", NAME)

    def test_monitor(self):
        with Listening("gdbus", "monitor", "--address", self.d.address, "--dest", NAME) as listening:
            def rung():
                self.d.cmd("flood 1")
                return listening.heard(f"{ACCOUNT}: {IFACE}Archive.Changed")
            wait_for(rung, what="the doorbell")


class DbusSend(Stock, unittest.TestCase):
    """dbus-send has no syntax for a{sv}, which most of our methods end with; dbus-monitor hears, and cannot call"""

    def dbus_send(self, how, path, method, *args, code=0):
        return run("dbus-send", how + self.d.address, "--print-reply", "--dest=" + NAME, path, method, *args, code=code)

    def error(self):
        return self.dbus_send("--peer=", ACCOUNT, IFACE + "Archive.FindMessage", "string:x@y", "string:origin-id",
                              "string:none", code=1)

    def test_gets_errors_by_name(self):
        self.assertIn(IFACE + "Error.NotFound", self.error())

    def test_calls_as_peer_and_as_bus_client(self):
        for how in ("--peer=", "--bus="):
            for _ in range(20):
                out = self.dbus_send(how, ROOT, IFACE + "Manager.FindAccount", "string:me@example.org")
                self.assertIn(ACCOUNT, out)
            out = self.dbus_send(how, ACCOUNT, IFACE + "Conversations.Get", f"array:string:{CONV},nobody@nowhere.example")
            self.assertEqual(out.count(f'string "{CONV}"\n'), 3)    # id, title, and of its last message
            out = self.dbus_send(how, ACCOUNT, "org.freedesktop.DBus.Properties.Get", f"string:{IFACE}Account", "string:Jid")
            self.assertIn('variant       string "me@example.org"', out)

    def test_dbus_monitor(self):
        with Listening("dbus-monitor", "--address", self.d.address) as listening:
            def rung():
                self.d.cmd("flood 1")
                return listening.heard("member=Changed")
            wait_for(rung, what="the doorbell")


class AsTheSessionBus(unittest.TestCase):
    """Tools that are told of no address, and find our socket in the place of the session's bus."""

    def test_desktop_tools(self):
        d = Daemon(seed=10)
        env = dict(os.environ, DBUS_SESSION_BUS_ADDRESS=d.address)
        self.assertIn(ACCOUNT, run("busctl", "--user", "tree", NAME, env=env))
        self.assertIn("contact09", run("busctl", "--user", "call", NAME, ACCOUNT, IFACE + "Conversations", "List", "sua{sv}", "",
                                       "1", "0", env=env))
        self.assertIn("uint32 10", run("gdbus", "call", "--session", "--dest", NAME, "--object-path", ACCOUNT, "--method",
                                       IFACE + "Conversations.GetUnreadTotal", env=env))
        self.assertIn(ACCOUNT, run("dbus-send", "--session", "--print-reply", "--dest=" + NAME, ROOT,
                                   IFACE + "Manager.FindAccount", "string:me@example.org", env=env))
        d.stop()


class Loop:
    """A GLib main loop in a thread, which Python's two libraries deliver signals from; what they hear is in lines."""

    def __init__(self, subscribe):
        self.lines = []
        self.context = GLib.MainContext()
        self.subscribe = subscribe
        self.loop = GLib.MainLoop(self.context)
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        self.context.push_thread_default()
        self.subscribe(self.lines)
        self.loop.run()
        self.context.pop_thread_default()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        # In the loop: a quit before it runs would be forgotten.
        source = GLib.idle_source_new()
        source.set_callback(lambda _: self.loop.quit())
        source.attach(self.context)
        self.thread.join()

    def heard(self, text):
        return any(text in line for line in self.lines)


class GioPeer(Stock, unittest.TestCase):
    name = None
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT

    def connect(self):
        return Gio.DBusConnection.new_for_address_sync(self.d.address, self.flags, None, None)

    def proxy(self, interface, conn=None):
        return Gio.DBusProxy.new_sync(conn or self.connect(), Gio.DBusProxyFlags.NONE, None, self.name, ACCOUNT,
                                      IFACE + interface, None)

    def conversations(self):
        return [row[0] for row in self.proxy("Conversations").List("(sua{sv})", "", 7, {})[0]]

    def page(self, conversation, anchor, value, n):
        rows, _, _ = self.proxy("Archive").GetHistory("(sstuua{sv})", conversation, anchor, value, n, 0, {})
        return [(row[0], row[8]) for row in rows]

    def send(self, conversation, key, text):
        return tuple(self.proxy("Archive").Send("(sssa{sv})", conversation, key, text, {}))

    def follow(self):
        def subscribe(lines):
            proxy, since = self.proxy("Archive"), 0

            def pull(*_):
                nonlocal since
                more = True
                while more:
                    since, more, messages = proxy.Changes("(stua{sv})", "", since, 500, {})[:3]
                    lines.extend(row[8] for row in messages)
            proxy.connect("g-signal::Changed", pull)
            pull()
        return Loop(subscribe)

    def error(self):
        try:
            self.page("x@y", "newest", 0, 1)
        except GLib.Error as e:
            return f"{error_name(e)} {e.message}"

    def test_properties_and_their_changes(self):
        seen, kept = [], []

        def subscribe(lines):
            proxy = self.proxy("Account")
            kept.append(proxy)      # else Python lets it go, and its signals
            seen.append(proxy.get_cached_property("Jid").unpack())
            proxy.connect("g-properties-changed", lambda p, changed, gone: lines.append(str(changed.unpack())))
            lines.append("there")
        with Loop(subscribe) as loop:
            wait_for(lambda: loop.heard("there"), what="the proxy")
            self.d.cmd("state online")
            wait_for(lambda: loop.heard("online"), what="PropertiesChanged")
        self.assertEqual(seen, ["me@example.org"])

    def test_object_manager(self):
        manager = Gio.DBusObjectManagerClient.new_sync(self.connect(), Gio.DBusObjectManagerClientFlags.NONE, self.name, ROOT,
                                                       None, None, None)
        paths = [o.get_object_path() for o in manager.get_objects()]
        self.assertEqual([p for p in paths if "/job/" not in p], [ACCOUNT])
        self.assertIsNotNone(manager.get_interface(ACCOUNT, IFACE + "Archive"))

    def test_exports_into_a_descriptor(self):
        conn = self.connect()
        self.assertTrue(conn.get_capabilities() & Gio.DBusCapabilityFlags.UNIX_FD_PASSING)
        # libsystemd 252 drops a connection whose very first message carries one (facts/ipc.md section 1.2).
        conn.call_sync(self.name, ROOT, "org.freedesktop.DBus.Peer", "Ping", None, None, 0, 5000, None)
        before = self.d.fds()
        for _ in range(5):
            with tempfile.TemporaryFile() as f:
                fds = Gio.UnixFDList.new()
                fds.append(f.fileno())
                answer, _ = conn.call_with_unix_fd_list_sync(self.name, ACCOUNT, IFACE + "Archive", "Export",
                                                             V("(ha{sv})", 0, {"conversations": GLib.Variant("as", [CONV])}),
                                                             None, 0, 5000, fds, None)
                job = answer.unpack()[0]
                wait_for(lambda: call(self.truth, job, "org.freedesktop.DBus.Properties", "Get",
                                      V("(ss)", IFACE + "Job", "State"))[0] == "done", what="the export")
                f.seek(0)
                bodies = [json.loads(line)["body"] for line in f]
            self.assertEqual([b for b in bodies if b.startswith("message")], [f"message {i}" for i in range(N) if i % 30 == 7])
        wait_for(lambda: self.d.fds() == before, what="every descriptor closed")


class GioBus(GioPeer):
    name = NAME
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION

    def test_names(self):
        conn = self.connect()
        self.assertRegex(conn.get_unique_name(), r"^:1\.\d+$")
        self.assertEqual(self.proxy("Account", conn).get_name_owner(), ":1.0")


class DbusPythonPeer(Stock, unittest.TestCase):
    kind = dbus.connection.Connection
    name = None

    def connect(self, **kw):
        return self.kind(self.d.address, **kw)

    def archive(self, conn=None, interface="Archive"):
        obj = (conn or self.connect()).get_object(self.name, ACCOUNT, introspect=False)
        return dbus.Interface(obj, IFACE + interface)

    options = dbus.Dictionary({}, signature="sv")

    def conversations(self):
        return [str(row[0]) for row in self.archive(interface="Conversations").List("", dbus.UInt32(7), self.options)[0]]

    def page(self, conversation, anchor, value, n):
        rows, _, _ = self.archive().GetHistory(conversation, anchor, dbus.UInt64(value), dbus.UInt32(n), dbus.UInt32(0),
                                               self.options)
        return [(int(row[0]), str(row[8])) for row in rows]

    def send(self, conversation, key, text):
        identity, existing = self.archive().Send(conversation, key, text, self.options)
        return int(identity), bool(existing)

    def follow(self):
        # Its main loop is GLib's default one: a process of its own runs it.
        return Listening("/usr/bin/python3", "-u", "-c", FOLLOW_DBUS_PYTHON, self.d.address, ACCOUNT, self.name or "")

    def error(self):
        try:
            self.page("x@y", "newest", 0, 1)
        except dbus.DBusException as e:
            return f"{e.get_dbus_name()} {e.get_dbus_message()}"

    def test_exports_into_a_descriptor(self):
        conn = self.connect()
        conn.call_blocking(self.name, ROOT, "org.freedesktop.DBus.Peer", "Ping", "", ())
        with tempfile.TemporaryFile() as f:
            job = self.archive(conn).Export(dbus.types.UnixFd(f), self.options)
            wait_for(lambda: call(self.truth, job, "org.freedesktop.DBus.Properties", "Get",
                                  V("(ss)", IFACE + "Job", "State"))[0] == "done", what="the export")
            f.seek(0)
            self.assertGreaterEqual(len(f.readlines()), N)


FOLLOW_DBUS_PYTHON = """
import sys
import dbus, dbus.bus, dbus.connection, dbus.mainloop.glib
from gi.repository import GLib
address, account, name = sys.argv[1:]
kind = dbus.bus.BusConnection if name else dbus.connection.Connection
conn = kind(address, mainloop=dbus.mainloop.glib.DBusGMainLoop())
archive = dbus.Interface(conn.get_object(name or None, account, introspect=False), "org.varve.Varve1.Archive")
since = dbus.UInt64(0)
def pull(*_):
    global since
    more = True
    while more:
        since, more, messages = archive.Changes("", since, dbus.UInt32(500), dbus.Dictionary({}, signature="sv"))[:3]
        for row in messages:
            print(row[8])
conn.add_signal_receiver(pull, "Changed", "org.varve.Varve1.Archive", path=account)
pull()
GLib.MainLoop().run()
"""


class DbusPythonBus(DbusPythonPeer):
    kind = dbus.bus.BusConnection
    name = NAME


class Program(Stock):
    """A client in another language: one program with a command for each chore, an answer a line."""

    argv = env = None

    def do(self, *args):
        return run(*self.argv, self.d.path, ACCOUNT, *map(str, args), env=self.env).splitlines()

    def conversations(self):
        return self.do("conversations")

    def page(self, *args):
        return [(int(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in self.do("history", *args)]

    def send(self, *args):
        (line,) = self.do("send", *args)
        self.assertRegex(line, r"^\d+ (true|false)$")
        return int(line.split()[0]), line.split()[1] == "true"

    def follow(self):
        return Listening(*self.argv, self.d.path, ACCOUNT, "follow", env=self.env)

    def error(self):
        return "\n".join(self.do("history", "x@y", "newest", 0, 1))


def stale(made, source):
    return not os.path.exists(made) or os.stat(made).st_mtime < os.stat(source).st_mtime


def build_qt():
    source, program = os.path.join(HERE, "clients", "qt.cpp"), os.path.join(CACHE, "stock-qt")
    if stale(program, source):
        qt = run("pkg-config", "--variable=host_bins", "Qt5Core").strip()
        flags = run("pkg-config", "--cflags", "--libs", "Qt5DBus").split()
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            run(os.path.join(qt, "moc"), source, "-o", os.path.join(work, "qt.moc"))
            run("c++", "-fPIC", "-Wall", "-Wextra", "-I", work, source, "-o", os.path.join(work, "qt"), *flags)
            os.replace(os.path.join(work, "qt"), program)
    return program


def build_ours():
    source, program, library = os.path.join(HERE, "clients", "ours.c"), os.path.join(CACHE, "stock-ours"), os.environ["LIBVARVE"]
    if stale(program, source) or stale(program, library):
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            os.symlink(os.path.dirname(XML), os.path.join(work, "varve"))       # as it is installed
            made, home = os.path.join(work, "ours"), os.path.dirname(library)
            run("cc", "-Wall", "-Wextra", "-Werror", "-I", work, source, library, f"-Wl,-rpath,{home}", "-o", made)
            os.replace(made, program)
    return program


@unittest.skipIf(os.environ.get("BUS_SANITIZED"), "the library is built with sanitizers, the client is not")
class Ours(Program, unittest.TestCase):
    @classmethod
    def prepare(cls):
        cls.argv = [build_ours()]


class QtPeer(Program, unittest.TestCase):
    how = "peer"

    @classmethod
    def prepare(cls):
        cls.argv = [build_qt(), cls.how]


class QtBus(QtPeer):
    how = "bus"


class Node(Program, unittest.TestCase):
    """dbus-next, which no Debian package has: it comes from the registry of npm"""

    @staticmethod
    def untested(why):
        print(f"\nNOT TESTED: the Node client: {why}", flush=True)     # tests/run.sh shows these lines
        raise unittest.SkipTest(why)

    @staticmethod
    def fetch(modules):
        """What npm would do, without npm, which in Debian is four hundred packages."""
        new = tempfile.mkdtemp(prefix="node_modules.", dir=CACHE)
        with open(os.path.join(HERE, "clients", "node-packages.txt"), encoding="ascii") as f:
            packages = [line.split() for line in f if not line.startswith("#")]
        for name, version, integrity in packages:
            url = f"https://registry.npmjs.org/{name}/-/{name.split('/')[-1]}-{version}.tgz"
            with urllib.request.urlopen(url, timeout=20) as answer:
                data = answer.read()
            if "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode() != integrity:
                raise AssertionError(f"{url} is not what it was: {integrity}")
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    # the first directory is "package", mostly
                    path = os.path.normpath(member.name).split("/")[1:]
                    if not member.isfile() or ".." in path:
                        continue
                    target = os.path.join(new, name, *path)
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "wb") as out:
                        out.write(tar.extractfile(member).read())
        os.rename(new, modules)

    @classmethod
    def prepare(cls):
        if not shutil.which("node"):
            cls.untested("nodejs is not installed")
        os.makedirs(CACHE, exist_ok=True)
        modules = os.path.join(CACHE, "node_modules")
        if not os.path.exists(modules):
            try:
                cls.fetch(modules)
            except OSError as e:
                cls.untested(f"dbus-next cannot be fetched: {e}")
        cls.argv = ["node", os.path.join(HERE, "clients", "node.js")]
        cls.env = dict(os.environ, NODE_PATH=modules)


if __name__ == "__main__":
    unittest.main(verbosity=1)
