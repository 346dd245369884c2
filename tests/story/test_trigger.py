"""What happens outside (issue 4, 4): another network, none, sleep and waking up. Against real servers."""

import time

import pytest

from varvetest import netns
from varvetest.login1 import Login1
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


def resumes(varved):
    return varved.account()["session"]["resumes"]


def test_another_address(roaming, network, server):
    """P5, P9: WiFi to mobile: the old address is gone. Resumed within seconds, without waiting for the old stream to time out."""
    before = resumes(roaming)
    began = time.monotonic()
    network.move(3)
    roaming.wait_resumed(before + 1, timeout=10)
    took = time.monotonic() - began
    assert took < 4, f"{took:.1f} s from the change of the address to resumed"


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
    """Without a route nothing is tried; with one, everything at once."""
    before = resumes(roaming)
    network.unplug()
    # Nothing makes the stream end by itself so soon: a daemon that starts without a network shows it.
    roaming.restart()
    state = roaming.wait_state("waiting-network", timeout=30)
    assert not state["next_retry_usec"], state
    spawned = roaming.tail(100000).count("dial")
    holds(lambda: roaming.account()["state"] == "waiting-network", 2)
    assert roaming.tail(100000).count("dial") == spawned
    began = time.monotonic()
    network.plug(2)
    roaming.wait_resumed(before + 1, timeout=10)
    assert time.monotonic() - began < 4


@pytest.fixture
def login1(tmp_path):
    made = Login1(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sleeper(server, user, new_varved, login1):
    varved = new_varved()
    varved.extra_env["DBUS_SYSTEM_BUS_ADDRESS"] = login1.address
    proxy = Proxy(server.tls_port)
    varved.start()
    varved.add_account(server, user, port=proxy.port)
    varved.wait_sync()
    wait_for(lambda: login1.inhibitors() == 1, 10)
    yield varved, proxy
    proxy.close()


def test_sleep_waits_for_us_and_not_long(sleeper, login1):
    """P5: the inhibitor is let go within a second, a new one taken at waking up; the session stays as it was."""
    varved, proxy = sleeper
    before = varved.account()["session"]
    took = login1.sleep()
    assert took is not None and took < 1
    assert varved.account()["state"] == "online"
    login1.wake()
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
    began = time.monotonic()
    login1.wake()
    wait_for(lambda: varved.account()["state"] != "online", 6)
    found = time.monotonic() - began
    proxy.blackhole = False
    varved.wait_resumed(before + 1, timeout=15)
    assert found < 4, f"{found:.1f} s until the dead link was found"
