"""Sending, against a scripted server for what a real one will not do on request: it forgets, refuses, lies. Cases by the names
of the trackers."""

import signal
import time

import pytest

from varvetest import loop, scripted, xmpp
from varvetest.app import CANCELLED, DELIVERED, DISPLAYED, FAILED, QUEUED, SENDING, SENT, App, refusal
from varvetest.mail import BOB, CAROL, NS_MARKERS, NS_RECEIPTS, MailConnection, online, wait_binds, wait_bodies, wait_state
from varvetest.proxy import Proxy
from varvetest.wait import holds, wait_for

FAILED_XML = f"<failed xmlns='{scripted.NS_SM}'%s><item-not-found xmlns='{scripted.NS_STANZAS}'/></failed>"


# -- what Send promises ------------------------------------------------------------------------------------------------
def test_durable_before_the_call_returns(mail, varved):
    """E1: no connection at all. What Send accepted is there after kill -9, and goes out when there is a server."""
    port = mail.tls_port
    mail.close()
    varved.add_account(mail, "alice", port=port)
    with App(varved, mail.jid) as writer:
        ident, existing = writer.send(BOB, "id-1", "written in a tunnel")
        assert not existing
        varved.kill9()
        varved.start()
        row = writer.history(BOB)[0]
        assert (row.id, row.state, row.body, row.direction) == (ident, QUEUED, "written in a tunnel", 1)
        mail.tls_port = port
        loop.run(listen_again(mail, port))
        wait_bodies(mail, ["written in a tunnel"], 60)
        wait_state(writer, ident, SENT)
        m = mail.script.got[0]
        assert (m.id, m.origin_id, m.to) == ("id-1", "id-1", BOB)


async def listen_again(server, port):
    import asyncio
    server._listeners.append(await asyncio.start_server(lambda r, w: server._accept(r, w, True), "127.0.0.1", port,
                                                        limit=1 << 20))


def test_one_client_id_is_one_message(mail, varved):
    """Same id and same content: the same row, no second stanza, also after a restart; other content: Conflict."""
    with online(varved, mail) as writer:
        ident, existing = writer.send(BOB, "id-1", "once")
        assert not existing
        wait_state(writer, ident, SENT)
        for _ in range(2):
            assert writer.send(BOB, "id-1", "once") == (ident, True)
            assert refusal(writer.send, BOB, "id-1", "twice") == "Conflict"
            assert refusal(writer.send, CAROL, "id-1", "once") == "Conflict"
            varved.restart(signal.SIGKILL)
            writer.close()
        writer.send(BOB, "id-2", "end", insist=True)
        wait_bodies(mail, ["once", "end"])


def test_what_cannot_be_sent_is_refused_at_once(mail, varved):
    with online(varved, mail) as writer:
        for to, ident, body in ((BOB, "", "x"), (BOB, "i" * 129, "x"), (BOB, "a\nb", "x"), (BOB, "a", ""),
                                (BOB, "a", "x" * 65537), (BOB, "a", "bell \a"), ("not a jid@@", "a", "x")):
            name = refusal(writer.send, to, ident, body)
            assert name.endswith("InvalidArgs"), (to[:20], ident[:20], body[:20], name)
        writer.send(BOB, "i" * 128, "x" * 65536)
        writer.send(BOB, "id <&>'\"", "tab\tnew line\n]]> & <b>'quotes\"</b> \U0001f600")
        wait_bodies(mail, ["x" * 65536, "tab\tnew line\n]]> & <b>'quotes\"</b> \U0001f600"])
        assert mail.script.got[1].id == "id <&>'\""


