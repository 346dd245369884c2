"""Hostile bytes: each row of the table of measured attacks (long tags, forged attributes, floods, DTDs, broken
UTF-8), through a scripted server, and the two that a stranger can send through a real one."""

import os

import pytest

from varvetest import scripted
from varvetest.daemon import assert_same
from varvetest.peer import Peer
from varvetest.scripted import NS_SM
from varvetest.wait import holds, wait_for

MESSAGE = "<message from='bob@chat.test/x' to='alice@chat.test' type='chat' id='%s'>%s</message>"


def message(body="", ident="h", extra=""):
    return MESSAGE % (ident, (f"<body>{body}</body>" if body else "") + extra)


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next((int(line.split()[1]) for line in f if line.startswith("VmRSS:")), 0)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def online(varved, scripted_server, script=None):
    server = scripted_server(script)
    varved.add_account(server, server.user)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)
    return server


def bodies(varved):
    return [row["body"] for row in varved.export()]


def good_message_arrives(varved, server, text, timeout=40):
    """A message sent now, on whichever connection is or becomes current, is stored; once. It is archived as well, as
    a real server does: so it arrives also when this connection is given up together with its session."""
    wait_for(lambda: server.current, timeout, lambda: f"a connection; {varved.account()} {varved.tail(2000)}")
    server.script.archive.append(scripted.Archived(text, 1800000000000000, "bob@chat.test/x", "alice@chat.test", text))
    server.send(message(text, ident=text, extra=f"<stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='{text}'/>"))
    wait_for(lambda: text in bodies(varved), timeout, lambda: f"{text}; has {bodies(varved)[-5:]}; {varved.tail(2000)}")
    assert bodies(varved).count(text) == 1
    assert varved.child.poll() is None


def deep(count):
    return "<x>" * count + "</x>" * count


# A stranger can send these through a server: counted stanzas. They must not stop, slow or blow up anything, and they
# are acknowledged, or the server would send them again after each resume, for ever.
POISON = {
    "attribute of 9 KB": lambda: message("fine", extra="<y a='%s'/>" % ("a" * 9000)),
    "attribute of 200 KB": lambda: message("big", extra="<y a='%s'/>" % ("a" * 200000)),
    "tag name of 20 KB": lambda: message("tag", extra="<%s/>" % ("t" * 20000)),
    "64 MB of text": lambda: message("t" * (64 << 20)),
    "2 MB of newlines": lambda: message("12345678\n" * (2 << 17)),
    "200 KB of newlines": lambda: message("\n" * 200000),
    "80,000 children": lambda: message("kids", extra="<x>" + "<c/>" * 80000 + "</x>"),
    "20,000 references": lambda: message("&amp;" * 20000),
    "nesting of 100,000": lambda: message("deep", extra=deep(100000)),
    "nesting of 500": lambda: message("deep", extra=deep(500)),
    "5,000 attributes": lambda: message("attrs", extra="<y %s/>" % " ".join(f"a{n}='1'" for n in range(5000))),
    "5,000 namespaces": lambda: message("ns", extra="<y %s/>" % " ".join(f"xmlns:n{n}='u:{n}'" for n in range(5000))),
    "id of 100 KB": lambda: "<message from='bob@chat.test/x' to='alice@chat.test' type='chat' id='%s'><body>i</body></message>"
                            % ("i" * 100000),
    "from of 100 KB": lambda: "<message from='%s@chat.test/x' to='alice@chat.test' type='chat'><body>f</body></message>"
                              % ("f" * 100000),
}


@pytest.mark.parametrize("name", sorted(POISON))
def test_poison_stanza(varved, scripted_server, name):
    server = online(varved, scripted_server)
    server.send(message("before", ident="before"))
    first = server.current
    text = POISON[name]()
    try:
        server.send(text)
    except OSError:
        pass                # it may hang up in the middle of 64 MB
    good_message_arrives(varved, server, "after")
    server.send_raw(f"<r xmlns='{NS_SM}'/>")
    wait_for(lambda: server.current and not server.current.session.unacked, 30,
             lambda: f"acknowledged; {len(server.current.session.unacked) if server.current else '-'} are not")
    assert len(server.connections) <= server.connections.index(first) + 3, "it does not loop through resumes"
    for pid in [varved.child.pid, *children(varved.child.pid)]:
        assert rss_kb(pid) < 120 * 1024, f"{rss_kb(pid)} KB"
    assert len(bodies(varved)) == len(set(bodies(varved)))


