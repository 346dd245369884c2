"""Running ahead of what the server offers: a token that is refused, a server that has changed since, and steps that are never
answered. Each costs one connection more at most, and is learned."""

import pytest

from faststory import again, live_message_arrives, online, session
from varvetest import sasl2
from varvetest.sasl2 import Script
from varvetest.wait import holds, wait_for


@pytest.mark.parametrize("same_stream", [True, False])
def test_refused_token(fast_server, varved, same_stream):
    """The password is used once more: on the same stream, or on the next one when the server wants it so."""
    script = Script()
    script.same_stream = same_stream
    server = fast_server(script)
    online(varved, server)
    server.tokens = []
    connections = again(varved, server)
    assert len(connections) == (1 if same_stream else 2), connections
    assert connections[-1].count("authenticate") == (2 if same_stream else 1)
    assert session(varved)["mechanism"] == "SCRAM-SHA-256"
    assert len(server.tokens) == 1, "a new token was asked for"
    again(varved, server)
    again(varved, server)
    assert session(varved)["flights"] == 3


def test_refused_token_and_wrong_password(fast_server, varved):
    """It ends where any wrong password ends, after one look without anything remembered."""
    server = fast_server()
    online(varved, server)
    server.tokens, server.password = [], "changed"
    server.cut()
    varved.wait_state("auth-failed")
    holds(lambda: varved.account()["state"] == "auth-failed" and len(server.connections) <= 3, 1)


def test_token_mechanism_without_an_answer(fast_server, varved):
    """Offered and never answered, as mod_sasl2_fast does with tls-exporter: not asked for any more."""
    class Mute(Script):
        fast = ("HT-SHA-256-ENDP", "HT-SHA-256-NONE")
        silent_at = None
    script = Mute()
    server = fast_server(script)
    online(varved, server)
    assert server.tokens[0][1] == "HT-SHA-256-ENDP"
    script.silent_at = "authenticate"
    server.cut()
    wait_for(lambda: server.silent, 10)
    script.silent_at = None
    varved.wait_resumed(1)
    assert [t[1] for t in server.tokens][-1] == "HT-SHA-256-NONE"
    again(varved, server)
    again(varved, server)
    assert session(varved)["mechanism"] == "HT-SHA-256-NONE"


WRONG_GUESSES = {
    "no SASL2 any more: stream error": dict(sasl2=False),
    "no SASL2 any more: failure": dict(sasl2=False, unknown="failure"),
    "no SASL2 any more: closed": dict(sasl2=False, unknown="close"),
    "no SASL2 any more: not a word": dict(sasl2=False, unknown="ignore"),
    "no tokens any more": dict(fast=(), refuse_tokens=True),
    "no inline bind": dict(inline_bind=False, inline_resume=False),
    "another mechanism": dict(mechanisms=("SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"), fast=(), refuse_tokens=True),
    "no SASL1": dict(sasl1=False),
}


def guessing(fast_server, new_varved, deadline):
    """One that has seen the server twice, so that it guesses what it will offer."""
    varved = new_varved()
    varved.configure(f"[network]\ndeadline = {deadline}\n")
    varved.start()
    server = fast_server()
    online(varved, server)
    again(varved, server)
    return varved, server


@pytest.mark.parametrize("name", sorted(WRONG_GUESSES))
def test_wrong_guess(fast_server, new_varved, name):
    """The server has changed since: one connection more at most, and never again."""
    varved, server = guessing(fast_server, new_varved, "3 seconds")
    for key, value in WRONG_GUESSES[name].items():
        setattr(server.script, key, value)
    connections = again(varved, server)
    assert len(connections) <= 2, connections
    live_message_arrives(varved, server, "all is well")
    again(varved, server)
    assert len(again(varved, server)) == 1, "it has learned"


def test_wrong_guess_of_stream_management(fast_server, varved):
    """The server had stream management, and has not any more: the archive closes the gap."""
    script = Script()
    script.sasl2 = False
    server = fast_server(script)
    online(varved, server)
    script.sm = False
    server.sessions.clear()

    async def refuse(connection, _previd, _h):
        await connection.raw("<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                             "</stream:error></stream:stream>")
        raise ConnectionResetError
    script.resume = refuse
    server.cut()
    wait_for(lambda: session(varved)["binds"] == 2, 30, lambda: varved.tail(2000))
    varved.wait_sync()
    assert len(server.connections) == 3
    assert not session(varved)["resumable"]


SILENCES = sasl2.STEPS + ("header", "features", "success")


@pytest.mark.parametrize("step", SILENCES)
def test_silence(fast_server, new_varved, step):
    """A step that is never answered: the deadline, and then without what was guessed."""
    varved, server = guessing(fast_server, new_varved, "1 seconds")
    server.script.silent_at = step
    server.tokens = [] if step == "response" else server.tokens
    server.cut()
    wait_for(lambda: step in server.silent, 20, lambda: str(server.names()))
    server.script.silent_at = None
    varved.wait_resumed(2, timeout=60)
    live_message_arrives(varved, server, "after the silence")
