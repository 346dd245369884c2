"""varve-wire alone at a scripted server that does not acknowledge, acknowledges too much, floods, or lets strangers push:
what it sends of the outbox stays right, what it tells its keeper is bounded and true."""

import asyncio
import ctypes
import os
import socket
import threading
import time

import pytest

from varvetest import loop, netns, scripted
from varvetest import wire as w
from varvetest.scripted import NS_SM
from varvetest.wait import holds, wait_for
from varvetest.wire import Wire

BOB = "bob@chat.test"
MDS = "urn:xmpp:mds:displayed:0"


class Script(scripted.Script):
    features = (*scripted.Script.features, "urn:xmpp:blocking", "http://jabber.org/protocol/pubsub#publish-options")
    stream_features = "<csi xmlns='urn:xmpp:csi:0'/>"
    pongs = True

    async def iq(self, connection, iq, payload):
        if payload.tag == "{urn:xmpp:blocking}blocklist":
            await connection.result(iq, "<blocklist xmlns='urn:xmpp:blocking'><item jid='old@e.test'/></blocklist>")
            return True
        return payload.tag == "{urn:xmpp:ping}ping" and not self.pongs


@pytest.fixture
def at(scripted_server):
    """at(script, **settings): a server and a wire that is READY there."""
    made = []

    def make(script=None, **settings):
        server = scripted_server(script or Script())
        made.append(Wire(server, server.user, **settings))
        made[-1].wait("READY")
        wait_for(lambda: server.current, 10)
        return server, made[-1]
    yield make
    for one in made:
        print("\n".join(map(repr, one.records[-60:])))
        one.close()


PIDFD_GETFD = 438
syscall = ctypes.CDLL(None, use_errno=True).syscall


def wire_pid(wire):
    with open(f"/proc/{wire.child.pid}/task/{wire.child.pid}/children") as f:
        return int(f.read().split()[0])


def wire_rss_kb(wire):
    with open(f"/proc/{wire_pid(wire)}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def messages(server):
    return [e.get("id") for _n, name, e in list(server.seen) if name == "message" and e.get("id")]


def sent(server, wire, id):
    wire.send(w.TEXT, BOB, id, body="x")
    wait_for(lambda: id in messages(server), 10)


# Acknowledging


def test_a_dead_link_is_found_within_ten_seconds_of_a_send(at):
    """J4. It swallows everything: the item is not acknowledged, nothing else comes either."""
    server, wire = at()
    server.script.acks = False
    before = time.monotonic()
    sent(server, wire, "lost")
    failed = wire.wait("FAILED", timeout=12)
    assert failed["failure"] == 9 and 5 < time.monotonic() - before < 10.5
    assert not wire.all("ACKED")


def test_the_same_without_stream_management(at):
    script = Script()
    script.sm = script.pongs = False
    server, wire = at(script)
    assert wire.wait("ONLINE")["counted"] == 0
    sent(server, wire, "lost")
    assert wire.wait("FAILED", timeout=12)["failure"] == 9


def test_a_server_that_talks_and_does_not_acknowledge_is_not_dead(at):
    """Bytes put it off: a slow server is not given up while it says anything. (Not for ever: ACK_PROGRESS_US.)"""
    server, wire = at()
    server.script.acks = False
    sent(server, wire, "slow")
    end = time.monotonic() + 11
    while time.monotonic() < end:
        server.send_raw(" ")
        assert not wire.all("FAILED")
        time.sleep(0.5)             # the pace of the server's keepalives, not a wait of the test
    server.send_raw(f"<a xmlns='{NS_SM}' h='{server.current.session.received}'/>")
    n = wire.wait("NUMBERED")["n"]
    wait_for(lambda: any(r["n"] >= n for r in wire.all("ACKED")), 5)


@pytest.fixture
def far(scripted_server):
    """far(): a network and a wire in it that is READY."""
    missing = netns.usable()
    if missing:
        pytest.skip(missing)
    network = netns.Network()
    network.plug(2)
    server = scripted_server(Script())
    with Wire(server, server.user, host=network.near, port=network.forward(server.tls_port), wrap=network.wrap) as wire:
        wire.wait("READY")
        wait_for(lambda: server.current, 10)
        yield network, wire
        print("\n".join(map(repr, wire.records[-60:])))
    network.close()


@pytest.mark.slow
def test_a_dead_link_is_found_by_tcp(far):
    """What is sent waits for no answer: no question is open, and the next ping is minutes away. TCP_USER_TIMEOUT finds it."""
    network, wire = far
    wire.tell("PING", after_s=1800, tell=0)
    network.silence()
    wire.tell("CHAT_STATE", to=BOB, state=w.COMPOSING)
    began = time.monotonic()
    failed = wire.wait("FAILED", timeout=60)
    assert failed["failure"] == 9 and time.monotonic() - began > 25, failed
    assert not wire.all("SILENT") and not wire.all("PINGED")


def test_tcp_gives_up_after_half_a_minute(at):
    """The same without the wait: the socket of a wire, as the kernel has it."""
    server, wire = at()
    pid = wire_pid(wire)
    timeouts = []
    with_pid = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        fd = syscall(PIDFD_GETFD, with_pid, int(name), 0)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        with socket.socket(fileno=fd) as s:
            if s.family == socket.AF_INET:
                timeouts.append(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    os.close(with_pid)
    assert timeouts == [30000]


class Narrow:
    """A link that carries `rate` bytes a second upwards, and holds no more than a few kilobytes."""

    def __init__(self, target, rate):
        self.target, self.rate = target, rate
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.target))
        threading.Thread(target=self.pump, args=(server, client, 0), daemon=True).start()
        self.pump(client, server, 2048 / self.rate)

    @staticmethod
    def pump(source, sink, pause):
        try:
            while data := source.recv(2048):
                sink.sendall(data)
                time.sleep(pause)   # the width of the link
        except OSError:
            pass
        sink.close()


