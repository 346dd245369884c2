"""What apps export while the archive is still coming: a part of it, never something else."""

import time

from varvetest import seed
from varvetest.daemon import assert_same
from varvetest.proxy import Proxy

LONG_LINK = 0.1         # seconds, each way
PATIENCE = 180          # seconds until all of it has come


def test_exports_while_the_archive_comes(server, fresh, varved):
    """Each is a part of the archive in its order, each message once; the last one is all of it."""
    with Proxy(server.tls_port) as link:
        alice = fresh("alice")
        server.add_user(alice)
        server.seed_archive(alice, seed.history(1500, domain=server.domain))
        archive = [(row.archive_id, row.body) for row in server.archive(alice)]
        place = {ident: n for n, (ident, _) in enumerate(archive)}
        sizes = []
        link.delay = LONG_LINK
        varved.configure("[sync]\npage = 50\n")
        varved.add_account(server, alice, port=link.port)
        end = time.monotonic() + PATIENCE
        while not sizes or sizes[-1] < len(archive):
            assert time.monotonic() < end, (sizes, varved.tail(2000))
            rows = [(row["stanza_id"], row["body"]) for row in varved.export()]
            places = [place[ident] for ident, _ in rows]
            assert all(archive[n][1] == body for n, (_, body) in zip(places, rows))
            assert sorted(set(places)) == places, "out of order, or twice"
            sizes.append(len(rows))
            if varved.account()["sync"]["caught_up"]:
                break
        varved.wait_sync()
        print(f"{server.name}: {len(sizes)} exports, {len(set(sizes))} different")
        assert len(assert_same(varved, server, alice)) == len(archive)
