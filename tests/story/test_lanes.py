"""
Lanes (docs/decisions/0007): on a link with a long delay several pages are on their way at a time, and the archive is
byte for byte what one lane fetches. How much faster they are is printed, and measured by varvetest.figures: on a busy
machine the server is the bottleneck, and one lane is right.
"""

import time

from varvetest import daemon, proxy, seed

DELAY = 0.1     # seconds, each way


def first_sync(tmp_path, name, server, user, lanes, delay=DELAY):
    """Seconds of a first sync over the long link, and the export."""
    varved = daemon.Varved(tmp_path / name)
    varved.configure(f"[sync]\npage = 50\nlanes = {lanes}\n")
    with proxy.Proxy(server.tls_port) as link, varved:
        link.delay = delay
        begin = time.monotonic()
        varved.add_account(server, user, port=link.port)
        varved.wait_sync(timeout=300)
        took = time.monotonic() - begin
        daemon.assert_same(varved, server, user)
        return took, [{k: v for k, v in row.items() if k not in ("id", "mod")} for row in varved.export()]


def test_lanes_are_exact(tmp_path, server):
    server.add_user("lane")
    server.seed_archive("lane", seed.history(2000, domain=server.domain))
    one, rows_of_one = first_sync(tmp_path, "one", server, "lane", 1)
    many, rows = first_sync(tmp_path, "many", server, "lane", 16)
    print(f"{server.domain}: one lane {one:.1f} s, up to sixteen {many:.1f} s")
    assert rows == rows_of_one
