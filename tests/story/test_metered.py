"""[sync] metered: on a link that is paid for by what goes over it, older history waits; a NetworkManager of ours says which it is."""

import pytest

from varvetest import daemon, networkmanager, seed
from varvetest.bus import Told
from varvetest.login1 import Login1
from varvetest.wait import wait_for


@pytest.fixture
def system(tmp_path):
    made = Login1(tmp_path)
    yield made
    made.close()


def sync(varved):
    return varved.account()["sync"]


def test_older_history_waits_for_another_link(server, fresh, new_varved, system):
    user = fresh("metro")
    messages = seed.history(1500, contacts=3, years=0.2, domain=server.domain)     # 73 days
    server.add_user(user)
    server.seed_archive(user, messages)
    manager = networkmanager.NetworkManager(system.address, networkmanager.GUESS_YES)
    try:
        varved = new_varved()
        varved.extra_env["DBUS_SYSTEM_BUS_ADDRESS"] = system.address
        varved.start()
        varved.add_account(server, user)
        wait_for(lambda: sync(varved).get("metered"), 30, lambda: sync(varved))
        state = sync(varved)
        assert not state["caught_up"] and state["gaps"] >= 1 and state["state"] == "idle", state
        # Seven days and what is left of the last page; and a screen of each of three.
        assert 100 <= state["messages"] <= 600, state
        shown = varved.run("status").out
        assert "metered" in shown, shown
        assert varved.status()["network"] == "metered"
        result = varved.run("sync", "wait", "--timeout=5")
        assert result.code == 1 and "metered" in result.err, result
        # Asked for by hand it comes all the same.
        who = messages[0].contact
        assert varved.run("sync", "fetch", who, "--all", "--wait", "--timeout=20").code == 0
        assert [r["body"] for r in varved.export(who)] == [m.body for m in messages if m.contact == who]
        assert sync(varved)["messages"] < 1500
        with Told(varved, "org.varve.Varve1.Manager") as told:
            manager.set(networkmanager.NO)
            wait_for(lambda: told().get("Network") == "up", 20, told)
        wait_for(lambda: "metered" not in sync(varved), 20, lambda: sync(varved))      # it hears of it by a signal
        varved.wait_sync()
        assert "metered" not in sync(varved)
        daemon.assert_same(varved, server, user)
    finally:
        manager.close()


def test_a_manager_that_goes_meters_nothing(server, fresh, new_varved, system):
    user = fresh("metro")
    server.add_user(user)
    server.seed_archive(user, seed.history(1500, contacts=3, years=0.2, domain=server.domain))
    manager = networkmanager.NetworkManager(system.address, networkmanager.YES)
    varved = new_varved()
    varved.extra_env["DBUS_SYSTEM_BUS_ADDRESS"] = system.address
    varved.start()
    varved.add_account(server, user)
    wait_for(lambda: sync(varved).get("metered"), 30, lambda: sync(varved))
    manager.close()
    wait_for(lambda: "metered" not in sync(varved), 20, lambda: sync(varved))
    varved.wait_sync()
    daemon.assert_same(varved, server, user)
