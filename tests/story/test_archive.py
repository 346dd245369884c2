"""What an archive can answer, and must not be believed: XEP-0313 against a scripted server."""

import asyncio

import pytest

from varvetest import loop, scripted
from varvetest.scripted import NS_MAM, NS_RSM, result_xml, select
from varvetest.wait import holds, wait_for

from test_session import Live, bodies, live, wait_bodies


def add(varved, server):
    varved.add_account(server, server.user)


def ids(varved):
    return [row["stanza_id"] for row in varved.export()]


class Counting(scripted.Script):
    """Remembers which entries were given out how often, and can hold the answer after some pages."""

    def __init__(self, archive, hold_after=None):
        super().__init__()
        self.archive = archive
        self.hold_after = hold_after
        self.pages = 0
        self.given = []

    async def query(self, connection, iq, query):
        chosen, _complete = select(query, self.archive, self.page)
        if self.hold_after is not None and self.pages >= self.hold_after:
            self.held = True
            return
        self.pages += 1
        self.given += [e.id for e in chosen or ()]
        await super().query(connection, iq, query)


def test_killed_in_the_middle_of_catch_up(scripted_server, varved):
    """A1, A3: 900 missed, a live message after page 3, killed after page 5: all 901 once, none fetched twice over."""
    script = Counting(scripted.entries(900), hold_after=5)
    server = scripted_server(script)
    add(varved, server)
    wait_for(lambda: script.pages >= 3, 20)
    newest = scripted.Archived("z00000", 1800000000000000, "bob@chat.test/x", "alice@chat.test", "live 0", message_id="l0")
    script.archive.append(newest)
    server.send(live(0, newest.id))
    wait_for(lambda: getattr(script, "held", False), 20, lambda: f"{script.pages} pages; {varved.tail(2000)}")
    # Of what was given, for a question for the middle of a gap brings one.
    wait_for(lambda: len(varved.export()) >= len(set(script.given) | {newest.id}), 20,
             lambda: f"{len(varved.export())} of {len(set(script.given))}; {varved.tail(2000)}")
    varved.kill9()
    script.hold_after = None
    varved.start()
    varved.wait_sync()
    assert ids(varved) == [e.id for e in script.archive]
    again = len(script.given) - len(set(script.given))
    assert again <= 2 * script.page, f"{again} entries were fetched again"


def test_gap_is_on_disk_with_the_page(scripted_server, varved):
    """A4: known up to 100, then a newest page without overlap: the hole between is recorded, also after kill -9, and
    nobody claims to be in sync while it is open."""
    script = Counting(scripted.entries(100))
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    varved.kill9()
    server.sessions.clear()
    script.archive += scripted.entries(400, start_us=1750000000000000, prefix="n")
    script.hold_after = script.pages + 1
    varved.start()
    wait_for(lambda: getattr(script, "held", False), 20, lambda: varved.tail(2000))
    varved.kill9()
    server.close()
    varved.start()
    gaps = [g for g in varved.ctl("sync", "gaps") if g["state"] != "lost"]
    assert len(gaps) == 1, gaps
    assert gaps[0]["after_stanza_id"] == "m00099" and gaps[0]["before_stanza_id"] == "n00350", gaps
    assert varved.account()["sync"]["gaps"] == 1
    assert varved.run("--timeout=1", "sync", "wait").code != 0
    script.hold_after = None
    server.start()
    varved.run("account", "connect")
    varved.wait_sync()
    assert ids(varved) == [e.id for e in script.archive]


class NeverEnding(scripted.Script):
    """A14: fins that never say complete, in several ways of saying nothing."""

    def __init__(self, fin):
        super().__init__()
        self.fin = fin
        self.archive = scripted.entries(30)

    async def query(self, connection, iq, query):
        chosen, _complete = select(query, self.archive, self.page)
        first = chosen[0].id if chosen else ""
        last = chosen[-1].id if chosen else ""
        if self.fin != "nothing at all":
            for entry in chosen or ():
                await connection.stanza(result_xml(connection, query, entry))
        inner = {
            "no complete, empty set": f"<set xmlns='{NS_RSM}'/>",
            "no complete, no set": "",
            "nothing at all": "",
            "no last": f"<set xmlns='{NS_RSM}'><first index='0'>{first}</first><count>30</count></set>",
            "last that does not move": f"<set xmlns='{NS_RSM}'><first>m00000</first><last>m00000</last></set>",
            "count without rows": f"<set xmlns='{NS_RSM}'><count>1000000</count></set>",
            "never complete": f"<set xmlns='{NS_RSM}'><first>{first}</first><last>{last}</last></set>" if chosen else
                              f"<set xmlns='{NS_RSM}'/>",
        }[self.fin]
        await connection.result(iq, f"<fin xmlns='{NS_MAM}'>{inner}</fin>")


