"""Other parties: slixmpp clients, so that what varve talks with is not of our making."""

import asyncio

import slixmpp
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from . import loop
from .wait import wait_for

NS_SID = "urn:xmpp:sid:0"


class _Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca):
        # Without channel binding: slixmpp 1.10 says n,, with SCRAM-SHA-256-PLUS, which ejabberd refuses
        super().__init__(jid, password, sasl_mech="SCRAM-SHA-256")
        self.ca_certs = ca
        self.use_message_ids = True
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.register_plugin("xep_0280")
        self.ready = asyncio.get_running_loop().create_future()
        self.received, self.carbons, self.stanzas = [], [], []
        self.online = set()
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("failed_auth", lambda _: self.fail("refused"))
        self.add_event_handler("message", self.received.append)      # only those with a body
        self.register_handler(Callback("all of them", StanzaPath("message"), self.stanzas.append))
        self.add_event_handler("presence_available", lambda p: self.seen(p, True))
        self.add_event_handler("presence_unavailable", lambda p: self.seen(p, False))
        self.add_event_handler("carbon_sent", lambda m: self.carbons.append(m["carbon_sent"]))
        self.add_event_handler("carbon_received", lambda m: self.carbons.append(m["carbon_received"]))

    def seen(self, presence, here):
        if presence["from"].bare == self.boundjid.bare:
            (self.online.add if here else self.online.discard)(presence["from"].resource)

    def fail(self, why):
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(why))

    def leave(self):
        self.abort()
        filters = getattr(self, "_run_out_filters", None)   # slixmpp leaves this task behind
        if filters is not None:
            filters.cancel()

    async def begin(self, _event):
        await self["xep_0280"].enable()
        self.send_presence()
        await self["xep_0199"].send_ping(self.boundjid.domain)
        self.ready.set_result(True)


def dial(client, port, direct=False):
    """To this machine, by STARTTLS alone or by direct TLS alone. slixmpp 1.9 has another way to say so."""
    if hasattr(client, "enable_direct_tls"):
        client.enable_direct_tls, client.enable_starttls = direct, not direct
        client.connect("127.0.0.1", port)
    else:
        client.connect(("127.0.0.1", port), use_ssl=direct, disable_starttls=direct, force_starttls=not direct)


class Peer:
    """Another account, or another device of the same one (`resource`)."""

    def __init__(self, server, user, password="pw", resource="peer"):
        self.jid = f"{user}@{server.domain}"
        self.domain = server.domain

        async def once():
            client = _Client(f"{self.jid}/{resource}", password, server.ca)
            client.ssl_context.check_hostname = False       # slixmpp connects to an address; the chain is verified
            dial(client, server.port)
            try:
                await asyncio.wait_for(client.ready, 10)
            except BaseException:
                client.leave()
                raise
            return client

        async def connect():
            for _ in range(3):
                try:
                    return await once()
                except (asyncio.TimeoutError, RuntimeError):
                    pass            # an ejabberd that has just come up from a KILL may drop its first login
            return await once()
        self.client = loop.run(connect(), 50)

    def send(self, to, body, id=None, origin_id=None, children=()):
        """One chat message; id=None: one of slixmpp's own. children: XML texts to add. Returns the id."""
        def go():
            message = self.client.make_message(mto=to, mbody=body, mtype="chat")
            if id is not None:
                message["id"] = id
            if origin_id:
                message.append(ET.Element("{%s}origin-id" % NS_SID, id=origin_id))
            for child in children:
                message.append(ET.fromstring(child))
            message.send()
            return message["id"]
        return loop.call(go)

    def raw(self, text):
        loop.call(self.client.send_raw, text)

    def ping(self):
        """What was sent before has reached the server."""
        async def go():
            await self.client["xep_0199"].send_ping(self.domain, timeout=20)
        loop.run(go(), 30)

    @property
    def online(self):
        """Resources of the same account that are available."""
        return set(self.client.online)

    @property
    def bodies(self):
        return [m["body"] for m in list(self.client.received) if m["body"]]

    def wait_body(self, body, timeout=20):
        wait_for(lambda: body in self.bodies, timeout, f"{self.jid} receives {body!r}")

    def close(self):
        async def leave():
            self.client.leave()
        loop.run(leave(), 10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
