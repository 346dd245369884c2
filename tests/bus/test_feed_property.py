"""Promise 5 as a property: a client that follows the feed never misses or repeats a change.

Random writers, clients that stall, reconnect, start anew from what they wrote down, or read page by page; a daemon that
is killed with -9 behind any durable effect; an archive restored from a backup; tombstones that expire. In the end every
replica equals the archive, row by row. FEED_SEED repeats a run, FEED_ROUNDS makes it longer.
"""

import glob
import hashlib
import os
import pickle
import random
import shutil
import subprocess
import tempfile
import unittest

from gi.repository import GLib

from busdaemon import ACCOUNT, IFACE, V, Raw

SEED = int(os.environ.get("FEED_SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = int(os.environ.get("FEED_ROUNDS", 70))
ERROR = IFACE + "Error."
PAGES = {"across-gaps": GLib.Variant("b", True)}


class Gone(Exception):
    """The daemon was killed."""


class Killable:
    """bus-daemon in a directory that outlives it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="bus-feed", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
        self.path = os.path.join(self.dir, "varve", "bus")
        self.data = os.path.join(self.dir, "data")
        self.proc = None
        self.starts = 0

    def start(self, kill_at=0):
        """kill_at: die by SIGKILL right after the so-manieth durable effect (base/step.h)."""
        self.starts += 1
        env = dict(os.environ, VARVE_STEP_KILL=str(kill_at)) if kill_at else None
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.proc = subprocess.Popen([os.environ["BUS_DAEMON"], self.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True, env=env)
        return self.proc.stdout.readline().strip() == "ready"

    def cmd(self, line):
        try:
            self.proc.stdin.write(line + "\n")
            self.proc.stdin.flush()
            answer = self.proc.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Gone
        return answer

    def end(self):
        self.proc.stdin.close()
        status = self.proc.wait(20)
        self.proc.stdout.close()
        return status

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def peer(self):
        from gi.repository import Gio
        return Gio.DBusConnection.new_for_address_sync("unix:path=" + self.path,
                                                       Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)


class Asked:
    """Calls over a Raw connection; the error name as an exception."""

    class Error(Exception):
        pass

    def __init__(self, d):
        self.c = Raw(d.path, rcvbuf=4096)
        self.bells = []

    def call(self, iface, member, args, path=ACCOUNT):
        serial = self.c.send(path, iface, member, args)
        while True:
            m = self.c.receive()
            if m is None:
                raise Gone
            if m.get_reply_serial() == serial:
                break
            self.bell(m)
        if m.get_error_name():
            raise Asked.Error(m.get_error_name())
        return m.get_body().unpack() if m.get_body() else ()

    def bell(self, m):
        if m.get_member() == "Changed":
            self.bells.append(m.get_body().unpack())

    def next_bell(self):
        """Blocks until one rings."""
        while not self.bells:
            m = self.c.receive()
            if m is None:
                raise Gone
            self.bell(m)
        return self.bells.pop(0)

    def prop(self, name):
        return self.call("org.freedesktop.DBus.Properties", "Get", V("(ss)", IFACE + "Archive", name))[0]


def read_all(asked, kind, pause=lambda: None):
    """(rows by key, seq of the first page), page by page; pause() between two pages."""
    rows, first, cursor = {}, None, ""
    if kind == "conversation":
        while True:
            page, cursor, seq = asked.call("Conversations", "List", V("(sua{sv})", cursor, 3, {}))
            rows.update({r[0]: r for r in page})
            first = seq if first is None else first
            if not cursor:
                return rows, first
            pause()
    anchor, since = ("newest", 0), 0
    while kind == "message":
        page, edges, seq = asked.call("Archive", "GetHistory", V("(sstuua{sv})", "", *anchor, 60, 0, PAGES))
        rows.update({r[0]: r for r in page})
        first = seq if first is None else first
        if edges & 1 or not page:
            return rows, first
        anchor = ("message", page[0][0])
        pause()
    while True:         # contacts: the feed from its beginning
        since, more, _m, _c, contacts, _gone = asked.call(
            "Archive", "Changes", V("(stua{sv})", "", since, 40, {"kinds": GLib.Variant("as", ["contact"])}))
        rows.update({r[0]: r for r in contacts})
        if not more:
            return rows, since


class Replica:
    """A client with the algorithm of docs/ipc.md, whole: what it holds is all that it knows."""

    KINDS = ("message", "conversation", "contact")

    def __init__(self, d, rng, world):
        self.d, self.rng, self.world = d, rng, world
        self.asked = None
        self.stall = 0
        self.resets = {"EpochChanged": 0, "ChangesTooOld": 0}
        self.repeats = []
        self.forget()

    def forget(self):
        self.rows = {kind: {} for kind in self.KINDS}
        self.since, self.epoch, self.paged = 0, "", False

    def connect(self):
        if self.asked:
            self.asked.c.close()
        self.asked = Asked(self.d)

    def restart(self):
        """What was written down together with the rows is all that a restarted client has."""
        self.rows, self.since, self.epoch = pickle.loads(pickle.dumps((self.rows, self.since, self.epoch)))
        self.asked.c.close()
        self.asked = None

    def begin(self):
        """Step 2: from the feed's beginning, or what a screen shows first and `since` of the first page."""
        self.epoch = self.asked.prop("Epoch")
        if self.rng.random() < 0.5:
            return
        self.paged = True       # what changes while pages are read may come again
        seqs = []
        for kind in self.KINDS:
            rows, seq = read_all(self.asked, kind, self.world.write_some)
            self.rows[kind] = rows
            seqs.append(seq)
        self.since = min(seqs)

    def mod(self, kind, row):
        return {"message": row[1], "conversation": row[1], "contact": row[1]}[kind]

    def pull(self):
        if not self.epoch:
            self.begin()
        more = True
        while more:
            limit = self.rng.choice((1, 2, 7, 50, 500))
            try:
                following, more, *parts, removed = self.asked.call(
                    "Archive", "Changes", V("(stua{sv})", self.epoch, self.since, limit, {}))
            except Asked.Error as e:
                name = str(e).removeprefix(ERROR)
                if name not in self.resets:
                    raise
                self.resets[name] += 1
                self.forget()
                self.begin()
                continue
            assert sum(map(len, parts)) + len(removed) <= limit, "more rows than asked for"
            assert following >= self.since and (following > self.since or not more), "the feed stands still"
            for kind, rows in zip(self.KINDS, parts):
                for row in rows:
                    self.apply(kind, row, following)
            for kind, key in removed:
                self.rows[kind].pop(int(key) if kind == "message" else key, None)
            self.since = following
            if self.rng.random() < 0.1:
                self.world.write_some()

    def apply(self, kind, row, following):
        have = self.rows[kind].get(row[0])
        assert self.since < self.mod(kind, row) <= following or self.paged, (kind, row[:2], self.since, following)
        if have and self.mod(kind, have) >= self.mod(kind, row):
            if not self.paged:
                self.repeats.append((kind, row))
            return
        self.rows[kind][row[0]] = row

    def step(self):
        if self.stall:
            self.stall -= 1
            return
        dice = self.rng.random()
        if self.asked is None or dice < 0.06:
            self.connect()
            self.pull()         # step 4: any doubt
        elif dice < 0.12:
            self.restart()
        elif dice < 0.3:
            self.stall = self.rng.randrange(1, 25)
        elif self.asked.prop("Seq") > self.since:
            # Something changed: a bell rings for it, or has.
            while True:
                epoch, seq = self.asked.next_bell()
                if epoch != self.epoch or seq > self.since:
                    break
            self.pull()

    def catch_up(self):
        self.stall = 0
        if self.asked is None:
            self.connect()
        self.pull()
        while self.since < self.asked.prop("Seq"):
            self.asked.next_bell()
            self.pull()


def checksum(rows):
    return hashlib.sha256(repr(sorted(rows.items())).encode()).hexdigest()


class World:
    """The daemon, its writers and what happens to them."""

    def __init__(self, rng):
        self.rng = rng
        self.d = Killable()
        self.kills = 0
        self.quiet = False
        self.replicas = []
        assert self.d.start()

    def write(self, n):
        """Killed in the middle: what was durable stays, the rest never happened."""
        try:
            self.d.cmd(f"chance w{self.d.starts} {self.rng.randrange(1 << 60)} {n}")
        except Gone:
            self.come_back()

    def write_some(self):
        if not self.quiet and self.rng.random() < 0.5:
            self.d.cmd(f"chance w{self.d.starts} {self.rng.randrange(1 << 60)} {self.rng.randrange(1, 4)}")

    def come_back(self, kill_at=0):
        if self.d.proc.poll() is None and self.d.proc.stdin.closed is False:
            self.d.proc.wait(20)
        assert self.d.proc.returncode == -9, self.d.proc.returncode
        self.d.proc.stdout.close()
        self.d.proc.stdin.close()
        self.kills += 1
        self.cut()
        assert self.d.start()

    def cut(self):
        for r in self.replicas:
            if r.asked:
                r.asked.c.close()
                r.asked = None

    def restart_to_be_killed(self):
        """Killed within the next writes."""
        assert self.d.end() == 0
        self.cut()
        while not self.d.start(self.rng.randrange(3, 60)):
            assert self.d.proc.wait(20) == -9
        self.write(200)

    def restore(self):
        """The archive is an older one from a backup, as docs/store.md says how; returns how many replicas must notice."""
        file = os.path.join(self.dir_of_backups(), f"backup{self.d.starts}.varve")
        self.d.cmd(f"backup {file}")
        self.write(self.rng.randrange(1, 60))
        assert self.d.end() == 0
        self.cut()
        old = self.d.data + f".old{self.d.starts}"
        os.rename(self.d.data, old)
        os.mkdir(self.d.data, 0o700)
        shutil.copy(file, self.d.data)
        shutil.copy(file + ".keys", os.path.join(self.d.data, "archive.keys"))
        for key in glob.glob(os.path.join(old, "*.key")):
            shutil.copy2(key, self.d.data)
        assert self.d.start()

    def dir_of_backups(self):
        path = os.path.join(self.d.dir, "backups")
        os.makedirs(path, exist_ok=True)
        return path

    def truth(self):
        asked = Asked(self.d)
        out = {kind: read_all(asked, kind)[0] for kind in Replica.KINDS}
        asked.c.close()
        return out


class FeedProperty(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        print(f"FEED_SEED={SEED}")
        self.rng = random.Random(SEED)
        self.world = World(self.rng)
        self.addCleanup(self.world.d.close)

    def replicas(self, n):
        made = [Replica(self.world.d, random.Random(self.rng.random()), self.world) for _ in range(n)]
        self.world.replicas += made
        return made

    def assert_equal_to_the_archive(self, replicas):
        self.world.quiet = True
        for r in replicas:
            r.catch_up()
        self.world.quiet = False
        want = self.world.truth()
        for number, r in enumerate(replicas):
            for kind in Replica.KINDS:
                if checksum(r.rows[kind]) != checksum(want[kind]):
                    have, wanted = r.rows[kind], want[kind]
                    self.fail(f"replica {number} differs in {kind}s: missing {sorted(set(wanted) - set(have))[:5]}, "
                              f"too many {sorted(set(have) - set(wanted))[:5]}, other "
                              f"{[(have[k], wanted[k]) for k in have if k in wanted and have[k] != wanted[k]][:2]}")
            self.assertEqual(r.repeats, [])
        return {kind: len(rows) for kind, rows in want.items()}

    def test_every_replica_equals_the_archive(self):
        world, replicas = self.world, self.replicas(6)
        restores = 0
        for number in range(ROUNDS):
            dice = self.rng.random()
            if dice < 0.08:
                world.restart_to_be_killed()
            elif dice < 0.11 or number == ROUNDS // 2:
                world.restore()
                restores += 1
            else:
                world.write(self.rng.randrange(1, 30))
            for r in replicas:
                if self.rng.random() < 0.6:
                    r.step()
        rows = self.assert_equal_to_the_archive(replicas)
        print(f"{rows}, {world.kills} kills, {restores} restores, resets {[r.resets for r in replicas]}")
        self.assertGreater(min(rows.values()), 0)
        self.assertGreater(sum(r.resets["EpochChanged"] for r in replicas), 0)
        self.assertEqual(sum(r.resets["ChangesTooOld"] for r in replicas), 0)

    def test_expired_tombstones_are_told_and_only_then(self):
        """One replica sleeps past the oldest tombstone, one follows: the first is told ChangesTooOld, once, and is right
        again; the second never hears of it."""
        self.world.d.cmd("tombstones 8")
        awake, asleep = self.replicas(2)
        self.world.write(60)
        for r in (awake, asleep):
            r.catch_up()
        for _ in range(1000):
            self.world.write(8)
            awake.catch_up()
            if awake.asked.prop("OldestSeq") > asleep.since:
                break
        rows = self.assert_equal_to_the_archive([awake, asleep])
        self.assertGreater(rows["contact"], 0)
        self.assertEqual(awake.resets, {"EpochChanged": 0, "ChangesTooOld": 0})
        self.assertEqual(asleep.resets, {"EpochChanged": 0, "ChangesTooOld": 1})


if __name__ == "__main__":
    unittest.main()
