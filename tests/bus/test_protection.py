"""Clients that mean ill, or are broken: what each of them, and many of them together, can cost the daemon and the other clients.
The bounds are those of conn.h, server.c and job.h; what was measured is printed."""

import os
import select
import socket
import subprocess
import sys
import time
import unittest

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, IFACE, ROOT, Daemon, Raw, V, blob, call, export, history_args, wait_for

MIB = 1024
CONNS_FREE_FOR_ALL = 128  # server.c
TOTAL_STOP = 32 * MIB     # conn.h, in kB
STALL = 30                # conn.h, seconds
CALL_MAX, ALL_MAX = 2 << 20, 32 << 20  # held.h, bytes
HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = blob(1, ACCOUNT, "Archive", "GetHistory", history_args(500))  # about 120 kB of answer


LATENCY_MORE = 50      # ms: a busy machine needs 8 with nothing wrong, what this guards against took 1,100


class Protection(unittest.TestCase):
    def setUp(self):
        self.d = Daemon(seed=3000)
        self.other = self.d.peer()
        self.quiet = self.latency(200)[100]
        self.before = self.d.rss_kb()

    def tearDown(self):
        self.assertEqual(self.d.stop(), 0)

    def latency(self, n=300):
        times = []
        for _ in range(n):
            t = time.monotonic()
            call(self.other, ROOT, "Manager", "GetStatus", V("(a{sv})", {}))
            times.append((time.monotonic() - t) * 1000)
        return sorted(times)

    def bound(self, what, kb):
        """The daemon has grown by no more than kb; another client does not notice (the tail is the machine's)."""
        times = self.latency()
        grown, p99 = self.d.rss_kb() - self.before, times[int(len(times) * 0.99)]
        print(f"{what}: RSS +{grown / MIB:.1f} MiB (of {kb / MIB:.0f}), another client p50 {times[len(times) // 2]:.2f} ms, p99 {p99:.2f} ms",
              flush=True)
        self.assertLess(grown, kb, what)
        self.assertLess(times[len(times) // 2], 5 * self.quiet + LATENCY_MORE, what)

    def flood(self, c, data, seconds=1.0):
        """Write until it is not taken any more."""
        c.sock.setblocking(False)
        end, sent = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            try:
                sent += c.sock.send(data)
            except BlockingIOError:
                if not select.select([], [c.sock], [], 0.1)[1]:
                    break
            except (BrokenPipeError, ConnectionResetError):
                break
        c.sock.setblocking(True)
        c.sock.settimeout(20)
        return sent

    def test_a_slow_reader_gets_everything(self):
        n = 40
        c = Raw(self.d.path, rcvbuf=4096)
        c.sock.sendall(b"".join(blob(i, ACCOUNT, "Archive", "GetHistory", history_args(500)) for i in range(1, n + 1)))
        self.bound("a slow reader of 40 pages", 16 * MIB)
        got, serials = 0, []
        while len(serials) < n:
            m = c.receive()
            self.assertIsNotNone(m, f"closed after {got}")
            serials.append(m.get_reply_serial())
            time.sleep(0.02)
        self.assertEqual(serials, list(range(1, n + 1)))
        c.close()

    def test_a_reply_flood(self):
        c = Raw(self.d.path)
        self.flood(c, PAGE * 50)
        self.bound("one reply flood", 16 * MIB)
        c.close()

    def test_many_stuck_readers_share_one_bound(self):
        conns = [Raw(self.d.path) for _ in range(60)]
        for c in conns:
            self.flood(c, PAGE * 20, 0.2)
        # 60 x 8 MiB would be 480: together they have CONN_TOTAL_STOP, and a page each beyond it.
        self.bound("60 stuck readers", TOTAL_STOP + 24 * MIB)
        for c in conns:
            c.close()
        wait_for(lambda: len(os.listdir(f"/proc/{self.d.proc.pid}/fd")) < 40, what="them to be gone")
        self.bound("when they are gone", TOTAL_STOP + 24 * MIB)

    def test_a_thousand_connects_at_once(self):
        socks, refused = [], 0
        for _ in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                try:
                    s.connect(self.d.path)
                    break
                except BlockingIOError:
                    time.sleep(0.001)
            socks.append(s)
        self.bound("1,000 half-open connections", 24 * MIB)
        for s in socks:
            if select.select([s], [], [], 0)[0]:
                refused += 1
        # One is self.other's.
        self.assertEqual(len(socks) - refused, CONNS_FREE_FOR_ALL - 1)
        # This process has all that it may have; another one is served.
        script = "import sys; sys.path.insert(0, sys.argv[1]); from busdaemon import *; c = Raw(sys.argv[2]); " \
                 "print(c.reply(c.send(ROOT, 'org.freedesktop.DBus.Peer', 'Ping')) is not None)"
        out = subprocess.run([sys.executable, "-W", "ignore", "-c", script, HERE, self.d.path], capture_output=True, text=True, check=False)
        self.assertEqual(out.stdout.strip(), "True", out.stderr)
        # Those that do not authenticate lose their place.
        wait_for(lambda: self.d.fds() < 40, 30, "half-open ones to be dropped")
        Raw(self.d.path).close()
        for s in socks:
            s.close()

    def test_connecting_without_end(self):
        """A loop that connects and goes: nothing is left behind, and others are served."""
        fds = self.d.fds()
        for _ in range(2000):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.d.path)
            s.close()
        self.bound("2,000 connections one after the other", 8 * MIB)
        wait_for(lambda: self.d.fds() <= fds, what="descriptors given back")

    def beside(self, what, calls, n):
        """A process that sends ${calls} at once and takes its answers; how long others wait meanwhile."""
        script = ("import sys, threading; sys.path.insert(0, sys.argv[1]); from busdaemon import *\n"
                  f"c, n = Raw(sys.argv[2]), {n}\n"
                  f"data = b''.join({calls} for i in range(1, n + 1))\n"
                  "threading.Thread(target=lambda: c.sock.sendall(data)).start()\n"
                  "got = 0\n"
                  "while got < n:\n"
                  "    m = c.receive()\n"
                  "    if m.get_message_type() != Gio.DBusMessageType.SIGNAL:\n"
                  "        assert m.get_message_type() == Gio.DBusMessageType.METHOD_RETURN, m.print_(0)\n"
                  "        got += 1\n")
        p = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script, HERE, self.d.path])
        times, begin = [], time.monotonic()
        while p.poll() is None:
            times += self.latency(1)
        took = (time.monotonic() - begin) * 1000
        self.assertEqual(p.returncode, 0)
        times.sort()
        print(f"beside {what}: p50 {times[len(times) // 2]:.2f} ms, p99 {times[int(len(times) * 0.99)]:.2f} ms, longest {times[-1]:.1f} ms",
              flush=True)
        # Served to its end, it would be one wait as long as the pipeline; the machine itself may be busy.
        self.assertGreater(len(times), 10)
        self.assertLess(times[-1], took * 0.4)

    def test_others_have_their_turn_beside_a_pipeline(self):
        """Each Send waits for the disk; the others wait for one of them, not for all. A pipeline is not served to its end."""
        self.beside("3,000 pipelined Sends",
                    "blob(i, ACCOUNT, 'Archive', 'Send', V('(sssa{sv})', 'bob@example.org', f'f{i}', 'x' * 200, {}))", 3000)
        self.beside("400 pipelined pages", "blob(i, ACCOUNT, 'Archive', 'GetHistory', history_args(300))", 400)
        self.beside("20,000 pipelined pings", "blob(i, ROOT, 'org.freedesktop.DBus.Peer', 'Ping')", 20000)

    def test_jobs_that_nobody_reads(self):
        r, w = os.pipe()
        conn = self.d.peer()
        for _ in range(16):
            export(conn, w)
        self.bound("16 stuck exports", 16 * MIB)
        conn.close_sync(None)
        os.close(r)
        os.close(w)

    def test_a_pipeline_of_everything(self):
        """Calls with and without an answer, signals, answers to nobody, garbage arguments."""
        c = Raw(self.d.path)
        junk = []
        for i in range(1, 400):
            m = Gio.DBusMessage.new_signal("/a/b", "c.d", "E")
            m.set_serial(i)
            junk.append(m.to_blob(Gio.DBusCapabilityFlags.NONE))
            junk.append(blob(i, ACCOUNT, "Archive", "GetHistory", V("(s)", "short")))
            junk.append(blob(i, "/nowhere", "Archive", "GetHistory"))
            junk.append(blob(i, ROOT, "org.freedesktop.DBus", "AddMatch", V("(s)", "type='signal'" + "x" * 900)))
        self.flood(c, b"".join(junk), 0.5)
        self.bound("junk", 8 * MIB)
        c.close()

    def test_a_message_that_announces_more_than_it_has(self):
        conns = []
        for _ in range(50):
            c = Raw(self.d.path)
            # A call with a body of 100 MiB, of which 4 kB come.
            c.sock.sendall(b"l\1\0\1" + (100 << 20).to_bytes(4, "little") + b"\1\0\0\0" + b"\0\0\0\0" + b"\0" * 4096)
            conns.append(c)
        self.bound("50 messages of 100 MiB announced", 16 * MIB)
        for c in conns:
            c.close()

    @staticmethod
    def begun(length):
        """The beginning of a call with a body of so many bytes."""
        return b"l\1\0\1" + length.to_bytes(4, "little") + b"\1\0\0\0" + b"\0\0\0\0"

    def pour(self, c, data, most):
        """Write ${data} again and again until the other end closes: how much that took, or None if it takes more than that."""
        c.sock.settimeout(60)
        sent = 0
        while sent < most:
            try:
                sent += c.sock.send(data)
            except (BrokenPipeError, ConnectionResetError):
                return sent
        return None

    def test_a_call_that_is_too_long_is_not_read(self):
        for _ in range(4):
            c = Raw(self.d.path_ro)
            c.sock.sendall(self.begun(127 << 20))
            self.assertIsNotNone(self.pour(c, bytes(1 << 16), 8 * CALL_MAX))
            c.close()
        self.bound("calls of 127 MiB", 8 * MIB)

    def test_calls_that_have_not_come_whole_share_one_bound(self):
        conns = [Raw(self.d.path_ro) for _ in range(60)]
        for c in conns:
            c.sock.sendall(self.begun(CALL_MAX - 100))
            try:
                c.sock.sendall(bytes(CALL_MAX - 1000))
            except (BrokenPipeError, ConnectionResetError):
                pass
        self.bound("60 calls of almost 2 MiB", ALL_MAX // 1024 + 16 * MIB)
        # A call as clients make them has its place beside them; when they go, a long one has too.
        text = V("(sssa{sv})", "bob@example.org", "beside", "x" * 30000, {})
        self.assertEqual(call(self.other, ACCOUNT, "Archive", "Send", text)[1], False)
        for c in conns:
            c.close()
        ids = V("(ata{sv})", list(range(1, 200000)), {})
        with self.assertRaisesRegex(GLib.Error, "LimitExceeded"):
            call(self.other, ACCOUNT, "Archive", "GetMessages", ids)

    def test_calls_that_do_not_parse_keep_nobody_waiting(self):
        """sd-bus drops them in a loop of its own, for as long as they come."""
        c = Raw(self.d.path_ro)
        took = self.pour(c, (self.begun(8) + bytes(8)) * 10000, 64 * CALL_MAX)
        self.assertIsNotNone(took, "they were taken without end")
        self.bound(f"{took // 24} calls without path and name", 8 * MIB)
        c.close()

    def test_descriptors_that_no_call_takes(self):
        before, fd = self.d.fds(), os.open("/dev/null", os.O_RDONLY)
        for n in (1, 4, 253):
            c = Raw(self.d.path_ro, fds=True)
            self.assertIsNotNone(c.reply(c.send(ROOT, "org.freedesktop.DBus.Peer", "Ping")))
            c.sock.sendall(self.begun(1000))
            try:
                for _ in range(20):
                    socket.send_fds(c.sock, [b"x"], [fd] * n)
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.bound(f"descriptors, {n} a byte", 8 * MIB)
            self.assertLess(self.d.fds(), before + 10, f"{n} a byte")
            c.close()
        # Whole, but nobody asked for it; an option of it neither.
        conn, fds = self.d.peer(), Gio.UnixFDList.new()
        call(conn, ROOT, "org.freedesktop.DBus.Peer", "Ping")
        fds.append(fd)
        for options in ({}, {"x-fd": GLib.Variant("h", 0)}):
            with self.assertRaisesRegex(GLib.Error, "no descriptor"):
                conn.call_with_unix_fd_list_sync(None, ROOT, IFACE + "Manager", "GetStatus", V("(a{sv})", options), None,
                                                 Gio.DBusCallFlags.NONE, 10000, fds, None)
        os.close(fd)

    def test_one_that_stands_still_is_dropped(self):
        quiet, half = Raw(self.d.path), Raw(self.d.path)
        half.sock.sendall(self.begun(1000))
        c = Raw(self.d.path)
        begin = time.monotonic()
        self.flood(c, PAGE * 50)
        wait_for(lambda: self.d.fds() and not self.still(c), STALL + 20, "it to be closed")
        took = time.monotonic() - begin
        print(f"a stuck reader was closed after {took:.0f} s", flush=True)
        self.assertGreater(took, STALL - 6)
        wait_for(lambda: not self.still(half), STALL + 20, "half a call to be given up")
        self.assertTrue(self.still(quiet), "nothing was wrong with that one")
        half.close()
        quiet.close()
        self.bound("after it", 16 * MIB)
        c.close()

    @staticmethod
    def still(c):
        """The other end is open: POLLHUP says when it is not, without reading."""
        poll = select.poll()
        poll.register(c.sock, 0)
        return not poll.poll(0)


if __name__ == "__main__":
    unittest.main()
