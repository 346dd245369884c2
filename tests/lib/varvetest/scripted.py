"""A server that does what the test says: walks login, bind and stream management as a good one, and then lies,
falls silent, resumes wrongly or sends hostile bytes, as its Script wants."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import os
import ssl
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from . import loop, xmpp
from .ports import free_port
from .servers import DOMAIN

NS_SM = "urn:xmpp:sm:3"
NS_MAM = "urn:xmpp:mam:2"
NS_RSM = "http://jabber.org/protocol/rsm"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_DATA = "jabber:x:data"

# Each of them is a place where a server can stop answering, in the order in which they are reached
STARTTLS_STEPS = ("accept", "plain-header", "plain-features", "proceed", "handshake")
STEPS = ("header", "features", "challenge", "success", "second-header", "second-features", "bind", "enable", "disco",
         "carbons", "query")


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def stamp(microseconds):
    when = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=microseconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Archived:
    """One entry of the scripted archive; `inner` overrides the message that is made of the rest."""

    def __init__(self, id, stamp_us, sender, to, body, inner=None, message_id=None):
        self.id, self.stamp_us, self.sender, self.to, self.body = id, stamp_us, sender, to, body
        self.message_id = message_id or id
        self.inner = inner

    def xml(self):
        return self.inner or (f"<message xmlns='jabber:client' type='chat' from={quoteattr(self.sender)} "
                              f"to={quoteattr(self.to)} id={quoteattr(self.message_id)}>"
                              f"<body>{escape(self.body)}</body></message>")


def entries(count, domain=DOMAIN, user="alice", start_us=1700000000000000, step_us=60000000, prefix="m"):
    own = f"{user}@{domain}"
    return [Archived(f"{prefix}{i:05d}", start_us + i * step_us, f"bob@{domain}/x", own, f"{prefix} {i}")
            for i in range(count)]


class Script:
    """What the server does. Subclasses change values or override; everything here is a well-behaved server."""

    silent_at = None
    mechanisms = ("SCRAM-SHA-256",)
    sm = True
    sm_max = 600
    page = 50
    stable = True                   # False: pages may still change (XEP-0313 section 4.3.2)
    features = ("urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:sid:0", "urn:xmpp:carbons:2")
    stream_features = ""            # XML besides bind and stream management
    acks = True                     # answers <r/>
    proceed_tail = b""              # bytes in one write with <proceed/>: the injection of CVE-2011-0411

    work = 0            # seconds that a message takes; what comes behind it waits

    def __init__(self):
        self.archive = []

    async def resume(self, connection, previd, h):
        await connection.resume(previd, h)

    async def online(self, connection):
        """After bind and the client's initial presence, or after a resume."""

    async def query(self, connection, iq, query):
        await answer_query(connection, iq, query, self.archive, self.page, self.stable)

    async def metadata(self, connection, iq):
        inner = ""
        if self.archive:
            first, last = self.archive[0], self.archive[-1]
            inner = (f"<start id={quoteattr(first.id)} timestamp='{stamp(first.stamp_us)}'/>"
                     f"<end id={quoteattr(last.id)} timestamp='{stamp(last.stamp_us)}'/>")
        await connection.result(iq, f"<metadata xmlns='{NS_MAM}'>{inner}</metadata>")

    async def iq(self, connection, iq, payload):
        """Return True when answered here."""
        return False


class Session:
    """What XEP-0198 keeps across connections."""

    def __init__(self, ident):
        self.id = ident
        self.received = 0           # stanzas of the client
        self.sent = 0
        self.unacked = []           # (number, text)
        self.acks = []              # every h that the client told

    def ack(self, h):
        self.acks.append(h)
        self.unacked = [(n, text) for n, text in self.unacked if n > h]