@pytest.mark.parametrize("fin", ["no complete, empty set", "no complete, no set", "nothing at all", "no last",
                                 "last that does not move", "count without rows", "never complete"])
def test_answer_without_an_end(scripted_server, varved, fin):
    """A14: no `complete`, no `<last>`: a few questions, never a loop."""
    server = scripted_server(NeverEnding(fin))
    add(varved, server)
    wait_for(lambda: server.queries >= 1, 20)
    holds(lambda: server.queries <= 20, 2.5, lambda: f"{server.queries} queries")
    assert len(ids(varved)) == len(set(ids(varved))) <= 30
    assert varved.child.poll() is None


class DuringThePage(scripted.Script):
    """Sends a message live in the middle of the page that contains it."""

    def __init__(self, first):
        super().__init__()
        self.archive = scripted.entries(20)
        self.first = first
        self.done = False

    async def query(self, connection, iq, query):
        if self.done:
            await super().query(connection, iq, query)
            return
        self.done = True
        entry = scripted.Archived("z1", 1800000000000000, "bob@chat.test/x", "alice@chat.test", "live 1", message_id="l1")
        self.archive.append(entry)
        if self.first == "live":
            await connection.stanza(live(1, "z1"))
        chosen, complete = select(query, self.archive, self.page)
        for number, one in enumerate(chosen):
            if self.first == "middle" and number == 10:
                await connection.stanza(live(1, "z1"))
            await connection.stanza(result_xml(connection, query, one))
        done = " complete='true'" if complete else ""
        if self.first == "archive":
            await connection.stanza(live(1, "z1"))
        await connection.result(iq, f"<fin xmlns='{NS_MAM}'{done}><set xmlns='{NS_RSM}'><first>{chosen[0].id}</first>"
                                    f"<last>{chosen[-1].id}</last></set></fin>")


@pytest.mark.parametrize("first", ["live", "middle", "archive"])
def test_live_and_in_the_page_being_read(scripted_server, varved, first):
    """C10: whichever comes first, one row."""
    script = DuringThePage(first)
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    wait_bodies(varved, [e.body for e in script.archive])
    assert ids(varved) == [e.id for e in script.archive]


def test_two_stanza_ids_inside(scripted_server, varved):
    """C11 (ejabberd#4544): the id of <result/> is the id, whatever the stanza inside claims. A9: by decides."""
    script = Live()
    inner = ("<message xmlns='jabber:client' type='chat' from='bob@chat.test/x' to='alice@chat.test' id='q'><body>two</body>"
             "<stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='wrong1'/>"
             "<stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='wrong2'/></message>")
    script.archive = [scripted.Archived("right", 1700000000000000, "bob@chat.test/x", "alice@chat.test", "two", inner)]
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    assert ids(varved) == ["right"]
    wait_for(lambda: server.current, 10)
    entry = scripted.Archived("mine", 1700000001000000, "bob@chat.test/x", "alice@chat.test", "by", message_id="l9")
    script.archive.append(entry)
    server.send(live(9, "mine", "by", "<stanza-id xmlns='urn:xmpp:sid:0' by='room@chat.test' id='rooms'/>"))
    wait_bodies(varved, ["two", "by"])
    assert ids(varved) == ["right", "mine"]


def test_stanza_id_of_a_server_that_does_not_announce_it(scripted_server, varved):
    """I5: without urn:xmpp:sid:0 a stanza-id is the sender's invention; two of the same by are nobody's word."""
    script = scripted.Script()
    script.features = tuple(f for f in script.features if f != "urn:xmpp:sid:0")
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)
    server.send(live(1, "forged"))
    wait_bodies(varved, ["live 1"])
    assert ids(varved) == [None]