def test_sixty_messages_behind_a_long_tag(varved, scripted_server):
    """The freeze: expat's reparse deferral keeps a long tag and all that follows until the buffer doubles."""
    server = online(varved, scripted_server)
    server.send(message("long", extra="<y a='%s'/>" % ("a" * 9000)))
    for number in range(60):
        server.send(message(f"m{number}", ident=f"m{number}"))
    wait_for(lambda: "m59" in bodies(varved), 5, lambda: f"has {len(bodies(varved))}")
    assert [b for b in bodies(varved) if b != "long"] == [f"m{n}" for n in range(60)]


FORGED = {
    "prefixed from": "<message xmlns:f='u' f:from='admin@chat.test/x' from='bob@chat.test/x' to='alice@chat.test' type='chat' "
                     "id='p'><body>who</body></message>",
    "prefixed from behind": "<message from='bob@chat.test/x' xmlns:f='u' f:from='admin@chat.test/x' to='alice@chat.test' "
                            "type='chat' id='p'><body>who</body></message>",
    "prefixed type and id": "<message from='bob@chat.test/x' xmlns:f='u' f:type='error' f:id='q' type='chat' id='p'>"
                            "<body>who</body></message>",
    "prefixed body": "<message from='bob@chat.test/x' xmlns:f='u' type='chat' id='p'><f:body>evil</f:body><body>who</body>"
                     "</message>",
    "prefixed stanza-id by": "<message from='bob@chat.test/x' type='chat' id='p'><body>who</body><stanza-id "
                             "xmlns='urn:xmpp:sid:0' xmlns:f='u' f:by='alice@chat.test' by='bob@chat.test' id='evil'/></message>",
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_forged_attributes(varved, scripted_server, name):
    server = online(varved, scripted_server)
    server.send(FORGED[name])
    wait_for(lambda: "who" in bodies(varved), 20)
    row = next(r for r in varved.export() if r["body"] == "who")
    assert row["sender"].startswith("bob@chat.test"), row
    assert row["conversation"] == "bob@chat.test" and row["stanza_id"] is None, row
    assert "evil" not in bodies(varved)


# What no server may send: not well-formed, or forbidden by RFC 6120 section 11. The stream ends, and the next one works.
FATAL = {
    "DTD with entities": b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>" + message("&b;").encode(),
    "bad UTF-8": b"<message from='bob@chat.test/x'><body>\xff\xfe</body></message>",
    "overlong UTF-8": b"<message from='bob@chat.test/x'><body>\xc0\xaf</body></message>",
    "surrogate in UTF-8": b"<message from='bob@chat.test/x'><body>\xed\xa0\x80</body></message>",
    "NUL": b"<message from='bob@chat.test/x'><body>a\0b</body></message>",
    "U+FFFE": "<message from='bob@chat.test/x'><body>\ufffe</body></message>".encode(),
    "control character": b"<message from='bob@chat.test/x'><body>a\x01b</body></message>",
    "reference to NUL": b"<message from='bob@chat.test/x'><body>&#0;</body></message>",
    "mismatched tags": b"<message from='bob@chat.test/x'><body>x</message></body>",
    "undefined entity": b"<message from='bob@chat.test/x'><body>&nope;</body></message>",
    "undefined prefix": b"<message from='bob@chat.test/x'><u:body>x</u:body></message>",
    "attribute twice": b"<message from='bob@chat.test/x' from='eve@chat.test/x'><body>x</body></message>",
    "the end of the stream and more": b"</stream:stream><message from='bob@chat.test/x'><body>x</body></message>",
    "not XML": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "random bytes": bytes(range(256)) * 16,
}


@pytest.mark.parametrize("name", sorted(FATAL))
def test_broken_stream(varved, scripted_server, name):
    server = online(varved, scripted_server)
    first = server.current
    server.send_raw(FATAL[name])
    wait_for(lambda: first.writer.transport.is_closing(), 20, lambda: f"it leaves that stream; {varved.tail(2000)}")
    good_message_arrives(varved, server, "after")
    assert bodies(varved) == ["after"], "nothing of the broken stream was stored"


# Unwelcome, but the stream may go on or end: the next message arrives either way.
EITHER = {
    "comment": b"<!-- a comment -->",
    "processing instruction": b"<?php evil() ?>",
    "CDATA": b"<message from='bob@chat.test/x' type='chat'><body><![CDATA[<b>&amp;]]></body></message>",
    "16 MB of whitespace": b" " * (16 << 20),
    "text between stanzas": b"hello?",
    "unknown element": b"<surprise xmlns='urn:x'><a/></surprise>",
    "second features": b"<stream:features><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
    "second enabled": f"<enabled xmlns='{NS_SM}' id='other' resume='true'/>".encode(),
    "resumed out of the blue": f"<resumed xmlns='{NS_SM}' previd='x' h='0'/>".encode(),
    "failed out of the blue": f"<failed xmlns='{NS_SM}'/>".encode(),
    "ack without h": f"<a xmlns='{NS_SM}'/>".encode(),
    "ack with words": f"<a xmlns='{NS_SM}' h='many'/>".encode(),
    "ack below zero": f"<a xmlns='{NS_SM}' h='-1'/>".encode(),
    "thousand requests": f"<r xmlns='{NS_SM}'/>".encode() * 1000,
    "success out of the blue": b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "challenge out of the blue": b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AAAA</challenge>",
    "proceed out of the blue": b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
}


@pytest.mark.parametrize("name", sorted(EITHER))
def test_unwelcome(varved, scripted_server, name):
    server = online(varved, scripted_server)
    server.send_raw(EITHER[name])
    good_message_arrives(varved, server, "after")


ODD = {
    "no body": message(),
    "empty body": "<message from='bob@chat.test/x' type='chat'><body/></message>",
    "noncharacters": message("\ufdd0 \U0001ffff"),         # XML allows these; D-Bus strings do not
    "bidi override": message("\u202egnitset"),
    "no from": "<message type='chat'><body>nobody</body></message>",
    "empty from": "<message from='' type='chat'><body>empty</body></message>",
    "malformed from": "<message from='a@b@c//' type='chat'><body>malformed</body></message>",
    "unknown type": "<message from='bob@chat.test/x' type='surprise'><body>type</body></message>",
    "empty forwarded": "<message from='alice@chat.test'><received xmlns='urn:xmpp:carbons:2'><forwarded "
                       "xmlns='urn:xmpp:forward:0'/></received></message>",
    "forwarded in forwarded": "<message from='alice@chat.test'><received xmlns='urn:xmpp:carbons:2'>" +
                              "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@chat.test/x'>" * 40 +
                              "<body>inner</body>" + "</message></forwarded>" * 40 + "</received></message>",
    "stamp of nonsense": message("when", extra="<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>"),
    "stamp of the year 99999": message("then", extra="<delay xmlns='urn:xmpp:delay' stamp='99999-12-31T23:59:59Z'/>"),
    "error without a reason": "<message from='bob@chat.test/x' type='error' id='none'/>",
    "presence of everything": "<presence from='bob@chat.test/x' type='subscribe'><status>x</status></presence>",
    "iq without id": "<iq type='get' from='bob@chat.test/x'><query xmlns='jabber:iq:version'/></iq>",
    "iq of an unknown type": "<iq type='maybe' id='m' from='bob@chat.test/x'><query xmlns='jabber:iq:version'/></iq>",
    "result that nobody asked for": "<iq type='result' id='never' from='bob@chat.test/x'/>",
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_stanza(varved, scripted_server, name):
    server = online(varved, scripted_server)
    first = server.current
    server.send(ODD[name])
    good_message_arrives(varved, server, "after")
    assert server.current is first, "a stanza that is only odd does not end the stream"
    session = server.current.session
    assert server.request_ack() <= session.sent
    wait_for(lambda: not server.current.session.unacked, 20)


HEADERS = {
    "DOCTYPE first": b"<?xml version='1.0'?><!DOCTYPE stream:stream><stream:stream xmlns='jabber:client' "
                     b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='chat.test' id='1'>",
    "HTML": b"<html><body>captive portal, please log in</body></html>",
    "other encoding": b"<?xml version='1.0' encoding='UTF-16'?><stream:stream xmlns='jabber:client' "
                      b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='chat.test' id='1'>",
    "wrong namespace": b"<stream:stream xmlns='jabber:client' xmlns:stream='urn:evil' version='1.0' from='chat.test' id='1'>",
    "stream error at once": b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                            b"version='1.0' id='1'><stream:error><host-unknown "
                            b"xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    "endless attribute": b"<stream:stream a='" + b"a" * (4 << 20),
    "endless features": b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
                        b"from='chat.test' id='1'><stream:features>" + b"<x/>" * (1 << 20),
}


# For these two it waits for the rest until the deadline of the phase, 15 s
PATIENT = ("other encoding", "endless features")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in PATIENT else ()) for n in sorted(HEADERS)])
def test_hostile_header(varved, scripted_server, name):
    """Before anybody is authenticated: no password, no crash, a reason."""
    class Evil(scripted.Connection):
        async def header(self, parser, step):
            opened = await parser.next()
            if opened is None:
                raise ConnectionResetError
            await self.raw(HEADERS[name])
            while await self.reader.read(65536):
                pass
            raise ConnectionResetError
    server = scripted_server()
    server.connection_class = Evil
    varved.add_account(server, server.user)
    wait_for(lambda: varved.account()["state_reason"] and varved.account()["state"] != "online", 40,
             lambda: f"{varved.account()} {varved.tail(2000)}")
    assert "auth" not in server.names()
    assert varved.run("status").code == 0 and varved.child.poll() is None
    for pid in [varved.child.pid, *children(varved.child.pid)]:
        assert rss_kb(pid) < 120 * 1024


