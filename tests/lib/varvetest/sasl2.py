"""The scripted server with SASL2, Bind2, inline resumption and FAST (XEP-0388, 0386, 0198, 0484), which does each of
them wrongly on request."""

import base64
import datetime
import hashlib
import hmac
import os
import ssl
from xml.sax.saxutils import quoteattr

from . import scripted, xmpp
from .scripted import NS_SM, local

NS_SASL2 = "urn:xmpp:sasl:2"
NS_BIND2 = "urn:xmpp:bind:0"
NS_FAST = "urn:xmpp:fast:0"
CONDITIONS = xmpp.NS_SASL

# Places where it can fall silent, besides scripted.STEPS
STEPS = ("authenticate", "response")


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class Script(scripted.Script):
    sasl1 = True
    sasl2 = True
    mechanisms = ("SCRAM-SHA-256",)
    bindings = ()                   # XEP-0440
    fast = ("HT-SHA-256-NONE",)
    inline_resume = True
    inline_bind = True
    inline_sm = True
    refuse_sm = False               # <failed/> for <enable/> inside the bind
    rotate = False                  # a new token with each login by token
    same_stream = True              # after a refused token another mechanism is let in on the same stream
    refuse_tokens = False
    prove = True                    # send the server's proof
    wants_task = False              # <continue/>
    downgrade_hash = None           # XEP-0474: None: none; "right"; "wrong"
    unknown = "error"               # <authenticate/> without SASL2: "error" stream error, "failure", "ignore", "close"
    before_success = ""             # bytes of which nobody knows why they come
    twice = False                   # <success/> twice
    token = None                    # override of the token's text


