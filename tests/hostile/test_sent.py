"""A server that does not get over one of our messages: what it does to the others (docs/decisions/0008)."""

import pytest

from varvetest import scripted
from varvetest.wait import wait_for

EVIL = "the server does not get over this"
EVE, BOB, DAN = "eve@chat.test", "bob@chat.test", "dan@chat.test"


def body(element):
    return element.findtext("{jabber:client}body")


class Stumbles(scripted.Connection):
    """Over EVIL: falls silent, for as long as the client keeps the connection, or says that it has failed."""

    async def element(self, element):
        if not self.script.mended and scripted.local(element) == "message" and body(element) == EVIL:
            self.script.stumbled += 1
            if self.script.says:
                await self.raw(self.script.says)
            while not self.script.says and await self.reader.read(65536):
                pass
            raise ConnectionResetError
        await super().element(element)


class Script(scripted.Script):
    mended = False
    stumbled = 0
    says = None


ERROR = ("<stream:error><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")


@pytest.mark.parametrize("says", [pytest.param(None, id="silence", marks=pytest.mark.slow), pytest.param(ERROR, id="error")])
def test_the_others_are_sent(certs, varved, says):
    """Neither silence nor an error that blames nobody fails a message: but after three streams it waits for the others."""
    script = Script()
    script.says = says
    server = scripted.Scripted(certs, script)
    server.connection_class = Stumbles
    with server:
        varved.add_account(server, server.user)
        varved.wait_sync()
        varved.ctl("send", EVE, EVIL)
        varved.ctl("send", EVE, "behind it")
        others = [(to, f"to {to} {n}") for n in range(3) for to in (BOB, DAN)]
        for to, text in others:
            varved.ctl("send", to, text)
        arrived = lambda: [body(e) for _n, name, e in list(server.seen) if name == "message" and body(e)]

        def hurry():
            # Back-off is not what is tested.
            if varved.account()["state"] not in ("online", "connecting"):
                varved.run("account", "connect", server.jid)
            return {text for _to, text in others} <= set(arrived())
        wait_for(hurry, 240, lambda: f"{arrived()} {varved.account()} {varved.tail(3000)}", interval=0.2)
        assert script.stumbled >= 3
        for to in (BOB, DAN):
            assert [text for text in arrived() if to in text] == [text for who, text in others if who == to]
        states = {row["body"]: row["state"] for row in varved.export()}
        assert "failed" not in states.values() and "behind it" not in arrived(), states
        # Who writes now waits for nobody, and the stream stands.
        varved.ctl("send", BOB, "news")
        wait_for(lambda: "news" in arrived(), 60, varved.status)
        if says:
            return
        script.mended = True
        wait_for(lambda: "behind it" in arrived(), 120, lambda: f"{arrived()} {varved.account()} {varved.tail(3000)}")
        assert arrived()[-2:] == [EVIL, "behind it"]
        assert len(arrived()) == len(set(arrived())) == len(others) + 3
