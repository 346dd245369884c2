"""Exactly once: apps that send while everything around them breaks, and the receivers' archives as the judge.

Chance decides what breaks and when; the seed is in the output of the test. Every kind of trouble comes at least once.
"""

import collections
import os
import random
import signal
import threading
import time

from . import app, xmpp
from .wait import wait_for


class Trouble:
    """What happens to the link, the two processes and the server; all of it heals."""

    def __init__(self, varved, server, link, rng, log):
        self.varved, self.server, self.link, self.rng, self.log = varved, server, link, rng, log
        self.count = collections.Counter()
        self.stops = []         # of the server: (from, until), time.time()

    KINDS = ("cut", "hole", "slow", "refuse", "kill_wire", "kill_varved", "restart_server")

    def strike(self, kind):
        self.count[kind] += 1
        self.log(kind)
        getattr(self, kind)()

    def cut(self):
        self.link.cut()

    def hole(self):
        """Nothing gets through in either direction, and nobody is told."""
        self.link.blackhole = True
        time.sleep(self.rng.uniform(0.05, 1.5))
        self.link.cut()
        self.link.blackhole = False

    def slow(self):
        self.link.delay = self.rng.choice((0.0, 0.01, 0.1, 0.3))

    def refuse(self):
        """Long enough, now and then, for the server to give the session up (smacks_seconds)."""
        self.link.refuse()
        self.link.cut()
        time.sleep(self.rng.choice((0.1, 0.5, 3.5)))
        self.link.resume()

    def wires(self):
        with open(f"/proc/{self.varved.child.pid}/task/{self.varved.child.pid}/children") as f:
            return [int(p) for p in f.read().split()]

    def kill_wire(self):
        for pid in self.wires():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass            # it had just ended by itself

    def kill_varved(self):
        self.varved.kill9()
        self.varved.start()

    def restart_server(self):
        begin = time.time()
        self.server.restart()
        self.stops.append((begin, time.time()))

    def heal(self):
        self.link.blackhole, self.link.delay = False, 0.0
        self.link.resume()


class Sender(threading.Thread):
    """One app: sends what it has to each conversation in order, and never goes on before the last was accepted."""

    def __init__(self, name, varved, jid, conversations, count, rng, pace):
        super().__init__(daemon=True)
        self.name, self.count, self.rng, self.pace = name, count, rng, pace
        self.conversations = conversations
        self.app = app.App(varved, jid)
        self.sent = []          # (conversation, body, row id)
        self.existing = 0       # accepted by a call that was never answered
        self.error = None

    def run(self):
        try:
            for number in range(self.count):
                to = self.rng.choice(self.conversations)
                body = f"{self.name} {number}"
                row, existing = self.app.send(to, f"soak-{self.name}-{number}", body, insist=True)
                self.existing += existing
                self.sent.append((to, body, row))
                if self.rng.random() < 0.3:         # bursts, with pauses between them
                    time.sleep(self.rng.expovariate(1 / self.pace))
        except Exception as e:
            self.error = e


def misdelivered(sent, bodies):
    """What is wrong with one archive's bodies, given the bodies sent there (each sender's in order); [] if nothing."""
    out = []
    count = collections.Counter(bodies)
    out += [f"{n} times: {body}" for body, n in count.items() if n != 1]
    missing = [body for body in sent if body not in count]
    out += [f"missing: {body}" for body in missing]
    out += [f"nobody sent: {body}" for body in count if body not in set(sent)]
    last = {}
    for body in bodies:
        name, number = body.rsplit(" ", 1)
        if int(number) < last.get(name, -1):
            out.append(f"order: {body} after {name} {last[name]}")
        last[name] = int(number)
    return out


def lost_by_the_server(mine, stops):
    """ejabberd 23.01 that is stopped between the sender's archive and the receiver's has taken the message, says so, and
    never delivers it: nothing a client can see. What it had put into our own archive while it was going down."""
    return {row.body for row in mine
            if any(begin - 1 <= xmpp.stamp_us(row.stamp) / 1e6 <= end for begin, end in stops)}


def run(varved, server, link, user, receivers, rng, sends, pace, log=print):
    """`sends` messages from three apps to `receivers` (user names), through the proxy `link`, with trouble as long as they
    send. Returns figures; AssertionError with what went wrong."""
    own = f"{user}@{server.domain}"
    jids = [f"{name}@{server.domain}" for name in receivers]
    trouble = Trouble(varved, server, link, rng, lambda what: log(f"{time.monotonic() - begin:7.2f} s {what}"))
    kinds = []
    begin = time.monotonic()
    try:
        varved.add_account(server, user, port=link.port)
        varved.wait_state("online", timeout=60)
        senders = [Sender(f"app{i}", varved, own, jids, sends // 3 + (i < sends % 3), random.Random(rng.random()), pace)
                   for i in range(3)]
        for s in senders:
            s.start()
        while any(s.is_alive() for s in senders) or len(trouble.count) < len(Trouble.KINDS):
            if not kinds:
                kinds = list(Trouble.KINDS)
                rng.shuffle(kinds)
            time.sleep(rng.expovariate(1 / 1.2))
            trouble.strike(kinds.pop())
        trouble.heal()
        for s in senders:
            s.join(600)
            assert not s.is_alive() and s.error is None, (s.name, s.error, varved.tail())
        accepted = time.monotonic() - begin
        reader = app.App(varved, own)
        ids = [row for s in senders for _to, _body, row in s.sent]
        assert len(set(ids)) == sends, "two messages share a row"

        def done():
            rows = reader.rows(ids)
            return len(rows) == sends and all(row.state in (app.SENT, app.DELIVERED, app.DISPLAYED) for row in rows)
        wait_for(done, 240, lambda: f"all sent; not: {[r for r in reader.rows(ids) if r.state < 12 or r.state > 14][:5]} of "
                 f"{sum(r.state < 12 or r.state > 14 for r in reader.rows(ids))}; {varved.account()}; log: {varved.tail()}",
                 interval=0.3)
        reader.close()
        mine = [row for row in server.archive(user) if row.body is not None]
        lost = lost_by_the_server(mine, trouble.stops) if server.name == "ejabberd" else set()
        wrong, excused = [], []
        for name, jid in zip(receivers, jids):
            bodies = [row.body for row in server.archive(name) if row.body is not None]
            for w in misdelivered([b for s in senders for to, b, _row in s.sent if to == jid], bodies):
                (excused if w.removeprefix("missing: ") in lost else wrong).append(f"{jid}: {w}")
        mine = [row.body for row in mine]
        wrong += [f"own archive: {w}" for w in misdelivered([b for s in senders for _to, b, _row in s.sent], mine)
                  if not w.startswith("order")]
        assert not wrong, f"{len(wrong)} wrong: {wrong[:12]}\n{varved.tail()}"
        session = varved.account()["session"]
        return {"sends": sends, "troubles": dict(trouble.count), "unanswered calls": sum(s.existing for s in senders),
                "accepted s": round(accepted, 1), "all s": round(time.monotonic() - begin, 1),
                "binds": session["binds"], "resumes": session["resumes"],
                "lost by the server while it stopped": excused}
    finally:
        trouble.heal()
