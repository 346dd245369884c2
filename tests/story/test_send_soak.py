"""Promise 4 under fire: what Send accepted is in the receiver's archive once, in order per conversation and app, while
the link is cut, swallows and delays, both processes are killed and the server restarts. tests/run.sh --all has the long
form: 5,000 messages on each server."""

import pytest

from varvetest import soak
from varvetest.daemon import assert_same
from varvetest.proxy import Proxy


def exactly_once(own_server, fresh, varved, rng, **kwargs):
    server = own_server(smacks_seconds=3)       # so that sessions are lost as well as resumed
    alice, receivers = fresh("alice"), [fresh("bob") for _ in range(3)]
    for name in (alice, *receivers):
        server.add_user(name)
    with Proxy(server.tls_port) as link:
        figures = soak.run(varved, server, link, alice, receivers, rng, **kwargs)
        print(f"{server.name}: {figures}")
        assert figures["binds"] > 1, figures
        assert_same(varved, server, alice)


def test_exactly_once(own_server, fresh, varved, rng):
    exactly_once(own_server, fresh, varved, rng, sends=150, pace=0.9)


@pytest.mark.slow
def test_exactly_once_5000(own_server, fresh, varved, rng):
    exactly_once(own_server, fresh, varved, rng, sends=5000, pace=0.25)
