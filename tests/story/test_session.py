"""Stream management, against a scripted server that counts, refuses and lies."""

import os
import shutil
import signal

import pytest

from varvetest import loop, scripted
from varvetest.daemon import build_dir, program
from varvetest.wait import holds, wait_for

NS_SM = scripted.NS_SM


def live(number, archive_id=None, body=None, extra=""):
    """A live message of bob; with the archive's own stanza-id when there is one."""
    sid = f"<stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='{archive_id}'/>" if archive_id else ""
    return (f"<message from='bob@chat.test/x' to='alice@chat.test' type='chat' id='l{number}'>"
            f"<body>{body or f'live {number}'}</body>{sid}{extra}</message>")


class Live(scripted.Script):
    """Every message that is sent live is in the archive as well."""

    def message(self, server, number):
        entry = scripted.Archived(f"a{number:05d}", 1700000000000000 + number * 1000000, "bob@chat.test/x",
                                  "alice@chat.test", f"live {number}", message_id=f"l{number}")
        self.archive.append(entry)
        server.send(live(number, entry.id))


def online(varved, server):
    varved.add_account(server, server.user)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)


def bodies(varved):
    return [row["body"] for row in varved.export()]


def wait_bodies(varved, want, timeout=20):
    wait_for(lambda: bodies(varved) == want, timeout, lambda: f"{want}; is {bodies(varved)}; log: {varved.tail(2000)}")


def test_resume_comes_before_bind(scripted_server, varved):
    """D19, D23: on a new connection <resume/> and nothing else; after <resumed/> no roster, presence, disco, carbons."""
    server = scripted_server(Live())
    online(varved, server)
    first = server.names(0)
    assert "enable" in first and "presence" in first
    server.cut()
    varved.wait_resumed(1)
    wait_for(lambda: server.current, 10)
    server.script.message(server, 1)
    wait_bodies(varved, ["live 1"])
    second = server.connections.index(server.current)
    names = [n for n in server.names(second) if n not in ("a", "r")]
    assert names == ["stream", "auth", "stream", "resume"], names


def test_acknowledged_is_stored(scripted_server, varved):
    """D3, D14: <r/> is answered at once, and never with more than what survives kill -9."""
    server = scripted_server(Live())
    online(varved, server)
    numbers = []            # of the stanzas that carry the messages; archive results are counted as well
    for number in range(200):
        server.script.message(server, number)
        numbers.append(server.current.session.sent)
    told = server.request_ack()
    varved.kill9()
    session = server.connections[-1].session
    told = max([told, *session.acks])
    assert told <= session.sent
    server.close()          # what it says now is what it had stored, not what it was sent again
    varved.start()
    have = bodies(varved)
    want = [f"live {n}" for n, number in enumerate(numbers) if number <= told]
    assert have[:len(want)] == want, f"acknowledged {len(want)}, stored {len(have)}"


def test_killed_session_is_resumed(scripted_server, varved):
    """D4: kill -9, and the next start resumes; what was not acknowledged comes again and is stored once."""
    server = scripted_server(Live())
    online(varved, server)
    for number in range(20):
        server.script.message(server, number)
    varved.kill9()
    queries = server.queries
    varved.start()
    session = varved.wait_resumed(1)["session"]
    assert session["binds"] == 1
    wait_bodies(varved, [f"live {n}" for n in range(20)])
    assert server.queries == queries, "a resumed session needs no archive query"


def test_resume_refused(scripted_server, varved):
    """D10: <failed/> without h: bind on the same stream, and the archive closes the gap; nothing lost."""
    script = Live()
    server = scripted_server(script)
    online(varved, server)
    script.message(server, 0)
    wait_bodies(varved, ["live 0"])
    server.sessions.clear()
    server.cut()
    for number in range(1, 130):
        script.archive.append(scripted.Archived(f"a{number:05d}", 1700000000000000 + number * 1000000, "bob@chat.test/x",
                                                "alice@chat.test", f"live {number}"))
    wait_for(lambda: varved.account()["session"]["binds"] == 2, 40, lambda: varved.tail())
    varved.wait_sync()
    wait_bodies(varved, [f"live {n}" for n in range(130)])
    names = server.names(server.connections.index(server.current))
    assert names.index("resume") < names.index("iq")


