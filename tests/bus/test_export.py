"""An export of an archive that goes on changing: messages get their place, go, and come, while somebody reads slowly."""

import json
import os
import unittest

from gi.repository import GLib

from busdaemon import ACCOUNT, IFACE, Daemon, V, call, export, wait_for

N = 2600
# A reader that does not read: the export stops somewhere between, with varved's buffer and two pipes full.
BEHIND, AHEAD = 500, 1900


class Export(unittest.TestCase):
    def setUp(self):
        self.d = Daemon()
        self.d.cmd(f"flood {N}")
        self.conn = self.d.peer()
        self.before = self.ids()

    def tearDown(self):
        self.assertEqual(self.d.stop(), 0)

    def ids(self):
        """Of all messages, in archive order."""
        out, anchor, value = [], "oldest", 0
        while True:
            rows, edges, _ = call(self.conn, ACCOUNT, "Archive", "GetHistory",
                                  V("(sstuua{sv})", "", anchor, value, 0, 499, {"across-gaps": GLib.Variant("b", True)}))
            out += [r[0] for r in rows[1 if out else 0:]]
            if edges & 2:
                return out
            anchor, value = "message", out[-1]

    def exported(self, meanwhile, options=None):
        """What comes out when meanwhile() happens in its middle: ids in the order of the lines."""
        r, w = os.pipe()
        job = export(self.conn, w, options)
        os.close(w)
        wait_for(lambda: self.job(job)["Progress"][0] > BEHIND, 30, "the export to be under way")
        meanwhile()
        self.assertLess(self.job(job)["Progress"][0], AHEAD)
        with os.fdopen(r, encoding="utf-8") as f:
            rows = [json.loads(line) for line in f]
        wait_for(lambda: self.job(job)["State"] == "done", 30, "the job to end")
        self.assertEqual(self.job(job)["Result"]["messages"], len(rows))
        return [row["id"] for row in rows]

    def job(self, path):
        return call(self.conn, path, "org.freedesktop.DBus.Properties", "GetAll", V("(s)", IFACE + "Job"))[0]

    def settle(self, *moves):
        for live, before in moves:
            self.d.cmd(f"settle {live} {before}")

    def moved(self, live, before):
        """self.before as it is once this was settled."""
        ids = [i for i in self.before if i != self.before[live]]
        ids.insert(ids.index(self.before[before]), self.before[live])
        return ids

    def test_what_is_settled_behind_the_reader_is_there(self):
        got = self.exported(lambda: self.settle((AHEAD + 1, 100)))
        self.assertEqual(self.ids(), self.moved(AHEAD + 1, 100))
        self.assertEqual(sorted(got), sorted(self.before))
        # Everything else is in order, and it stands between where it was and where it belongs.
        late = self.before[AHEAD + 1]
        self.assertEqual([i for i in got if i != late], [i for i in self.before if i != late])
        self.assertLess(got.index(late), AHEAD)

    def test_what_is_settled_ahead_of_the_reader_comes_once(self):
        got = self.exported(lambda: self.settle((100, AHEAD + 1)))
        self.assertEqual(self.ids(), self.moved(100, AHEAD + 1))
        self.assertEqual(got, self.before)

    def test_what_moves_between_messages_that_are_still_to_come_is_in_its_place(self):
        got = self.exported(lambda: self.settle((N - 1, AHEAD)))
        self.assertEqual(got, self.moved(N - 1, AHEAD))

    def test_where_the_reader_stood_moves(self):
        """The message behind which to go on is settled far ahead: what lies between is not left out."""
        got = self.exported(lambda: self.settle(*((i, N - 1) for i in range(BEHIND - 200, AHEAD - 300))))
        self.assertEqual(sorted(got), sorted(self.before))
        self.assertEqual(len(set(got)), N)

    def test_where_the_reader_stood_goes(self):
        def delete():
            for i in range(BEHIND - 200, AHEAD, 500):
                call(self.conn, ACCOUNT, "Archive", "DeleteLocal", V("(at)", self.before[i:min(i + 500, AHEAD)]))
        got = self.exported(delete)
        # What was written before it went stays written; of the rest nothing is missing, nothing twice.
        self.assertEqual(got, [i for i in self.before if i in set(got)])
        self.assertEqual(got[:BEHIND - 200], self.before[:BEHIND - 200])
        self.assertEqual(got[-(N - AHEAD):], self.before[AHEAD:])

    def test_what_comes_meanwhile_is_of_the_next_export(self):
        got = self.exported(lambda: self.d.cmd("live bob@example.org/a hello"))
        self.assertEqual(got, self.before)
        self.assertEqual(len(self.ids()), N + 1)

    def test_of_one_conversation(self):
        got = self.exported(lambda: self.settle((AHEAD + 1, 100), (100, AHEAD)),
                            {"conversations": GLib.Variant("as", ["contact00@example.net"])})
        self.assertEqual(sorted(got), sorted(self.before))


if __name__ == "__main__":
    unittest.main()
