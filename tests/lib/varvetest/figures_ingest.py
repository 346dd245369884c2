"""What storing an archive costs, where the server costs nothing: python3 -m varvetest.figures_ingest [--page N] [--repeat N]
[--count N]     (VARVE_BUILD=DIR)

A first sync (varve-wire and varved as they are: TLS, encryption, search) from a scripted server that answers each question
with bytes that lie ready; beside it tests/bench/floor-ingest.c, which gives the same bytes to expat and a row each to plain
SQLite. From the first question to in sync; the login is not counted. The median of the runs, which take turns.
"""

import bisect
import os
import statistics
import subprocess
import sys
import tempfile
import time
from xml.sax.saxutils import escape, quoteattr

from . import certs, daemon, figures, scripted, seed, xmpp
from .wait import wait_for

BAR = 2.0


def cpu(pid):
    """Seconds of CPU of a process."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ready(scripted.Script):
    """A server whose results lie ready as bytes, but for the question and the resource that they are sent to."""

    page = 1000

    def __init__(self, count):
        super().__init__()
        self.ids, self.stamps, self.bytes, self.of = [], [], [], {}
        for number, m in enumerate(seed.history(count, domain=scripted.DOMAIN)):
            entry = scripted.Archived(m.id, m.stamp_us, "", "", "", inner=seed.stanza(m, "alice", scripted.DOMAIN, xmlns=True))
            self.ids.append(m.id)
            self.stamps.append(m.stamp_us)
            self.of.setdefault(m.contact, []).append(number)
            self.bytes.append(
                (f"<message from='alice@{scripted.DOMAIN}' to='@TO@'><result xmlns='{scripted.NS_MAM}' queryid='@QUERY@' "
                 f"id={quoteattr(m.id)}><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
                 f"stamp='{scripted.stamp(m.stamp_us)}'/>{entry.xml()}</forwarded></result></message>").encode())
        self.place = {ident: n for n, ident in enumerate(self.ids)}
        self.began = None               # when the first page was asked for
        self.sent = 0                   # bytes of pages

    async def metadata(self, connection, iq):
        ends = "".join(f"<{name} id={quoteattr(self.ids[n])} timestamp='{scripted.stamp(self.stamps[n])}'/>"
                       for name, n in (("start", 0), ("end", -1)))
        await connection.result(iq, f"<metadata xmlns='{scripted.NS_MAM}'>{ends}</metadata>")

    async def query(self, connection, iq, query):
        self.began = self.began or time.monotonic()
        fields = scripted.form(query)
        size, before, after = scripted.rsm(query)
        assert before is not None and after is None, "varve pages backwards"
        low = bisect.bisect_left(self.stamps, xmpp.stamp_us(fields["start"])) if fields.get("start") else 0
        high = bisect.bisect_right(self.stamps, xmpp.stamp_us(fields["end"])) if fields.get("end") else len(self.ids)
        high = min(high, self.place[before]) if before else high
        rows = range(low, high)
        if fields.get("with"):
            rows = [n for n in self.of.get(fields["with"], ()) if low <= n < high]
        chosen = rows[-min(size, self.page):]
        first, last = (self.ids[chosen[0]], self.ids[chosen[-1]]) if len(chosen) else ("", "")
        data = b"".join([self.bytes[n] for n in chosen])
        data = data.replace(b"@QUERY@", query.get("queryid").encode()).replace(b"@TO@", escape(connection.bound).encode())
        done = " complete='true'" if len(chosen) == len(rows) else ""
        connection.session.sent += len(chosen) + 1
        self.sent += len(data)
        await connection.raw(data + (
            f"<iq type='result' id={quoteattr(iq.get('id'))} to={quoteattr(connection.bound)}><fin xmlns='{scripted.NS_MAM}'{done}>"
            f"<set xmlns='{scripted.NS_RSM}'><first index='0'>{first}</first><last>{last}</last></set></fin></iq>").encode())

    def stream(self):
        """All results as one document."""
        return b"<stream xmlns='jabber:client'>" + b"".join(self.bytes) + b"</stream>"


def ours(made, count, page, directory):
    """(seconds, CPU of the keeper, of the wire) of a first sync."""
    script = Ready(count)
    with scripted.Scripted(made, script) as server:
        varved = daemon.Varved(directory)
        os.makedirs(os.path.join(varved.config, "varve"), mode=0o700)
        with open(os.path.join(varved.config, "varve", "varve.conf"), "w") as f:
            f.write(f"[sync]\npage = {page}\n")
        with varved:
            varved.add_account(server, "alice")
            wait_for(lambda: script.began, 20, lambda: "the first page is asked for")
            before = cpu(varved.child.pid)
            account = varved.wait_sync(timeout=170)
            took = time.monotonic() - script.began
            assert account["sync"]["messages"] == count, account["sync"]
            wire = sum(map(cpu, figures.wires(varved)))
            keeper = cpu(varved.child.pid) - before
    return took, keeper, wire, script.stream()


def floor(stream, page, directory, *mode):
    """(seconds, CPU) of expat and plain SQLite: the simplest rows, or with "rows" the same ones."""
    path = os.path.join(directory, "stream.xml")
    with open(path, "wb") as f:
        f.write(stream)
    program = os.path.join(daemon.build_dir(), "tests/unit/store/floor-ingest")
    out = subprocess.run([program, path, os.path.join(directory, "plain" + "".join(mode)), str(page), *mode], check=True,
                         capture_output=True, text=True)
    return tuple(float(x) for x in out.stdout.split()[1:])


def value(argv, name, default):
    return int(argv[argv.index(name) + 1]) if name in argv else default


def main(argv):
    page, repeat, count = value(argv, "--page", 250), value(argv, "--repeat", 3), value(argv, "--count", 20000)
    runs = []
    with tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
        made = certs.Certs(os.path.join(directory, "certs"), scripted.DOMAIN)
        for number in range(repeat):
            here = os.path.join(directory, str(number))
            os.makedirs(here)
            took, keeper, wire, stream = ours(made, count, page, os.path.join(here, "d"))
            least, least_cpu = floor(stream, page, here)
            same, same_cpu = floor(stream, page, here, "rows")
            runs.append((took, keeper, wire, least, least_cpu, same, same_cpu))
            print(f"{count} messages in pages of {page}: {took:.2f} s ({count / took:.0f}/s; CPU: keeper {keeper:.2f}, wire {wire:.2f}); "
                  f"parse and insert {least:.2f} s (CPU {least_cpu:.2f}): {took / least:.2f} x; of the same rows {same:.2f} s "
                  f"(CPU {same_cpu:.2f}): {took / same:.2f} x", flush=True)
    took, least = statistics.median(r[0] for r in runs), statistics.median(r[3] for r in runs)
    same = statistics.median(r[5] for r in runs)
    processor = statistics.median(max(r[1], r[2]) for r in runs), statistics.median(r[4] for r in runs)
    print(f"median of {repeat}: {took:.2f} s against {least:.2f} s, {took / least:.2f} x (bar {BAR}), and {same:.2f} s for the same rows, "
          f"{took / same:.2f} x; CPU of the busier process "
          f"{processor[0]:.2f} s against {processor[1]:.2f} s, {processor[0] / processor[1]:.2f} x; "
          f"load {os.getloadavg()[0]:.1f}; {'ok' if took <= BAR * least else 'MISSED'}")
    return took > BAR * least


if __name__ == "__main__":
    sys.exit(main(sys.argv))