def test_asks_for_a_receipt_and_may_be_marked(mail, varved):
    with online(varved, mail) as writer:
        ident, _ = writer.send(BOB, "id-1", "did it arrive?")
        wait_state(writer, ident, SENT)
        m = mail.script.got[0]
        assert m.has("request", NS_RECEIPTS) and m.has("markable", NS_MARKERS) and m.delay is None
        mail.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='r1'><received xmlns='{NS_RECEIPTS}' id='id-1'/>"
                  "</message>")
        wait_state(writer, ident, DELIVERED)
        # Of a stranger: nothing (H5).
        mail.send(f"<message from='{CAROL}/x' to='alice@chat.test' type='chat' id='r2'><displayed xmlns='{NS_MARKERS}' "
                  "id='id-1'/></message>")
        mail.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='b1'><body>seen</body></message>")
        wait_for(lambda: any(r.body == "seen" for r in writer.history(BOB)))
        assert writer.row(ident).state == DELIVERED
        mail.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='r3'><displayed xmlns='{NS_MARKERS}' "
                  "id='id-1'/></message>")
        wait_state(writer, ident, DISPLAYED)


def test_marks_and_reactions_before_their_message(mail, varved):
    """H6: what is about an id that is not known yet waits for it."""
    with online(varved, mail) as writer:
        mail.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='early'><reactions xmlns='urn:xmpp:reactions:0' "
                  "id='later'><reaction>\U0001f44d</reaction></reactions></message>")
        mail.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='r'><received xmlns='{NS_RECEIPTS}' id='never'/>"
                  "</message>")
        mail.send(f"<message from='{BOB}/x' to='alice@chat.test' type='chat' id='later'><body>the target</body></message>")
        row = wait_for(lambda: next((r for r in writer.history(BOB) if r.body == "the target"), None))
        assert {k: list(v) for k, v in row.extra["reactions"].items()} == {BOB: ["\U0001f44d"]}


# -- the session breaks ------------------------------------------------------------------------------------------------
def test_unacked_at_kill_is_not_sent_again_when_the_server_has_it(mail, varved):
    """E2, E4: killed between sending and the ack; the resumed session's h says that it arrived."""
    with online(varved, mail) as writer:
        mail.script.answers = False
        ident, _ = writer.send(BOB, "id-1", "on the edge")
        wait_bodies(mail, ["on the edge"])
        assert writer.row(ident).state in (QUEUED, SENDING)
        varved.kill9()
        mail.script.answers = True
        varved.start()
        wait_state(writer, ident, SENT)
        assert mail.script.bodies() == ["on the edge"]


def test_unacked_at_kill_is_sent_again_when_the_server_has_it_not(mail, varved):
    """E2: the same, and it did not arrive: sent again with the same id, and once."""
    with online(varved, mail) as writer:
        mail.script.deaf, mail.script.answers = True, False
        ident, _ = writer.send(BOB, "id-1", "over the edge")
        wait_bodies(mail, ["over the edge"])
        varved.kill9()
        mail.script.deaf, mail.script.answers = False, True
        varved.start()
        wait_state(writer, ident, SENT)
        assert [m.id for m in mail.script.messages()] == ["id-1", "id-1"]
        assert len(mail.script.archive) == 1


def test_resumed_in_the_middle(mail, varved):
    """D20: 9 unacknowledged, resumed with h of the third: 4 to 9 come again, in their order, and nothing else."""
    with online(varved, mail) as writer:
        mail.script.answers = False
        ids = [writer.send(BOB, f"id-{i}", f"m{i}")[0] for i in range(1, 10)]
        wait_bodies(mail, [f"m{i}" for i in range(1, 10)])
        session = mail.current.session
        session.received = mail.script.messages()[2].number
        mail.script.answers = True
        mail.cut()
        wait_bodies(mail, [f"m{i}" for i in (*range(1, 10), *range(4, 10))])
        wait_state(writer, ids[-1], SENT)
        assert all(r.state == SENT for r in writer.rows(ids))


