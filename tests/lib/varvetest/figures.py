"""The figures of a release, all of one run: python3 -m varvetest.figures [--idle SECONDS] [--long | --iterator | --screens | --pages ...]     (VARVE_BUILD=DIR)

    messages/s of a first sync from ejabberd, beside a bare page reader that discards what it reads
    RSS of keeper and wire after 20,000 messages
    client flights to a resumed session
    context switches of both processes in two idle minutes
    --login: instead of these, how long a resume takes after TCP over a link with 100 ms one way, against round trips, and
             how long libstrophe's own client and slixmpp take over the same link to the same server
    --pages [--repeat N]: instead of these, a first sync from each server in pages of 50 and of 250 beside bare readers, and how
             long an app waits for GetHistory(50) meanwhile; the median of N runs
    --screens: instead of these, when the newest 50 of each of 30 conversations are readable over a link with 100 ms one way
    --large: instead of these, a first sync of 20,000 and one of 300,000 messages from ejabberd: time, and peak RSS of both processes
    --long: instead of these, a first sync over a link with 100 ms one way, in pages of 50: one lane and up to sixteen
    --iterator [--count N] [--server NAME]: instead of these, slixmpp's own archive iterator into SQLite over the same link, beside
             ours with up to sixteen lanes
"""

import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from xml.sax.saxutils import escape

import dbus

from . import app, daemon, figures_long, loop, proxy, seed, servers, xmpp
from .figures_long import COUNT, LINK_DELAY


class Discarding(xmpp.AsyncClient):
    """Reads the archive without parsing results: what the server and a socket can give at most."""

    async def discard(self, page=250, quick=False, back=False, managed=False):
        """`quick`: acknowledges at once, so that a server with Nagle's algorithm does not wait 40 ms for it. `back`: newest
        page first, as varve has to. `managed`: with XEP-0198, each page acknowledged when it is there."""
        socket_ = self.writer.get_extra_info("socket")
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        stream, cursor, count, pages = self.reader.stream, "", 0, 0
        if managed:
            self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        while True:
            after = f"<after>{escape(cursor)}</after>" if cursor else ""
            if back:
                after = f"<before>{escape(cursor)}</before>"
            self.send(f"<iq type='set' id='{uuid.uuid4().hex}'><query xmlns='{xmpp.NS_MAM}'><set xmlns='{xmpp.NS_RSM}'>"
                      f"<max>{page}</max>{after}</set></query></iq>")
            data = b""
            while b"</fin>" not in data[-400:]:
                if quick:
                    socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                more = await stream.read(1 << 16)
                if not more:
                    raise xmpp.XmppError("the stream ended")
                count += (data[-9:] + more).count(b"<forwarded")     # nine bytes: one less than the word
                data = data[-400:] + more
            pages += 1
            if managed:
                self.send(f"<a xmlns='urn:xmpp:sm:3' h='{count + pages}'/>")
            if b"complete='true'" in data or b'complete="true"' in data:
                return count
            if back:
                cursor = re.findall(rb"<first[^>]*>([^<]*)</first>", data)[-1].decode()
            else:
                cursor = data.rsplit(b"<last>", 1)[1].split(b"</last>")[0].decode()


def wires(varved):
    with open(f"/proc/{varved.child.pid}/task/{varved.child.pid}/children") as f:
        return [int(p) for p in f.read().split()]


def status(pid, *names):
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return sum(int(fields[name].split()[0]) for name in names)


def switches(pid):
    return status(pid, "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")


def first_screens():
    """The bar: the newest 50 of each of 30 conversations readable within 12 RTT + 1 s of the first login over a long link."""
    bad, bar = 0, 12 * 2 * LINK_DELAY + 1
    for cls in servers.BY_NAME.values():
        with cls() as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
            messages = seed.history(COUNT, domain=server.domain)
            people = seed.people(messages)
            server.add_user("alice")
            server.add_roster("alice", people)
            server.seed_archive("alice", messages)
            with proxy.Proxy(server.tls_port) as link, daemon.Varved(os.path.join(directory, "one")) as varved:
                link.delay = LINK_DELAY
                begin, at, online = time.monotonic(), {}, None
                varved.add_account(server, "alice", port=link.port)
                with app.App(varved, f"alice@{server.domain}") as reader:
                    while len(at) < len(people) and time.monotonic() < begin + 60:
                        for jid in set(people) - set(at):
                            try:
                                rows = reader.call("Archive", "GetHistory", "sstuua{sv}", jid, "newest", 0, 50, 0, {})[0]
                            except dbus.DBusException:
                                continue
                            if len(rows) == 50:
                                at[jid] = time.monotonic() - begin
                        time.sleep(0.01)
                stored = varved.account()["sync"]["messages"]
            took = max(at.values()) if len(at) == len(people) else float("inf")
            bad += took > bar
            print(f"{cls.__name__}, 100 ms one way, {COUNT} messages: newest 50 of {len(at)} of {len(people)} conversations after "
                  f"{took:.2f} s, the first after {min(at.values(), default=0):.2f} s ({stored} stored); bar {bar:.1f} s; "
                  f"{'ok' if took <= bar else 'MISSED'}", flush=True)
    return bad


