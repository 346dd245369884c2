"""A small XMPP client on asyncio and the standard library alone: the independent reader of archives, and the
other party where slixmpp would be too heavy (data/quickstart.sh).

It shares no code with the product, on purpose: what it reads from a server's archive is what the product's export
is compared with.
"""

import asyncio
import base64
import collections
import datetime
import hashlib
import hmac
import os
import ssl
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from . import loop

NS_CLIENT = "jabber:client"
NS_STREAM = "http://etherx.jabber.org/streams"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_MAM = "urn:xmpp:mam:2"
NS_RSM = "http://jabber.org/protocol/rsm"
NS_DELAY = "urn:xmpp:delay"
NS_FORWARD = "urn:xmpp:forward:0"
NS_SID = "urn:xmpp:sid:0"

Row = collections.namedtuple("Row", "archive_id stamp sender to body")


class XmppError(Exception):
    pass


def bare(jid):
    return jid.split("/", 1)[0] if jid else jid


def stamp_us(text):
    """XEP-0082 to microseconds since the epoch."""
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


class Scram:
    """The client half of SCRAM (RFC 5802, RFC 7677)."""

    def __init__(self, mechanism, user, password):
        self.hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}[mechanism]
        self.password = password.encode()
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"

    def first(self):
        return "n,," + self.bare

    def final(self, challenge):
        field = dict(part.split("=", 1) for part in challenge.split(","))
        if not field["r"].startswith(self.nonce):
            raise XmppError("the server changed our nonce")
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(field["s"]), int(field["i"]))
        mac = lambda key, text: hmac.new(key, text, self.hash).digest()
        client_key = mac(salted, b"Client Key")
        without = "c=biws,r=" + field["r"]
        signed = ",".join((self.bare, challenge, without)).encode()
        proof = bytes(a ^ b for a, b in zip(client_key, mac(hashlib.new(self.hash, client_key).digest(), signed)))
        self.expect = base64.b64encode(mac(mac(salted, b"Server Key"), signed)).decode()
        return without + ",p=" + base64.b64encode(proof).decode()


class Reader:
    """Top-level elements of one XML stream, as ElementTree elements."""

    def __init__(self, stream):
        self.stream = stream
        self.restart()

    def restart(self):
        self.parser = ET.XMLPullParser(("start", "end"))
        self.depth = 0
        self.root = None
        self.ready = collections.deque()

    async def next(self):
        """The next child of the stream, or the stream element itself when it opens; None at the end."""
        while not self.ready:
            if self.root is not None and self.depth == 0:
                return None
            data = await self.stream.read(65536)
            if not data:
                return None
            self.parser.feed(data)
            for event, element in self.parser.read_events():
                if event == "start":
                    self.depth += 1
                    if self.depth == 1:
                        self.root = element
                        self.ready.append(ET.Element(element.tag, element.attrib))     # the root itself is cleared
                    continue
                self.depth -= 1
                if self.depth == 1:
                    self.ready.append(element)
                    self.root.clear()
        return self.ready.popleft()