@pytest.mark.slow
def test_a_slow_link_is_not_a_dead_one(at, scripted_server):
    """The longest item needs 12 s to get there, and nothing is heard meanwhile."""
    server = scripted_server(Script())
    narrow = Narrow(server.tls_port, 20000)
    with Wire(server, server.user, port=narrow.port) as wire:
        wire.wait("READY")
        wire.send(w.TEXT, BOB, "long", body="x" * (238 * 1024))
        wire.send(w.TEXT, BOB, "next", body="x")
        wait_for(lambda: "next" in messages(server), 30)
        n = wire.wait("NUMBERED", item=2)["n"]
        wait_for(lambda: any(r["n"] >= n for r in wire.all("ACKED")), 10)
        assert not wire.all("FAILED") and len(server.connections) == 1


@pytest.mark.slow
def test_but_not_for_ever(at):
    server, wire = at()
    server.script.acks = False
    sent(server, wire, "never")
    begun = time.monotonic()
    while not wire.all("FAILED") and time.monotonic() < begun + 130:
        if server.current:
            server.send_raw(" ")
        time.sleep(0.5)             # as above
    assert 115 < time.monotonic() - begun < 125
    assert "acknowledge" in wire.all("FAILED")[0]["text"]


def test_without_stream_management_a_ping_acknowledges(at):
    script = Script()
    script.sm = False
    server, wire = at(script)
    for number in range(1, 4):
        sent(server, wire, f"p{number}")
        assert wire.wait("NUMBERED", item=number)["n"] == number
        wait_for(lambda: any(r["n"] == number for r in wire.all("ACKED")), 10)


def test_stream_management_that_is_refused(at):
    class Refuses(scripted.Connection):
        async def element(self, element):
            if scripted.local(element) == "enable":
                await self.raw(f"<failed xmlns='{NS_SM}'><feature-not-implemented "
                               f"xmlns='{scripted.NS_STANZAS}'/></failed>")
                return
            await scripted.Connection.element(self, element)
    script = Script()
    original, scripted.Scripted.connection_class = scripted.Scripted.connection_class, Refuses
    try:
        server, wire = at(script)
    finally:
        scripted.Scripted.connection_class = original
    assert wire.wait("ONLINE")["counted"] == 0
    sent(server, wire, "one")
    assert wire.wait("NUMBERED")["n"] == 1
    wire.wait("ACKED", n=1)


