"""The bars of a link that breaks: python3 -m varvetest.figures_link [--idle SECONDS] [NAME ...]     (VARVE_BUILD=DIR)

    route       another address, or a route on which the old stream is dead: from the change to resumed, with a token
    send        a link that died in silence: from the next send to found, and to resumed
    wake        the same after a sleep: from waking up to found, and to resumed
    backlog     20 messages that waited: from resumed to all of them visible over the bus
    --idle N    two accounts for N seconds: wake-ups against pings (600 is the bar's)

Over a link with 100 ms one way. The proxy does not delay TCP's own round trip, so the bars count one less. Exit status: how
many bars were missed.
"""

import contextlib
import os
import sys
import tempfile
import time

from . import daemon, netns, proxy, servers
from .bus import MANAGER, Bus
from .login1 import Login1
from .peer import Peer
from .wait import wait_for

DELAY = 0.1
RTT = 2 * DELAY
TRIES = 5


class Link:
    """
    A daemon in a network of its own, where nobody else's cables come and go, online with one account; what it says is read
    from the socket, every few ms.
    """

    def __init__(self, server, user, link, env=None):
        server.add_user(user)
        self.link, self.jid = link, f"{user}@{server.domain}"
        self.network = netns.Network()
        self.network.plug(2)
        self.varved = daemon.Varved()
        self.varved.wrap = self.network.wrap
        self.varved.extra_env.update(env or {})
        self.varved.start()
        self.varved.add_account(server, user, port=self.network.forward(link.port), host=self.network.near)
        self.varved.wait_sync()
        # A token is asked for by the first login and used by the second.
        self.resumes = 0
        link.cut()
        self.back()
        self.bus = Bus(self.varved)

    def back(self):
        self.resumes = self.varved.wait_resumed(self.resumes + 1)["session"]["resumes"]
        self.varved.wait_sync()

    def account(self):
        return self.bus.status()["accounts"][0]

    def until(self, what, timeout=20):
        """When that became true of the account; seconds on the monotonic clock."""
        end = time.monotonic() + timeout
        while not what(self.account()):
            assert time.monotonic() < end, (self.account(), self.varved.tail(3000))
            time.sleep(0.003)
        return time.monotonic()

    def until_resumed(self):
        had = self.resumes
        at = self.until(lambda a: a["session"]["resumes"] > had and a["state"] == "online")
        self.resumes = int(self.account()["session"]["resumes"])
        return at

    def until_found(self):
        return self.until(lambda a: a["state"] != "online")

    def stable(self):
        """Long enough online that nothing has to be waited for."""
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 11, 20)

    def close(self):
        self.bus.close()
        self.varved.close()
        self.network.close()


def say(name, values, bar, unit="s"):
    """One line; 1 if the worst missed the bar."""
    scale = 1000 if unit == "ms" else 1
    worst = max(values)
    good = worst <= bar
    text = " ".join(f"{v * scale:.0f}" if unit == "ms" else f"{v:.2f}" for v in values)
    bar_text = f"{bar * scale:.0f}" if unit == "ms" else f"{bar:.2f}"
    print(f"{name}: {text} {unit}; bar {bar_text} {unit}; {'ok' if good else 'MISSED'}", flush=True)
    return 0 if good else 1


@contextlib.contextmanager
def fast_server():
    with servers.Prosody(sasl2=1) as server:
        yield server


def route(server):
    bar = 2 * RTT + 1.2
    with proxy.Proxy(server.tls_port) as link:
        one = Link(server, "route", link)
        network, gone, dead, host = one.network, [], [], 2
        link.delay = DELAY
        for _ in range(TRIES):
            one.stable()
            host += 1
            began = time.monotonic()
            network.move(host)
            gone.append(one.until_resumed() - began)
        for _ in range(TRIES):
            one.stable()
            host += 1
            link.bury()
            began = time.monotonic()
            network.inside("addr", "add", f"{network.net}.{host}/24", "dev", network.device)
            dead.append(one.until_resumed() - began)
        one.close()
    return (say("route change, the old address is gone, to resumed", gone, bar) +
            say("route change, the old stream is dead, to resumed", dead, bar))


def send(server):
    with proxy.Proxy(server.tls_port) as link:
        one = Link(server, "send", link)
        link.delay = DELAY
        resumed, found = [], []
        for number in range(TRIES):
            one.stable()
            link.bury()
            one.varved.ctl("send", f"nobody@{server.domain}", f"one {number}")
            began = time.monotonic()
            resumed.append(one.until_resumed() - began)
        for number in range(2):
            one.stable()
            link.blackhole = True
            one.varved.ctl("send", f"nobody@{server.domain}", f"two {number}")
            began = time.monotonic()
            found.append(one.until_found() - began)
            link.blackhole = False
            link.cut()
            one.until_resumed()
        one.close()
    return say("silently dead, from a send to resumed", resumed, 10) + say("no way at all, from a send to found", found, 10)


def wake(server):
    with tempfile.TemporaryDirectory(prefix="varve-figures-") as directory, proxy.Proxy(server.tls_port) as link:
        login1 = Login1(directory)
        one = Link(server, "wake", link, env={"DBUS_SYSTEM_BUS_ADDRESS": login1.address})
        wait_for(lambda: login1.inhibitors() == 1, 10)
        link.delay = DELAY
        resumed, found = [], []
        for _ in range(TRIES):
            one.stable()
            login1.sleep()
            link.bury()
            began = time.monotonic()
            login1.wake()
            resumed.append(one.until_resumed() - began)
        for _ in range(2):
            one.stable()
            login1.sleep()
            link.blackhole = True
            began = time.monotonic()
            login1.wake()
            found.append(one.until_found() - began)
            link.blackhole = False
            link.cut()
            one.until_resumed()
        one.close()
        login1.close()
    return say("silently dead, from waking up to resumed", resumed, 3) + say("no way at all, from waking up to found", found, 3)