def test_same_ids_in_two_archives(scripted_server, varved):
    """C12: archive ids are unique in their archive only: two accounts with the same ones keep all."""
    servers = []
    for domain_user in ("alice", "carol"):
        script = scripted.Script()
        script.archive = scripted.entries(40, user=domain_user, prefix="same")
        servers.append(scripted_server(script, user=domain_user))
        varved.add_account(servers[-1], domain_user)
    for server in servers:
        varved.wait_sync(jid=server.jid)
        rows = varved.ctl("-a", server.jid, "export")
        assert [r["stanza_id"] for r in rows] == [e.id for e in server.script.archive]


def test_duplicate_of_long_ago(scripted_server, varved):
    """C13: the original is 10,000 rows back: found all the same."""
    script = Live()
    script.page = 250
    script.archive = scripted.entries(10050)
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync(timeout=90)
    wait_for(lambda: server.current, 10)
    old = script.archive[3]
    server.send(f"<message from='bob@chat.test/x' to='alice@chat.test' type='chat' id='{old.message_id}'><body>{old.body}</body>"
                f"<stanza-id xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='{old.id}'/></message>")
    script.message(server, 99999)
    wait_for(lambda: varved.account()["sync"]["messages"] == 10051, 20, lambda: str(varved.account()))
    have = ids(varved)
    assert len(have) == len(set(have)) == 10051


class Impostor(scripted.Script):
    """I4: results that nobody asked for, beside the true ones."""

    def __init__(self):
        super().__init__()
        self.archive = scripted.entries(10)

    async def forged(self, connection, sender, queryid, ident):
        address = f" from='{sender}'" if sender else ""
        number = f" queryid='{queryid}'" if queryid else ""
        await connection.stanza(
            f"<message{address} to='alice@chat.test'><result xmlns='{NS_MAM}'{number} id='{ident}'><forwarded "
            "xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/>"
            "<message xmlns='jabber:client' from='boss@chat.test/x' to='alice@chat.test' type='chat' id='f'>"
            "<body>forged</body></message></forwarded></result></message>")

    async def query(self, connection, iq, query):
        queryid = query.get("queryid")
        await self.forged(connection, "mallory@chat.test/x", queryid, "wrong-from")
        await self.forged(connection, "chat.test", queryid, "wrong-from-2")
        await self.forged(connection, "alice@chat.test", "another", "wrong-query")
        await self.forged(connection, "alice@chat.test", None, "no-query")
        await super().query(connection, iq, query)
        await self.forged(connection, "alice@chat.test", queryid, "after-fin")


def test_results_that_nobody_asked_for(scripted_server, varved):
    """I4: no open query, right id from the wrong entity, after fin: dropped, and no progress."""
    server = scripted_server(Impostor())
    add(varved, server)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)
    server.send(live(5, "end", "end"))
    wait_for(lambda: "end" in bodies(varved), 20)
    assert "forged" not in bodies(varved)
    assert ids(varved)[:10] == [e.id for e in server.script.archive]


def test_inner_message_that_is_not_ours(scripted_server, varved):
    """I6: neither from nor to us, in the own archive: dropped, and still a valid cursor; an empty <forwarded/> and a
    message without a body are cursors as well (A6)."""
    script = scripted.Script()
    script.archive = scripted.entries(120)
    script.archive[60].inner = ("<message xmlns='jabber:client' type='chat' from='eve@x.test/y' to='carol@chat.test'>"
                                "<body>of others</body></message>")
    script.archive[50].inner = " "
    script.archive[49].inner = "<message xmlns='jabber:client' type='chat' from='bob@chat.test/x' to='alice@chat.test' id='e'/>"
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    want = [e.id for n, e in enumerate(script.archive) if n not in (49, 50, 60)]
    assert ids(varved) == want


def test_same_stamps_keep_archive_order(scripted_server, varved):
    """F6: a hundred entries with one stamp, across pages."""
    script = scripted.Script()
    script.page = 30
    script.archive = scripted.entries(100, step_us=0)
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    assert ids(varved) == [e.id for e in script.archive]


def out_of_order(script, server, deliver):
    """Two entries that the archive has as a, b; delivered live in the order of `deliver`. ejabberd archives in the
    sender's process: what two people send in the same millisecond can reach us in the other order."""
    for number, name in enumerate("ab"):
        script.archive.append(scripted.Archived(name, 1800000000000000 + number * 1000, "bob@chat.test/x",
                                                "alice@chat.test", name, message_id=name))
    for name in deliver:
        server.send(live(name, name, name))


