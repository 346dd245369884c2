"""The fast login: SASL2, Bind2, tokens, inline resumption, and how many flights each takes."""

import uuid

import pytest

from faststory import again, live_message_arrives, online, session
from varvetest import scripted
from varvetest.proxy import Proxy
from varvetest.sasl2 import NS_BIND2, NS_FAST, NS_SASL2, Script
from varvetest.servers import Prosody
from varvetest.wait import wait_for

NS_SM = scripted.NS_SM


def test_first_login_and_resume_by_token(fast_server, varved):
    """
    One request logs in, binds and enables; the next one logs in by token and resumes: two flights after TCP.

    D16: features with <sm/> follow <bound/>, and nothing is enabled a second time; none at all follow <resumed/>, and nobody
    waits for them.
    """
    server = fast_server()
    with Proxy(server.tls_port) as proxy:
        server.proxy = proxy
        proxy.delay = 0.03          # or the server's TLS tickets come between two writes of one flight
        online(varved, server, port=proxy.port)
        first = server.elements("authenticate", 0)[0]
        agent = uuid.UUID(first.find("{%s}user-agent" % NS_SASL2).get("id"))
        assert agent.version == 4
        assert first.get("mechanism") == "SCRAM-SHA-256"
        bind = first.find("{%s}bind" % NS_BIND2)
        assert bind.findtext("{%s}tag" % NS_BIND2) == "varve"
        assert bind.find("{%s}enable" % NS_SM) is not None
        assert bind.find("{urn:xmpp:carbons:2}enable") is not None
        assert first.find("{%s}request-token" % NS_FAST).get("mechanism") == "HT-SHA-256-NONE"
        assert server.elements("stream", 0)[0].get("from") == server.jid
        assert server.names(0).count("stream") == 1, "no restart"
        assert varved.account()["resource"] == "varve~x"
        assert server.script.sm and "enable" not in server.names(0)
        assert again(varved, server)[0][:2] == ["stream", "authenticate"]
        second = server.elements("authenticate")[1]
        assert second.get("mechanism") == "HT-SHA-256-NONE"
        assert second.find("{%s}fast" % NS_FAST).attrib == {}, "no count without early data"
        assert second.find("{%s}user-agent" % NS_SASL2).get("id") == str(agent)
        assert (session(varved)["flights"], server.flights) == (3, [2])
        assert server.connections[-1].writer.get_extra_info("ssl_object").session_reused, "the keeper kept the ticket"
        live_message_arrives(varved, server, "after the resume")
        varved.kill9()
        varved.start()
        varved.wait_resumed(2)
        assert (session(varved)["flights"], server.flights) == (3, [2, 2])
        assert server.elements("authenticate")[-1].find("{%s}user-agent" % NS_SASL2).get("id") == str(agent)


@pytest.mark.parametrize("tls, flights", [("direct", 4), ("starttls", 5)])
def test_flights_without_sasl2(fast_server, varved, tls, flights):
    """What may go together goes together; never across the restart."""
    script = Script()
    script.sasl2 = False
    server = fast_server(script)
    with Proxy(server.tls_port if tls == "direct" else server.port) as proxy:
        server.proxy = proxy
        proxy.delay = 0.03          # or the server's TLS tickets come between two writes of one flight
        online(varved, server, port=proxy.port, tls=tls)
        names = again(varved, server)[0]
        names = [n for n in names if n not in ("a", "r")]
        assert names[-5:] == ["stream", "auth", "response", "stream", "resume"], names
        assert (session(varved)["flights"], server.flights) == (flights + 1, [flights])


def test_a_new_session_in_one_flight(fast_server, varved):
    """Bind, enable and all that settles it go with the second header, when that is known to work."""
    script = Script()
    script.sasl2 = False
    server = fast_server(script)
    online(varved, server)
    before = session(varved)["flights"]
    assert varved.run("account", "disconnect").code == 0
    varved.wait_state("offline")
    assert varved.run("account", "connect").code == 0
    varved.wait_sync()
    assert session(varved)["binds"] == 2
    assert session(varved)["flights"] == before - 2, "header with auth, header with bind"


def test_tokens_are_rotated(fast_server, varved):
    """A new token is stored before it is used; killed before or after, there is always one that works."""
    script = Script()
    script.rotate = True
    server = fast_server(script)
    online(varved, server)
    for n in range(4):
        if n % 2:
            varved.kill9()
            varved.start()
            varved.wait_resumed(n + 1)
        else:
            again(varved, server, n + 1)
        assert session(varved)["flights"] == 3
    assert len(set(server.used)) == 4, server.used
    assert len(server.connections) == 5


