"""The main job against real servers: first sync, live messages, cuts, kills, restarts. After each story
`varvectl export` equals what an independent client reads from the server's archive."""

import datetime
import signal
import threading
import time

import pytest

from varvetest import seed
from varvetest.daemon import assert_same
from varvetest.peer import Peer
from varvetest.proxy import Proxy
from varvetest.wait import holds, wait_for


@pytest.fixture
def pair(server, fresh):
    """Names of two fresh accounts: ours and the other party's."""
    return users(server, fresh)


def users(server, fresh):
    names = fresh("alice"), fresh("bob")
    for name in names:
        server.add_user(name)
    return names


def jid(server, user):
    return f"{user}@{server.domain}"


def wait_rows(varved, count, timeout=20):
    wait_for(lambda: len(varved.export()) >= count, timeout, lambda: f"{count} rows; has {len(varved.export())}; "
             f"log: {varved.tail(2000)}", interval=0.1)


def test_first_sync_of_5000(server, pair, varved):
    """A2: pages until complete, whatever the page size of the server."""
    alice, _bob = pair
    messages = seed.history(5000, domain=server.domain)
    server.seed_archive(alice, messages)

    varved.add_account(server, alice)
    account = varved.wait_sync(timeout=90)

    assert account["state"] == "online"
    assert account["sync"]["state"] == "idle"
    assert account["sync"]["gaps"] == 0 and account["sync"]["lost"] == 0
    assert account["sync"]["messages"] == 5000
    archive = assert_same(varved, server, alice)
    assert [row.body for row in archive] == [m.body for m in messages]
    conversations = varved.ctl("ls")
    assert {c["conversation"] for c in conversations} == {m.contact for m in messages}
    friend = messages[-1].contact
    theirs = [m for m in messages if m.contact == friend]
    page = varved.ctl("history", friend, "-n", 20)
    assert [row["body"] for row in page] == [m.body for m in theirs[-20:]], "exactly n, oldest first"
    older = varved.ctl("history", friend, "-n", 20, f"--before={page[0]['id']}")
    assert [row["body"] for row in older] == [m.body for m in theirs[-40:-20]]
    assert [row["direction"] for row in page] == ["out" if m.outgoing else "in" for m in theirs[-20:]]


def test_small_pages_of_the_server(own_server, fresh, varved):
    """A2: a server that gives out 20 at a time whatever is asked; ejabberd has no such setting and gives 250."""
    server = own_server(mam_page=20)
    alice, _bob = users(server, fresh)
    server.seed_archive(alice, seed.history(330, domain=server.domain))
    varved.add_account(server, alice)
    varved.wait_sync()
    assert len(assert_same(varved, server, alice)) == 330


def test_live_both_ways_of_delivery(server, pair, varved):
    """A7, F5: to the bare and to the full JID; the row has the archive's id, never the message's own; a hundred at
    once stay in archive order."""
    alice, bob = pair
    varved.add_account(server, alice)
    full = f"{jid(server, alice)}/{varved.wait_sync()['resource']}"
    with Peer(server, bob) as other:
        for number in range(50):
            other.send(jid(server, alice), f"bare {number}", id=f"own-{number}", origin_id=f"own-{number}")
            other.send(full, f"full {number}")
        other.ping()
        wait_rows(varved, 100)
    rows = varved.export()
    assert len(rows) == 100
    archive = assert_same(varved, server, alice)
    assert len(archive) == 100
    assert not [r for r in varved.export() if r["stanza_id"].startswith("own-")]


def test_live_messages_carry_on_without_the_archive(server, pair, varved):
    """A live message is there before anything asks the archive for it again."""
    alice, bob = pair
    varved.add_account(server, alice)
    varved.wait_sync()
    with Peer(server, bob) as other:
        begin = time.monotonic()
        other.send(jid(server, alice), "now")
        wait_for(lambda: [r for r in varved.export() if r["body"] == "now"], 5)
        assert time.monotonic() - begin < 5
    assert_same(varved, server, alice)


def test_sent_by_another_device_is_one_row(server, pair, varved):
    """A carbon and an archived copy of the same message, sent and received."""
    alice, bob = pair
    varved.add_account(server, alice)
    varved.wait_sync()
    with Peer(server, alice, resource="tablet") as tablet, Peer(server, bob) as other:
        for number in range(10):
            tablet.send(jid(server, bob), f"from the tablet {number}", origin_id=f"t{number}", id=f"t{number}")
            tablet.ping()
            other.send(f"{jid(server, alice)}/tablet", f"to the tablet {number}")
            other.ping()
        wait_rows(varved, 20)
    assert len(assert_same(varved, server, alice)) == 20
    rows = varved.export()
    assert [r["direction"] for r in rows].count("out") == 10
    assert {r["conversation"] for r in rows} == {jid(server, bob)}