def in_archive_order_after(deliver, scripted_server, varved):
    """Delivered so, then the session is lost; at the next look at the archive the rows get its order."""
    script = scripted.Script()
    script.archive = scripted.entries(10)
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)
    out_of_order(script, server, deliver)
    wait_for(lambda: len(ids(varved)) == 10 + len(deliver), 10)
    server.sessions.clear()
    server.cut()
    wait_for(lambda: varved.account()["session"]["binds"] == 2, 40)
    varved.wait_sync()
    assert ids(varved) == [e.id for e in script.archive]


def test_delivered_in_another_order_than_archived(scripted_server, varved):
    """F5."""
    in_archive_order_after("ba", scripted_server, varved)


def test_lost_behind_the_newest_live_message(scripted_server, varved):
    """b was delivered and a, which the archive has before it, was not; then the session is lost. A frontier that
    trusts the order of delivery would never ask for a."""
    in_archive_order_after("b", scripted_server, varved)


def test_encrypted_message_live_and_archived(scripted_server, varved):
    """C14: the same OMEMO stanza live and from the archive is one row."""
    payload = ("<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AAAA</payload></encrypted>"
               "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>")
    script = scripted.Script()
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    wait_for(lambda: server.current, 10)
    inner = ("<message xmlns='jabber:client' from='bob@chat.test/x' to='alice@chat.test' type='chat' id='l1'>"
             f"<body>I sent you an OMEMO message</body>{payload}</message>")
    script.archive.append(scripted.Archived("o1", 1700000000000000, "bob@chat.test/x", "alice@chat.test", "", inner))
    server.send(live(1, "o1", "I sent you an OMEMO message", payload))
    wait_for(lambda: ids(varved) == ["o1"], 20)
    server.sessions.clear()
    server.cut()
    wait_for(lambda: varved.account()["session"]["binds"] == 2, 40)
    varved.wait_sync()
    assert ids(varved) == ["o1"]
    assert varved.export()[0]["encryption"]


def test_archive_refused(scripted_server, varved):
    """The archive answers with an error for ever: said so, asked seldom, live messages still come."""
    class Refusing(Live):
        async def query(self, connection, iq, query):
            await connection.error(iq, "internal-server-error", "wait")
    script = Refusing()
    script.archive = scripted.entries(10)
    server = scripted_server(script)
    add(varved, server)
    wait_for(lambda: server.queries >= 1 and server.current, 20)
    server.send(live(1, "l1"))
    wait_for(lambda: "live 1" in bodies(varved), 10)
    holds(lambda: server.queries <= 10, 2, lambda: f"{server.queries} queries")
    assert varved.run("--timeout=1", "sync", "wait").code != 0


def test_pages_arrive_slowly_and_live_goes_on(scripted_server, varved):
    """While a page is due, live messages are stored at once."""
    class Slow(Live):
        def __init__(self):
            super().__init__()
            self.go = asyncio.Event()

        async def query(self, connection, iq, query):
            await self.go.wait()
            await super().query(connection, iq, query)
    script = Slow()
    old = scripted.entries(30, start_us=1600000000000000)
    script.archive = list(old)
    server = scripted_server(script)
    add(varved, server)
    wait_for(lambda: server.queries >= 1 and server.current, 20)
    script.message(server, 1)
    wait_for(lambda: "live 1" in bodies(varved), 10)
    loop.call(script.go.set)
    varved.wait_sync()
    assert ids(varved) == [e.id for e in script.archive]


def test_the_doctor_says_that_an_archive_is_not_settled(scripted_server, varved):
    script = scripted.Script()
    script.archive = scripted.entries(120)
    script.stable = False
    server = scripted_server(script)
    add(varved, server)
    varved.wait_sync()
    check = {c["check"]: c for c in varved.ctl("doctor")}[f"settled {server.jid}"]
    assert check["result"] == "warn" and "not settled" in check["text"] and "sync verify" in check["hint"], check
    assert varved.account()["sync"]["unsettled"] is True
    script.stable = True
    varved.kill9()
    server.sessions.clear()
    varved.start()
    varved.wait_sync()
    assert f"settled {server.jid}" in {c["check"] for c in varved.ctl("doctor")}, "it is remembered"