def test_lost_session_is_bound_in_the_same_answer(fast_server, varved):
    """<failed/> and <bound/> together: three flights to a new session."""
    server = fast_server()
    online(varved, server)
    server.sessions.clear()
    server.cut()
    wait_for(lambda: session(varved)["binds"] == 2, 30, lambda: varved.tail(2000))
    varved.wait_sync()
    assert len(server.connections) == 2
    assert session(varved)["flights"] == 3
    live_message_arrives(varved, server, "in the new session")


def test_inline_resume_taken_away(fast_server, varved):
    """What went ahead asked for both, and the server only binds: a new session once; then resumed the long way."""
    server = fast_server()
    online(varved, server)
    server.script.inline_resume = False
    server.cut()
    wait_for(lambda: session(varved)["binds"] == 2, 30, lambda: varved.tail(2000))
    varved.wait_sync()
    again(varved, server)
    live_message_arrives(varved, server, "resumed after the login")
    assert session(varved)["binds"] == 2


@pytest.mark.parametrize("missing", ["inline_sm", "inline_bind"])
def test_what_is_not_inline_is_asked_for_after(fast_server, varved, missing):
    script = Script()
    setattr(script, missing, False)
    server = fast_server(script)
    online(varved, server)
    live_message_arrives(varved, server, "first")
    assert session(varved)["resumable"]
    again(varved, server)
    live_message_arrives(varved, server, "second")
    assert session(varved)["flights"] == 3


def test_stream_management_refused_inside_the_bind(fast_server, varved):
    """D16's neighbour: an answer as well; it is not asked for a second time, and what comes is not counted."""
    script = Script()
    script.refuse_sm = True
    server = fast_server(script)
    online(varved, server)
    assert not session(varved)["resumable"] and "enable" not in server.names()
    live_message_arrives(varved, server, "not counted")
    assert len(server.connections) == 1


def test_token_is_nowhere_to_be_seen(fast_server, new_varved, monkeypatch):
    """Not in a log, not on the bus, not in an export, not in clear on the disk."""
    monkeypatch.setenv("VARVE_LOG", "debug")
    varved = new_varved().start()
    script = Script()
    script.token = "SECRETTOKEN123456789"
    server = fast_server(script)
    online(varved, server)
    again(varved, server)
    shown = varved.run("-j", "status").out + varved.run("-j", "account", "show").out + varved.run("export").out
    assert "SECRETTOKEN" not in shown + varved.tail(1 << 24)
    varved.stop()
    with open(varved.archive_file, "rb") as f:
        assert b"SECRETTOKEN" not in f.read()


def test_changed_settings_forget_the_token(fast_server, varved):
    """A new password: what the old one earned is not used any more."""
    server = fast_server()
    online(varved, server)
    server.password = "new"
    before = len(server.connections)
    assert varved.run("account", "password", server.jid, password="new").code == 0
    varved.wait_resumed(1)
    assert [e.get("mechanism") for e in server.elements("authenticate", before)] == ["SCRAM-SHA-256"]


@pytest.mark.parametrize("tls, flights", [("direct", 5), ("starttls", 6)])
def test_flights_of_a_real_server(server, fresh, varved, tls, flights):
    """TCP, TLS, header with auth, response, header with resume; STARTTLS one more. kill -9 in between. ejabberd 24
    has SASL2 with a resume inside: one less."""
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice, tls=tls)
    varved.wait_sync()
    varved.kill9()
    varved.start()
    resumed = varved.wait_resumed(1)["session"]
    assert resumed["flights"] in ((flights, flights - 1) if server.name == "ejabberd" else (flights,)), resumed


@pytest.fixture(scope="module")
def prosody(certs):
    if Prosody.missing():
        pytest.fail("prosody is not installed; tests/run.sh installs it")
    with Prosody(certs=certs, sasl2=1) as running:
        yield running


@pytest.mark.parametrize("tls, flights", [("direct", 3), ("starttls", 4)])
def test_prosody_with_sasl2(prosody, fresh, varved, tls, flights):
    """SASL2, Bind2, inline resume and FAST of prosody-modules: three flights to resumed, also after kill -9. Its
    HT-SHA-256-EXPR is offered and never answered (prosody-modules of 2023, Prosody 0.12): found out once, then not used."""
    alice = fresh("alice")
    prosody.add_user(alice)
    varved.add_account(prosody, alice, tls=tls)
    varved.wait_sync()
    assert varved.account()["resource"].startswith("varve~")
    for n in range(1, 5):
        varved.kill9()
        varved.start()
        now = varved.wait_resumed(n, timeout=40)["session"]
    assert (now["mechanism"], now["flights"]) == ("HT-SHA-256-EXPR" if prosody.binds() else "HT-SHA-256-NONE", flights), now
    with prosody.client(alice) as other:
        other.message(f"{alice}@{prosody.domain}", "to myself")
    wait_for(lambda: [r for r in varved.export() if r["body"] == "to myself"], 20, lambda: varved.tail(2000))
    varved.kill9()
    varved.start()
    assert varved.wait_resumed(5)["session"]["binds"] == 1
