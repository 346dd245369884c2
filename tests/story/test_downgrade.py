"""Whoever is not our server, or stands before it: weaker offers than the last, bindings that contradict, an answer without its
proof, or what has no place in a login. Cases T3 to T5 of docs/cases.md."""

from faststory import again, live_message_arrives, online, reason, session
from varvetest.sasl2 import Script
from varvetest.wait import holds, wait_for


def test_token_is_bound_to_the_channel(fast_server, varved):
    """HT-SHA-256-ENDP, made by another implementation."""
    script = Script()
    script.fast = ("HT-SHA-256-NONE", "HT-SHA-256-ENDP")
    server = fast_server(script)
    online(varved, server)
    again(varved, server)
    assert session(varved)["mechanism"] == "HT-SHA-256-ENDP"
    assert session(varved)["flights"] == 3
    # somebody in between offers only the unbound one: the token is not shown to him
    script.fast = ("HT-SHA-256-NONE",)
    connections = again(varved, server)
    sent = [e.get("mechanism") for n in range(2, 2 + len(connections)) for e in server.elements("authenticate", n)]
    assert "HT-SHA-256-NONE" not in sent[:2], sent


def test_server_that_does_not_prove_itself(fast_server, varved):
    """<success/> without what only our server can say: by token, then by password."""
    script = Script()
    server = fast_server(script)
    online(varved, server)
    script.prove = False
    server.cut()
    varved.wait_state("auth-failed")
    assert "proving" in reason(varved)
    before = len(server.connections)
    server.tokens = []
    assert varved.run("account", "password", server.jid, password="pw").code == 0
    wait_for(lambda: len(server.connections) > before, 20)
    varved.wait_state("auth-failed")
    holds(lambda: varved.account()["state"] == "auth-failed", 0.5)


def test_success_twice_and_strangers_before_it(fast_server, varved):
    """What has no place in the login ends the stream, and costs nothing else."""
    script = Script()
    server = fast_server(script)
    online(varved, server)
    script.twice = True
    again(varved, server)
    live_message_arrives(varved, server, "twice")
    script.twice = False
    script.before_success = ("<message from='eve@chat.test' to='alice@chat.test' type='chat'><body>before</body></message>")
    server.cut()
    wait_for(lambda: len(server.connections) > 3, 30)
    script.before_success = ""
    varved.wait_state("online", timeout=60)
    assert "before" not in [r["body"] for r in varved.export()]


def test_only_bindings_of_another_kind(fast_server, varved):
    """Prosody 13 over TLS 1.2: nothing in common, and no proof that this is all it offers. Refused in words that say what it needs;
    with the proof (XEP-0474) let in."""
    script = Script()
    script.mechanisms, script.bindings = ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"), ("tls-unique",)
    server = fast_server(script)
    varved.add_account(server, "alice")
    varved.wait_state("auth-failed")
    assert "needs TLS 1.3 or tls-server-end-point" in reason(varved)
    script.downgrade_hash = "right"
    assert varved.run("account", "password", server.jid, password="pw").code == 0
    varved.wait_state("online")
    assert session(varved)["mechanism"] == "SCRAM-SHA-256"


def test_second_factor(fast_server, varved):
    """<continue/>: aborted, with the reason in words, and no hammering."""
    script = Script()
    script.wants_task = True
    server = fast_server(script)
    varved.add_account(server, server.user)
    varved.wait_state("auth-failed")
    assert "TOTP" in reason(varved) and "six digits" in reason(varved)
    wait_for(lambda: "abort" in server.names(0), 10, lambda: str(server.names()))
    holds(lambda: len(server.connections) == 1, 1)


def test_weaker_offer_is_refused(fast_server, varved):
    """The pin: what was SCRAM-SHA-256 does not become SCRAM-SHA-1 by itself; giving the password again accepts it."""
    script = Script()
    script.fast = ()
    server = fast_server(script)
    online(varved, server)
    script.mechanisms = ("SCRAM-SHA-1",)
    server.cut()
    varved.wait_state("auth-failed")
    assert "weaker" in reason(varved) and "SCRAM-SHA-1" in reason(varved) and "account password" in reason(varved)
    used = [e.get("mechanism") for e in server.elements("authenticate") + server.elements("auth")]
    assert "SCRAM-SHA-1" not in used
    varved.kill9()
    varved.start()
    varved.wait_state("auth-failed")
    assert varved.run("account", "connect").code == 0
    varved.wait_state("auth-failed")
    assert varved.run("account", "password", server.jid, password="pw").code == 0
    varved.wait_state("online")
    assert session(varved)["mechanism"] == "SCRAM-SHA-1"


def test_plain_is_not_used_after_scram(fast_server, varved):
    """T3."""
    script = Script()
    script.fast = ()
    server = fast_server(script)
    online(varved, server, extra=("--allow-plain",))
    script.mechanisms = ("PLAIN",)
    server.cut()
    varved.wait_state("auth-failed")
    assert "PLAIN" not in [e.get("mechanism") for e in server.elements("authenticate") + server.elements("auth")]


def test_channel_binding(fast_server, varved):
    """T4: SCRAM-SHA-256-PLUS with tls-server-end-point, and the hash of the offer (XEP-0474); then stripped."""
    script = Script()
    script.mechanisms = ("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
    script.bindings = ("tls-server-end-point",)
    script.fast = ("HT-SHA-256-NONE",)
    script.downgrade_hash = "right"
    server = fast_server(script)
    online(varved, server)
    assert session(varved)["mechanism"] == "SCRAM-SHA-256-PLUS"
    assert not server.tokens, "no token that is less bound than the password was"
    # all of it stripped: refused, and nothing of the password is used
    script.mechanisms, script.bindings = ("SCRAM-SHA-256",), ()
    server.cut()
    varved.wait_state("auth-failed")
    assert "weaker" in reason(varved)


def test_offer_that_was_tampered_with(fast_server, varved):
    """T5, XEP-0474: what the server offered is not what arrived here."""
    script = Script()
    script.downgrade_hash = "wrong"
    server = fast_server(script)
    varved.add_account(server, server.user)
    varved.wait_state("auth-failed")
    assert "XEP-0474" in reason(varved)
    assert "response" not in server.names(), "nothing made of the password was sent"


def test_channel_bindings_that_contradict(fast_server, varved):
    """T4: XEP-0440, rule 5."""
    script = Script()
    script.bindings = ("tls-server-end-point",)
    server = fast_server(script)
    varved.add_account(server, server.user)
    varved.wait_state("auth-failed")
    assert "XEP-0440" in reason(varved)
    assert not set(server.names()) & {"authenticate", "auth"}