def backlog(server):
    took = []
    with proxy.Proxy(server.tls_port) as link:
        one = Link(server, "backlog", link)
        server.add_user("friend")
        path = one.bus.call(MANAGER, "FindAccount", "s", (one.jid,))
        with Peer(server, "friend") as peer:
            for number in range(TRIES):
                one.stable()
                # Behind: the server sends into the dead connection, and keeps what is not acknowledged.
                link.delay, link.blackhole = 0, True
                for i in range(20):
                    peer.send(one.jid, f"waiting {number}.{i}")
                peer.ping()
                link.delay, link.blackhole = DELAY, False
                epoch, seq = (one.bus.call("org.freedesktop.DBus.Properties", "Get", "ss",
                                           ("org.varve.Varve1.Archive", name), path=path) for name in ("Epoch", "Seq"))
                link.cut()
                began, seen = one.until_resumed(), set()
                while len(seen) < 20:
                    assert time.monotonic() < began + 20, one.varved.tail(3000)
                    reply = one.bus.call("org.varve.Varve1.Archive", "Changes", "stua{sv}", (epoch, seq, 400, {}), path=path)
                    seq = reply[0]
                    seen |= {str(row[8]) for row in reply[2] if str(row[8]).startswith(f"waiting {number}.")}
                    time.sleep(0 if reply[1] else 0.003)
                took.append(time.monotonic() - began)
        one.close()
    return say("a backlog of 20, from resumed to visible", took, 0.15 + RTT, "ms")


# ---- idle ----

def processes(varved):
    """varved and its wires: pid to name."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                name, _, rest = f.read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name.startswith("varve"):
            found[int(entry)] = (name, int(rest.split()[1]))
    wires = {pid: name for pid, (name, parent) in found.items() if parent == varved.child.pid}
    return {varved.child.pid: "varved", **wires}


def wakes(pids):
    """How often each of them, with all its threads, has gone to sleep."""
    out = {}
    for pid in pids:
        out[pid] = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                out[pid] += next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    return out


class Idle:
    """Two accounts in a network of their own (a change of this machine's is a trigger), left alone."""

    def __init__(self, server, fresh=lambda name: name):
        self.network = netns.Network()
        self.network.plug(2)
        self.links = [proxy.Proxy(server.tls_port), proxy.Proxy(server.tls_port)]
        self.varved = daemon.Varved()
        self.varved.wrap = self.network.wrap
        self.varved.start()
        for user, link in zip((fresh("alice"), fresh("bob")), self.links):
            server.add_user(user)
            self.varved.add_account(server, user, port=self.network.forward(link.port), host=self.network.near)
        self.varved.wait_sync()
        self._calm()

    def _calm(self):
        """What ends some seconds after the sync: lazy commits, the search index, the question for archive ids."""
        settled, since = wakes(processes(self.varved)), time.monotonic()

        def calm():
            nonlocal settled, since
            now = wakes(settled)
            if now != settled:
                settled, since = now, time.monotonic()
            return time.monotonic() - since > 8
        wait_for(calm, 90, "calm", interval=0.5)

    def run(self, seconds):
        """([(when, {process: context switches}), ...] one for each wake-up: what happens within a second is one; pings)."""
        names = processes(self.varved)
        began = time.monotonic()
        before, pings, moments = wakes(names), self.bytes(), []
        last, asked = before, 0
        while time.monotonic() - began < seconds:
            time.sleep(0.1)
            now, at = wakes(names), time.monotonic() - began
            if now != last:
                spent = {f"{names[p]} {p}": now[p] - last[p] for p in now if now[p] != last[p]}
                if moments and at - moments[-1][0] < 1:
                    for name, count in spent.items():
                        moments[-1][1][name] = moments[-1][1].get(name, 0) + count
                else:
                    moments.append((at, spent))
                last = now
            if self.bytes() != pings and (not moments or moments[-1][0] > at - 1):
                asked += not hasattr(self, "_asked_at") or at - self._asked_at > 1
                self._asked_at, pings = at, self.bytes()
        return moments, asked, {f"{names[p]} {p}": last[p] - before[p] for p in names}

    def bytes(self):
        return [(p.to_client, p.to_server) for p in self.links]

    def close(self):
        self.varved.close()
        for link in self.links:
            link.close()
        self.network.close()


def idle(seconds):
    bad = 0
    for cls in servers.BY_NAME.values():
        with cls() as server:
            one = Idle(server)
            moments, pings, spent = one.run(seconds)
            one.close()
        for at, who in moments:
            print(f"    {at:6.1f} s: {who}")
        worst = max(spent.values())
        good = len(moments) <= pings + 2 and worst <= 2 * (pings + 1)
        print(f"{server.name}: idle {seconds:.0f} s: {len(moments)} wake-ups, {pings} pings; bar {pings + 2}; context switches "
              f"{spent}; {'ok' if good else 'MISSED'}", flush=True)
        bad += not good
    return bad


FIGURES = {"route": route, "send": send, "wake": wake, "backlog": backlog}


def main(argv):
    if "--idle" in argv:
        return idle(float(argv[argv.index("--idle") + 1]))
    missing = netns.usable()
    if missing:
        print(f"nothing is measured: {missing}")
        return 1
    names = argv[1:] or list(FIGURES)
    with fast_server() as server:
        return sum(FIGURES[name](server) for name in names)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