def test_failed_with_h(mail, varved):
    """D9: the session is gone, and the server says how far it got: up to there sent, the rest again on the new one; no
    question and no presence of the old session comes again."""
    with online(varved, mail) as writer:
        mail.script.answers = False
        ids = [writer.send(BOB, f"id-{i}", f"m{i}")[0] for i in range(1, 6)]
        wait_bodies(mail, [f"m{i}" for i in range(1, 6)])
        h = mail.script.messages()[2].number
        mail.script.keeps = True
        del mail.script.archive[3:]
        mail.script.refuse = FAILED_XML % f" h='{h}'"
        mail.script.answers = True
        mail.cut()
        wait_bodies(mail, ["m1", "m2", "m3", "m4", "m5", "m4", "m5"], 60)
        wait_state(writer, ids[-1], SENT)
        assert [m.id for m in mail.script.messages()[5:]] == ["id-4", "id-5"]
        number = mail.connections.index(mail.current)
        again = [e.get("id") for n, name, e in mail.seen if n == number and name == "iq"]
        before = [e.get("id") for n, name, e in mail.seen if n < number and name == "iq"]
        sent_again = [m for m in mail.script.messages()[5:]]
        assert len(again) == len(set(again)) and all(m.connection == number for m in sent_again), (again, before)
        assert mail.names(number).count("presence") == 1


@pytest.mark.parametrize("stored", [0, 1, 3])
def test_failed_without_h(mail, varved, stored):
    """D10: nobody knows. The archive is asked before anything is sent again: what it has is sent, the rest goes again with
    the same ids and the time when it was written."""
    with online(varved, mail) as writer:
        mail.script.answers = False
        begin = time.time()
        ids = [writer.send(BOB, f"id-{i}", f"m{i}")[0] for i in range(1, 4)]
        wait_bodies(mail, ["m1", "m2", "m3"])
        end = time.time()
        assert [m.delay for m in mail.script.messages()] == [None] * 3, "a first time has no delay stamp (E3)"
        del mail.script.archive[stored:]
        mail.script.refuse = FAILED_XML % ""
        mail.script.answers = True
        mail.cut()
        wait_binds(varved, 2)
        wait_for(lambda: all(r.state == SENT for r in writer.rows(ids)), 40, lambda: f"{writer.rows(ids)} {varved.tail()}")
        again = mail.script.messages()[3:]
        assert [m.id for m in again] == [f"id-{i}" for i in range(stored + 1, 4)]
        for m in again:
            assert m.origin_id == m.id and m.delay, m
            assert begin - 1 <= xmpp.stamp_us(m.delay) / 1e6 <= end + 1
        names = [name for n, name, e in mail.seen if n == mail.connections.index(mail.current)
                 and (name == "message" or name == "iq" and len(e) and e[0].tag.startswith("{urn:xmpp:mam"))]
        assert not again or names.index("iq") < names.index("message"), names
        assert [r.body for r in writer.history(BOB)] == ["m1", "m2", "m3"]


def test_doubt_holds_back_its_own_conversation_alone(mail, varved):
    """E5, D10: while nobody knows what became of a message, what was written after it to the same person waits; what was
    written to somebody else does not."""
    with online(varved, mail) as writer:
        mail.script.answers = False
        writer.send(BOB, "id-1", "first to bob")
        wait_bodies(mail, ["first to bob"])
        # Not that message, and more that must be fetched than a page holds.
        mail.script.archive[:] = scripted.entries(120, start_us=int(time.time() * 1e6) - 3600 * 1000000, step_us=1000000)
        held, pages = [], []

        async def query(connection, iq, query):
            if pages:
                held.append((connection, iq, query))
                return
            pages.append(query)         # the newest page: where the archive ends
            await scripted.answer_query(connection, iq, query, mail.script.archive, 50)
        mail.script.query = query
        mail.script.refuse = FAILED_XML % ""
        mail.script.answers = True
        mail.cut()
        wait_binds(varved, 2)
        writer.send(BOB, "id-2", "second to bob", insist=True)
        writer.send(CAROL, "id-3", "to carol", insist=True)
        wait_bodies(mail, ["first to bob", "to carol"])
        holds(lambda: mail.script.bodies() == ["first to bob", "to carol"], 0.5)
        del mail.script.query

        async def answer():
            for connection, iq, query in held:
                await scripted.answer_query(connection, iq, query, mail.script.archive, 50)
        loop.run(answer())
        wait_for(lambda: mail.script.bodies()[2:] == ["first to bob", "second to bob"], 40, lambda: f"{mail.script.got}")


