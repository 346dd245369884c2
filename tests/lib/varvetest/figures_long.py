"""A first sync over a link with 100 ms one way: figures.py --long and --iterator."""

import os
import subprocess
import sys
import tempfile
import time

from . import daemon, proxy, seed, servers

COUNT = 20000
LINK_DELAY = 0.1        # s one way


def long_link(server, directory, lanes):
    """Seconds of a first sync of COUNT messages over a long link."""
    varved = daemon.Varved(os.path.join(directory, str(lanes)))
    os.makedirs(os.path.join(varved.config, "varve"), mode=0o700)
    with open(os.path.join(varved.config, "varve", "varve.conf"), "w") as f:
        f.write(f"[sync]\npage = 50\nlanes = {lanes}\n")
    with proxy.Proxy(server.tls_port) as link, varved:
        link.delay = LINK_DELAY
        begin = time.monotonic()
        varved.add_account(server, "alice", port=link.port)
        varved.wait_sync(timeout=600)
        return time.monotonic() - begin


def long_links():
    for cls in servers.BY_NAME.values():
        with cls() as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
            server.add_user("alice")
            server.seed_archive("alice", seed.history(COUNT, domain=server.domain))
            one, many = long_link(server, directory, 1), long_link(server, directory, 16)
            print(f"{cls.__name__}, 100 ms one way, pages of 50, {COUNT} messages: one lane {one:.1f} s, "
                  f"up to sixteen {many:.1f} s, {one / many:.1f} x")


def iterator(server, directory, count):
    """Seconds that slixmpp's iterator takes over the long link until SQLite has all of it."""
    with proxy.Proxy(server.tls_port) as link:
        link.delay = LINK_DELAY
        out = subprocess.run([sys.executable, "-m", "varvetest.iterator_slixmpp", f"alice@{server.domain}", "pw", server.ca,
                              str(link.port), "50", os.path.join(directory, "iterator.db")], capture_output=True, text=True, timeout=900)
    assert out.returncode == 0, out.stderr[-2000:]
    stored, took = out.stdout.split()
    assert int(stored) == count, (stored, out.stderr[-2000:])
    return float(took)


def iterators(count, only):
    """The bar: eight times faster than the client that others would write."""
    bad = 0
    for name, cls in servers.BY_NAME.items():
        if only not in (None, name):
            continue
        with cls() as server, tempfile.TemporaryDirectory(prefix="varve-figures-") as directory:
            server.add_user("alice")
            server.seed_archive("alice", seed.history(count, domain=server.domain))
            ours, theirs = long_link(server, directory, 16), iterator(server, directory, count)
            bad += theirs < 8 * ours
            print(f"{cls.__name__}, 100 ms one way, pages of 50, {count} messages: slixmpp's iterator into SQLite {theirs:.1f} s, ours "
                  f"{ours:.1f} s, {theirs / ours:.1f} x (bar 8); load {os.getloadavg()[0]:.1f}; "
                  f"{'ok' if theirs >= 8 * ours else 'MISSED'}", flush=True)
    return bad
