"""Following: the client algorithm of facts/ipc.md section 3.6 never misses or repeats; signals are few."""

import random
import time
import unittest

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, IFACE, ROOT, Daemon, Raw, V, call, wait_for

SEED = 20261122
DOORBELL = 0.05  # mailbox.h


class Follower:
    """One client that follows the feed, slow and cut off at random."""

    def __init__(self, d, rng):
        self.d, self.rng = d, rng
        self.rows, self.since, self.epoch, self.repeats = {}, 0, "", 0
        self.connect()

    def connect(self):
        self.c = Raw(self.d.path, rcvbuf=4096)
        # Any doubt: ask once without waiting for the bell.
        self.pull()

    def pull(self):
        more = True
        while more:
            m = self.c.reply(self.c.send(ACCOUNT, "Archive", "Changes",
                                         V("(stua{sv})", self.epoch, self.since, self.rng.choice((1, 7, 300)), {})))
            following, more, messages, conversations, contacts, removed = m.get_body().unpack()
            for row in messages:
                if row[0] in self.rows and self.rows[row[0]][1] >= row[1]:
                    self.repeats += 1
                self.rows[row[0]] = row
            assert following >= self.since
            self.since = following

    def step(self):
        if self.rng.random() < 0.1:
            self.c.close()
            self.connect()
            return
        m = self.c.receive()
        if m.get_member() == "Changed":
            epoch, seq = m.get_body().unpack()
            if seq > self.since:
                self.pull()


def signals(d):
    """A GIO peer that collects signals: (member, args, time)."""
    context = GLib.MainContext.new()
    context.push_thread_default()
    conn = d.peer()
    seen = []
    conn.signal_subscribe(None, None, None, None, None, Gio.DBusSignalFlags.NONE,
                          lambda c, s, path, iface, member, args: seen.append((member, args.unpack(), time.monotonic(), path)))
    call(conn, ROOT, "org.freedesktop.DBus.Peer", "Ping")
    context.pop_thread_default()

    def spin():
        while context.iteration(False):
            pass
        return seen
    return conn, spin