@pytest.mark.parametrize("more", (1, 1000, 1 << 31, -1000))
def test_an_ack_for_what_was_never_sent_ends_the_stream(at, more):
    """D8. Also one for a number that is given but held: that stanza never left."""
    server, wire = at(go="")
    wire.send(w.TEXT, BOB, "held", body="x")
    n = wire.wait("NUMBERED")["n"]
    server.send_raw(f"<a xmlns='{NS_SM}' h='{(n - 1 + more) % (1 << 32)}'/>")
    assert wire.wait("FAILED")["condition"] == "handled-count-too-high"
    assert not any(r["n"] >= n for r in wire.all("ACKED"))
    assert "held" not in messages(server)


def test_an_ack_that_leaves_an_item_out_is_asked_for_again_in_good_time(at):
    """No loop of <r/> and <a/>; one <r/> at a time."""
    server, wire = at()
    server.script.acks = False
    sent(server, wire, "late")
    received = server.current.session.received
    first = server.names().count("r")
    server.send_raw(f"<a xmlns='{NS_SM}' h='{received - 1}'/>")
    holds(lambda: server.names().count("r") == first, 1)
    wait_for(lambda: server.names().count("r") == first + 1, 4)
    server.send_raw(f"<a xmlns='{NS_SM}' h='{received}'/>")
    wire.wait("ACKED", n=received)
    holds(lambda: server.names().count("r") == first + 1, 3)


def test_a_few_questions_for_a_burst(at):
    server, wire = at()
    server.script.acks = False
    before = server.names().count("r")
    for number in range(30):
        wire.send(w.TEXT, BOB, f"b{number}", body="x")
    wait_for(lambda: len(messages(server)) == 30, 10)
    assert messages(server) == [f"b{n}" for n in range(30)]
    assert server.names().count("r") == before + 4      # behind the first, and behind each eight


# A keeper that breaks its word: the stream ends, the daemon starts another


def test_more_items_than_agreed_end_the_stream(at):
    _server, wire = at(go="")
    for number in range(101):
        wire.send(w.TEXT, BOB, f"k{number}", body="x")
    assert "more to send" in wire.wait("FAILED")["text"]


def test_an_item_before_the_session_ends_the_stream(scripted_server):
    server = scripted_server(Script())
    server.script.silent_at = "bind"
    with Wire(server, server.user) as wire:
        wire.wait("PHASE", phase=6)
        wire.send(w.TEXT, BOB, "early", body="x")
        assert "before there is a session" in wire.wait("FAILED")["text"]


# Activity


def test_inactive_is_said_again_on_a_resumed_stream(at, scripted_server):
    """D24, XEP-0352 section 5."""
    server, wire = at()
    wire.tell("ACTIVE", active=False)
    wait_for(lambda: server.names()[-1] == "inactive", 5, lambda: server.names())
    wire.tell("ACTIVE", active=False)
    wire.tell("ACTIVE", active=True)
    wait_for(lambda: server.names()[-1] == "active", 5)
    assert server.names().count("inactive") == 1
    online, ready = wire.wait("ONLINE"), wire.wait("READY")
    n = max(r["n"] for r in wire.records if r.name == "IDLE" or r.name == "BLOCKED")
    wire.stop()
    with Wire(server, server.user, sm_id=online["sm_id"], sm_in=n, sm_out=0, features=ready["features"],
              archive=ready["archive"], stanza_ids=ready["stanza_ids"]) as again:
        again.tell("ACTIVE", active=False)
        assert again.wait("ONLINE")["resumed"] == 1
        wait_for(lambda: "inactive" in server.names(1), 5, lambda: server.names(1))
        names = [x for x in server.names(1) if x not in ("a", "r")]
        assert names == ["stream", "auth", "stream", "resume", "inactive"], names


# Two wires at once (docs/decisions/0013)


HELD = 3                # enum link_phase_id


def session_of(wire):
    """What a keeper would give the next wire."""
    online, ready = wire.wait("ONLINE"), wire.wait("READY")
    n = max(r["n"] for r in wire.records if r.name == "IDLE" or r.name == "BLOCKED")
    return n, dict(sm_id=online["sm_id"], sm_in=0, sm_out=0, features=ready["features"], archive=ready["archive"],
                   stanza_ids=ready["stanza_ids"])