def bare(server, page, quick, back=True, managed=False):
    """Messages a second of a reader that discards, its login included, as in synced()."""
    client = Discarding(f"alice@{server.domain}", "pw", server.tls_port, server.ca)
    begin = time.monotonic()
    loop.run(client.connect())
    count = loop.run(client.discard(page, quick, back, managed), 170)
    rate = count / (time.monotonic() - begin)
    loop.run(client.close())
    return rate


def synced(server, directory, page, watch=None):
    """Messages a second of a first sync; `watch(varved)` is called again and again meanwhile."""
    varved = daemon.Varved(directory)
    os.makedirs(os.path.join(varved.config, "varve"), mode=0o700)
    with open(os.path.join(varved.config, "varve", "varve.conf"), "w") as f:
        f.write(f"[sync]\npage = {page}\n")
    with varved:
        over = threading.Event()
        begin = time.monotonic()
        varved.add_account(server, "alice")
        thread = threading.Thread(target=watch, args=(varved, over)) if watch else None
        if thread:
            thread.start()
        account = varved.wait_sync(timeout=300)
        took = time.monotonic() - begin
        over.set()
        if thread:
            thread.join()
        return account["sync"]["messages"] / took


def pages(repeat):
    bad, median = 0, statistics.median
    for cls in servers.BY_NAME.values():
        with cls() as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
            server.add_user("alice")
            history = seed.history(COUNT, domain=server.domain)
            server.seed_archive("alice", history)
            contact, waits = history[-1].contact, []

            def watch(varved, over):
                with app.App(varved) as client:
                    while not over.is_set():
                        begin = time.monotonic()
                        client.history(contact, 50)
                        waits.append((time.monotonic() - begin) * 1000)
                        time.sleep(0.005)
            bare(server, 250, True)             # warms the server's cache
            for page in (50, 250):
                runs = [(bare(server, page, True), synced(server, os.path.join(directory, f"{page}-{n}"), page),
                         bare(server, page, True, managed=True)) for n in range(repeat)]
                floor, rate, managed = (median(run[i] for run in runs) for i in range(3))
                bad += rate < 0.85 * floor
                print(f"{cls.__name__}, pages of {page}: {rate:.0f} messages/s, bare reader {floor:.0f}/s, ratio {rate / floor:.2f} "
                      f"(bar 0.85); a reader with stream management {managed:.0f}/s, ratio {rate / managed:.2f}; a reader from the "
                      f"oldest on {bare(server, page, True, False):.0f}/s; median of {repeat}, load {os.getloadavg()[0]:.1f}", flush=True)
                if page == 50 and cls is servers.Prosody:
                    slow = bare(server, page, False)
                    bad += rate < 4 * slow
                    print(f"    a reader without TCP_QUICKACK {slow:.0f}/s: {rate / slow:.1f} x (bar 4)", flush=True)
            synced(server, os.path.join(directory, "watched"), 250, watch)
            p99 = sorted(waits)[int(len(waits) * 0.99)]
            bad += p99 > 20
            print(f"    GetHistory(50) meanwhile: p50 {sorted(waits)[len(waits) // 2]:.1f} ms, p99 {p99:.1f} ms of {len(waits)} (bar 20)",
                  flush=True)
    without_sessions(repeat)
    return bad > 0