class Feed(unittest.TestCase):
    def setUp(self):
        self.d = Daemon(seed=300)

    def tearDown(self):
        self.assertEqual(self.d.stop(), 0)

    def archive_rows(self):
        conn = self.d.peer()
        rows, anchor = {}, None
        while True:
            args = ("newest", 0, 400, 0) if anchor is None else ("message", anchor, 400, 0)
            page, edges, _ = call(conn, ACCOUNT, "Archive", "GetHistory",
                                  V("(sstuua{sv})", "", *args, {"across-gaps": GLib.Variant("b", True)}))
            rows.update({r[0]: r for r in page})
            if edges & 1:
                return rows
            anchor = page[0][0]

    def test_followers_that_stall_and_reconnect_are_equal_to_the_archive(self):
        rng = random.Random(SEED)
        followers = [Follower(self.d, random.Random(SEED + i)) for i in range(6)]
        for _ in range(60):
            self.d.cmd(f"flood {rng.randrange(1, 20)}")
            for f in followers:
                if rng.random() < 0.5:
                    f.step()
        want = self.archive_rows()
        seq = call(self.d.peer(), ACCOUNT, "org.freedesktop.DBus.Properties", "Get", V("(ss)", IFACE + "Archive", "Seq"))[0]
        for f in followers:
            # The bell for the newest state always comes, but to who has it since he came back: that one need not hear of it.
            wait_for(lambda f=f: f.since >= seq or f.step(), what="the last doorbell")
            self.assertEqual(f.rows, want)
            self.assertEqual(f.repeats, 0)

    def test_the_doorbell_is_merged(self):
        conn, spin = signals(self.d)
        begin = time.monotonic()
        self.d.cmd("flood 2000")
        seq = call(self.d.peer(), ACCOUNT, "org.freedesktop.DBus.Properties", "Get", V("(ss)", IFACE + "Archive", "Seq"))[0]
        wait_for(lambda: [s for s in spin() if s[0] == "Changed" and s[1][1] == seq], what="the newest seq")
        rung = [s for s in spin() if s[0] == "Changed"]
        self.assertLess(len(rung), (time.monotonic() - begin) / DOORBELL + 3)
        self.assertEqual([s[1][1] for s in rung], sorted({s[1][1] for s in rung}))
        conn.close_sync(None)

    def test_options_of_changes(self):
        conn = self.d.peer()
        options = {"kinds": GLib.Variant("as", ["message"]), "conversations": GLib.Variant("as", ["contact05@example.net"]),
                   "skip-bodies": GLib.Variant("b", True)}
        since, rows = 0, []
        while True:
            since, more, messages, conversations, contacts, removed = call(
                conn, ACCOUNT, "Archive", "Changes", V("(stua{sv})", "", since, 0, options))
            self.assertEqual((conversations, contacts, removed), ([], [], []))
            rows += messages
            if not more:
                break
        self.assertEqual(len(rows), 10)
        self.assertEqual({(r[2], r[8]) for r in rows}, {("contact05@example.net", "")})

    def test_account_changes_are_told_once_and_only_what_changed(self):
        conn, spin = signals(self.d)
        self.d.cmd("state auth-failed")
        self.d.cmd("state auth-failed")
        wait_for(lambda: [s for s in spin() if s[0] == "PropertiesChanged"], what="PropertiesChanged")
        self.d.cmd("state online")
        wait_for(lambda: [s for s in spin() if s[0] == "PropertiesChanged" and s[1][1].get("State") == "online"], what="online")
        told = [s[1] for s in spin() if s[0] == "PropertiesChanged" and s[1][0] == IFACE + "Account"]
        self.assertEqual(told[0], (IFACE + "Account", {"State": "auth-failed", "StateReason": (
            IFACE + "Error.AuthFailed", "the server refused the password")}, []))
        self.assertEqual(told[1][1], {"State": "online", "StateReason": ("", "")})
        self.assertEqual(len(told), 2)
        conn.close_sync(None)

    def test_sync_is_told_at_most_once_a_second(self):
        conn, spin = signals(self.d)
        begin, steps = time.monotonic(), 0
        while time.monotonic() - begin < 2.5:
            self.d.cmd("sync 1")
            steps += 1
            spin()
        wait_for(lambda: [s for s in spin() if s[0] == "PropertiesChanged" and s[1][1].get("Progress") == (steps, 1000000)],
                 what="the last progress")
        told = [s for s in spin() if s[0] == "PropertiesChanged" and s[1][0] == IFACE + "Sync"]
        self.assertGreater(steps, 2 * len(told))
        self.assertLessEqual(len(told), time.monotonic() - begin + 2)
        conn.close_sync(None)

    def test_accounts_that_come_and_go_are_told(self):
        conn, spin = signals(self.d)
        (path,) = call(conn, ROOT, "Manager", "AddAccount", V("(sa{sv})", "b@example.net", {
            "password": GLib.Variant("s", "x"), "enabled": GLib.Variant("b", False)}))
        added = wait_for(lambda: [s for s in spin() if s[0] == "InterfacesAdded"], what="InterfacesAdded")[0]
        self.assertEqual((added[1][0], added[3]), (path, ROOT))
        self.assertEqual(added[1][1][IFACE + "Account"]["Jid"], "b@example.net")
        call(conn, ROOT, "Manager", "RemoveAccount", V("(oa{sv})", path, {}))
        gone = wait_for(lambda: [s for s in spin() if s[0] == "InterfacesRemoved"], what="InterfacesRemoved")[0]
        self.assertEqual(gone[1][0], path)
        self.assertEqual(sorted(gone[1][1]), sorted(added[1][1]))
        conn.close_sync(None)

    def test_a_bus_client_hears_only_what_it_asked_for(self):
        c = Raw(self.d.path)
        driver = ("/org/freedesktop/DBus", "org.freedesktop.DBus")
        c.reply(c.send(*driver, "Hello"))
        c.reply(c.send(*driver, "AddMatch", V("(s)", "interface='org.freedesktop.DBus.Properties'")))
        self.d.cmd("flood 5")
        self.d.cmd("state connecting")
        self.assertEqual(c.receive().get_member(), "PropertiesChanged")
        c.reply(c.send(*driver, "AddMatch", V("(s)", f"interface='{IFACE}Archive',path='{ACCOUNT}'")))
        self.d.cmd("flood 1")
        self.assertEqual(c.receive().get_member(), "Changed")
        c.close()


if __name__ == "__main__":
    unittest.main()
