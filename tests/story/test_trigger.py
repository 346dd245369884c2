"""What happens outside (issue 4, 4): another network, none, sleep and waking up. Against real servers."""

import time

import pytest

from varvetest import netns
from varvetest.bus import Told
from varvetest.daemon import assert_same
from varvetest.login1 import Login1
from varvetest.peer import Peer
from varvetest.proxy import Proxy
from varvetest.wait import holds, wait_for


@pytest.fixture
def user(server, fresh):
    name = fresh("alice")
    server.add_user(name)
    return name


@pytest.fixture
def network():
    missing = netns.usable()
    if missing:
        pytest.skip(missing)
    made = netns.Network()
    yield made
    made.close()


@pytest.fixture
def roaming(network, server, user, new_varved):
    """varved in a network of its own, online."""
    varved = new_varved()
    varved.wrap = network.wrap
    network.plug(2)
    varved.start()
    varved.add_account(server, user, port=network.forward(server.tls_port), host=network.near)
    varved.wait_sync()
    return varved


# Seconds. Nothing here is measured: a slow machine is no fault of the product, and without a trigger it takes minutes.
SOON = 45


def resumes(varved):
    return varved.account()["session"]["resumes"]


def test_another_address(roaming, network, server):
    """P5, P9: WiFi to mobile: the old address is gone. Resumed within seconds, without waiting for the old stream to time out."""
    before = resumes(roaming)
    network.move(3)
    roaming.wait_resumed(before + 1, timeout=SOON)


def test_a_network_that_flaps(roaming, network, server):
    """P9: an address that changes twice a second for eight seconds: a few tries, and a session at the end of it."""
    lines = lambda: roaming.tail(1 << 20).count("next try in") + roaming.tail(1 << 20).count(": online")
    before, had = lines(), resumes(roaming)
    until = time.monotonic() + 8
    changes = 0
    while time.monotonic() < until:
        network.move(3 + changes % 2)
        changes += 1
        time.sleep(0.5)             # what is tested: how often the network changes
    network.move(7)
    wait_for(lambda: roaming.account()["state"] == "online" and resumes(roaming) > had and
             roaming.run("--timeout=5", "sync", "wait").code == 0, 30, lambda: str(roaming.account()))
    assert lines() - before <= changes, f"{lines() - before} lines for {changes} changes: {roaming.tail(4000)}"
    assert roaming.account()["session"]["binds"] == 1


def test_no_network_costs_nothing(roaming, network, server):
    """Without a route nothing is tried; with one, everything at once. Who looks is told."""
    before = resumes(roaming)
    assert roaming.status()["network"] == "up"
    network.unplug()
    wait_for(lambda: roaming.status()["network"] == "none", 15)
    assert "no route leads out" in roaming.run("status").out
    # Nothing makes the stream end by itself so soon: a daemon that starts without a network shows it.
    roaming.restart()
    state = roaming.wait_state("waiting-network", timeout=30)
    assert not state["next_retry_usec"], state
    spawned = roaming.tail(100000).count("dial")
    holds(lambda: roaming.account()["state"] == "waiting-network", 2)
    assert roaming.tail(100000).count("dial") == spawned
    with Told(roaming, "org.varve.Varve1.Manager") as told:
        network.plug(2)
        wait_for(lambda: told().get("Network") == "up", 15, told)
    roaming.wait_resumed(before + 1, timeout=SOON)


def test_a_route_on_which_the_old_stream_is_dead(network, server, user, new_varved):
    """The old address stays, and nothing comes through: a second wire is ready long before three seconds are over."""
    with Proxy(server.tls_port) as proxy:
        varved = new_varved()
        varved.wrap = network.wrap
        network.plug(2)
        varved.start()
        varved.add_account(server, user, port=network.forward(proxy.port), host=network.near)
        varved.wait_sync()
        before = resumes(varved)
        proxy.bury()
        network.inside("addr", "add", f"{network.net}.9/24", "dev", network.device)
        varved.wait_resumed(before + 1, timeout=SOON)
        # Nobody but the resume ended the old one: no strike, no wait, nothing for people.
        assert "next try" not in varved.tail(1 << 20) and "conflict" not in varved.tail(1 << 20)
        assert not varved.account()["state_reason"]