def test_two_senders_at_once(server, fresh, varved):
    """F5: what two others send in the same milliseconds may be delivered in another order than it is archived
    (ejabberd stamps in the sender's process): the rows end in archive order all the same."""
    alice, bob = users(server, fresh)
    carol = fresh("carol")
    server.add_user(carol)
    varved.add_account(server, alice)
    varved.wait_sync()
    with Peer(server, bob) as one, Peer(server, carol) as two:
        for number in range(60):
            one.send(jid(server, alice), f"one {number}")
            two.send(jid(server, alice), f"two {number}")
        one.ping()
        two.ping()
        wait_rows(varved, 120)
    assert len(assert_same(varved, server, alice)) == 120


def test_own_messages_of_another_device_while_away(server, pair, varved):
    """C7: found in the archive, not taken for ours."""
    alice, bob = pair
    varved.add_account(server, alice)
    varved.wait_sync()
    varved.stop(signal.SIGTERM)
    with Peer(server, alice, resource="tablet") as tablet:
        for number in range(7):
            tablet.send(jid(server, bob), f"while you slept {number}")
        tablet.ping()
    varved.start()
    wait_rows(varved, 7)
    assert len(assert_same(varved, server, alice)) == 7


def test_reused_and_missing_ids_lose_nothing(server, pair, varved):
    """C3: the same id with other words, the same words without an id: all are messages."""
    alice, bob = pair
    varved.add_account(server, alice)
    varved.wait_sync()
    with Peer(server, bob) as other:
        to = jid(server, alice)
        other.send(to, "first", id="ab36a")
        other.send(to, "second", id="ab36a")
        other.send(to, "first", id="ab36b")
        for _ in range(2):
            other.raw(f"<message to='{to}' type='chat'><body>same words</body></message>")
        other.ping()
        wait_rows(varved, 5)
    assert len(assert_same(varved, server, alice)) == 5


def test_message_to_self_is_one_row(server, pair, varved):
    """C4: from and to the own bare JID: archived once or twice by the server, carbon-copied, delivered."""
    alice, _bob = pair
    varved.add_account(server, alice)
    varved.wait_sync()
    with Peer(server, alice, resource="tablet") as tablet:
        for number in range(3):
            tablet.send(jid(server, alice), f"note to self {number}", id=f"self{number}", origin_id=f"self{number}")
        tablet.ping()
        wait_rows(varved, 3)
    varved.run("sync", "now")
    varved.wait_sync()
    bodies = [r["body"] for r in varved.export()]
    assert sorted(bodies) == [f"note to self {n}" for n in range(3)], "each once"
    holds(lambda: len(varved.export()) == 3, 1)
    archived = {row.archive_id for row in server.archive(alice)}
    assert {r["stanza_id"] for r in varved.export()} <= archived


def test_offline_storage_and_archive(own_server, fresh, varved):
    """C9: delivered from offline storage at the first presence and again by the archive: one row, the archive's stamp."""
    server = own_server(offline=1)
    alice, bob = users(server, fresh)
    with Peer(server, bob) as other:
        for number in range(12):
            other.send(jid(server, alice), f"stored {number}")
        other.ping()
    varved.add_account(server, alice)
    varved.wait_sync()
    assert len(assert_same(varved, server, alice)) == 12


def test_cut_and_resumed(server, pair, varved):
    """D4, D19: the link breaks, messages come meanwhile, the session is resumed: no new bind."""
    alice, bob = pair
    server.seed_archive(alice, seed.history(100, domain=server.domain))
    with Proxy(server.tls_port) as link, Peer(server, bob) as other:
        varved.add_account(server, alice, port=link.port)
        before = varved.wait_sync()["session"]
        assert before["resumable"] and before["binds"] == 1 and before["resumes"] == 0
        for number in range(3):
            link.refuse()
            link.cut()
            other.send(jid(server, alice), f"while cut {number}")
            other.ping()
            link.resume()
            session = varved.wait_resumed(number + 1)["session"]
            assert session["binds"] == 1 and session["resumed"]
            wait_rows(varved, 101 + number)
        assert len(assert_same(varved, server, alice)) == 103


