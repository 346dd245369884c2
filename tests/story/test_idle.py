"""Silence costs nothing (issue 4, 5): what hooks wait for, and what wakes up when nothing happens. Against real servers."""

import os

import pytest

from varvetest.daemon import EXIT_NOT_FOUND, EXIT_OK, EXIT_TIMEOUT, EXIT_UNREACHABLE
from varvetest.figures_link import Idle
from varvetest.proxy import Proxy


@pytest.fixture
def two(server, fresh, varved):
    """Two accounts of one daemon, each through a proxy; synchronised."""
    users, proxies = [fresh("alice"), fresh("bob")], [Proxy(server.tls_port), Proxy(server.tls_port)]
    for user, proxy in zip(users, proxies):
        server.add_user(user)
        varved.add_account(server, user, port=proxy.port)
    varved.wait_sync()
    yield varved, [f"{user}@{server.domain}" for user in users], proxies
    for proxy in proxies:
        proxy.close()


def idle(varved, *argv, timeout=10):
    return varved.run(f"--timeout={timeout}", *argv, "wait-idle").code


def test_wait_idle(two):
    varved, (alice, bob), (proxy, _) = two
    assert idle(varved) == EXIT_OK
    assert idle(varved, "-a", "nobody@chat.test") == EXIT_NOT_FOUND
    proxy.blackhole = True
    varved.ctl("-a", alice, "send", bob, "one")
    assert idle(varved, timeout=0.5) == EXIT_TIMEOUT
    assert idle(varved, "-a", bob) == EXIT_OK
    proxy.blackhole = False
    proxy.cut()
    varved.wait_resumed(1, jid=alice)
    assert idle(varved, timeout=30) == EXIT_OK
    account = varved.account(alice)
    assert account["state"] == "online" and not account["outbox"]["sending"], account
    # What waits for a connection is stored, and holds nobody up.
    varved.run("account", "disconnect", alice)
    varved.wait_state("offline", jid=alice)
    varved.ctl("-a", alice, "send", bob, "two")
    assert varved.account(alice)["outbox"]["queued"] == 1
    assert idle(varved) == EXIT_OK
    varved.stop()
    assert idle(varved) == EXIT_UNREACHABLE


@pytest.mark.slow
def test_nothing_wakes_up(server, fresh):
    """Two accounts, connected (P8, J3): in a minute no ping is due; with VARVE_IDLE=600, the bar's ten, two or three are."""
    seconds = float(os.environ.get("VARVE_IDLE", "60"))
    alone = Idle(server, fresh)
    try:
        moments, pings, spent = alone.run(seconds)
    finally:
        alone.close()
    print(f"idle for {seconds:.0f} s: {pings} pings, {moments}, context switches {spent}")
    assert sorted(name.split()[0] for name in spent) == ["varve-wire", "varve-wire", "varved"]
    assert len(moments) <= pings + 2
    # A ping and its answer are two; the keeper need not hear of them.
    assert all(n <= 2 * (pings + 1) for n in spent.values()), spent