def test_acks_unasked(scripted_server, varved):
    """D13: 600 stanzas without a single <r/>: acknowledged all the same, before a queue of 500 overflows."""
    server = scripted_server(Live())
    online(varved, server)
    most = 0
    for number in range(600):
        server.script.message(server, number)
        if number % 20 == 0:
            wait_for(lambda: len(server.current.session.unacked) < 480, 20)
            most = max(most, len(server.current.session.unacked))
    assert most < 500
    wait_for(lambda: not server.current.session.unacked, 20, lambda: f"{len(server.current.session.unacked)} unacknowledged")
    wait_bodies(varved, [f"live {n}" for n in range(600)])


def test_many_presences_at_login(scripted_server, varved):
    """D15: 5,000 presences: acknowledgements keep pace."""
    class Crowd(Live):
        async def online(self, connection):
            for number in range(5000):
                await connection.stanza(f"<presence from='c{number}@chat.test/x' to='alice@chat.test'/>")
            await connection.raw(f"<r xmlns='{NS_SM}'/>")
    server = scripted_server(Crowd())
    varved.add_account(server, server.user)
    wait_for(lambda: server.current and server.current.session.sent >= 5000, 30)
    wait_for(lambda: len(server.current.session.unacked) < 100, 20,
             lambda: f"{len(server.current.session.unacked)} unacknowledged")
    assert max(server.current.session.acks) <= server.current.session.sent


def test_clean_stop_says_goodbye_to_nobody(scripted_server, varved):
    """D22: at TERM the last <a/> covers what is stored and the stream is not closed: it stays resumable."""
    server = scripted_server(Live())
    online(varved, server)
    for number in range(7):
        server.script.message(server, number)
    wait_bodies(varved, [f"live {n}" for n in range(7)])
    sent = server.current.session.sent
    number = server.connections.index(server.current)
    session = server.current.session
    varved.stop(signal.SIGTERM)
    wait_for(lambda: server.names(number)[-1] in ("eof", "stream-end"), 10)
    assert "stream-end" not in server.names(number), "</stream:stream> ends the session"
    assert session.acks[-1] == sent, (session.acks, sent)


def test_disconnect_by_the_user_ends_the_session(scripted_server, varved):
    """The opposite of D22: only `account disconnect` closes the stream."""
    server = scripted_server(Live())
    online(varved, server)
    number = server.connections.index(server.current)
    assert varved.run("account", "disconnect").code == 0
    wait_for(lambda: "stream-end" in server.names(number), 10, lambda: str(server.names(number)))


class Liar(Live):
    """Resumes with an h that we never reached (D8)."""

    async def resume(self, connection, previd, h):
        await connection.raw(f"<resumed xmlns='{NS_SM}' previd='{previd}' h='4294967295'/>")


def test_resumed_with_a_huge_h(scripted_server, varved):
    """D8: the server acknowledges what was never sent: handled-count-too-high; no loop on the same session."""
    script = Liar()
    server = scripted_server(script)
    online(varved, server)
    script.message(server, 0)
    wait_bodies(varved, ["live 0"])
    server.cut()
    wait_for(lambda: varved.account()["session"]["binds"] >= 2, 60, lambda: f"{server.names()} {varved.tail()}")
    wait_bodies(varved, ["live 0"])


