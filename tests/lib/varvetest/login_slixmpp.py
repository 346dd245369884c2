"""slixmpp as a reference for the login (figures.py --login): logs in with stream management, loses the link, and resumes
through another port. Says "up" and then "resumed" or "bound" as tests/bench/login-strophe.c does.

    python3 -m varvetest.login_slixmpp JID PASSWORD CA-FILE direct|starttls PORT SECOND-PORT
"""

import asyncio
import sys
import time

import slixmpp

from .peer import dial


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca):
        super().__init__(jid, password)
        self.ca_certs = ca
        self.up = False
        self.register_plugin("xep_0198")
        self.stands = asyncio.Event()
        self.add_event_handler("connected", lambda _: self.say("up"))
        self.add_event_handler("session_start", lambda _: self.arrived("bound"))
        self.add_event_handler("session_resumed", lambda _: self.arrived("resumed"))
        self.enabled, self.gone = asyncio.Event(), asyncio.Event()
        self.add_event_handler("sm_enabled", lambda _: self.enabled.set())
        self.add_event_handler("disconnected", lambda _: self.gone.set())

    def say(self, what):
        if self.up:
            print(what, f"{time.monotonic():.6f}", flush=True)

    def arrived(self, how):
        self.say(how)
        self.stands.set()


async def main(jid, password, ca, tls, port, second):
    client = Client(jid, password, ca)
    dial(client, int(port), tls == "direct")
    await asyncio.wait_for(client.stands.wait(), 20)
    await asyncio.wait_for(client.enabled.wait(), 20)
    client.stands.clear()
    client.gone.clear()
    client.transport.abort()
    await asyncio.wait_for(client.gone.wait(), 20)
    client.up = True
    dial(client, int(second), tls == "direct")
    await asyncio.wait_for(client.stands.wait(), 20)


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(*sys.argv[1:]))
