"""Every step from TCP to a settled session answered wrongly, twice, late or never (issue 4, point 7).

A server of the scripted kind that spoils what it says at one step, as long as it is told to. Each step is an account of
its own with a server of its own; all are one daemon's. While it lies: no crash, no spin, a reason in words. When it stops:
online, what was to be sent meanwhile is sent once, what was to be received is there once."""

import asyncio
import itertools
import os
import re
import time

import pytest

from varvetest import sasl2, scripted
from varvetest.wait import holds, wait_for

BOB = "bob@chat.test"
DEADLINE = 1                    # second, of each phase
LYING = 4                       # seconds
DIALS = 6                       # connections in that time: back-off begins at 0.5 to 1 s and doubles; a guess has one more at once

IQS = {"{urn:ietf:params:xml:ns:xmpp-bind}bind": "bind", "{http://jabber.org/protocol/disco#info}query": "disco",
       "{jabber:iq:roster}query": "roster", "{urn:xmpp:carbons:2}enable": "carbons", "{urn:xmpp:mam:2}query": "page",
       "{urn:xmpp:mam:2}metadata": "metadata"}
FIRST = ("accept", "plain-header", "plain-features", "proceed", "tls", "header", "features", "challenge", "success",
         "second-header", "second-features", "bind", "enabled", "disco", "roster", "carbons", "metadata", "page")
AGAIN = ("header", "features", "challenge", "success", "second-header", "second-features", "resumed")
LOST = ("failed", "bind", "enabled")
SASL2_FIRST = ("features", "challenge", "success", "disco")
SASL2_AGAIN = ("header", "features", "success")
# Here a wrong answer may look like a wrong password, or like nothing that may be used
LOGIN = ("features", "challenge", "success")


def wrong_namespace(text):
    keep = "jabber:client"
    return re.sub(r"(xmlns(?::stream)?)='([^']*)'", lambda m: m[0] if m[2] == keep else f"{m[1]}='urn:wrong'", text)


def wrong_element(text):
    if text.startswith("<?xml"):
        return "<?xml version='1.0'?><surprise xmlns='jabber:client'>"
    iq = re.match(r"<iq [^>]*>", text)
    return f"{iq[0]}<surprise xmlns='urn:x'/></iq>" if iq else "<surprise xmlns='urn:x'/>"


def too_large(text):
    pad = "p" * 300000
    if text.startswith("<?xml"):
        return text[:-1] + f" pad='{pad}'>"
    if text.endswith("/>"):
        return text[:-2] + f" pad='{pad}'/>"
    at = text.rindex("</")
    return text[:at] + f"<pad xmlns='urn:x'>{pad}</pad>" + text[at:]


# What a fault makes of what is said; None: it is a matter of when
FAULTS = {"wrong element": wrong_element, "wrong namespace": wrong_namespace, "malformed": lambda text: text[:-1] + "<&",
          "too large": too_large, "twice": lambda text: text + text, "late": None, "never": None, "closed": None}


class Spoiler:
    """Over a scripted connection: knows which step each of its words belongs to."""

    asked = None                # of iqs: id -> step
    lied = False

    def step_of(self, text):
        secure = self.writer.get_extra_info("ssl_object") is not None
        if text.startswith("<?xml"):
            self.headers = getattr(self, "headers", 0) + secure
            return "plain-header" if not secure else "header" if self.headers == 1 else "second-header"
        if text.startswith("<stream:features"):
            return "plain-features" if not secure else "features" if "mechanism" in text else "second-features"
        for name in ("proceed", "challenge", "success", "enabled", "resumed", "failed"):
            if text.startswith(f"<{name} "):
                return name
        ident = re.match(r"<iq type='result' id=['\"]([^'\"]*)", text)
        return (self.asked or {}).get(ident[1]) if ident else None

    async def iq(self, iq):
        if len(iq):
            self.asked = {**(self.asked or {}), iq.get("id"): IQS.get(iq[0].tag)}
        await super().iq(iq)

    async def raw(self, data):
        text = data.decode() if isinstance(data, bytes) else data
        script = self.script
        if not script.lies or self.step_of(text) != script.step:
            await super().raw(data)
            return
        script.told += 1
        self.lied = True
        change = FAULTS[script.fault]
        if change:
            await super().raw(change(text))
        elif script.fault == "late":
            await asyncio.sleep(DEADLINE * 0.4)     # what is tested: a server that takes so long
            await super().raw(data)
        elif script.fault == "closed":
            raise ConnectionResetError

    async def run(self, direct):
        if self.script.lies and self.script.step == "accept":
            await self.other("accept")
        try:
            await super().run(direct)
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
            # the good half of the server does not expect what its lies are answered by
            if not self.lied:
                raise
            raise ConnectionResetError from None

    async def start_tls(self):
        if self.script.lies and self.script.step == "tls":
            await self.other("tls")
        await super().start_tls()

    async def other(self, step):
        """Where nothing is said yet in XML."""
        script = self.script
        script.told += 1
        if script.fault == "late":
            self.writer.transport.pause_reading()       # what comes meanwhile is TLS's
            await asyncio.sleep(DEADLINE * 0.4)
            self.writer.transport.resume_reading()
            return
        if script.fault not in ("never", "closed"):
            self.writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n" * (20000 if script.fault == "too large" else 1))
            await self.writer.drain()
        while script.fault != "closed" and await self.reader.read(65536):
            pass
        raise ConnectionResetError


class Spoilt(Spoiler, scripted.Connection):
    pass


class Spoilt2(Spoiler, sasl2.Connection):
    pass


def lying(base):
    class Lying(base):
        lies, step, fault, told = False, None, None, 0
    return Lying()


