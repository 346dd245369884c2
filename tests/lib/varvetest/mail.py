"""A scripted server that takes messages: what it was sent, and what it does with it. And what stories of sending wait for."""

import itertools
import time
import xml.etree.ElementTree as ET

from . import scripted, xmpp
from .app import App
from .wait import wait_for

NS_DELAY, NS_MARKERS, NS_RECEIPTS = "urn:xmpp:delay", "urn:xmpp:chat-markers:0", "urn:xmpp:receipts"
BOB, CAROL = "bob@chat.test", "carol@chat.test"
ROSTER = "".join(f"<item jid='{jid}' subscription='both'/>" for jid in (BOB, CAROL))


class Outgoing:
    """A message that the scripted server was sent."""

    def __init__(self, connection, number, element):
        self.connection, self.number, self.element = connection, number, element
        self.id, self.to = element.get("id"), element.get("to")
        self.body = element.findtext("{jabber:client}body")
        self.origin_id = next((e.get("id") for e in element.iter("{%s}origin-id" % xmpp.NS_SID)), None)
        self.delay = next((e.get("stamp") for e in element.iter("{%s}delay" % NS_DELAY)), None)

    def has(self, name, namespace):
        return self.element.find("{%s}%s" % (namespace, name)) is not None

    def __repr__(self):
        return f"<{self.connection}:{self.number} {self.body or ET.tostring(self.element, 'unicode')[:200]!r}>"


class Mail(scripted.Script):
    """A server that takes messages: `answers` <r/> or not, `keeps` a copy in the archive or not; `deaf`: reads a message,
    and neither counts nor keeps it, as one does that dies while it comes in."""

    def __init__(self):
        super().__init__()
        self.answers = self.keeps = True
        self.deaf = False
        self.got = []
        self.refuse = None          # what to say to <resume/> instead
        self.serial = itertools.count()

    async def iq(self, connection, iq, payload):
        if payload.tag == "{jabber:iq:roster}query" and iq.get("type") == "get":
            await connection.result(iq, f"<query xmlns='jabber:iq:roster'>{ROSTER}</query>")
            return True
        return False

    async def resume(self, connection, previd, h):
        if self.refuse is None:
            await connection.resume(previd, h)
        else:
            await connection.raw(self.refuse)

    def store(self, element):
        """The server's archive has it."""
        ET.register_namespace("", "jabber:client")
        inner = ET.fromstring(ET.tostring(element))
        inner.set("from", "alice@chat.test/x")
        number = next(self.serial)
        self.archive.append(scripted.Archived(f"a{number:05d}", int(time.time() * 1e6) + number, None, None, None,
                                              inner=ET.tostring(inner, "unicode")))

    # what came in

    def messages(self, kind="body"):
        return [m for m in list(self.got) if kind is None or (m.body is not None) == (kind == "body")]

    def bodies(self):
        return [m.body for m in self.messages()]


class MailConnection(scripted.Connection):
    async def element(self, element):
        if scripted.local(element) == "r" and not self.script.answers:
            return
        if scripted.local(element) == "message" and self.script.deaf and self.session:
            self.session.received -= 1
        await super().element(element)

    async def message(self, element):
        m = Outgoing(self.number, self.session.received if self.session else 0, element)
        self.script.got.append(m)
        if self.script.keeps and not self.script.deaf and m.body is not None:
            self.script.store(element)


class MailServer(scripted.Scripted):
    connection_class = MailConnection


def online(varved, server, port=None):
    varved.add_account(server, server.user, port=port)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)
    return App(varved, server.jid)


def wait_state(writer, ident, *states, timeout=20):
    wait_for(lambda: writer.row(ident).state in states, timeout,
             lambda: f"state {states}; is {writer.row(ident)}; log: {writer.varved.tail(3000)}")


def wait_bodies(server, want, timeout=20):
    wait_for(lambda: len(server.script.bodies()) >= len(want), timeout,
             lambda: f"{want}; got {server.script.got}")
    assert server.script.bodies() == want


def wait_binds(varved, count, timeout=60):
    wait_for(lambda: varved.account()["session"]["binds"] >= count and varved.account()["state"] == "online", timeout,
             lambda: f"{count} binds; {varved.account()}; {varved.tail()}")