def without_sessions(repeat):
    """What is left of the difference where the server offers nobody a session that could be resumed: what we do with a message."""
    with servers.Prosody(disable='"smacks";') as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
        server.add_user("alice")
        server.seed_archive("alice", seed.history(COUNT, domain=server.domain))
        bare(server, 250, True)
        for page in (50, 250):
            runs = [(bare(server, page, True), synced(server, os.path.join(directory, f"{page}-{n}"), page)) for n in range(repeat)]
            floor, rate = (statistics.median(run[i] for run in runs) for i in range(2))
            print(f"Prosody without stream management, pages of {page}: {rate:.0f} messages/s, bare reader {floor:.0f}/s, "
                  f"ratio {rate / floor:.2f}; median of {repeat}, load {os.getloadavg()[0]:.1f}", flush=True)


class Wire:
    """One varve-wire under drive-wire, up to READY, with the time of each record; then it is killed."""

    def __init__(self, server, port, tls, user, **start):
        argv = [os.path.join(daemon.build_dir(), "tests/unit/wire/drive-wire"), daemon.program("varve-wire"),
                f"jid={user}@{server.domain}", "password=pw", "host=127.0.0.1", f"port={port}", f"tls={tls}", f"ca={server.ca}",
                "commit=auto", *(f"{key}={value}" for key, value in start.items())]
        self.records, self.counted = {}, 0
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout:
                kind = line.split()[0] + ("" if not line.startswith("PHASE") else line.strip()[-1])
                fields = dict(re.findall(r'(\w+)="?((?<=")[^"]*|[^" \n]*)', line))
                self.counted = max(self.counted, int(fields.get("n", 0)))
                self.records.setdefault(kind, (time.monotonic(), fields))
                if kind == "READY":
                    child.stdin.write("stop\n")
                    child.stdin.flush()

    def field(self, kind, name):
        return self.records.get(kind, (0, {}))[1].get(name, "")

    def remembered(self):
        """What a keeper would give the next one."""
        out = {"sm_id": self.field("ONLINE", "sm_id"), "sm_in": self.counted, "grant": 1000,
               "features": self.field("READY", "features").replace("\\n", "\n"), "archive": self.field("READY", "archive"),
               "offer": self.field("LOGIN", "offer"), "pin": self.field("LOGIN", "pin")}
        return {**out, "token": self.field("TOKEN", "token"), "token_mechanism": self.field("TOKEN", "mechanism")}