@pytest.mark.parametrize("tls", ["direct", "starttls"])
def test_a_second_wire_waits_for_its_word(at, scripted_server, tls):
    """Secured, and not a byte of XMPP over it; the resume has the numbers of RESUME."""
    server, wire = at()
    n, start = session_of(wire)
    port = server.tls_port if tls == "direct" else server.port
    with Wire(server, server.user, hold=1, tls=tls, port=port, **start) as second:
        second.wait("PHASE", phase=HELD)
        before = server.names(1)
        holds(lambda: server.names(1) == before and not second.all("FAILED"), 0.5)
        # STARTTLS has a header in clear.
        assert before == ([] if tls == "direct" else ["stream"]), before
        wire.stop()
        second.tell("RESUME", sm_in=n, sm_out=2, grant=1000)
        assert second.wait("ONLINE")["resumed"] == 1
        second.wait("READY")
        resume = next(e for number, name, e in list(server.seen) if name == "resume")
        assert int(resume.get("h")) == n
        # A second word is none.
        second.tell("RESUME", sm_in=n + 7, sm_out=2, grant=1000)
        server.send("<message from='b@chat.test' id='live'><body>x</body></message>")
        assert second.wait("MSG", id="live")["n"] == n + 1


@pytest.mark.parametrize("condition", ["conflict", "handled-count-too-high"])
def test_a_stream_error_in_clear_is_nobody_s_word(scripted_server, condition):
    """Whoever stands in between could keep an account away by the one, and throw its session away by the other."""
    class Between(scripted.Connection):
        async def starttls(self):
            await self.raw("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
                           f"from='chat.test' id='1'><stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                           "</stream:error></stream:stream>")
            while await self.reader.read(65536):
                pass
            raise ConnectionResetError
    server = scripted_server(Script())
    server.connection_class = Between
    with Wire(server, server.user, tls="starttls", port=server.port) as wire:
        failed = wire.wait("FAILED")
        assert failed["condition"] == "" and condition in failed["text"], failed
    # Behind TLS it is the server's.
    server.connection_class = scripted.Connection
    with Wire(server, server.user, tls="starttls", port=server.port) as wire:
        wire.wait("READY")
        wait_for(lambda: server.current, 10)
        server.send(f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
        assert wire.wait("FAILED")["condition"] == condition


def test_a_second_wire_that_has_its_word_before_does_not_wait(at):
    server, wire = at()
    n, start = session_of(wire)
    wire.stop()
    with Wire(server, server.user, hold=1, **start) as second:
        second.tell("RESUME", sm_in=n, sm_out=0, grant=1000)
        assert second.wait("ONLINE")["resumed"] == 1


def test_a_probe_is_answered_by_number(at):
    """ALIVE has the number of the last PROBE; an open question is followed by one of its own."""
    server, wire = at()
    wire.tell("PROBE", answer_ms=3000, probe=7)
    wire.wait("ALIVE", probe=7)
    server.script.acks = False
    before = server.names().count("r")
    wire.tell("PROBE", answer_ms=5000, probe=8)
    wait_for(lambda: server.names().count("r") == before + 1, 5)
    wire.tell("PROBE", answer_ms=5000, probe=9)
    wire.tell("ACTIVE", active=False)
    wait_for(lambda: "inactive" in server.names(), 5)
    server.script.acks = True
    # The answer to the first, as it would have lain in the socket since before the second.
    server.send_raw(f"<a xmlns='urn:xmpp:sm:3' h='{server.current.session.received}'/>")
    wire.wait("ALIVE", probe=9)
    assert server.names().count("r") == before + 2
    assert not wire.all("ALIVE", probe=8)


def test_an_answer_that_is_owed_is_told(at):
    """SILENT some three seconds after an item, ALIVE when anything is heard."""
    server, wire = at()
    server.script.acks = False
    wire.send(w.TEXT, BOB, "m1", body="x")
    wire.wait("SILENT")
    assert not wire.all("ALIVE")
    server.send_raw(" ")
    wire.wait("ALIVE", probe=0)
    assert not wire.all("FAILED")


def test_a_slow_server_is_heard_of_all_the_time(at):
    """Some six seconds' work in one burst: no second wire is called for."""
    server, wire = at()
    server.script.work = 0.1
    for i in range(60):
        wire.send(w.TEXT, BOB, f"m{i}", body="x")
    wait_for(lambda: len(messages(server)) == 60 and [r["n"] for r in wire.all("ACKED")][-1] >= 60, 60,
             lambda: f"{len(messages(server))} {wire.records[-5:]}")
    assert not wire.all("SILENT")
    assert len(wire.all("ACKED")) > 5


def test_first_requests_that_got_lost_are_made_again(at):
    """The session was cut behind the disco questions: with the roster and our presence they are asked once more."""
    server, wire = at()
    n, start = session_of(wire)
    start["sm_in"] = n
    wire.stop()
    session = next(iter(server.sessions.values()))
    assert session.received >= 5
    session.received = 3
    with Wire(server, server.user, **start) as again:
        assert again.wait("ONLINE")["resumed"] == 1
        again.wait("READY")
        assert server.names(1).count("presence") == 1, server.names(1)
        assert server.names(1).count("iq") >= 4


class Kept(Script):
    """A resume whose first words come alone, with a count that nobody asked for; what was kept follows when it may."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def resume(self, connection, previd, h):
        session = connection.server.sessions[previd]
        kept, session.unacked = session.unacked, []
        resumed = connection.raw

        async def with_count(data):
            await resumed(data + f"<a xmlns='{NS_SM}' h='{session.received}'/>")
        connection.raw = with_count
        await connection.resume(previd, h)
        connection.raw = resumed
        await self.gate.wait()
        session.unacked = kept
        for _n, text in kept:
            await connection.raw(text)


def test_what_was_kept_is_all_here_when_the_server_has_answered(at, scripted_server):
    """RESENT stands behind the last stanza that a resumed session was owed, and costs READY nothing (XEP-0198 section 5)."""
    server, wire = at(Kept())
    n, start = session_of(wire)
    start["sm_in"] = n
    wire.stop()
    session = next(iter(server.sessions.values()))
    session.unacked = [(n + 1 + i, f"<message from='{BOB}/x' type='chat' id='k{i}'><body>{i}</body></message>") for i in range(20)]
    session.sent = n + 20
    with Wire(server, server.user, **start) as again:
        assert again.wait("ONLINE")["resumed"] == 1
        again.wait("READY")
        holds(lambda: not again.all("RESENT"), 0.5)
        loop.call(server.script.gate.set)
        assert again.wait("RESENT")["n"] == n + 20
        names = [r.name for r in again.records]
        assert names.index("RESENT") > max(i for i, name in enumerate(names) if name == "MSG")
        assert names.count("MSG") == 20 and names.count("RESENT") == 1
        assert server.names(1).count("r") == 1


def test_a_server_that_is_silent_behind_the_resume_is_found_out(at):
    server, wire = at(Kept())
    n, start = session_of(wire)
    start["sm_in"] = n
    wire.stop()
    with Wire(server, server.user, **start) as again:
        again.wait("READY")
        again.wait("SILENT", timeout=10)
        assert again.wait("FAILED", timeout=30)["failure"] == 9
        assert not again.all("RESENT")


# Whose word it is


EVENT = (f"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{MDS}'><item id='{BOB}'><displayed "
         f"xmlns='{MDS}'><stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='evil'/></displayed></item></items></event>")
BLOCK = "<block xmlns='urn:xmpp:blocking'><item jid='victim@e.test'/></block>"
ROSTER = "<query xmlns='jabber:iq:roster'><item jid='evil@e.test' subscription='both'/></query>"
COMPOSING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


def carbon(inner, sender):
    return (f"<message from='{sender}'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>{inner}"
            "</forwarded></received></message>")


LIES = {
    "read state of a stranger": f"<message from='eve@e.test' type='headline'>{EVENT}</message>",
    "read state of a contact's node": f"<message from='{BOB}' type='headline'>{EVENT}</message>",
    "read state of our own resource": f"<message from='alice@chat.test/x' type='headline'>{EVENT}</message>",
    "read state by a prefixed from": f"<message from='eve@e.test' xmlns:f='u' f:from='alice@chat.test'>{EVENT}</message>",
    "read state in a carbon": carbon(f"<message xmlns='jabber:client' from='alice@chat.test'>{EVENT}</message>",
                                     "alice@chat.test"),
    "read state in a forged carbon": carbon(f"<message xmlns='jabber:client' from='alice@chat.test'>{EVENT}</message>", BOB),
    "block push of a stranger": f"<iq type='set' id='l' from='eve@e.test'>{BLOCK}</iq>",
    "block push of our domain": f"<iq type='set' id='l' from='chat.test'>{BLOCK}</iq>",
    "block push of our own resource": f"<iq type='set' id='l' from='alice@chat.test/x'>{BLOCK}</iq>",
    "block push by a prefixed from": f"<iq type='set' id='l' from='eve@e.test' xmlns:f='u' f:from='alice@chat.test'>{BLOCK}</iq>",
    "block push in a get": f"<iq type='get' id='l'>{BLOCK}</iq>",
    "block list that nobody asked for": "<iq type='result' id='l' from='alice@chat.test'><blocklist "
                                        "xmlns='urn:xmpp:blocking'/></iq>",
    "block list under our id of a stranger": "<iq type='result' id='varve-blocklist' from='eve@e.test'><blocklist "
                                             "xmlns='urn:xmpp:blocking'/></iq>",
    "roster push of a stranger": f"<iq type='set' id='l' from='eve@e.test'>{ROSTER}</iq>",
    "roster push of our own resource": f"<iq type='set' id='l' from='alice@chat.test/x'>{ROSTER}</iq>",
    "typing in a carbon": carbon(f"<message xmlns='jabber:client' type='chat' from='{BOB}/x'>{COMPOSING}</message>",
                                 "alice@chat.test"),
    "typing in an error": f"<message type='error' from='{BOB}/x'>{COMPOSING}</message>",
    "typing of ourselves": f"<message type='chat' from='alice@chat.test/x'>{COMPOSING}</message>",
    "typing of last week": f"<message type='chat' from='{BOB}/x'>{COMPOSING}<delay xmlns='urn:xmpp:delay' "
                           "stamp='2026-11-01T00:00:00Z'/></message>",
    "receipt in a forged carbon": carbon(f"<message xmlns='jabber:client' from='{BOB}/x' to='alice@chat.test'><received "
                                         "xmlns='urn:xmpp:receipts' id='m'/></message>", BOB),
    "marker in a forged carbon": carbon(f"<message xmlns='jabber:client' from='{BOB}/x' to='alice@chat.test'><displayed "
                                        "xmlns='urn:xmpp:chat-markers:0' id='m'/></message>", "eve@e.test"),
    "presence without an address that is one": "<presence from='a@b@c//' type='subscribe'/>",
    "presence of a type that is none": f"<presence from='{BOB}' type='surprise'/>",
}
NEWS = ("READ", "BLOCKED", "ROSTER", "TYPING", "MSG", "PRESENCE")


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_lie_says_nothing_and_counts(at, name):
    server, wire = at()
    wire.wait("BLOCKED", last=1)
    before = [r for r in wire.records if r.name in NEWS]
    server.send(LIES[name])
    server.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='after'><body>after</body></message>")
    wire.wait("MSG", id="after")
    error = 5                   # PAYLOAD_ERROR: an error is news, but not what it repeats
    assert [r for r in wire.records if r.name in NEWS and r["id"] != "after" and r["payload"] != error] == before
    assert server.request_ack() >= 1
    wait_for(lambda: server.request_ack() == server.current.session.sent, 10)
    answers = [e for _n, what, e in server.seen if what == "iq" and e.get("id") == "l"]
    if LIES[name].startswith("<iq type='set'"):
        assert [a.get("type") for a in answers] == ["error"], "a push that is not taken is refused"


def test_each_number_is_named_once(at):
    """A list names it on its last record, a chat state beside a body not at all."""
    server, wire = at()
    server.send(f"<message from='{BOB}/x' type='chat' id='m'><body>b</body><active "
                "xmlns='http://jabber.org/protocol/chatstates'/></message>")
    server.send("<iq type='set' id='p'><block xmlns='urn:xmpp:blocking'><item jid='a@e.test'/><item jid='b@e.test'/></block></iq>")
    server.send(f"<message from='alice@chat.test'>{EVENT.replace('</items>', '')}"[:-len("</event>")] +
                "<item id='c@e.test'><displayed xmlns='%s'><stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='s2'/>"
                "</displayed></item></items></event></message>" % MDS)
    wire.wait("READ", stanza_id="s2")
    wire.wait("TYPING")
    numbers = [r["n"] for r in wire.records if r.name in (*NEWS, "IDLE") and r["n"]]
    assert len(numbers) == len(set(numbers)) and numbers == sorted(numbers), numbers
    assert [r["n"] > 0 for r in wire.records if r.name in ("TYPING", "READ")] == [False, False, True]


def test_pushes_of_our_own_server_are_taken_and_answered(at):
    server, wire = at()
    server.send("<iq type='set' id='p1'><block xmlns='urn:xmpp:blocking'><item jid='a@e.test'/><item jid='b@e.test'/></block></iq>")
    server.send(f"<iq type='set' id='p2' from='alice@chat.test'>{ROSTER}</iq>")
    server.send("<iq type='set' id='p3' from='alice@chat.test'><unblock xmlns='urn:xmpp:blocking'/></iq>")
    assert wire.wait("BLOCKED", jid="b@e.test")["last"] == 1
    wire.wait("ROSTER", jid="evil@e.test")
    wire.wait("BLOCKED", jid="", blocked=0)
    wait_for(lambda: {e.get("id") for _n, what, e in list(server.seen)
                      if what == "iq" and e.get("type") == "result"} >= {"p1", "p2", "p3"}, 5)


# Floods


@pytest.mark.parametrize("stanza", ("<presence from='c%d@e.test/x'><status>%s</status></presence>",
                                    "<message type='chat' from='c%d@e.test/x'>" + COMPOSING + "<!%s></message>"),
                         ids=("presence", "typing"))
def test_a_flood_of_the_moment_is_bounded(at, stanza):
    """10,000 of them as fast as they go: each is told and counted, nothing piles up."""
    server, wire = at()
    before = wire_rss_kb(wire)
    count = 10000
    stanza = stanza.replace("<!%s>", "<x>%s</x>")
    server.current.session.sent += count
    server.send_raw("".join(stanza % (n, "s" * 500) for n in range(count)))
    kind = "PRESENCE" if "presence" in stanza else "TYPING"
    most = 0

    def done():
        nonlocal most
        most = max(most, wire_rss_kb(wire))
        return os.path.getsize(wire.log) > 0 and len(wire.all(kind)) >= count
    wait_for(done, 60, interval=0.3)
    assert len(wire.all(kind)) == count
    numbers = [r["n"] for r in wire.all(kind)]
    assert numbers == list(range(numbers[0], numbers[0] + count)), "each number once"
    wait_for(lambda: server.request_ack() == server.current.session.sent, 10)
    # the sanitizers keep what was freed, as a trap
    assert before > 40 * 1024 or most < before + 16 * 1024, f"{before} -> {most} KB"


def test_a_wire_that_hears_something_says_so(at):
    """Once in a quarter of the ping's time, when nothing else is told: its keeper knows by that that it does not hang."""
    server, wire = at()
    wire.tell("PING", after_s=60, tell=0)
    began = time.monotonic()
    wait_for(lambda: server.send_raw(b" ") or wire.all("HEARD"), 25, interval=0.2)
    assert 12 < time.monotonic() - began < 20
    assert wire.all("HEARD")[0]["silence_s"] == 0
    holds(lambda: server.send_raw(b" ") or len(wire.all("HEARD")) == 1, 3)


@pytest.mark.slow
def test_silence_is_survived_or_not(at):
    """P7, the wire's part: who is silent is asked, the keeper learns after how long, and whether there was an answer."""
    server, wire = at()
    wire.tell("PING", after_s=60, tell=1)
    alive = wire.wait("PINGED", timeout=140)
    assert alive["alive"] == 1 and 40 < alive["silence_s"] <= 66, alive
    server.script.acks = False
    dead = wire.wait("PINGED", timeout=100, alive=0)
    assert 26 <= dead["silence_s"] <= 66, dead
    assert wire.wait("FAILED")["failure"] == 9
    names = [r.name for r in wire.records]
    at = names.index("FAILED")
    assert names[at - 2:at] == ["PINGED", "HEARD"], names
    assert dead["silence_s"] < wire.all("HEARD")[-1]["silence_s"] < dead["silence_s"] + 30