class Connection:
    def __init__(self, server, number, reader, writer):
        self.server, self.script, self.number = server, server.script, number
        self.reader, self.writer = reader, writer
        self.session = None
        self.counting = False
        self.bound = None
        self.online = False

    def abort(self):
        if self.writer.transport:       # None: lost in the middle of a TLS handshake
            self.writer.transport.abort()

    async def raw(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode())
        await self.writer.drain()

    async def stanza(self, text):
        """Send a counted stanza."""
        if self.counting:
            self.session.sent += 1
            self.session.unacked.append((self.session.sent, text))
        await self.raw(text)

    async def result(self, iq, payload="", kind="result"):
        sender = iq.get("to")
        address = f" from={quoteattr(sender)}" if sender else ""
        to = f" to={quoteattr(self.bound)}" if self.bound else ""
        await self.stanza(f"<iq type='{kind}' id={quoteattr(iq.get('id', ''))}{address}{to}>{payload}</iq>")

    async def error(self, iq, condition, kind="cancel"):
        await self.result(iq, f"<error type='{kind}'><{condition} xmlns='{NS_STANZAS}'/></error>", "error")

    async def request_ack(self):
        """<r/>, and wait for the answer, which is returned."""
        before = len(self.session.acks)
        await self.raw(f"<r xmlns='{NS_SM}'/>")
        for _ in range(400):
            if len(self.session.acks) > before:
                return self.session.acks[-1]
            await asyncio.sleep(0.025)
        raise AssertionError("no answer to <r/> in 10 s")

    async def resume(self, previd, h):
        session = self.server.sessions.get(previd)
        if session is None:
            await self.raw(f"<failed xmlns='{NS_SM}'><item-not-found xmlns='{NS_STANZAS}'/></failed>")
            return
        session.ack(h)
        self.session, self.counting = session, True
        await self.raw(f"<resumed xmlns='{NS_SM}' previd={quoteattr(previd)} h='{session.received}'/>")
        self.bound = self.server.full_jid
        for _n, text in session.unacked:
            await self.raw(text)
        self.online = True
        await self.script.online(self)

    async def silence(self, step):
        if self.script.silent_at == step:
            self.server.silent.append(step)
            while await self.reader.read(65536):
                pass
            raise ConnectionResetError

    # the stream

    async def run(self, direct):
        await self.silence("accept")
        if direct:
            await self.start_tls()
        else:
            await self.starttls()
        parser = xmpp.Reader(self.reader)
        await self.header(parser, "header")
        await self.silence("features")
        offered = "".join(f"<mechanism>{m}</mechanism>" for m in self.script.mechanisms)
        await self.raw(f"<stream:features><mechanisms xmlns='{xmpp.NS_SASL}'>{offered}</mechanisms></stream:features>")
        await self.authenticate(parser)
        parser.restart()
        await self.header(parser, "second-header")
        await self.silence("second-features")
        sm = f"<sm xmlns='{NS_SM}'/>" if self.script.sm else ""
        await self.raw(f"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>{sm}"
                       f"{self.script.stream_features}</stream:features>")
        while True:
            element = await parser.next()
            if element is None:
                self.server.note(self.number, "stream-end" if parser.depth == 0 else "eof", None)
                return
            await self.element(element)

    async def start_tls(self):
        try:
            await self.writer.start_tls(self.server.tls)
        except AttributeError:          # asyncio of Python 3.11, when the other end goes in the middle of it
            if self.writer.transport:
                raise
            raise ConnectionResetError from None

    async def starttls(self):
        parser = xmpp.Reader(self.reader)
        await self.header(parser, "plain-header")
        await self.silence("plain-features")
        await self.raw("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
                       "</stream:features>")
        element = await parser.next()
        if element is None or local(element) != "starttls":
            self.server.note(self.number, "no-starttls", element)
            return
        await self.silence("proceed")
        await self.raw(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + self.script.proceed_tail)
        await self.silence("handshake")
        await self.start_tls()

    async def header(self, parser, step):
        opened = await parser.next()
        if opened is None:
            raise ConnectionResetError
        self.server.note(self.number, "stream", opened)
        await self.silence(step)
        await self.raw(f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{xmpp.NS_STREAM}' "
                       f"version='1.0' id='{os.urandom(4).hex()}' from={quoteattr(self.server.domain)}>")

    async def authenticate(self, parser):
        decode = lambda element: base64.b64decode(element.text or "").decode()
        encode = lambda text: base64.b64encode(text.encode()).decode()
        auth = await parser.next()
        if auth is None:
            raise ConnectionResetError
        self.server.note(self.number, "auth", auth)
        await self.silence("challenge")
        first = decode(auth).split(",", 2)[2]
        nonce = dict(p.split("=", 1) for p in first.split(","))["r"] + os.urandom(9).hex()
        salt, rounds, name = b"salt and pepper", 4096, "sha256"
        challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        await self.raw(f"<challenge xmlns='{xmpp.NS_SASL}'>{encode(challenge)}</challenge>")
        response = await parser.next()
        if response is None:
            raise ConnectionResetError
        final = decode(response)
        without, proof = final.rsplit(",p=", 1)
        mac = lambda key, text: hmac.new(key, text, name).digest()
        salted = hashlib.pbkdf2_hmac(name, self.server.password.encode(), salt, rounds)
        client_key = mac(salted, b"Client Key")
        signed = ",".join((first, challenge, without)).encode()
        want = bytes(a ^ b for a, b in zip(client_key, mac(hashlib.new(name, client_key).digest(), signed)))
        await self.silence("success")
        if want != base64.b64decode(proof):
            await self.raw(f"<failure xmlns='{xmpp.NS_SASL}'><not-authorized/></failure>")
            raise ConnectionResetError
        signature = base64.b64encode(mac(mac(salted, b"Server Key"), signed)).decode()
        await self.raw(f"<success xmlns='{xmpp.NS_SASL}'>{encode('v=' + signature)}</success>")

    async def element(self, element):
        name = local(element)
        self.server.note(self.number, name, element)
        if name == "resume":
            await self.script.resume(self, element.get("previd"), int(element.get("h")))
        elif name == "enable":
            await self.silence("enable")
            self.session = Session("session-" + os.urandom(6).hex())
            self.server.sessions[self.session.id] = self.session
            self.counting = True
            await self.raw(f"<enabled xmlns='{NS_SM}' id='{self.session.id}' resume='true' max='{self.script.sm_max}'/>")
        elif name == "r" and self.script.acks:
            await self.raw(f"<a xmlns='{NS_SM}' h='{self.session.received}'/>")
        elif name == "a":
            self.session.ack(int(element.get("h")))
        elif name in ("iq", "message", "presence"):
            if self.counting:
                self.session.received += 1
            await getattr(self, name)(element)

    async def message(self, element):
        if self.script.work:
            await asyncio.sleep(self.script.work)

    async def presence(self, element):
        if element.get("type") is None and element.get("to") is None and not self.online:
            self.online = True
            await self.script.online(self)

    async def iq(self, iq):
        if iq.get("type") not in ("get", "set") or len(iq) == 0:
            return
        payload = iq[0]
        if await self.script.iq(self, iq, payload):
            return
        tag = payload.tag
        if tag == "{urn:ietf:params:xml:ns:xmpp-bind}bind":
            await self.silence("bind")
            resource = payload.findtext("{urn:ietf:params:xml:ns:xmpp-bind}resource") or "made-up"
            self.bound = self.server.full_jid = f"{self.server.jid}/{resource}"
            await self.raw(f"<iq type='result' id={quoteattr(iq.get('id'))}><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                           f"<jid>{escape(self.bound)}</jid></bind></iq>")
        elif tag == "{http://jabber.org/protocol/disco#info}query":
            await self.silence("disco")
            features = "".join(f"<feature var={quoteattr(f)}/>" for f in self.script.features)
            await self.result(iq, "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='server' "
                                  f"type='im'/>{features}</query>")
        elif tag == "{jabber:iq:roster}query":
            await self.result(iq, "<query xmlns='jabber:iq:roster'/>")
        elif tag == "{urn:xmpp:carbons:2}enable":
            await self.silence("carbons")
            await self.result(iq)
        elif tag == "{%s}metadata" % NS_MAM:
            await self.script.metadata(self, iq)
        elif tag == "{%s}query" % NS_MAM and iq.get("type") == "set":
            await self.silence("query")
            self.server.queries += 1
            await self.script.query(self, iq, payload)
        elif tag == "{urn:xmpp:ping}ping":
            await self.result(iq)
        else:
            await self.error(iq, "service-unavailable")


def form(query):
    fields = query.findall("{%s}x/{%s}field" % (NS_DATA, NS_DATA))
    return {f.get("var"): f.findtext("{%s}value" % NS_DATA) for f in fields}


def rsm(query):
    """(max, before, after); before may be ''."""
    wanted = query.find("{%s}set" % NS_RSM)
    get = lambda name: wanted.findtext("{%s}%s" % (NS_RSM, name)) if wanted is not None else None
    return int(get("max") or 50), get("before"), get("after")


def result_xml(connection, query, entry):
    queryid = query.get("queryid")
    number = f" queryid={quoteattr(queryid)}" if queryid is not None else ""
    return (f"<message from={quoteattr(connection.server.jid)} to={quoteattr(connection.bound)}><result xmlns='{NS_MAM}'{number} "
            f"id={quoteattr(entry.id)}><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
            f"stamp='{stamp(entry.stamp_us)}'/>{entry.xml()}</forwarded></result></message>")


def select(query, archive, page):
    """(entries, complete) for a query; (None, None) when a cursor is unknown."""
    fields = form(query)
    maximum, before, after = rsm(query)
    rows = archive
    if fields.get("start"):
        rows = [e for e in rows if e.stamp_us >= xmpp.stamp_us(fields["start"])]
    if fields.get("end"):
        rows = [e for e in rows if e.stamp_us <= xmpp.stamp_us(fields["end"])]
    known = {e.id: n for n, e in enumerate(archive)}
    for cursor in (before, after):
        if cursor and cursor not in known:
            return None, None
    if after:
        rows = [e for e in rows if known[e.id] > known[after]]
    if before:
        rows = [e for e in rows if known[e.id] < known[before]]
    size = min(maximum, page)
    chosen = rows[-size:] if before is not None else rows[:size]
    return chosen, len(chosen) == len(rows)


async def answer_query(connection, iq, query, archive, page, stable=True):
    """A page as XEP-0313 and XEP-0059 want it."""
    chosen, complete = select(query, archive, page)
    if chosen is None:
        await connection.error(iq, "item-not-found")
        return
    for entry in chosen:
        await connection.stanza(result_xml(connection, query, entry))
    inner = (f"<first index='0'>{escape(chosen[0].id)}</first><last>{escape(chosen[-1].id)}</last>" if chosen else "")
    done = (" complete='true'" if complete else "") + ("" if stable else " stable='false'")
    await connection.result(iq, f"<fin xmlns='{NS_MAM}'{done}><set xmlns='{NS_RSM}'>{inner}"
                                f"<count>{len(archive)}</count></set></fin>")


class Scripted:
    """Listens on .tls_port (direct TLS) and .port (STARTTLS); has one user."""

    name = "scripted"
    connection_class = Connection

    def __init__(self, certs, script=None, user="alice", password="pw", domain=DOMAIN, cert="good"):
        self.script = script or Script()
        self.domain, self.user, self.password = domain, user, password
        self.jid = self.full_jid = f"{user}@{domain}"
        self.ca = certs.ca
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*certs.pair(cert))
        self.tls.set_alpn_protocols(["xmpp-client"])
        self.port, self.tls_port = free_port(), free_port()
        self.sessions = {}
        self.seen = []              # (connection number, name, element) of everything the client sent
        self.silent = []            # steps at which a client is kept waiting
        self.queries = 0
        self.connections = []
        self.errors = []
        self._listeners = []

    def note(self, number, name, element):
        self.seen.append((number, name, element))

    def names(self, number=None):
        """The names of what the client sent, in order; of one connection or of all."""
        return [name for n, name, _element in list(self.seen) if number is None or n == number]

    def start(self):
        async def listen():
            for port, direct in ((self.tls_port, True), (self.port, False)):
                self._listeners.append(await asyncio.start_server(
                    lambda r, w, d=direct: self._accept(r, w, d), "127.0.0.1", port, limit=1 << 20))
        loop.run(listen())
        return self

    async def _accept(self, reader, writer, direct):
        connection = self.connection_class(self, len(self.connections), reader, writer)
        self.connections.append(connection)
        try:
            await connection.run(direct)
        except (OSError, EOFError, ssl.SSLError, asyncio.IncompleteReadError, ET.ParseError):
            self.note(connection.number, "eof", None)
        except Exception as e:              # a mistake of the script: the test must see it
            self.errors.append(repr(e))
            raise
        finally:
            connection.abort()

    @property
    def current(self):
        """The newest connection that is online, or None."""
        return next((c for c in reversed(self.connections) if c.online and c.writer.transport and not c.writer.transport.is_closing()), None)

    def send(self, text):
        """A counted stanza on the current connection."""
        loop.run(self.current.stanza(text))

    def send_raw(self, data):
        loop.run(self.current.raw(data))

    def request_ack(self):
        return loop.run(self.current.request_ack())

    def cut(self):
        loop.call(lambda: [c.abort() for c in self.connections])

    def close(self):
        async def end():
            for listener in self._listeners:
                listener.close()
            for connection in self.connections:
                connection.abort()
        loop.run(end())
        self._listeners = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()
        if exc[0] is None:
            assert not self.errors, self.errors