def reference(argv):
    """(how its session stands, seconds after TCP) of another client; None: it did not get there."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        said, alarm = {}, threading.Timer(30, child.kill)
        alarm.start()
        try:
            for line in child.stdout:
                what, when = line.split()
                said.setdefault(what, float(when))
                if what != "up":
                    return what, said[what] - said["up"]
        finally:
            alarm.cancel()
            child.kill()
    return None


def references(server, port, tls, user):
    """The clients that others would take. Each logs in without the link first, as ours does."""
    strophe = os.path.join(daemon.build_dir(), "tests/unit/wire/login-strophe")
    clients = {"libstrophe": [strophe], "slixmpp": [sys.executable, "-m", "varvetest.login_slixmpp"]}
    out = []
    for name, argv in clients.items():
        server.add_user(user + name)
        with proxy.Proxy(port) as link:
            link.delay = LINK_DELAY
            one = reference([*argv, f"{user}{name}@{server.domain}", "pw", server.ca, tls, str(port), str(link.port)])
        out.append(f"{name} {one[1] * 1000:.0f} ms to {one[0]}, {one[1] / 2 / LINK_DELAY:.1f} round trips" if one else
                   f"{name} does not get there")
    return "; ".join(out)


def logins():
    """The bars: resumed within flights x RTT + 80 ms after TCP."""
    bound = {"sasl2": 1, "bindings": '"tls-exporter"; "tls-server-end-point"'}
    cases = (("Prosody, SASL2 and a token, direct TLS", servers.Prosody, {"sasl2": 1}, "direct", 2),
             ("Prosody, SASL2 and a token that is bound to the channel, direct TLS", servers.Prosody, bound, "direct", 2),
             ("Prosody, SASL1, direct TLS", servers.Prosody, {}, "direct", 4),
             ("Prosody, SASL1, STARTTLS", servers.Prosody, {}, "starttls", 5),
             ("ejabberd, SASL1, direct TLS", servers.Ejabberd, {}, "direct", 4),
             ("ejabberd, SASL1, STARTTLS", servers.Ejabberd, {}, "starttls", 5))
    bad = 0
    for name, cls, settings, tls, bar in cases:
        with cls(**settings) as server:
            server.add_user("alice")
            port = server.tls_port if tls == "direct" else server.port
            agent = uuid.uuid4()
            avoid = 0 if "bindings" in settings else 4      # of HT-SHA-256-EXPR, see 0009
            first = Wire(server, port, tls, "alice", user_agent=agent, avoid=avoid)
            with proxy.Proxy(port) as link:
                link.delay = LINK_DELAY
                again = Wire(server, link.port, tls, "alice", user_agent=agent, avoid=avoid, **first.remembered())
            up = again.records["PHASE2" if tls == "direct" else "PHASE4"][0]      # PHASE_TLS, PHASE_FEATURES
            took = (again.records["ONLINE"][0] - up) * 1000
            flights = int(again.field("ONLINE", "flights")) - 1
            floor = flights * 2000 * LINK_DELAY
            good = again.field("ONLINE", "resumed") == "1" and flights <= bar and took <= floor + 80
            bad += not good
            print(f"{name} ({again.field('ONLINE', 'mechanism')}): {flights} flights after TCP, {took:.0f} ms to resumed, {took / floor:.2f} of {flights} round trips; "
                  f"{'ok' if good else 'MISSED'}", flush=True)
            print(f"    beside it: {references(server, port, tls, 'carol')}", flush=True)
    return bad


def large():
    """The bar: storing 300,000 messages takes hardly more memory than storing 20,000."""
    peaks = []
    with servers.Ejabberd() as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
        for count in (COUNT, 15 * COUNT):
            user = f"user{count}"
            server.add_user(user)
            server.seed_archive(user, seed.history(count, domain=server.domain))
            with daemon.Varved(os.path.join(directory, str(count))) as varved:
                begin = time.monotonic()
                varved.add_account(server, user)
                stored = varved.wait_sync(timeout=600)["sync"]["messages"]
                took = time.monotonic() - begin
                peaks.append(status(varved.child.pid, "VmHWM"))
                print(f"{stored} of {count} messages in {took:.1f} s ({stored / took:.0f}/s); peak RSS keeper {peaks[-1]} kB, wire "
                      f"{', '.join(str(status(p, 'VmHWM')) for p in wires(varved))} kB; load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"keeper {peaks[1] / peaks[0]:.2f} (bar 1.10)")
    return peaks[1] > 1.1 * peaks[0]


def main(argv):
    if "--login" in argv:
        return logins()
    if "--screens" in argv:
        return first_screens()
    if "--pages" in argv:
        return pages(int(argv[argv.index("--repeat") + 1]) if "--repeat" in argv else 1)
    if "--large" in argv:
        return large()
    if "--long" in argv:
        return figures_long.long_links()
    if "--iterator" in argv:
        return figures_long.iterators(int(argv[argv.index("--count") + 1]) if "--count" in argv else COUNT,
                         argv[argv.index("--server") + 1] if "--server" in argv else None)
    idle = float(argv[argv.index("--idle") + 1]) if "--idle" in argv else 120
    with servers.Ejabberd() as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
        server.add_user("alice")
        server.seed_archive("alice", seed.history(COUNT, domain=server.domain))

        def bare():
            client = Discarding(f"alice@{server.domain}", "pw", server.tls_port, server.ca)
            loop.run(client.connect())
            begin = time.monotonic()
            count = loop.run(client.discard(), 120)
            rate = count / (time.monotonic() - begin)
            loop.run(client.close())
            return rate
        bare()                      # warms the server's cache, for both
        with daemon.Varved(directory) as varved:
            begin = time.monotonic()
            varved.add_account(server, "alice")
            account = varved.wait_sync(timeout=300)
            rate = account["sync"]["messages"] / (time.monotonic() - begin)
            floor = bare()
            print(f"first sync      {rate:8.0f} messages/s; bare page reader {floor:.0f}/s; ratio {rate / floor:.2f}")
            wire = wires(varved)
            print(f"RSS             keeper {status(varved.child.pid, 'VmRSS')} kB, wire "
                  f"{', '.join(str(status(p, 'VmRSS')) for p in wire)} kB after {account['sync']['messages']} messages")
            varved.kill9()
            varved.start()
            session = varved.wait_resumed(1)["session"]
            print(f"resume          {session['flights']} client flights from TCP connect to usable")
            before = {p: switches(p) for p in [varved.child.pid, *wires(varved)]}
            time.sleep(idle)
            for pid, count in before.items():
                print(f"idle {idle:.0f} s      {switches(pid) - count} context switches of "
                      f"{'varved' if pid == varved.child.pid else 'varve-wire'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