@pytest.fixture
def login1(tmp_path):
    made = Login1(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sleeper(network, server, user, new_varved, login1):
    """In a network of its own: a change of this machine's network is a trigger too."""
    varved = new_varved()
    varved.extra_env["DBUS_SYSTEM_BUS_ADDRESS"] = login1.address
    varved.wrap = network.wrap
    network.plug(2)
    proxy = Proxy(server.tls_port)
    varved.start()
    varved.add_account(server, user, port=network.forward(proxy.port), host=network.near)
    varved.wait_sync()
    wait_for(lambda: login1.inhibitors() == 1, 10)
    yield varved, proxy
    proxy.close()


def test_sleep_waits_for_us_and_not_long(sleeper, login1):
    """P5: the inhibitor is let go within a second, a new one taken at waking up; the session stays as it was."""
    varved, proxy = sleeper
    before = varved.account()["session"]
    with Told(varved, "org.varve.Varve1.Account", "/org/varve/Varve1/account/1") as told:
        assert login1.sleep() is not None
        assert varved.account()["state"] == "suspended"
        login1.wake()
        wait_for(lambda: told().get("State") == "online", 10, lambda: str(told.all))
        assert [v for k, v in told.all if k == "State"] == ["suspended", "online"]
    wait_for(lambda: login1.inhibitors() == 1, 10)
    after = varved.account()["session"]
    assert (after["binds"], after["resumes"]) == (before["binds"], before["resumes"])
    assert b"</stream:stream>" not in proxy.heard


def test_a_link_that_died_in_sleep(sleeper, login1):
    """J4: silently dead at waking up: found within 3 s, and resumed at once."""
    varved, proxy = sleeper
    before = resumes(varved)
    login1.sleep()
    proxy.blackhole = True
    login1.wake()
    wait_for(lambda: varved.account()["state"] != "online", SOON)
    proxy.blackhole = False
    varved.wait_resumed(before + 1, timeout=SOON)


def test_two_wires_and_the_old_one_stays(sleeper, login1):
    """The link is alive: the second connection goes as it came, and the session notices nothing."""
    varved, proxy = sleeper
    proxy.delay = 0.3
    before, connections = varved.account()["session"], proxy.connections
    login1.sleep()
    login1.wake()
    wait_for(lambda: proxy.connections == connections + 1, 10)
    wait_for(lambda: proxy.open == 1, 10)
    holds(lambda: varved.account()["state"] == "online", 1)
    after = varved.account()["session"]
    assert (after["binds"], after["resumes"]) == (before["binds"], before["resumes"])


@pytest.mark.parametrize("tls", ["direct", "starttls"])
def test_two_wires_and_the_second_takes_over(network, server, fresh, new_varved, login1, tls):
    """A link that died in sleep, with messages both ways on it: handed over within a second, each message once."""
    alice, bob = fresh("alice"), fresh("bob")
    for name in (alice, bob):
        server.add_user(name)
    varved = new_varved()
    varved.extra_env["DBUS_SYSTEM_BUS_ADDRESS"] = login1.address
    varved.wrap = network.wrap
    network.plug(2)
    varved.start()
    with Proxy(server.tls_port if tls == "direct" else server.port) as proxy, Peer(server, bob) as peer:
        varved.add_account(server, alice, port=network.forward(proxy.port), host=network.near, tls=tls)
        varved.wait_sync()
        wait_for(lambda: login1.inhibitors() == 1, 10)
        for number in range(3):
            before, text = resumes(varved), f"round {number}"
            login1.sleep()
            proxy.bury()
            peer.send(f"{alice}@{server.domain}", f"in {text}")
            peer.ping()
            varved.ctl("send", f"{bob}@{server.domain}", f"out {text}")
            login1.wake()
            varved.wait_resumed(before + 1, timeout=SOON)
            peer.wait_body(f"out {text}")
            wait_for(lambda: login1.inhibitors() == 1, 10)
        session = varved.account()["session"]
        assert session["binds"] == 1, session
        assert [peer.bodies.count(f"out round {n}") for n in range(3)] == [1, 1, 1]
        assert_same(varved, server, alice)
        assert [row["body"] for row in varved.export()].count("in round 1") == 1


def test_a_dead_link_is_found_by_a_send(network, server, fresh, new_varved):
    """J4: nobody says that the link is dead; the answer that a message is owed does, in seconds."""
    alice, bob = fresh("alice"), fresh("bob")
    for name in (alice, bob):
        server.add_user(name)
    with Proxy(server.tls_port) as proxy, Peer(server, bob) as peer:
        varved = new_varved()
        varved.wrap = network.wrap
        network.plug(2)
        varved.start()
        varved.add_account(server, alice, port=network.forward(proxy.port), host=network.near)
        varved.wait_sync()
        proxy.bury()
        varved.ctl("send", f"{bob}@{server.domain}", "is anybody there?")
        varved.wait_resumed(1, timeout=SOON)
        peer.wait_body("is anybody there?")
        assert_same(varved, server, alice)
        assert peer.bodies.count("is anybody there?") == 1