@pytest.mark.parametrize("wrong", ("h", "previd"))
def test_resumed_by_a_word_that_cannot_be_right(scripted_server, varved, wrong):
    """Without a count, or with the name of another session, for ever: that session is given up, the next try binds."""
    class Vague(Live):
        async def resume(self, connection, previd, h):
            said = {"h": f"previd='{previd}'", "previd": "previd='another' h='4'"}[wrong]
            await connection.raw(f"<resumed xmlns='{NS_SM}' {said}/>")

    server = scripted_server(Vague())
    online(varved, server)
    server.cut()

    def bound_again():
        account = varved.account()
        # Back-off is not what is tested.
        if account["state"] not in ("online", "connecting"):
            varved.run("account", "connect", server.jid)
        return account["session"]["binds"] == 2 and account["state"] == "online"
    wait_for(bound_again, 60, lambda: f"{varved.account()} {varved.tail(3000)}", interval=0.2)
    assert server.names().count("resume") <= 2 and len(server.sessions) == 2
    wait_for(lambda: server.current, 10)
    server.script.message(server, 1)
    wait_bodies(varved, ["live 1"])


def test_ack_of_a_huge_h(scripted_server, varved):
    """D8 on a running stream: a stream error with handled-count-too-high, and nothing is lost."""
    server = scripted_server(Live())
    online(varved, server)
    number = server.connections.index(server.current)
    server.send_raw(f"<a xmlns='{NS_SM}' h='1000000'/>")
    wait_for(lambda: "error" in server.names(number) or "eof" in server.names(number), 20, lambda: str(server.names(number)))
    errors = [e for n, name, e in server.seen if n == number and name == "error"]
    assert errors and any("handled-count-too-high" in child.tag for child in errors[0]), server.names(number)
    varved.wait_state("online", timeout=60)


def test_no_stream_management(scripted_server, varved):
    """A server without XEP-0198: every break is a new bind, and the archive closes the gap."""
    script = Live()
    script.sm = False
    server = scripted_server(script)
    online(varved, server)
    assert not varved.account()["session"]["resumable"]
    server.cut()
    script.archive += scripted.entries(60)
    wait_for(lambda: varved.account()["session"]["binds"] == 2, 40, lambda: varved.tail())
    varved.wait_sync()
    assert len(varved.export()) == 60


def test_iq_answers_of_others_are_ignored(scripted_server, varved):
    """I8: a result with the right id from somebody else answers nothing, and a roster push of a contact is refused."""
    class Forger(Live):
        async def iq(self, connection, iq, payload):
            if payload.tag == "{http://jabber.org/protocol/disco#info}query":
                await connection.stanza(
                    f"<iq type='result' from='mallory@chat.test/x' to='{connection.bound}' id='{iq.get('id')}'>"
                    "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='evil'/></query></iq>")
            return False
    script = Forger()
    script.archive = scripted.entries(5)
    server = scripted_server(script)
    online(varved, server)
    assert len(varved.export()) == 5, "the true disco answer was used: the archive is known"
    server.send("<iq type='set' from='mallory@chat.test' id='push1'><query xmlns='jabber:iq:roster'>"
                "<item jid='evil@chat.test' subscription='both'/></query></iq>")
    wait_for(lambda: [e for _n, name, e in server.seen if name == "iq" and e.get("id") == "push1"], 10, "it is answered")
    answer = [e for _n, name, e in server.seen if name == "iq" and e.get("id") == "push1"][0]
    assert answer.get("type") == "error"


CARBON = ("<message from='{outer}' to='alice@chat.test/r' type='chat'><{kind} xmlns='urn:xmpp:carbons:2'>"
          "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{inner_from}' to='{inner_to}' "
          "type='chat' id='c'><body>{body}</body></message></forwarded></{kind}></message>")


@pytest.mark.parametrize("outer", ["bob@chat.test", "bob@chat.test/x", "alice@chat.test/other", "chat.test",
                                   "ALICE@chat.test.evil", "alice@chat.test.evil"])
def test_forged_carbon(scripted_server, varved, outer):
    """I1 (CVE-2017-5589 family): a carbon that is not from our own bare JID does not exist."""
    server = scripted_server(Live())
    online(varved, server)
    for kind in ("sent", "received"):
        server.send(CARBON.format(outer=outer, kind=kind, inner_from="alice@chat.test/z", inner_to="carol@chat.test",
                                  body="forged"))
    server.script.message(server, 1)
    wait_bodies(varved, ["live 1"])


