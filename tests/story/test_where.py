"""T6: where to, as DNS says it: both kinds of SRV records as one set, a service that is not there, another port, ALPN. In a network
namespace with a name server of its own."""

import shutil

import pytest

from varvetest import dns, netns
from varvetest.ports import free_port
from varvetest.wait import wait_for


@pytest.fixture
def place(scripted_server, new_varved):
    """place(direct, starttls): online by these SRV records; (the scripted server, ALPN of each TLS connection)."""
    missing = netns.usable()
    if missing:
        pytest.skip(missing)
    network = netns.Network()
    server = scripted_server()
    network.plug(2)
    names = dns.Dns(network, server.domain)
    folder = dns.use(network, network.near)
    ports = {"direct": network.forward(server.tls_port), "starttls": network.forward(server.port), "closed": free_port()}

    def go(direct, starttls, state="online"):
        fill = lambda records: [(priority, 0, ports.get(port, 0), f"{host}.{server.domain}" if host else "")
                                for priority, port, host in records]
        names.srv = {"_xmpps-client._tcp": fill(direct), "_xmpp-client._tcp": fill(starttls)}
        varved = new_varved()
        varved.wrap = network.wrap
        varved.start()
        varved.add_account(server, server.user, tls=None, host=None)
        if state != "online":
            return wait_for(lambda: varved.account()["state"] == state and varved.account()["state_reason"], 20,
                            lambda: str(varved.account()))
        varved.wait_state("online")
        asked = {name for name, _kind in names.asked}
        assert {f"_xmpps-client._tcp.{server.domain}", f"_xmpp-client._tcp.{server.domain}"} <= asked
        last = next(c for c in reversed(server.connections) if c.online)
        wait_for(lambda: last.writer.get_extra_info("ssl_object"), 5)
        direct = last.writer.get_extra_info("sockname")[1] == server.tls_port
        return "direct" if direct else "starttls", last.writer.get_extra_info("ssl_object").selected_alpn_protocol()
    yield go
    names.close()
    network.close()
    shutil.rmtree(folder, ignore_errors=True)


NOT_THERE = [(0, None, "")]          # a single "."

CASES = {
    "both, the same priority or better: direct": ([(5, "direct", "a")], [(10, "starttls", "a")], "direct"),
    "STARTTLS has the better priority": ([(20, "direct", "a")], [(10, "starttls", "a")], "starttls"),
    "no direct TLS, said with a dot": (NOT_THERE, [(5, "starttls", "a")], "starttls"),
    "no STARTTLS, said with a dot": ([(5, "direct", "a")], NOT_THERE, "direct"),
    "only old records": ([], [(5, "starttls", "a")], "starttls"),
    "the best port is closed": ([(1, "closed", "a"), (30, "direct", "a")], [(20, "starttls", "a")], "starttls"),
    "the best two ports are closed": ([(1, "closed", "a")], [(2, "closed", "b"), (3, "starttls", "a")], "starttls"),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_where(place, case):
    direct, starttls, used = CASES[case]
    # XEP-0368 section 3: ALPN goes with direct TLS; behind STARTTLS everybody knows what is spoken
    assert place(direct, starttls) == (used, "xmpp-client" if used == "direct" else None)


def test_not_offered_at_all(place):
    """Both services with a dot: the domain has no XMPP, and that is what is said; nothing is tried."""
    assert "XMPP" in place(NOT_THERE, NOT_THERE, "offline")
