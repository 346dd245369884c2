"""The test daemon of tests/unit/bus/bus-daemon.c and raw clients for it. Standard library and gi only."""

import atexit
import os
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import time

from gi.repository import Gio, GLib

ROOT = "/org/varve/Varve1"
ACCOUNT = ROOT + "/account/1"
IFACE = "org.varve.Varve1."
NAME = "org.varve.Varve1"
XML = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "ipc", "org.varve.Varve1.xml")


def wait_for(condition, seconds=10.0, what="condition"):
    """Poll until condition() is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out waiting for {what}")
        time.sleep(0.01)


def runnable(program, directory, popen):
    """The program, or a copy of it in `directory` where the user that is to run it may not go: a tree in /root, say."""
    at = os.path.dirname(program)
    while "user" in popen and at != "/":
        if not os.stat(at).st_mode & stat.S_IXOTH:
            return shutil.copy(program, directory)
        at = os.path.dirname(at)
    return program


class Daemon:
    """One bus-daemon with directories of its own."""

    def __init__(self, seed=0, **popen):
        # Memory where there is: the store syncs each commit, and no test here is about disks.
        self.dir = tempfile.mkdtemp(prefix="bus-t", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
        if "user" in popen:
            shutil.chown(self.dir, popen["user"])
        # meson lets malloc() fill what it gives: then memory that is only promised is resident (rss_kb()).
        popen.setdefault("env", {k: v for k, v in os.environ.items() if k != "MALLOC_PERTURB_"})
        self.proc = subprocess.Popen([runnable(os.environ["BUS_DAEMON"], self.dir, popen), self.dir], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, **popen)
        atexit.register(self.stop)
        self.path = os.path.join(self.dir, "varve", "bus")
        self.path_ro = self.path + "-ro"
        self.address = "unix:path=" + self.path
        line = self.proc.stdout.readline().strip()
        if line != "ready":
            raise AssertionError(f"the daemon did not start: {line!r}")
        if seed:
            self.cmd(f"seed {seed}")

    def cmd(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()
        return self.proc.stdout.readline().strip()

    def rss_kb(self):
        """Resident memory; 0 in a sanitizer build, which keeps freed memory for its own purposes."""
        if os.environ.get("BUS_SANITIZED"):
            return 0
        with open(f"/proc/{self.proc.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def fds(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def stop(self):
        if self.proc.poll() is None:
            self.proc.stdin.close()
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.proc.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return self.proc.returncode

    def peer(self, path=None):
        """A GIO connection, peer to peer."""
        return Gio.DBusConnection.new_for_address_sync("unix:path=" + (path or self.path),
                                                       Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)


def call(conn, path, iface, member, args=None, timeout_ms=10000):
    """Call over GIO; the unpacked answer. args: GLib.Variant tuple."""
    full = iface if iface.startswith("org.") else IFACE + iface
    return conn.call_sync(None, path, full, member, args, None, Gio.DBusCallFlags.NONE, timeout_ms, None).unpack()


def export(conn, fd, options=None, path=ACCOUNT):
    """Archive.Export into fd, which stays open: the path of the job."""
    # sd-bus closes a connection whose very first message carries a descriptor (facts/ipc.md section 1.2 no. 2).
    call(conn, ROOT, "org.freedesktop.DBus.Peer", "Ping")
    fds = Gio.UnixFDList.new()
    fds.append(fd)
    answer, _ = conn.call_with_unix_fd_list_sync(None, path, IFACE + "Archive", "Export", V("(ha{sv})", 0, options or {}), None,
                                                 Gio.DBusCallFlags.NONE, 10000, fds, None)
    return answer.unpack()[0]


def error_name(e):
    return Gio.DBusError.get_remote_error(e)


def V(signature, *values):
    return GLib.Variant(signature, values)


def history_args(n=50, conversation=""):
    return V("(sstuua{sv})", conversation, "newest", 0, n, 0, {})


class Varved:
    """The real varved with an archive of N messages and no network to talk to: one disabled account."""

    def __init__(self, messages=0, directory=None, **popen):
        self.dir = directory or tempfile.mkdtemp(prefix="hub-v", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
        self.data, self.config = (os.path.join(self.dir, name, "varve") for name in ("data", "config"))
        self.runtime = os.path.join(self.dir, "run")
        self.popen = popen
        self.env = {}
        self.proc = None
        self.log = os.path.join(self.dir, "log")
        os.makedirs(self.runtime, mode=0o700, exist_ok=True)
        self.path = os.path.join(self.runtime, "varve", "bus")
        self.path_ro = self.path + "-ro"
        atexit.register(self.close)
        if messages:
            subprocess.check_call([os.environ["BUS_DAEMON"], "--seed", self.data, self.config, str(messages)])
        if "user" in popen:
            subprocess.check_call(["chown", "-R", popen["user"], self.dir])

    def start(self, **env):
        assert self.proc is None
        env = {k: v for k, v in {**os.environ, **self.env, **env}.items() if not k.startswith(("DBUS_", "NOTIFY_"))}
        env.update(XDG_DATA_HOME=os.path.dirname(self.data), XDG_CONFIG_HOME=os.path.dirname(self.config),
                   XDG_RUNTIME_DIR=self.runtime, HOME=self.dir)
        if os.path.exists(self.path):
            os.unlink(self.path)
        with open(self.log, "a") as log:
            self.proc = subprocess.Popen([runnable(os.environ["VARVED"], self.dir, self.popen)], env=env,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.popen)
        wait_for(lambda: os.path.exists(self.path) or self.proc.poll() is not None, what="the socket")
        assert self.proc.poll() is None, self.tail()
        # The socket is there before the archive is opened; an answer comes after it.
        self.status()
        return self

    def tail(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-3000:]

    def stop(self, kill=False):
        if self.proc is None:
            return None
        (self.proc.kill if kill else self.proc.terminate)()
        status = self.proc.wait(20)
        self.proc = None
        return status

    def close(self):
        self.stop(kill=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def peer(self, path=None):
        return Gio.DBusConnection.new_for_address_sync("unix:path=" + (path or self.path),
                                                       Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)

    def call(self, iface, member, args=None, path=ROOT, timeout_ms=60000):
        return call(self.peer(), path, iface, member, args, timeout_ms)

    def status(self):
        return self.call("Manager", "GetStatus", V("(a{sv})", {}))[0]

    def database(self):
        """The file that the sidecar names."""
        names = [n for n in os.listdir(self.data) if n.startswith("archive") and n.endswith(".db")]
        assert len(names) == 1, names
        return os.path.join(self.data, names[0])

    def bodies(self, account=ACCOUNT):
        """Of all messages, oldest first."""
        conn, out, anchor = self.peer(), [], ("oldest", 0)
        while True:
            rows, edges, _ = call(conn, account, "Archive", "GetHistory",
                                  V("(sstuua{sv})", "", *anchor, 0, 400, {"across-gaps": GLib.Variant("b", True)}))
            out += [r[8] for r in rows[bool(out):]]
            if edges & 2:
                return out
            anchor = ("message", rows[-1][0])


class Raw:
    """A D-Bus connection with nothing in between: bytes in, bytes out."""

    def __init__(self, path, extra=b"", rcvbuf=None, fds=False):
        self.sock = socket.socket(socket.AF_UNIX)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.buf = b""
        self.serial = 0
        self.sock.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        self._line(b"OK")
        if fds:
            self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
            self._line(b"AGREE")
        # BEGIN and the first call in one write: the bytes that sd-bus 252 forgets.
        self.sock.sendall(b"BEGIN\r\n" + extra)

    def _line(self, start):
        while b"\r\n" not in self.buf:
            data = self.sock.recv(4096)
            if not data:
                raise EOFError
            self.buf += data
        line, self.buf = self.buf.split(b"\r\n", 1)
        assert line.startswith(start), line

    def send(self, *args, **kw):
        self.serial += 1
        self.sock.sendall(blob(self.serial, *args, **kw))
        return self.serial

    def receive(self):
        """The next message, or None at the end."""
        while True:
            if len(self.buf) >= 16:
                order = "<" if self.buf[0:1] == b"l" else ">"
                body, _, fields = struct.unpack(order + "III", self.buf[4:16])
                need = 16 + (fields + 7) // 8 * 8 + body
                if len(self.buf) >= need:
                    data, self.buf = self.buf[:need], self.buf[need:]
                    return Gio.DBusMessage.new_from_blob(data, Gio.DBusCapabilityFlags.NONE)
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.buf += data

    def reply(self, serial):
        """The answer to one call; signals on the way are dropped."""
        while True:
            m = self.receive()
            if m is None or m.get_reply_serial() == serial:
                return m

    def close(self):
        self.sock.close()


def blob(serial, path, iface, member, args=None):
    full = iface if iface.startswith("org.") else IFACE + iface
    m = Gio.DBusMessage.new_method_call(None, path, full, member)
    m.set_serial(serial)
    if args is not None:
        m.set_body(args)
    return m.to_blob(Gio.DBusCapabilityFlags.NONE)