def test_carbon_with_a_foreign_sender_inside(scripted_server, varved):
    """I2: the forwarded message may be from anywhere; I6: but it must be to or from us."""
    server = scripted_server(Live())
    online(varved, server)
    server.send(CARBON.format(outer="alice@chat.test", kind="received", inner_from="eve@elsewhere.test/x",
                              inner_to="alice@chat.test/tablet", body="legitimate"))
    server.send(CARBON.format(outer="alice@chat.test", kind="received", inner_from="eve@elsewhere.test/x",
                              inner_to="carol@chat.test", body="not ours"))
    server.send(live(2, body="end"))
    wait_for(lambda: "end" in bodies(varved), 20)
    assert sorted(bodies(varved)) == ["end", "legitimate"]


def test_an_upgrade_under_a_running_daemon(scripted_server, varved, monkeypatch, tmp_path):
    """Another version's varve-wire is installed, and need not understand it: varved goes on with the one that it began with."""
    (tmp_path / "daemon").mkdir()
    for name in ("varved", "varve-wire"):
        shutil.copy(program(name), tmp_path / "daemon" / name)
    (tmp_path / "ipc").symlink_to(os.path.join(build_dir(), "ipc"))
    monkeypatch.setenv("VARVE_BUILD", str(tmp_path))
    varved.restart()
    server = scripted_server(Live())
    online(varved, server)
    other = tmp_path / "new"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    other.rename(tmp_path / "daemon" / "varve-wire")
    server.cut()
    varved.wait_resumed(1)
    # And its name is not that of a descriptor.
    def names():
        with open(f"/proc/{varved.child.pid}/task/{varved.child.pid}/children", encoding="ascii") as children:
            return [read(f"/proc/{pid}/comm").strip() for pid in children.read().split()]

    def read(path):
        with open(path, encoding="utf-8") as f:
            return f.read()
    wait_for(lambda: names() == ["varve-wire"], 10, names)


def test_system_shutdown_and_back(scripted_server, varved):
    """A stream error is not the end: it reconnects and resumes."""
    server = scripted_server(Live())
    online(varved, server)
    server.send_raw("<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                    "</stream:stream>")
    varved.wait_resumed(1, timeout=60)
    wait_for(lambda: server.current, 10)
    server.script.message(server, 1)
    wait_bodies(varved, ["live 1"])


def test_peer_that_says_nothing_more(scripted_server, varved):
    """The link goes dead without a word while resumed: the bus still answers, and nothing is lost after a cut."""
    server = scripted_server(Live())
    online(varved, server)
    server.script.message(server, 0)
    wait_bodies(varved, ["live 0"])
    loop.call(lambda: server.current.writer.transport.pause_reading())
    holds(lambda: varved.run("status").code == 0, 0.5)
    server.cut()
    varved.wait_resumed(1)
    wait_for(lambda: server.current, 10)
    server.script.message(server, 1)
    wait_bodies(varved, ["live 0", "live 1"])


@pytest.mark.slow
def test_a_wire_that_is_stopped_in_a_quiet_time_is_found_out(scripted_server, varved):
    """Nothing is to be sent, and what hangs does not ping: its keeper misses its word after eight minutes."""
    server = scripted_server(Live())
    online(varved, server)
    with open(f"/proc/{varved.child.pid}/task/{varved.child.pid}/children") as f:
        wires = [int(pid) for pid in f.read().split()]
    for pid in wires:
        os.kill(pid, signal.SIGSTOP)
    server.script.message(server, 0)
    varved.wait_resumed(1, timeout=520)
    wait_bodies(varved, ["live 0"])
    assert not [pid for pid in wires if os.path.exists(f"/proc/{pid}/stat") and " T " in open(f"/proc/{pid}/stat").read()]