def test_a_resend_hours_later(mail, varved):
    """E3, and the offline queue: written while offline, sent in order, each once."""
    with Proxy(mail.tls_port) as link, online(varved, mail, port=link.port) as writer:
        link.refuse()
        link.cut()
        varved.wait_state("waiting-network", "connecting", "offline")
        ids = [writer.send(BOB if i % 2 else CAROL, f"id-{i}", f"m{i}")[0] for i in range(20)]
        assert {r.state for r in writer.rows(ids)} == {QUEUED}
        link.resume()
        wait_for(lambda: len(mail.script.bodies()) == 20, 60, lambda: f"{mail.script.got}")
        for jid in (BOB, CAROL):
            theirs = [m.body for m in mail.script.messages() if m.to == jid]
            assert theirs == sorted(theirs, key=lambda b: int(b[1:]))
        wait_for(lambda: {r.state for r in writer.rows(ids)} == {SENT})


def test_resumed_with_a_huge_h_keeps_the_outbox(mail, varved):
    """D8: the server claims what was never sent: the session is dropped, and the message is still sent, once."""
    with online(varved, mail) as writer:
        mail.script.answers, mail.script.deaf = False, True
        ident, _ = writer.send(BOB, "id-1", "not lost")
        wait_bodies(mail, ["not lost"])

        async def lie(connection, previd, h):
            await connection.raw(f"<resumed xmlns='{scripted.NS_SM}' previd='{previd}' h='4294967295'/>")
        mail.script.resume = lie
        mail.script.answers, mail.script.deaf = True, False
        mail.cut()
        wait_binds(varved, 2)
        wait_state(writer, ident, SENT, timeout=60)
        assert [m.id for m in mail.script.messages()] == ["id-1", "id-1"]
        assert len(mail.script.archive) == 1


def test_acknowledged_is_never_sent_again(mail, varved):
    """D21: acknowledged once, then many failed reconnects, lost sessions and kills: never again."""
    with online(varved, mail) as writer:
        ident, _ = writer.send(BOB, "id-1", "days ago")
        wait_state(writer, ident, SENT)
        mail.script.archive.clear()         # not even if the archive has lost it
        for round in range(4):
            mail.script.refuse = FAILED_XML % (" h='0'" if round % 2 else "")
            mail.cut()
            wait_binds(varved, 2 + round)
            if round % 2:
                varved.restart(signal.SIGKILL)
                writer.close()
        writer.send(BOB, "id-2", "today", insist=True)
        wait_bodies(mail, ["days ago", "today"])


def test_without_stream_management(mail, varved):
    """A server that does not count: sent, and found in the archive after a break; nothing twice."""
    mail.script.sm = False
    with online(varved, mail) as writer:
        ids = [writer.send(BOB, f"id-{i}", f"m{i}")[0] for i in range(3)]
        wait_bodies(mail, ["m0", "m1", "m2"])
        mail.cut()
        wait_binds(varved, 2)
        ids.append(writer.send(BOB, "id-3", "m3", insist=True)[0])
        wait_for(lambda: {r.state for r in writer.rows(ids)} == {SENT}, 30, lambda: f"{writer.rows(ids)}")
        assert mail.script.bodies() == ["m0", "m1", "m2", "m3"]