@pytest.fixture
def servers(certs):
    """servers(steps, sasl2): a spoiled server for each."""
    made = []

    def make(steps, two):
        for number, step in enumerate(steps):
            script = lying(sasl2.Script if two else scripted.Script)
            script.step = step
            script.archive = scripted.entries(3, user=f"user{number}")
            one = (sasl2.Server if two else scripted.Scripted)(certs, script, user=f"user{number}")
            one.connection_class = Spoilt2 if two else Spoilt
            made.append(one.start())
        return made
    yield make
    for one in made:
        one.close()
    assert not [e for one in made for e in one.errors], "the script itself failed"


def bodies_sent(server):
    return [e.findtext("{jabber:client}body") for _n, name, e in list(server.seen) if name == "message"]


class Stories:
    """One daemon, an account a server."""

    def __init__(self, varved, servers, fault, tls):
        self.varved, self.servers, self.fault, self.tls = varved, servers, fault, tls
        for one in servers:
            one.script.fault = fault
        self.before, self.since, self.changes = {}, {}, 0

    def add(self):
        for one in self.servers:
            self.varved.add_account(one, one.user, tls=self.tls)

    def accounts(self):
        return {a["jid"]: a for a in self.varved.status()["accounts"]}

    def online(self, timeout=60):
        for one in self.servers:
            self.varved.wait_sync(timeout=timeout, jid=one.jid)

    def network_changes(self):
        return self.varved.tail(1 << 20).count("network: changed")

    def lie(self):
        """From now on, on connections that are to come."""
        self.changes = self.network_changes()
        for one in self.servers:
            one.script.lies = True
            self.before[one.jid], self.since[one.jid] = len(one.connections), time.monotonic()
            if self.before[one.jid]:
                one.cut()

    def send(self):
        for one in self.servers:
            sent = self.varved.run("-a", one.jid, "send", BOB, f"to be sent by {one.user}")
            assert sent.code == 0, sent

    def judge(self):
        """While they lie."""
        for one in self.servers:
            wait_for(lambda: one.script.told, 30, lambda: f"{one.script.step}: reached; {one.names()}")

        def allowed(one):
            """A change of the network begins the back-off anew, and a slow machine takes its time before it comes to this."""
            periods = 1 + (time.monotonic() - self.since[one.jid]) / LYING + self.network_changes() - self.changes
            return DIALS * periods

        def calm():
            assert self.varved.child.poll() is None, "it has crashed"
            return all(len(one.connections) - self.before[one.jid] <= allowed(one) for one in self.servers)
        holds(calm, LYING, lambda: {one.script.step: len(one.connections) - self.before[one.jid] for one in self.servers})
        accounts = self.accounts()
        for one in self.servers:
            account = accounts[one.jid]
            assert account["state"] == "online" or account["state_reason"] or account["state"] == "connecting", account
            if account["state"] == "auth-failed":
                assert one.script.step in LOGIN, (one.script.step, account)
            if self.fault == "late":
                self.varved.wait_state("online", jid=one.jid)

    def heal(self):
        for one in self.servers:
            one.script.lies = False
        for one in self.servers:
            state = self.accounts()[one.jid]["state"]
            if state == "auth-failed":
                again = self.varved.run("account", "password", one.jid, password="pw")
            else:
                # what disco says holds for a session
                if one.script.step == "disco":
                    assert self.varved.run("account", "disconnect", one.jid).code == 0
                again = self.varved.run("account", "connect", one.jid)
            assert again.code == 0, again
            if one.script.step in ("metadata", "page"):
                self.varved.run("-a", one.jid, "sync", "now")
        # a session may stand that was told nothing of a step (roster, say); it must hold, and serve
        self.online()
        for one in self.servers:
            want = f"to be sent by {one.user}"
            wait_for(lambda: want in bodies_sent(one), 30, lambda: f"{one.script.step}: {want}; {self.varved.tail(3000)}")
            assert bodies_sent(one).count(want) == 1, one.script.step
            rows = [r["body"] for r in self.varved.export("-a", one.jid)]
            received = [b for b in rows if b != want]
            assert received == [e.body for e in one.script.archive], (one.script.step, rows)


def chosen(scenarios):
    """Each scenario with each fault; all but two are for --slow."""
    quick = {"twice", "wrong element"}
    for name, fault in itertools.product(scenarios, FAULTS):
        yield pytest.param(name, fault, marks=() if fault in quick else pytest.mark.slow, id=f"{name}-{fault.replace(' ', '-')}")


SCENARIOS = {"first": (FIRST, False, "starttls"), "sasl2-first": (SASL2_FIRST, True, "direct"),
             "again": (AGAIN, False, "direct"), "sasl2-again": (SASL2_AGAIN, True, "direct"), "lost": (LOST, False, "direct")}


@pytest.mark.parametrize("name, fault", chosen(SCENARIOS))
def test_step(new_varved, servers, name, fault):
    """T1, T2, D4, D9, D10, D16: `first`: nothing is known of the server; `again`: a session is to be resumed, and what the
    server offers is known, so that answers may come before they are asked for; `lost`: it is not resumed."""
    steps, two, tls = SCENARIOS[name]
    varved = new_varved()
    with open(config(varved), "w") as f:
        f.write(f"[network]\ndeadline = {DEADLINE} seconds\n")
    varved.start()
    stories = Stories(varved, servers(steps, two), fault, tls)
    if name.endswith("first"):
        stories.lie()
        stories.add()
    else:
        stories.add()
        stories.online()
        if name == "lost":
            for one in stories.servers:
                one.sessions.clear()
        stories.lie()
    stories.send()
    stories.judge()
    stories.heal()


def config(varved):
    os.makedirs(f"{varved.config}/varve", mode=0o700, exist_ok=True)
    return f"{varved.config}/varve/varve.conf"