def test_in_sync_after_a_resume_is_with_what_the_server_kept(server, pair, varved):
    """D23: who is told "in sync" has everything that came while the link was cut; the server repeats it behind <resumed/>."""
    alice, bob = pair
    with Proxy(server.tls_port) as link, Peer(server, bob) as other:
        varved.add_account(server, alice, port=link.port)
        varved.wait_sync()
        for round in range(1, 4):
            before = varved.account()["session"]["resumes"]
            link.refuse()
            link.cut()
            varved.wait_state("offline", "connecting")
            for number in range(150):
                other.send(f"{alice}@{server.domain}", f"kept {round} {number}")
            other.ping()
            link.delay = 0.05
            link.resume()
            varved.run("account", "connect")
            varved.wait_sync()
            assert len([r for r in varved.export() if r["body"].startswith(f"kept {round} ")]) == 150, round
            assert varved.account()["session"]["resumes"] > before
            link.delay = 0


def test_beyond_the_window(own_server, fresh, varved):
    """D11: gone for longer than the server keeps the session: a new bind; the gap is recorded while open, then closed.
    The other device's view of our presence tells when the server has given us up."""
    server = own_server(smacks_seconds=2)
    alice, bob = users(server, fresh)
    server.seed_archive(alice, seed.history(50, domain=server.domain))
    with Proxy(server.tls_port) as link, Peer(server, alice, resource="watch") as watch:
        varved.add_account(server, alice, port=link.port)
        resource = varved.wait_sync()["resource"]
        wait_for(lambda: resource in watch.online, 10, "the other device sees us")
        link.refuse()
        link.cut()
        wait_for(lambda: resource not in watch.online, 40, "the server gives the session up")
        missed = seed.history(700, years=0.0001, domain=server.domain, seed=2, end=seed.now())
        server.seed_archive(alice, missed)
        link.delay = 0.15
        link.resume()
        wait_for(lambda: [g for g in varved.ctl("sync", "gaps") if g["state"] in ("open", "fetching")], 20,
                 "a gap is shown while it is fetched", interval=0.02)
        link.delay = 0
        session = varved.wait_sync()["session"]
        assert session["binds"] == 2
        assert varved.ctl("sync", "gaps") == []
        assert len(assert_same(varved, server, alice)) == 750


def test_known_loss_when_the_archive_forgot(own_server, fresh, varved):
    """B1 (Prosody: item-not-found), B2 (ejabberd: silently answers from what is left): our newest id has expired.
    What is left is fetched, the loss is recorded once and not asked for again, and the old rows stay."""
    server = own_server()
    alice, _bob = users(server, fresh)
    ended = seed.now() - datetime.timedelta(days=10)
    server.seed_archive(alice, seed.history(300, years=1, domain=server.domain, end=ended))
    varved.add_account(server, alice)
    varved.wait_sync()
    old = [r["stanza_id"] for r in varved.export()]
    assert len(old) == 300
    varved.stop(signal.SIGTERM)
    server.stop(signal.SIGKILL)
    server.seed_archive(alice, seed.history(400, years=0.02, domain=server.domain, seed=3, end=seed.now()))
    server.expire(alice, keep=150)
    server.start()

    varved.start()
    sync = varved.wait_sync()["sync"]

    assert sync["lost"] == 1, "one known loss"
    lost = [g for g in varved.ctl("sync", "gaps") if g["state"] == "lost"]
    assert len(lost) == 1
    left = [row.archive_id for row in server.archive(alice)]
    assert len(left) == 150
    assert [r["stanza_id"] for r in varved.export()] == old + left
    varved.run("sync", "now")
    varved.wait_sync()
    assert len([g for g in varved.ctl("sync", "gaps") if g["state"] == "lost"]) == 1


