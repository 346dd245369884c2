"""A hundred apps follow while a thousand messages a second come in: all replicas are current within a second of the
last, and the keeper grows by at most 8 MB. The real varved and varve-wire, a scripted server, bench-follow as the apps.

    bench_live.py [CLIENTS [MESSAGES [RATE]]]       VARVE_BUILD and BENCH_FOLLOW in the environment
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from varvetest import daemon, loop, scripted
from varvetest.certs import Certs
from varvetest.wait import wait_for

WARM = 2000             # messages before anything is measured: caches fill once
BURST = 0.02            # seconds between two writes of the server


def rss_kb(pid, name="VmRSS"):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def pour(connection, first, count, rate):
    """Messages with numbers from `first`, evenly; the time when the last one was written."""
    sent, begin = 0, time.monotonic()
    while sent < count:
        due = min(count, int((time.monotonic() - begin) * rate) + 1)
        text = ""
        for number in range(first + sent, first + due):
            connection.session.sent += 1
            text += (f"<message from='c{number % 30}@chat.test/x' to='alice@chat.test' type='chat' id='l{number}'><body>live "
                     f"{number}, and a few words more as people write them</body><stanza-id xmlns='urn:xmpp:sid:0' "
                     f"by='alice@chat.test' id='a{number:07d}'/></message>")
        sent = due
        await connection.raw(text)
        await asyncio.sleep(BURST)
    return time.monotonic()


def main(argv):
    clients, messages, rate = (int(argv[i]) if len(argv) > i else d for i, d in ((1, 100), (2, 10000), (3, 1000)))
    print(f"load of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="varve-bench-live-") as directory:
        certs = Certs(os.path.join(directory, "certs"), scripted.DOMAIN)
        with scripted.Scripted(certs) as server, daemon.Varved(os.path.join(directory, "d")) as varved:
            varved.add_account(server, "alice")
            varved.wait_sync()
            wait_for(lambda: server.current, 10)
            loop.run(pour(server.current, 0, WARM, 4000))
            wait_for(lambda: varved.account()["sync"]["messages"] == WARM, 30)
            follow = subprocess.Popen([os.environ["BENCH_FOLLOW"], varved.socket, str(clients), str(messages)],
                                      stdout=subprocess.PIPE, text=True)
            try:
                assert follow.stdout.readline() == "ready\n"
                before, cpu = rss_kb(varved.child.pid), cpu_s(varved.child.pid)
                last = loop.run(pour(server.current, WARM, messages, rate), 300)
                current, pulls, rows = follow.stdout.readline().split()
                cpu = cpu_s(varved.child.pid) - cpu
                after, peak = rss_kb(varved.child.pid), rss_kb(varved.child.pid, "VmHWM")
            finally:
                follow.kill()
                follow.wait()
                follow.stdout.close()
    behind, grown = float(current) - last, (after - before) / 1024
    print(f"{clients} apps, {messages} messages at {rate}/s: {pulls} pulls, {rows} rows; keeper {before} kB before, {after} kB "
          f"after, peak {peak} kB; {cpu:.1f} s of its CPU")
    missed = False
    for what, have, most, unit in (("all replicas current after the last message", behind, 1.0, "s"),
                                   ("the keeper grew by", grown, 8.0, "MB")):
        missed |= have > most
        print(f"{what:<58} {have:8.3f} {unit:<5} bar {most:5.1f} {'MISSED' if have > most else 'kept'}")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv))
