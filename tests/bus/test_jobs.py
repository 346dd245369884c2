"""Job objects: exports into every kind of descriptor, fetching; what ends them, and their limits."""

import json
import os
import socket
import subprocess
import time
import unittest

from gi.repository import GLib

from busdaemon import ACCOUNT, IFACE, ROOT, Daemon, V, call, error_name, export, wait_for
from test_feed import signals

ERROR = "org.varve.Varve1.Error."
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
HISTORY_KEYS = ["id", "mod", "conversation", "sender", "direction", "state", "kind", "time", "time_usec", "body", "stanza_id",
                "origin_id", "client_id", "xmpp_id", "edited", "edited_usec", "reply_to", "reactions", "encryption", "error"]
B, X, S, T, AS = (lambda v, s=s: GLib.Variant(s, v) for s in ("b", "x", "s", "t", "as"))


class Jobs(unittest.TestCase):
    def setUp(self):
        self.d = Daemon(seed=2000)
        self.conn = self.d.peer()
        self.file = os.path.join(self.d.dir, "export")

    def tearDown(self):
        self.assertEqual(self.d.stop(), 0)

    def props(self, job, conn=None):
        return call(conn or self.conn, job, "org.freedesktop.DBus.Properties", "GetAll", V("(s)", IFACE + "Job"))[0]

    def end(self, job, state="done"):
        wait_for(lambda: self.props(job)["State"] != "running", 30, "the job to end")
        props = self.props(job)
        self.assertEqual(props["State"], state, props)
        return props

    def refused(self, fn, *args, **kw):
        with self.assertRaises(GLib.Error) as e:
            fn(*args, **kw)
        return error_name(e.exception).removeprefix(ERROR)

    def lines(self, options=None):
        with open(self.file, "w") as f:
            job = export(self.conn, f.fileno(), options)
        props = self.end(job)
        with open(self.file, encoding="utf-8") as f:
            lines = f.read().splitlines()
        self.assertEqual(props["Result"], {"messages": len(lines), "bytes": os.path.getsize(self.file)})
        return lines

    # ---- export

    def test_a_file_has_every_message_once_in_order(self):
        rows = [json.loads(line) for line in self.lines()]
        self.assertEqual([r["body"].split()[1] for r in rows], [str(i) for i in range(2000)])
        self.assertEqual(list(rows[0]), HISTORY_KEYS)
        self.assertEqual([r["id"] for r in rows], sorted({r["id"] for r in rows}))
        # What D-Bus and terminals cannot take is not in the file either.
        self.assertEqual(rows[9]["body"], "message 9 with \ufffd in it")

    def test_a_part(self):
        everything = [json.loads(line) for line in self.lines()]
        since, until = everything[500]["time_usec"], everything[700]["time_usec"]
        part = [json.loads(line) for line in self.lines({"since": X(since), "until": X(until)})]
        self.assertEqual([r["id"] for r in part], [r["id"] for r in everything[500:700]])
        some = ["contact05@example.net", "contact03@example.net"]
        part = [json.loads(line) for line in self.lines({"conversations": AS(some)})]
        self.assertEqual([r["id"] for r in part], [r["id"] for c in some for r in everything if r["conversation"] == c])

    def test_text_is_for_people(self):
        self.d.cmd("live x@example.org/a \x1b[31mred\u202egpj.exe")
        line = self.lines({"format": S("text"), "conversations": AS(["x@example.org"])})[0]
        self.assertRegex(line, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z  x@example.org  <x@example.org/a> "
                               "\ufffd\\[31mred\ufffdgpj.exe$")
        row = self.lines({"conversations": AS(["x@example.org"])})[0]
        self.assertIn(r"\u001b[31mred\u202egpj.exe", row)
        self.assertEqual(json.loads(row)["body"], "\x1b[31mred\u202egpj.exe")

    def test_a_pipe_that_is_read_slowly_gets_everything(self):
        r, w = os.pipe()
        job = export(self.conn, w)
        os.close(w)
        got = b""
        while True:
            data = os.read(r, 30000)
            if not data:
                break
            got += data
            time.sleep(0.002)
        os.close(r)
        self.assertEqual(self.end(job)["Progress"], (2000, 2000))
        self.assertEqual(len(got.splitlines()), 2000)

    def test_a_socket_that_does_not_block(self):
        a, b = socket.socketpair()
        a.setblocking(False)
        job = export(self.conn, a.fileno())
        a.close()
        got = b""
        while data := b.recv(65536):
            got += data
        b.close()
        self.end(job)
        self.assertEqual(len(got.splitlines()), 2000)

    def test_nobody_reads(self):
        """A stuck reader holds nobody up; one that goes ends the job; so does Cancel; and the child is gone."""
        r, w = os.pipe()
        job = export(self.conn, w)
        os.close(w)
        times = []
        for _ in range(300):
            t = time.monotonic()
            call(self.conn, ROOT, "org.freedesktop.DBus.Peer", "Ping")
            times.append(time.monotonic() - t)
        self.assertLess(sorted(times)[150], 0.02)
        self.assertEqual(self.props(job)["State"], "running")
        self.assertEqual(len(self.children()), 1)
        os.close(r)
        self.assertEqual(self.end(job, "cancelled")["Error"][0], ERROR + "Cancelled")
        r, w = os.pipe()
        job = export(self.conn, w)
        call(self.conn, job, "Job", "Cancel")
        call(self.conn, job, "Job", "Cancel")
        self.assertEqual(self.end(job, "cancelled")["Error"], (ERROR + "Cancelled", "it was cancelled"))
        os.close(r)
        os.close(w)
        self.assertEqual(self.children(), [])

    def children(self):
        out = subprocess.run(["ps", "--ppid", str(self.d.proc.pid), "-o", "pid="], capture_output=True, text=True, check=False)
        return out.stdout.split()

    def test_a_full_disk(self):
        full = os.open("/dev/full", os.O_WRONLY)
        error = self.end(export(self.conn, full), "failed")["Error"]
        self.assertEqual(error[0], ERROR + "Storage")
        self.assertIn("No space left", error[1])
        os.close(full)

    def test_arguments_of_export(self):
        r, w = os.pipe()
        for options in ({"format": S("pdf")}, {"since": X(-1)}, {"conversations": AS([])}, {"colour": S("red")}):
            self.assertEqual(self.refused(export, self.conn, w, options), INVALID, options)
        self.assertEqual(self.refused(export, self.conn, r), INVALID)
        self.assertEqual(self.refused(export, self.conn, w, {"conversations": AS(["x@example.org"])}), "NoSuchConversation")
        self.assertEqual(self.refused(export, self.conn, w, {"conversations": AS(["contact01@example.net"] * 501)}), "LimitExceeded")
        ro = self.d.peer(self.d.path_ro)
        self.assertEqual(self.refused(export, ro, w), "Denied")
        self.assertEqual(self.children(), [])
        os.close(r)
        os.close(w)

    def test_a_lock_ends_it(self):
        r, w = os.pipe()
        job = export(self.conn, w)
        os.close(w)
        self.d.cmd("archive locked")
        got = b""
        while data := os.read(r, 65536):
            got += data
        os.close(r)
        # A job is not of the archive: it is still there, and says why.
        self.assertEqual(self.end(job, "failed")["Error"][0], ERROR + "Locked")
        self.assertLess(len(got.splitlines()), 2000)

    # ---- jobs

    def test_at_most_sixteen_and_they_end_with_their_connection(self):
        conn = self.d.peer()
        r, w = os.pipe()
        jobs = [export(conn, w) for _ in range(16)]
        self.assertEqual(self.refused(export, conn, w), "LimitExceeded")
        other = export(self.conn, w)
        (objects,) = call(self.conn, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        self.assertEqual({p for p in objects if "/job/" in p}, set(jobs) | {other})
        call(conn, jobs[3], "Job", "Cancel")
        kept = export(conn, w, {"detach": B(True)})
        conn.close_sync(None)
        for job in jobs:
            self.end(job, "cancelled")
        self.assertEqual((self.props(kept)["State"], self.props(other)["State"]), ("running", "running"))
        call(self.conn, kept, "Job", "Cancel")
        os.close(r)
        os.close(w)
        self.end(other, "cancelled")
        self.assertEqual(self.refused(call, self.conn, ROOT + "/job/999", "Job", "Cancel"),
                         "org.freedesktop.DBus.Error.UnknownObject")

    def test_they_come_move_end_and_go(self):
        conn, spin = signals(self.d)
        r, w = os.pipe()
        begin = time.monotonic()
        job = export(conn, w)
        os.close(w)
        while data := os.read(r, 20000):
            time.sleep(0.02)
        took = time.monotonic() - begin
        os.close(r)
        def told():
            return [s for s in spin() if s[3] == job and s[0] == "PropertiesChanged"]
        wait_for(lambda: any(s[1][1].get("State") == "done" for s in told()), what="the end to be told")
        first = next(s for s in spin() if s[0] == "InterfacesAdded" and s[1][0] == job)
        self.assertIn(IFACE + "Job", first[1][1])
        progress = [s[1][1]["Progress"] for s in told() if "State" not in s[1][1]]
        self.assertEqual(progress, sorted(progress))
        self.assertGreater(len(progress), 0)
        self.assertLessEqual(len(progress), 4 * took + 2)
        last = told()[-1][1][1]
        self.assertEqual((last["State"], last["Progress"], last["Result"]["messages"]), ("done", (2000, 2000), 2000))

    def test_those_that_ended_are_kept_but_not_for_ever(self):
        conn, spin = signals(self.d)
        with open(os.devnull, "w") as null:
            jobs = [export(conn, null.fileno(), {"until": X(1)}) for _ in range(10)]
            for i in range(80):
                job = export(conn, null.fileno(), {"until": X(1)})
                call(conn, job, "Job", "Cancel")
        def left():
            (objects,) = call(self.conn, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
            return [p for p in objects if "/job/" in p]
        wait_for(lambda: len(left()) <= 64, what="the oldest to go")
        self.assertNotIn(jobs[0], left())
        wait_for(lambda: any(s[0] == "InterfacesRemoved" and s[1] == (jobs[0], s[1][1]) for s in spin()), what="that to be told")

    # ---- fetch

    def fetch(self, conversation="", **options):
        return call(self.conn, ACCOUNT, "Sync", "Fetch", V("(sa{sv})", conversation, options))[0]

    def test_fetch_ends_when_the_gap_is_closed(self):
        self.d.cmd("online")
        job = self.fetch()
        self.assertEqual(self.props(job)["State"], "running")
        total = self.props(job)["Progress"][1]
        self.assertGreater(total, 0)
        self.d.cmd("fill")
        self.assertEqual(self.end(job)["Progress"], (total, total))

    def test_fetch_of_what_is_there_is_done_at_once(self):
        self.d.cmd("online")
        rows = call(self.conn, ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "oldest", 0, 0, 10, {}))[0]
        self.end(self.fetch(before=T(rows[5][0])))
        (gaps, _) = call(self.conn, ACCOUNT, "Sync", "ListGaps", V("(stu)", "", 0, 0))
        newest = call(self.conn, ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "newest", 0, 1, 0, {}))[0][0][0]
        self.assertEqual(self.props(self.fetch(before=T(newest)))["State"], "running")
        self.assertEqual(self.props(self.fetch(since=X(gaps[0][4])))["State"], "running")

    def test_what_ends_a_fetch(self):
        for command, state, error in (("pause", "cancelled", "Cancelled"), ("state auth-failed", "failed", "Offline"),
                                      ("state disconnected", "failed", "Offline"), ("archive locked", "failed", "Locked")):
            self.d.cmd("online")
            job = self.fetch("contact01@example.net", all=B(True))
            self.assertEqual(self.props(job)["State"], "running", command)
            if command == "pause":
                call(self.conn, ACCOUNT, "Sync", "Pause", V("(a{sv})", {}))
            else:
                self.d.cmd(command)
            self.assertEqual(self.end(job, state)["Error"][0], ERROR + error, command)
            if command == "pause":
                call(self.conn, ACCOUNT, "Sync", "Resume", V("(a{sv})", {}))

    def test_beyond_what_is_kept_is_said(self):
        """The engine has all that it wants, and a gap is left: further back than varve.conf says."""
        self.d.cmd("online")
        self.d.cmd("caught-up 1")
        self.assertEqual(self.end(self.fetch(all=B(True)), "failed")["Error"][0], ERROR + "Unsupported")
        self.end(self.fetch())

    def test_one_conversation_is_fetched_across_gaps(self):
        self.d.cmd("online")
        who = "contact01@example.net"
        newest = call(self.conn, ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", who, "newest", 0, 1, 0, {}))[0][0][0]
        for options, asked in (({"before": T(newest)}, "errand before"), ({"since": X(1)}, "errand"), ({"all": B(True)}, "errand")):
            job = self.fetch(who, **options)
            self.assertEqual(self.props(job)["State"], "running")
            self.assertEqual(self.d.cmd("last"), asked)
            self.d.cmd("errand done")
            self.end(job)
        job = self.fetch(who, all=B(True))
        self.d.cmd("errand failed")
        self.assertEqual(self.end(job, "failed")["Error"][0], ERROR + "Unsupported")
        other = call(self.conn, ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "contact02@example.net", "newest", 0, 1, 0, {}))
        self.assertEqual(self.refused(self.fetch, who, before=T(other[0][0][0])), "NotFound")
        self.d.cmd("state offline")
        self.assertEqual(self.refused(self.fetch, who, all=B(True)), "Offline")
        self.d.cmd("online")
        self.fetch(all=B(True))
        self.assertEqual(self.d.cmd("last"), "deepen")

    # ---- verify

    def verify(self, conversation="", **options):
        return call(self.conn, ACCOUNT, "Sync", "Verify", V("(sa{sv})", conversation, options))[0]

    def test_verify_reports_what_it_found(self):
        self.d.cmd("online")
        job = self.verify()
        self.assertEqual((self.props(job)["Kind"], self.props(job)["State"]), ("verify", "running"))
        self.assertEqual(self.refused(self.verify), "Busy")
        self.d.cmd("verified 400")
        wait_for(lambda: self.props(job)["Progress"] == (400, 1000), what="progress")
        self.d.cmd("verified done")
        self.assertEqual(self.end(job)["Result"], {"pages": 1, "messages": 20, "missing": 3, "different": 4, "gone": 5, "moved": 6})

    def test_what_ends_a_verify(self):
        for command, state, error in (("verified failed", "failed", "Unsupported"), ("pause", "cancelled", "Cancelled"),
                                      ("state auth-failed", "failed", "Offline"),
                                      ("state disconnected", "failed", "Offline"), ("archive locked", "failed", "Locked")):
            self.d.cmd("online")
            job = self.verify("contact01@example.net", since=X(1))
            if command == "pause":
                call(self.conn, ACCOUNT, "Sync", "Pause", V("(a{sv})", {}))
            else:
                self.d.cmd(command)
            self.assertEqual(self.end(job, state)["Error"][0], ERROR + error, command)
            if command == "pause":
                call(self.conn, ACCOUNT, "Sync", "Resume", V("(a{sv})", {}))
        self.d.cmd("online")
        job = self.verify()
        call(self.conn, job, "Job", "Cancel")
        self.end(job, "cancelled")
        call(self.conn, self.verify(), "Job", "Cancel")

    def test_arguments_of_verify(self):
        self.d.cmd("online")
        self.assertEqual(self.refused(self.verify, since=X(-1)), INVALID)
        self.assertEqual(self.refused(self.verify, all=B(True)), INVALID)
        self.assertEqual(self.refused(self.verify, "x@example.org"), "NoSuchConversation")

    def test_arguments_of_fetch(self):
        self.d.cmd("online")
        self.assertEqual(self.refused(self.fetch, all=B(True), since=X(1)), INVALID)
        self.assertEqual(self.refused(self.fetch, since=X(-1)), INVALID)
        self.assertEqual(self.refused(self.fetch, colour=S("red")), INVALID)
        self.assertEqual(self.refused(self.fetch, before=T(999999)), "NotFound")
        self.assertEqual(self.refused(self.fetch, "x@example.org"), "NoSuchConversation")
        self.d.cmd("state offline")
        self.assertEqual(self.refused(self.fetch), "Offline")


if __name__ == "__main__":
    unittest.main()
