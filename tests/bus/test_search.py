"""Archive.Search: what it finds over the bus, and that nobody waits for a long one."""

import time
import unittest

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, Daemon, Raw, V, call, error_name, history_args, wait_for

ERROR = "org.varve.Varve1.Error."
BIG = 60000
SLOW = "message -4 -5 -6 -7 -8 -9 -1 -2 -3 -0"    # every message has the word, none is a hit: all of it is read


def args(query, cursor="", limit=50, **options):
    signature = {"conversation": "s", "sender": "s", "since": "x", "until": "x"}
    return V("(ssua{sv})", query, cursor, limit, {k: GLib.Variant(signature[k], v) for k, v in options.items()})


class Small(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon(seed=1000)

    @classmethod
    def tearDownClass(cls):
        assert cls.d.stop() == 0

    def setUp(self):
        self.conn = self.d.peer()

    def search(self, *a, **kw):
        return call(self.conn, ACCOUNT, "Archive", "Search", args(*a, **kw))

    def refused(self, *a, **kw):
        with self.assertRaises(GLib.Error) as e:
            self.search(*a, **kw)
        return error_name(e.exception).removeprefix(ERROR)

    def test_hits_come_newest_first_with_ranges(self):
        hits, cursor = self.search("message 77 -with")
        self.assertEqual([h[0][8] for h in hits], [f"message {n}" for n in [*range(778, 769, -1), 77]])
        self.assertEqual(cursor, "")
        body = hits[0][0][8]
        self.assertEqual([body[s:s + n] for s, n in hits[0][1]], ["message", "778"])
        self.assertEqual(hits[0][0][9]["stanza-id"], "a000778")

    def test_pages_are_the_whole_without_a_repeat(self):
        bodies, cursor, pages = [], "", 0
        while True:
            hits, cursor = self.search("message", cursor, 70)
            bodies += [h[0][8] for h in hits]
            pages += 1
            if not cursor:
                break
        want = [f"message {n}" + (" with \ufffd in it" if n % 10 == 9 else "") for n in range(999, -1, -1)]
        self.assertEqual(bodies, want)
        self.assertGreaterEqual(pages, 15)

    def test_narrowed(self):
        hits, _ = self.search("message", limit=500, conversation="contact07@example.net")
        self.assertEqual(len(hits), len([n for n in range(1000) if n % 30 == 7]))
        self.assertEqual(self.search("message", limit=500, sender="contact07@example.net")[0], hits)
        mid = hits[10][0][4]
        late, _ = self.search("message", limit=500, conversation="contact07@example.net", since=mid)
        early, _ = self.search("message", limit=500, conversation="contact07@example.net", until=mid)
        self.assertEqual(late + early, hits)
        self.assertEqual((len(late), early[0]), (11, hits[11]))

    def test_found_from_the_moment_it_is_stored(self):
        self.d.cmd("live bob@example.com/x 今天去东京吃拉面 🍜")
        hits, _ = self.search("东京")
        self.assertEqual([(h[0][2], h[1]) for h in hits], [("bob@example.com", [(3, 2)])])
        self.assertEqual(self.search("🍜")[0][0][1], [(9, 1)])

    def test_refusals(self):
        self.assertEqual(self.refused("!?"), "org.freedesktop.DBus.Error.InvalidArgs")
        self.assertEqual(self.refused("-only"), "org.freedesktop.DBus.Error.InvalidArgs")
        self.assertEqual(self.refused("x", "nonsense"), "org.freedesktop.DBus.Error.InvalidArgs")
        self.assertEqual(self.refused("x" * 5000), "LimitExceeded")
        self.assertEqual(self.refused("a b c d e f g h i j k l m n o p q r s"), "LimitExceeded")
        self.assertEqual(self.refused("x", conversation="nobody@example.net"), "NoSuchConversation")
        with self.assertRaises(GLib.Error) as e:
            call(self.conn, ACCOUNT, "Archive", "Search", V("(ssua{sv})", "x", "", 1, {"since": GLib.Variant("s", "now")}))
        self.assertEqual(error_name(e.exception), "org.freedesktop.DBus.Error.InvalidArgs")

    def test_readers_may_search(self):
        hits, _ = call(self.d.peer(self.d.path_ro), ACCOUNT, "Archive", "Search", args("message 5"))
        self.assertGreater(len(hits), 10)


class Big(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon(seed=BIG)

    @classmethod
    def tearDownClass(cls):
        assert cls.d.stop() == 0

    def begin(self, path=None):
        c = Raw(path or self.d.path)
        return c, c.send(ACCOUNT, "Archive", "Search", args(SLOW))

    def test_nobody_waits_for_a_long_search(self):
        other = Raw(self.d.path)
        waits, searches = [], []
        for _ in range(20):
            c, serial = self.begin()
            began, answered = time.monotonic(), None
            c.sock.setblocking(False)
            while answered is None:
                begin = time.monotonic()
                other.reply(other.send(ACCOUNT, "Archive", "GetHistory", history_args(5)))
                waits.append((time.monotonic() - begin) * 1000)
                try:
                    c.buf += c.sock.recv(65536)
                    answered = time.monotonic() - began
                except BlockingIOError:
                    pass
            c.sock.setblocking(True)
            self.assertEqual(c.reply(serial).get_body().unpack(), ([], ""))
            c.close()
            searches.append(answered * 1000)
        waits.sort()
        p99 = waits[int(len(waits) * 0.99)]
        print(f"{len(searches)} searches of {BIG} messages took {min(searches):.0f} to {max(searches):.0f} ms; "
              f"{len(waits)} GetHistory meanwhile: p50 {waits[len(waits) // 2]:.1f} ms, p99 {p99:.1f} ms")
        # In one piece, a search would let one call through.
        self.assertGreater(len(waits), 5 * len(searches), "a search was one piece of work")
        other.close()

    def test_limits(self):
        c, serial = self.begin()
        second = c.send(ACCOUNT, "Archive", "Search", args("other"))
        self.assertEqual(c.reply(second).get_error_name(), ERROR + "LimitExceeded")
        others = [self.begin() for _ in range(3)]
        fifth, last = self.begin()
        self.assertEqual(fifth.reply(last).get_error_name(), ERROR + "LimitExceeded")
        for conn, ser in [(c, serial), *others]:
            self.assertEqual(conn.reply(ser).get_message_type(), Gio.DBusMessageType.METHOD_RETURN)
            conn.close()
        fifth.close()

    def test_readers_leave_a_place(self):
        readers = [self.begin(self.d.path_ro) for _ in range(2)]
        third, last = self.begin(self.d.path_ro)
        self.assertEqual(third.reply(last).get_error_name(), ERROR + "LimitExceeded")
        own = self.begin()
        for conn, ser in [own, *readers]:
            self.assertEqual(conn.reply(ser).get_message_type(), Gio.DBusMessageType.METHOD_RETURN)
            conn.close()
        third.close()

    def test_a_caller_who_goes_ends_the_search(self):
        begin = time.monotonic()
        c, serial = self.begin()
        c.reply(serial)
        c.close()
        alone = time.monotonic() - begin
        # Four that nobody waits for: if they went on, there would be no place for the fifth until they are at their end.
        for c, _ in [self.begin() for _ in range(4)]:
            c.close()
        conn = self.d.peer()
        begin = time.monotonic()

        def accepted():
            try:
                return call(conn, ACCOUNT, "Archive", "Search", args("message 59999"))
            except GLib.Error as e:
                assert error_name(e) == ERROR + "LimitExceeded", e
        hits, _ = wait_for(accepted, what="a place")
        self.assertEqual([h[0][8] for h in hits], ["message 59999 with \ufffd in it"])
        took = time.monotonic() - begin
        self.assertLess(took, 2 * alone)

    def test_locked_meanwhile(self):
        c, serial = self.begin()
        self.d.cmd("archive locked")
        self.assertEqual(c.reply(serial).get_error_name(), ERROR + "Locked")
        self.d.cmd("archive ready")
        hits, _ = call(self.d.peer(), ACCOUNT, "Archive", "Search", args("message 59999"))
        self.assertEqual(len(hits), 1)
        c.close()


if __name__ == "__main__":
    unittest.main()