# -- what fails --------------------------------------------------------------------------------------------------------
def test_a_poison_message_fails_alone(mail, varved):
    """The server ends the stream over one message, each time: it fails, with the reason; the others get through, once."""
    async def message(self, element):
        if element.findtext("{jabber:client}body") == "poison":
            self.session.received -= 1
            await self.raw("<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                           "</stream:stream>")
            raise ConnectionResetError
        await MailConnection.message(self, element)
    mail.connection_class = type("Poisoned", (MailConnection,), {"message": message})
    with online(varved, mail) as writer:
        good = [writer.send(BOB, "id-1", "before")[0]]
        bad, _ = writer.send(BOB, "id-2", "poison")
        good += [writer.send(BOB, "id-3", "after")[0], writer.send(CAROL, "id-4", "other")[0]]
        wait_state(writer, bad, FAILED, timeout=120)
        wait_for(lambda: {r.state for r in writer.rows(good)} == {SENT}, 60,
                 lambda: f"{writer.rows(good)}; {varved.account()}; {varved.tail()}")
        assert sorted(mail.script.bodies()) == ["after", "before", "other"]
        assert "policy-violation" in str(writer.row(bad).extra.get("error", ())), writer.row(bad)
        # Tried again when the user wants it; then cancelled or failed again, never doubled.
        writer.retry(bad)
        wait_state(writer, bad, FAILED, timeout=120)
        assert sorted(mail.script.bodies()) == ["after", "before", "other"]


@pytest.mark.slow
def test_a_poison_message_over_which_the_server_only_closes(mail, varved):
    """No word, no stream error: found out by three streams that stand for 30 s without it, and end with it. The other
    conversation does not wait for that."""
    async def message(self, element):
        if element.findtext("{jabber:client}body") == "poison":
            self.session.received -= 1
            raise ConnectionResetError
        await MailConnection.message(self, element)
    mail.connection_class = type("Poisoned", (MailConnection,), {"message": message})
    with online(varved, mail) as writer:
        bad, _ = writer.send(BOB, "id-1", "poison")
        behind, other = writer.send(BOB, "id-2", "behind")[0], writer.send(CAROL, "id-3", "other")[0]
        wait_state(writer, other, SENT, timeout=200)
        assert writer.row(bad).state != FAILED
        wait_state(writer, bad, FAILED, timeout=400)
        wait_state(writer, behind, SENT, timeout=60)
        assert mail.script.bodies() == ["other", "behind"]
        assert "closes the connection" in str(writer.row(bad).extra), writer.row(bad)


def test_refused_by_the_server(mail, varved):
    """An answer of type error (a blocked or unknown contact, say): failed, with the condition; Retry sends it again with
    the same id."""
    with online(varved, mail) as writer:
        ident, _ = writer.send(BOB, "id-1", "hello?")
        wait_state(writer, ident, SENT)
        mail.send(f"<message from='{BOB}' to='{mail.full_jid}' type='error' id='id-1'><error type='cancel'>"
                  f"<not-acceptable xmlns='{scripted.NS_STANZAS}'/><blocked xmlns='urn:xmpp:blocking:errors'/></error></message>")
        wait_state(writer, ident, FAILED)
        assert "not-acceptable" in str(writer.row(ident).extra["error"])
        writer.retry(ident)
        wait_state(writer, ident, SENT)
        assert [m.id for m in mail.script.messages()] == ["id-1", "id-1"]
        assert refusal(writer.retry, ident) == "Conflict"


def test_cancel_before_it_leaves(mail, varved):
    with Proxy(mail.tls_port) as link, online(varved, mail, port=link.port) as writer:
        link.refuse()
        link.cut()
        varved.wait_state("waiting-network", "connecting", "offline")
        ids = [writer.send(BOB, f"id-{i}", f"m{i}")[0] for i in range(4)]
        writer.cancel(ids[1])
        writer.cancel(ids[2])
        assert writer.row(ids[1]).state == CANCELLED
        writer.retry(ids[2])
        assert writer.row(ids[2]).state == QUEUED
        link.resume()
        wait_bodies(mail, ["m0", "m3", "m2"], 60)
        wait_state(writer, ids[2], SENT)
        assert writer.row(ids[1]).state == CANCELLED
        assert refusal(writer.cancel, ids[0]) == "Conflict"