class AsyncClient:
    def __init__(self, jid, password, port, ca, host="127.0.0.1", resource=None):
        self.jid, self.password = jid, password
        self.user, self.domain = jid.split("@", 1)
        self.host, self.port, self.resource = host, port, resource
        self.tls = ssl.create_default_context(cafile=ca)
        self.waiting = {}
        self.results = {}
        self.inbox = []
        self.task = None

    async def connect(self, presence=False):
        """Direct TLS, SCRAM, bind. presence: become available, so that messages are delivered to `inbox`."""
        stream, self.writer = await asyncio.open_connection(
            self.host, self.port, ssl=self.tls, server_hostname=self.domain, limit=1 << 20)
        self.reader = Reader(stream)
        features = await self._open()
        offered = [m.text for m in features.iter("{%s}mechanism" % NS_SASL)]
        scram = next(m for m in ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1") if m in offered)
        await self._auth(Scram(scram, self.user, self.password), scram)
        self.reader.restart()
        await self._open()
        self.task = asyncio.ensure_future(self._pump())
        wanted = f"<resource>{escape(self.resource)}</resource>" if self.resource else ""
        answer = await self.iq("set", f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{wanted}</bind>")
        self.full = answer.findtext(".//{urn:ietf:params:xml:ns:xmpp-bind}jid")
        if presence:
            self.send("<presence/>")
            await self.writer.drain()

    async def _open(self):
        self.send(f"<?xml version='1.0'?><stream:stream xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAM}' "
                  f"version='1.0' to={quoteattr(self.domain)}>")
        await self._expect("stream")
        return await self._expect("features")

    async def _expect(self, *names):
        element = await asyncio.wait_for(self.reader.next(), 20)
        if element is None:
            raise XmppError("the server closed the stream")
        if element.tag.rsplit("}", 1)[-1] not in names:
            raise XmppError("unexpected " + ET.tostring(element, "unicode")[:300])
        return element

    async def _auth(self, scram, mechanism):
        encode = lambda text: base64.b64encode(text.encode()).decode()
        self.send(f"<auth xmlns='{NS_SASL}' mechanism='{mechanism}'>{encode(scram.first())}</auth>")
        challenge = await self._expect("challenge")
        final = scram.final(base64.b64decode(challenge.text).decode())
        self.send(f"<response xmlns='{NS_SASL}'>{encode(final)}</response>")
        success = await self._expect("success")
        if base64.b64decode(success.text or "").decode() != "v=" + scram.expect:
            raise XmppError("the server could not prove itself")

    def send(self, text):
        self.writer.write(text.encode())

    async def _pump(self):
        try:
            while True:
                stanza = await self.reader.next()
                if stanza is None:
                    break
                self._stanza(stanza)
        except (OSError, ET.ParseError):
            pass        # whoever waits for an answer is told below
        finally:
            for future in self.waiting.values():
                if not future.done():
                    future.set_exception(XmppError("the stream ended"))

    def _stanza(self, stanza):
        name = stanza.tag.rsplit("}", 1)[-1]
        if name == "iq" and stanza.get("type") in ("result", "error"):
            future = self.waiting.pop(stanza.get("id"), None)
            if future and not future.done():
                future.set_result(stanza)
        elif name == "iq":
            self.send(f"<iq type='result' id={quoteattr(stanza.get('id', ''))}"
                      + (f" to={quoteattr(stanza.get('from'))}" if stanza.get("from") else "") + "/>")
        elif name == "message":
            result = stanza.find("{%s}result" % NS_MAM)
            if result is not None:
                self.results.setdefault(result.get("queryid"), []).append(result)
            else:
                self.inbox.append(stanza)

    async def iq(self, kind, payload, to=None):
        """Send an iq and return the answer; an error answer is an XmppError."""
        number = uuid.uuid4().hex[:12]
        future = self.waiting[number] = asyncio.get_running_loop().create_future()
        address = f" to={quoteattr(to)}" if to else ""
        self.send(f"<iq type='{kind}' id='{number}'{address}>{payload}</iq>")
        await self.writer.drain()
        answer = await asyncio.wait_for(future, 60)
        if answer.get("type") == "error":
            raise XmppError(ET.tostring(answer, "unicode")[:400])
        return answer

    async def message(self, to, body, id=None, extra="", kind="chat"):
        number = id or uuid.uuid4().hex
        self.send(f"<message to={quoteattr(to)} type='{kind}' id={quoteattr(number)}>"
                  f"<body>{escape(body)}</body><origin-id xmlns='{NS_SID}' id={quoteattr(number)}/>{extra}</message>")
        await self.writer.drain()
        return number

    async def raw(self, text):
        self.send(text)
        await self.writer.drain()

    async def ping(self):
        """A round trip through the server: what was sent before it has been processed."""
        await self.iq("get", "<ping xmlns='urn:xmpp:ping'/>", to=self.domain)

    async def archive(self, page=250, raw=False):
        """The whole own archive, oldest first, as Rows (raw: the <result/> elements)."""
        out, cursor = [], ""
        while True:
            query = uuid.uuid4().hex
            after = f"<after>{escape(cursor)}</after>" if cursor else ""
            answer = await self.iq("set", f"<query xmlns='{NS_MAM}' queryid='{query}'>"
                                          f"<set xmlns='{NS_RSM}'><max>{page}</max>{after}</set></query>")
            results = self.results.pop(query, [])
            out += results if raw else [self.row(result) for result in results]
            fin = answer.find("{%s}fin" % NS_MAM)
            last = fin.findtext("{%s}set/{%s}last" % (NS_RSM, NS_RSM))
            if fin.get("complete") == "true" or not last:
                return out
            cursor = last

    @staticmethod
    def row(result):
        forwarded = result.find("{%s}forwarded" % NS_FORWARD)
        message = forwarded.find("{%s}message" % NS_CLIENT)
        stamp = forwarded.find("{%s}delay" % NS_DELAY).get("stamp")
        return Row(result.get("id"), stamp, message.get("from"), message.get("to"),
                   message.findtext("{%s}body" % NS_CLIENT))

    async def close(self):
        if self.task:
            self.send("</stream:stream>")
            self.task.cancel()
            self.task = None
        self.writer.close()


class Client:
    """AsyncClient for tests that are written without async."""

    def __init__(self, *args, presence=False, **kwargs):
        self.inner = AsyncClient(*args, **kwargs)
        loop.run(self.inner.connect(presence=presence))
        self.jid, self.full = self.inner.jid, self.inner.full

    def message(self, *args, **kwargs):
        return loop.run(self.inner.message(*args, **kwargs))

    def raw(self, text):
        loop.run(self.inner.raw(text))

    def ping(self):
        loop.run(self.inner.ping())

    def archive(self, *args, **kwargs):
        return loop.run(self.inner.archive(*args, **kwargs), 120)

    @property
    def bodies(self):
        return [m.findtext("{%s}body" % NS_CLIENT) for m in list(self.inner.inbox)]

    def close(self):
        loop.run(self.inner.close())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def read_archive(server, user, password):
    """[Row] of the user's archive as the server itself gives it out, oldest first."""
    with Client(f"{user}@{server.domain}", password, server.tls_port, server.ca) as client:
        return client.archive()