def test_flood(varved, scripted_server):
    """20,000 stanzas as fast as they go: bounded memory on both sides, all stored in order."""
    server = online(varved, scripted_server)
    count = 20000
    text = "".join(message(f"f{n}", ident=f"f{n}") for n in range(count))
    server.current.session.sent += count
    server.send_raw(text)
    most = 0

    def done():
        nonlocal most
        most = max([most, *(rss_kb(p) for p in [varved.child.pid, *children(varved.child.pid)] if os.path.exists(f"/proc/{p}"))])
        return varved.account()["sync"]["messages"] >= count
    wait_for(done, 60, lambda: f"{varved.account()}", interval=0.1)
    assert bodies(varved) == [f"f{n}" for n in range(count)]
    assert most < 150 * 1024, f"{most} KB"


# Through real servers, from another account


def pair(server, fresh):
    names = fresh("alice"), fresh("mallory")
    for name in names:
        server.add_user(name)
    return names


def test_forged_from_through_a_real_server(server, fresh, varved):
    """Twelve prefixed `from` attributes; libstrophe's own parser would read one of them."""
    alice, mallory = pair(server, fresh)
    varved.add_account(server, alice)
    varved.wait_sync()
    spaces = " ".join(f"xmlns:p{n}='urn:p{n}' p{n}:from='admin@{server.domain}/x' p{n}:type='error'" for n in range(12))
    with Peer(server, mallory) as attacker:
        attacker.raw(f"<message {spaces} to='{alice}@{server.domain}' type='chat' id='forged'><body>pay up</body></message>")
        attacker.ping()
        wait_for(lambda: varved.export(), 20)
    rows = varved.export()
    assert [r["sender"].split("/")[0] for r in rows] == [f"{mallory}@{server.domain}"]
    assert_same(varved, server, alice)


def test_long_tag_through_a_real_server(server, fresh, varved):
    """A tag of 9 KB and sixty messages behind it: all are here within seconds."""
    alice, mallory = pair(server, fresh)
    varved.add_account(server, alice)
    varved.wait_sync()
    to = f"{alice}@{server.domain}"
    with Peer(server, mallory) as attacker:
        attacker.raw(f"<message to='{to}' type='chat' id='long'><body>long</body><y xmlns='urn:y' a='{'a' * 9000}'/></message>")
        for number in range(60):
            attacker.send(to, f"behind {number}")
        attacker.ping()
        wait_for(lambda: len([b for b in bodies(varved) if b.startswith("behind")]) == 60, 10,
                 lambda: f"has {len(bodies(varved))}; {varved.tail(1500)}")
    holds(lambda: varved.account()["session"]["binds"] == 1, 0.5)
    assert len(assert_same(varved, server, alice)) == 61
