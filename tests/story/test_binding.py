"""Channel binding against Prosody: its SCRAM and its LuaSec compute the other side (tests/servers/mod_channel_binding.lua
hands the one to the other). tls-unique is not ours: TLS 1.3 has none (RFC 9266), and only Prosody 13 announces it, below that."""

import os

import pytest

from varvetest.servers import Prosody
from varvetest.wait import holds

pytestmark = pytest.mark.skipif(Prosody.binds(), reason="Prosody 13 binds by itself: mod_channel_binding.lua has no place in it")
ALL = '"tls-exporter"; "tls-server-end-point"'


@pytest.fixture(scope="module")
def prosodies(certs):
    """prosodies(setting=...): a running Prosody with these settings, one for all tests that want the same."""
    running = {}

    def get(**settings):
        key = tuple(sorted(settings.items()))
        if key not in running:
            running[key] = Prosody(certs=certs, **settings).start()
        return running[key]
    yield get
    for one in running.values():
        one.close()


def checked(server, user=None):
    """What the server looked at: "SCRAM-SHA-256-PLUS tls-exporter"; of one user, or of all when it did not know whose."""
    with open(os.path.join(server.dir, "prosody.log"), errors="replace") as f:
        said = [line.rsplit("checks ", 1)[1].split(" for ") for line in f if "checks " in line]
    return [what for what, who in said if user is None or who.strip() == user]


@pytest.mark.parametrize("sasl2", ["", "1"], ids=["sasl1", "sasl2"])
@pytest.mark.parametrize("types, protocol, used", [
    (ALL, "tlsv1_3", "tls-exporter"),
    (ALL, "tlsv1_2", "tls-exporter"),
    ('"tls-server-end-point"', "tlsv1_3", "tls-server-end-point"),
    ('"tls-server-end-point"', "tlsv1_2", "tls-server-end-point"),
], ids=["exporter-1.3", "exporter-1.2", "end-point-1.3", "end-point-1.2"])
def test_scram_plus(prosodies, fresh, varved, sasl2, types, protocol, used):
    server = prosodies(sasl2=sasl2, bindings=types, protocol=protocol)
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice)
    varved.wait_sync()
    assert varved.account()["session"]["mechanism"] == "SCRAM-SHA-256-PLUS"
    assert checked(server, alice) == [f"SCRAM-SHA-256-PLUS {used}"]


@pytest.mark.parametrize("types, mechanism, used", [
    (ALL, "HT-SHA-256-EXPR", "tls-exporter"),
    ('"tls-server-end-point"', "HT-SHA-256-ENDP", "tls-server-end-point"),
], ids=["EXPR", "ENDP"])
def test_token(prosodies, fresh, varved, types, mechanism, used):
    """A token that is bound to the channel: another one at each login, also after kill -9, in three flights with TCP."""
    server = prosodies(sasl2="1", bindings=types, protocol="tlsv1_3")
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice)
    varved.wait_sync()
    before = checked(server).count(f"{mechanism} {used}")
    for n in range(1, 4):
        varved.kill9()
        varved.start()
        now = varved.wait_resumed(n)["session"]
        assert (now["mechanism"], now["flights"], now["binds"]) == (mechanism, 3, 1), now
    assert checked(server).count(f"{mechanism} {used}") == before + 3


def test_wrong_password_with_a_binding(prosodies, fresh, varved):
    """The other half: what the server refuses is the password, and not the binding."""
    server = prosodies(sasl2="1", bindings=ALL, protocol="tlsv1_3")
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice, password="wrong")
    varved.wait_state("auth-failed")
    assert checked(server, alice) == ["SCRAM-SHA-256-PLUS tls-exporter"]


def test_the_binding_is_gone(prosodies, fresh, varved, certs):
    """T4: -PLUS and the announcement are taken out of what a server offers with whom there was a binding: refused."""
    server = Prosody(certs=certs, bindings=ALL, protocol="tlsv1_3").start()
    try:
        alice = fresh("alice")
        server.add_user(alice)
        varved.add_account(server, alice)
        varved.wait_sync()
        server.settings["bindings"] = ""
        server.configure()
        server.stop()
        server.start()
        account = varved.wait_state("auth-failed")
        assert "weaker" in account["state_reason"], account
        holds(lambda: varved.account()["state"] == "auth-failed", 0.5)
    finally:
        server.close()