class Connection(scripted.Connection):
    fast_failed = False

    def offer(self):
        s = self.script
        out = ""
        names = "".join(f"<mechanism>{m}</mechanism>" for m in s.mechanisms)
        if s.sasl1:
            out += f"<mechanisms xmlns='{xmpp.NS_SASL}'>{names}</mechanisms>"
        if s.sasl2:
            inline = f"<sm xmlns='{NS_SM}'/>" if s.inline_resume else ""
            if s.inline_bind:
                inner = f"<feature var='{NS_SM}'/>" if s.inline_sm else ""
                inline += f"<bind xmlns='{NS_BIND2}'><inline>{inner}<feature var='urn:xmpp:carbons:2'/></inline></bind>"
            if s.fast:
                tokens = "".join(f"<mechanism>{m}</mechanism>" for m in s.fast)
                inline += f"<fast xmlns='{NS_FAST}'>{tokens}</fast>"
            out += f"<authentication xmlns='{NS_SASL2}'>{names}<inline>{inline}</inline></authentication>"
        if s.bindings:
            types = "".join(f"<channel-binding type='{t}'/>" for t in s.bindings)
            out += f"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>{types}</sasl-channel-binding>"
        return f"<stream:features>{out}</stream:features>"

    def after(self):
        sm = f"<sm xmlns='{NS_SM}'/>" if self.script.sm else ""
        return f"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>{sm}</stream:features>"

    async def run(self, direct):
        await self.silence("accept")
        if direct:
            await self.start_tls()
        else:
            await self.starttls()
        self.parser = xmpp.Reader(self.reader)
        await self.header(self.parser, "header")
        await self.silence("features")
        await self.raw(self.offer())
        while not await self.login(await self.next()):
            pass
        while True:
            element = await self.parser.next()
            if element is None:
                self.server.note(self.number, "stream-end" if self.parser.depth == 0 else "eof", None)
                return
            await self.element(element)

    async def next(self):
        element = await self.parser.next()
        if element is None:
            raise ConnectionResetError
        self.server.note(self.number, local(element), element)
        return element

    async def login(self, element):
        """True when in."""
        if element.tag == "{%s}authenticate" % NS_SASL2 and not self.script.sasl2:
            return await self.stray()
        if element.tag == "{%s}authenticate" % NS_SASL2:
            await self.silence("authenticate")
            return await self.sasl2(element)
        if element.tag == "{%s}auth" % xmpp.NS_SASL and self.script.sasl1:
            await self.silence("challenge")
            return await self.sasl1(element)
        return await self.stray()

    async def stray(self):
        if self.script.unknown == "failure":
            await self.failure(NS_SASL2, "invalid-mechanism")
        elif self.script.unknown == "close":
            raise ConnectionResetError
        elif self.script.unknown == "error":
            await self.raw("<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                           "</stream:error></stream:stream>")
            raise ConnectionResetError
        return False

    async def failure(self, ns, condition):
        await self.raw(f"<failure xmlns='{ns}'><{condition} xmlns='{CONDITIONS}'/></failure>")
        return False

    def binding(self, kind):
        if kind != "tls-server-end-point":
            raise ValueError(kind)
        pem = open(self.server.certificate).read()
        first = pem[pem.index("-----BEGIN"):pem.index("-----END CERTIFICATE-----") + 25]
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).digest()

    async def scram(self, ns, mechanism, first):
        """The server's proof, or None when the password is wrong."""
        gs2, bare = first.split(",,", 1)
        gs2 += ",,"
        cb = self.binding(gs2[2:-2]) if gs2.startswith("p=") else b""
        digest = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[mechanism.replace("-PLUS", "")]
        nonce = dict(p.split("=", 1) for p in bare.split(","))["r"] + os.urandom(9).hex()
        challenge = f"r={nonce},s={b64('salt and pepper')},i=4096"
        if self.script.downgrade_hash:
            lists = "\x1e".join(sorted(self.script.mechanisms))
            if self.script.bindings:
                lists += "\x1f" + "\x1e".join(sorted(self.script.bindings))
            if self.script.downgrade_hash == "wrong":
                lists += "\x1eX"
            challenge += ",h=" + b64(hashlib.new(digest, lists.encode()).digest())
        await self.raw(f"<challenge xmlns='{ns}'>{b64(challenge)}</challenge>")
        response = await self.next()
        assert local(response) == "response", response.tag
        await self.silence("response")
        without, proof = base64.b64decode(response.text).decode().rsplit(",p=", 1)
        assert without == f"c={b64(gs2.encode() + cb)},r={nonce}", without
        mac = lambda key, text: hmac.new(key, text, digest).digest()
        salted = hashlib.pbkdf2_hmac(digest, self.server.password.encode(), b"salt and pepper", 4096)
        client_key = mac(salted, b"Client Key")
        signed = ",".join((bare, challenge, without)).encode()
        want = bytes(a ^ b for a, b in zip(client_key, mac(hashlib.new(digest, client_key).digest(), signed)))
        if want != base64.b64decode(proof):
            return None
        return "v=" + b64(mac(mac(salted, b"Server Key"), signed))

    async def sasl1(self, auth):
        if auth.get("mechanism") not in self.script.mechanisms:
            return await self.failure(xmpp.NS_SASL, "invalid-mechanism")
        proof = await self.scram(xmpp.NS_SASL, auth.get("mechanism"), base64.b64decode(auth.text).decode())
        if proof is None:
            return await self.failure(xmpp.NS_SASL, "not-authorized")
        await self.silence("success")
        await self.raw(f"<success xmlns='{xmpp.NS_SASL}'>{b64(proof) if self.script.prove else ''}</success>")
        self.parser.restart()
        await self.header(self.parser, "second-header")
        await self.silence("second-features")
        await self.raw(self.after())
        return True

    async def sasl2(self, auth):
        mechanism = auth.get("mechanism")
        initial = base64.b64decode(auth.findtext("{%s}initial-response" % NS_SASL2))
        if mechanism.startswith("HT-"):
            proof = self.by_token(auth, mechanism, initial)
            if proof is None:
                self.fast_failed = True
                return await self.failure(NS_SASL2, "not-authorized")
        else:
            if mechanism not in self.script.mechanisms or (self.fast_failed and not self.script.same_stream):
                return await self.failure(NS_SASL2, "invalid-mechanism")
            proof = await self.scram(NS_SASL2, mechanism, initial.decode())
            if proof is None:
                return await self.failure(NS_SASL2, "not-authorized")
        if self.script.wants_task:
            await self.raw(f"<continue xmlns='{NS_SASL2}'><additional-data>{b64(proof)}</additional-data><tasks>"
                           "<task>TOTP</task></tasks><text>Your six digits, please</text></continue>")
            return False
        await self.silence("success")
        await self.success(auth, mechanism, proof)
        return True

    def by_token(self, auth, mechanism, initial):
        agent = auth.find("{%s}user-agent" % NS_SASL2)
        assert auth.find("{%s}fast" % NS_FAST) is not None
        user, said = initial.split(b"\0", 1)
        cb = self.binding("tls-server-end-point") if mechanism.endswith("ENDP") else b""
        for token, bound_to, owner in reversed(self.server.tokens):
            mac = lambda who: hmac.digest(token.encode(), who + cb, "sha256")
            if bound_to == mechanism and owner == agent.get("id") and mac(b"Initiator") == said:
                if self.script.refuse_tokens:
                    return None
                self.server.used.append(token)
                self.server.tokens = [t for t in self.server.tokens if t[0] == token]
                return mac(b"Responder")
        return None

    def new_token(self, mechanism, agent):
        token = self.script.token or "token-" + os.urandom(12).hex()
        self.server.tokens.append((token, mechanism, agent))
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=20)
        return f"<token xmlns='{NS_FAST}' token={quoteattr(token)} expiry='{until.strftime('%Y-%m-%dT%H:%M:%SZ')}'/>"

    async def success(self, auth, mechanism, proof):
        inner = f"<additional-data>{b64(proof)}</additional-data>" if self.script.prove else ""
        agent = auth.find("{%s}user-agent" % NS_SASL2).get("id")
        asked = auth.find("{%s}request-token" % NS_FAST)
        if asked is not None:
            inner += self.new_token(asked.get("mechanism"), agent)
        elif self.script.rotate and mechanism.startswith("HT-"):
            inner += self.new_token(mechanism, agent)
        resume = auth.find("{%s}resume" % NS_SM)
        bind = auth.find("{%s}bind" % NS_BIND2)
        identity, session = self.server.jid, None
        if resume is not None and self.script.inline_resume:
            session = self.server.sessions.get(resume.get("previd"))
            if session:
                session.ack(int(resume.get("h")))
                inner += f"<resumed xmlns='{NS_SM}' previd={quoteattr(resume.get('previd'))} h='{session.received}'/>"
            else:
                inner += f"<failed xmlns='{NS_SM}'><item-not-found xmlns='{scripted.NS_STANZAS}'/></failed>"
        if session is None and bind is not None and self.script.inline_bind:
            self.bound = self.server.full_jid = identity = f"{self.server.jid}/{bind.findtext('{%s}tag' % NS_BIND2)}~x"
            enabled = ""
            if bind.find("{%s}enable" % NS_SM) is not None and self.script.refuse_sm:
                enabled = f"<failed xmlns='{NS_SM}'><internal-server-error xmlns='{scripted.NS_STANZAS}'/></failed>"
            elif bind.find("{%s}enable" % NS_SM) is not None and self.script.inline_sm:
                self.session = scripted.Session("session-" + os.urandom(6).hex())
                self.server.sessions[self.session.id] = self.session
                enabled = f"<enabled xmlns='{NS_SM}' id='{self.session.id}' resume='true' max='600'/>"
            inner += f"<bound xmlns='{NS_BIND2}'>{enabled}</bound>"
        text = (f"<success xmlns='{NS_SASL2}'>{inner}<authorization-identifier>{identity}</authorization-identifier>"
                "</success>")
        if session and self.server.proxy:
            self.server.flights.append(self.server.proxy.flights)
        await self.raw(self.script.before_success + text * (1 + self.script.twice))
        if session:
            self.session, self.counting, self.bound = session, True, self.server.full_jid
            for _n, pending in session.unacked:
                await self.raw(pending)
            self.online = True
            await self.script.online(self)
            return
        self.counting = self.session is not None
        await self.raw(self.after())

    async def resume(self, previd, h):
        if self.server.proxy and previd in self.server.sessions:
            self.server.flights.append(self.server.proxy.flights)
        await scripted.Connection.resume(self, previd, h)


class Server(scripted.Scripted):
    connection_class = Connection

    def __init__(self, certs, script=None, **kwargs):
        scripted.Scripted.__init__(self, certs, script or Script(), **kwargs)
        self.certificate = certs.pair()[0]
        self.tokens = []            # (token, mechanism, user agent): valid ones
        self.used = []
        self.proxy = None           # counts flights
        self.flights = []           # of each resume, TLS included, TCP not

    def elements(self, name, number=None):
        return [e for n, seen, e in list(self.seen) if seen == name and (number is None or n == number)]