def test_the_past_expires(own_server, fresh, varved):
    """B1, B2: what lay beyond the horizon was never fetched, and the server drops it: lost, not the archive's beginning."""
    server = own_server()
    alice, _bob = users(server, fresh)
    server.seed_archive(alice, seed.history(600, years=1, domain=server.domain))
    varved.configure("[sync]\nhistory = 30 days\n")
    varved.restart()
    varved.add_account(server, alice)
    varved.wait_sync()
    held = [r["stanza_id"] for r in varved.export()]
    assert 30 < len(held) < 500
    assert [g["state"] for g in varved.ctl("sync", "gaps")] == ["open"]
    server.expire(alice, keep=20)
    varved.configure("")
    varved.restart()
    sync = varved.wait_sync()["sync"]
    assert (sync["gaps"], sync["lost"]) == (0, 1)
    lost, = varved.ctl("sync", "gaps")
    assert lost["state"] == "lost" and lost["after_usec"] is None, lost
    assert [r["stanza_id"] for r in varved.export()] == held


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_server_restarted(own_server, fresh, varved, sig):
    server = own_server()
    alice, bob = users(server, fresh)
    server.seed_archive(alice, seed.history(200, domain=server.domain))
    varved.add_account(server, alice)
    varved.wait_sync()
    with Peer(server, bob) as other:
        other.send(jid(server, alice), "before")
        other.ping()
        wait_rows(varved, 201)
    server.restart(sig)
    with Peer(server, bob) as other:
        other.send(jid(server, alice), "after")
        other.ping()
        varved.run("account", "connect")
        wait_rows(varved, 202, 60)
        varved.wait_state("online", timeout=60)
    assert len(assert_same(varved, server, alice)) == 202


def test_clean_stop_leaves_the_session(server, pair, varved):
    """D22: TERM of varved, a message, start: resumed, and the message is there without asking the archive."""
    alice, bob = pair
    varved.add_account(server, alice)
    varved.wait_sync()
    varved.stop(signal.SIGTERM)
    with Peer(server, bob) as other:
        other.send(jid(server, alice), "while stopped")
        other.ping()
    varved.start()
    session = varved.wait_resumed(1)["session"]
    assert session["binds"] == 1
    wait_rows(varved, 1)
    assert len(assert_same(varved, server, alice)) == 1


def kill_story(server, alice, bob, varved, rng, kills, longest):
    """Kill -9 at random moments of catch-up and live traffic; at the end everything is there once."""
    server.seed_archive(alice, seed.history(2000, domain=server.domain))
    stop = threading.Event()
    sent = []
    with Peer(server, bob) as other:
        def chat():
            while not stop.is_set():
                sent.append(f"live {len(sent)}")
                other.send(jid(server, alice), sent[-1])
                stop.wait(0.05)
        thread = threading.Thread(target=chat, daemon=True)
        varved.add_account(server, alice)
        thread.start()
        try:
            for _ in range(kills):
                time.sleep(rng.uniform(0, longest))     # the random moment, not a wait for something
                varved.kill9()
                varved.start()
        finally:
            stop.set()
            thread.join(10)
        other.ping()
    varved.wait_state("online", timeout=60)
    archive = assert_same(varved, server, alice)
    assert len(archive) == 2000 + len(sent)


def test_killed_30_times(server, pair, varved, rng):
    """A1, D3: kill -9 at 30 random moments during catch-up and live traffic."""
    alice, bob = pair
    kill_story(server, alice, bob, varved, rng, 30, 0.4)


@pytest.mark.slow
def test_killed_300_times(server, pair, varved, rng):
    alice, bob = pair
    kill_story(server, alice, bob, varved, rng, 300, 1.0)


@pytest.mark.slow
def test_first_sync_of_20000(server, pair, varved):
    alice, _bob = pair
    server.seed_archive(alice, seed.history(20000, domain=server.domain))
    varved.add_account(server, alice)
    varved.wait_sync(timeout=240)
    assert len(assert_same(varved, server, alice, timeout=120)) == 20000


def test_two_accounts_at_once(server, fresh, varved):
    """C12 on real servers: archives of two accounts that talk with each other stay apart."""
    alice, bob = users(server, fresh)
    for user in (alice, bob):
        varved.add_account(server, user)
    for user in (alice, bob):
        varved.wait_sync(jid=jid(server, user))
    with Peer(server, alice, resource="tablet") as tablet:
        for number in range(5):
            tablet.send(jid(server, bob), f"between us {number}")
        tablet.ping()
    for user in (alice, bob):
        account = ("-a", jid(server, user))
        varved.run(*account, "sync", "now")
        wait_for(lambda: len(varved.ctl(*account, "export")) >= 5, 20)
        varved.run(*account, "sync", "now")
        varved.wait_sync(jid=jid(server, user))
        archive = [row.archive_id for row in server.archive(user)]
        wait_for(lambda: [r["stanza_id"] for r in varved.ctl(*account, "export")] == archive, 20,
                 lambda: f"{varved.ctl(*account, 'export')} is {archive}")
