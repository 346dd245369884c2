"""Silence costs nothing (issue 4, 5): what hooks wait for, and what wakes up when nothing happens. Against real servers."""

import os
import time

import pytest

from varvetest.daemon import EXIT_NOT_FOUND, EXIT_OK, EXIT_TIMEOUT, EXIT_UNREACHABLE
from varvetest.proxy import Proxy
from varvetest.wait import wait_for


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


def processes(varved):
    """varved and its wires: pid to name."""
    found = {varved.child.pid: "varved"}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                name, _, rest = f.read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if int(rest.split()[1]) == varved.child.pid:
            found[int(entry)] = name
    return found


def wakes(pids):
    """How often each of them, with all its threads, has gone to sleep."""
    out = {}
    for pid in pids:
        out[pid] = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                out[pid] += next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    return out


@pytest.mark.slow
def test_nothing_wakes_up(two):
    """Two accounts, connected: in a minute no ping is due, and each process may wake up twice (P8, J3)."""
    varved, jids, proxies = two
    assert idle(varved) == EXIT_OK
    assert not any(proxy.blackhole for proxy in proxies)
    # What ends some seconds after the sync: lazy commits, the search index, the question for archive ids.
    settled = wakes(processes(varved))
    calm = time.monotonic()

    def is_calm():
        nonlocal settled, calm
        now = wakes(settled)
        if now != settled:
            settled, calm = now, time.monotonic()
        return time.monotonic() - calm > 6
    wait_for(is_calm, 60, "calm", interval=0.5)
    before, bytes_before = wakes(settled), [(p.to_client, p.to_server) for p in proxies]
    names = processes(varved)
    assert sorted(names.values()) == ["varve-wire", "varve-wire", "varved"], names
    began = time.monotonic()
    # The minute itself is what is measured.
    wait_for(lambda: time.monotonic() - began >= 60, 70, interval=1)
    after = wakes(before)
    spent = {f"{names[pid]} {pid}": after[pid] - before[pid] for pid in before}
    said = sum(p.to_client + p.to_server - sum(b) for p, b in zip(proxies, bytes_before))
    print(f"woken up in 60 s: {spent}; {said} bytes on the links")
    assert all(n <= 2 for n in spent.values()), spent
