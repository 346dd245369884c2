"""What a connection looks at (Manager.SetInterest), and what is ephemeral: who hears what, how often, and until when."""

import time
import unittest

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, ROOT, Daemon, Raw, V, blob, call, error_name, history_args, wait_for
from test_feed import signals

ERROR = "org.varve.Varve1.Error."
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
DOORBELL = 0.05  # mailbox.h
AS = (lambda v: GLib.Variant("as", v))


class Interest(unittest.TestCase):
    def setUp(self):
        self.d = Daemon(seed=300)

    def tearDown(self):
        self.assertEqual(self.d.stop(), 0)

    def interest(self, conn, **options):
        kinds = {bool: "b", list: "as"}
        call(conn, ROOT, "Manager", "SetInterest",
             V("(a{sv})", {k: GLib.Variant(kinds[type(v)], v) for k, v in options.items()}))

    def refused(self, conn, options):
        with self.assertRaises(GLib.Error) as e:
            call(conn, ROOT, "Manager", "SetInterest", V("(a{sv})", options))
        return error_name(e.exception).removeprefix(ERROR)

    def heard(self, conn, spin, member):
        """Whatever was on its way is there: each bell may wait for its turn, and Ping comes behind them."""
        time_out = time.monotonic() + 3 * DOORBELL
        while time.monotonic() < time_out:
            call(conn, ROOT, "org.freedesktop.DBus.Peer", "Ping")
            spin()
        return [s for s in spin() if s[0] == member]

    def test_doorbells_ring_for_whom_they_concern(self):
        everything = signals(self.d)
        of_five, of_contacts, of_nothing = signals(self.d), signals(self.d), signals(self.d)
        self.interest(of_five[0], conversations=["contact05@example.net"], kinds=["message"])
        self.interest(of_contacts[0], kinds=["contact", "removed"])
        self.interest(of_nothing[0], kinds=[])
        self.d.cmd("live contact06@example.net/x hello")
        self.assertEqual(len(self.heard(*everything, "Changed")), 1)
        for who in (of_five, of_contacts, of_nothing):
            self.assertEqual(self.heard(*who, "Changed"), [])
        self.d.cmd("live contact05@example.net/x hello")
        (bell,) = self.heard(*of_five, "Changed")
        self.assertEqual(bell[1], self.heard(*everything, "Changed")[-1][1])
        for who in (of_contacts, of_nothing):
            self.assertEqual(self.heard(*who, "Changed"), [])
        # What it says is the whole feed, of which Changes tells the part that was missed.
        row = call(of_five[0], ACCOUNT, "Archive", "Changes",
                   V("(stua{sv})", "", bell[1][1] - 1, 0, {"conversations": AS(["contact05@example.net"])}))[2]
        self.assertLessEqual(len(row), 1)
        # {} is as at the beginning.
        self.interest(of_nothing[0])
        self.d.cmd("live contact06@example.net/x again")
        self.assertEqual(len(self.heard(*of_nothing, "Changed")), 1)

    def test_a_flood_rings_for_all_and_the_last_ring_has_the_end(self):
        everything, narrow = signals(self.d), signals(self.d)
        self.interest(narrow[0], conversations=["contact00@example.net"])
        begin = time.monotonic()
        for _ in range(150):
            self.d.cmd("flood 7")
        took = time.monotonic() - begin
        seq = call(everything[0], ACCOUNT, "org.freedesktop.DBus.Properties", "Get",
                   V("(ss)", "org.varve.Varve1.Archive", "Seq"))[0]
        for who in (everything, narrow):
            bells = self.heard(*who, "Changed")
            self.assertLessEqual(len(bells), took / DOORBELL + 3)
            self.assertEqual(bells[-1][1][1], seq)
            self.assertEqual([b[1][1] for b in bells], sorted(b[1][1] for b in bells))

    def test_somebody_looks_while_one_connection_says_so(self):
        a, b = self.d.peer(), self.d.peer()
        self.interest(a, active=True)
        self.assertEqual(self.d.cmd("last-send"), "active 1")
        self.d.cmd("outcome ok")
        call(b, ACCOUNT, "Account", "SetPresence", V("(ssa{sv})", "", "mark", {}))
        self.interest(b, active=True)
        self.interest(a, active=True)
        a.close_sync(None)
        call(b, ROOT, "org.freedesktop.DBus.Peer", "Ping")
        self.assertEqual(self.d.cmd("last-send"), "presence  mark")
        self.interest(b, ephemeral=False)
        self.assertEqual(self.d.cmd("last-send"), "active 0")
        self.interest(b, active=True)
        self.assertEqual(self.d.cmd("last-send"), "active 1")
        b.close_sync(None)
        wait_for(lambda: self.d.cmd("last-send") == "active 0", what="the last one to go")

    def test_arguments(self):
        conn = self.d.peer()
        self.assertEqual(self.refused(conn, {"kinds": AS(["tree"])}), INVALID)
        self.assertEqual(self.refused(conn, {"colour": AS([])}), INVALID)
        self.assertEqual(self.refused(conn, {"active": GLib.Variant("s", "yes")}), INVALID)
        self.assertEqual(self.refused(conn, {"conversations": AS(["x"] * 501)}), "LimitExceeded")
        # They are kept: without an end 60 readers made varved hold 117 MB.
        self.assertEqual(self.refused(conn, {"conversations": AS(["x" * 3800 + f"@{i}.example.org" for i in range(500)])}),
                         "LimitExceeded")
        self.interest(conn, conversations=["x" * 110 + f"@{i}.example.org" for i in range(500)])
        self.interest(conn, conversations=["x"] * 500)

    # ---- ephemeral

    def test_ephemeral_news_reach_whom_wants_them(self):
        everything, quiet, narrow = signals(self.d), signals(self.d), signals(self.d)
        self.interest(quiet[0], ephemeral=False)
        self.interest(narrow[0], conversations=["ann@example.org"])
        self.d.cmd("typing ann@example.org/\ufdd0x composing")
        self.d.cmd("typing bob@example.org/x paused")
        self.d.cmd("presence ann@example.org/x away for \ufffe lunch")
        typing = [("ann@example.org", "ann@example.org/\ufffdx", "composing"), ("bob@example.org", "bob@example.org/x", "paused")]
        self.assertEqual([s[1] for s in self.heard(*everything, "Typing")], typing)
        self.assertEqual([s[1] for s in self.heard(*everything, "Presence")],
                         [("ann@example.org/x", "away", "for \ufffd lunch", {"priority": 5})])
        self.assertEqual([s[1] for s in self.heard(*narrow, "Typing")], typing[:1])
        self.assertEqual(self.heard(*quiet, "Typing") + self.heard(*quiet, "Presence"), [])
        self.assertEqual(everything[1]()[-1][3], ACCOUNT)

    def test_who_is_slow_misses_them_and_costs_nothing(self):
        c = Raw(self.d.path, rcvbuf=4096)
        c.reply(c.send(ROOT, "org.freedesktop.DBus.Peer", "Ping"))
        quick = signals(self.d)
        for i in range(20):
            c.sock.sendall(blob(100 + i, ACCOUNT, "Archive", "GetHistory", history_args(300)))
        # Its queue stands: it has room in no buffer for what is asked here.
        wait_for(lambda: call(quick[0], ROOT, "org.freedesktop.DBus.Peer", "Ping") == (), what="the others' turn")
        for i in range(3000):
            self.d.cmd(f"presence p{i % 200}@example.org/x away {i}")
            if i % 50 == 0:  # it keeps up
                call(quick[0], ROOT, "org.freedesktop.DBus.Peer", "Ping")
        self.assertGreater(len(self.heard(*quick, "Presence")), 2900)
        told, answers = 0, 0
        while answers < 20:
            m = c.receive()
            told += m.get_member() == "Presence"
            answers += m.get_message_type() == Gio.DBusMessageType.METHOD_RETURN
        self.assertLess(told, 100)
        c.close()

    def test_status_hears_of_nobody(self):
        """Who talks to whom is content: the socket for readers tells it, a connection with the role status does not (its
        calls are refused by test_write.py; another user's socket is in test_session.py)."""
        conn, spin = signals(self.d)
        reader = self.d.peer(self.d.path_ro)
        call(reader, ACCOUNT, "Roster", "GetPresence", V("(as)", []))
        self.d.cmd("typing ann@example.org/x composing")
        self.assertEqual(len(self.heard(conn, spin, "Typing")), 1)


if __name__ == "__main__":
    unittest.main()
