"""varvectl writing, with two real daemons at a real server: what one sends, the other reads."""

import json
import subprocess

import pytest

from varvetest.daemon import EXIT_FAILURE, EXIT_NOT_FOUND, EXIT_OFFLINE, EXIT_OK, EXIT_REJECTED, Varved, program
from varvetest.peer import Peer
from varvetest.wait import wait_for


@pytest.fixture
def pair(server, fresh, varved, tmp_path):
    """(ours, theirs, our JID, their JID): both online and in sync."""
    alice, bob = fresh("alice"), fresh("bob")
    for name in (alice, bob):
        server.add_user(name)
    with Varved(tmp_path / "bob") as other:
        for d, name in ((varved, alice), (other, bob)):
            d.add_account(server, name)
            d.wait_sync(timeout=60)
        yield varved, other, f"{alice}@{server.domain}", f"{bob}@{server.domain}"


def row(daemon, conversation, **wanted):
    """The message of this conversation that has all of ${wanted}, or None."""
    result = daemon.run("-j", "history", conversation, "-n", 100)
    rows = [json.loads(line) for line in result.out.splitlines()] if result.code == EXIT_OK else []
    return next((r for r in rows if all(r[k] == v for k, v in wanted.items())), None)


def comes(daemon, conversation, **wanted):
    return wait_for(lambda: row(daemon, conversation, **wanted), 20, lambda: f"{wanted}: {daemon.run('history', conversation).out}")


def test_a_conversation_between_two(pair):
    ours, theirs, alice, bob = pair

    sent = ours.ctl("send", bob, "How are you?", "--id=first", "--wait=sent", "--timeout=20")[0]
    assert sent["existing"] is False and sent["state"] in ("sent", "delivered")
    assert ours.ctl("send", bob, "How are you?", "--id=first")[0]["id"] == sent["id"]
    assert ours.run("send", bob, "Something else", "--id=first").code == EXIT_FAILURE
    question = comes(theirs, alice, body="How are you?")
    assert question["direction"] == "in" and question["origin_id"] == "first"
    assert theirs.ctl("ls", "--unread")[0]["unread"] == 1

    theirs.ctl("read", alice)
    assert theirs.ctl("ls", "--unread") == []
    answer = theirs.ctl("send", alice, "Well", "--reply-to", question["id"], "--wait=sent", "--timeout=20")[0]
    got = comes(ours, bob, body="Well")
    assert got["reply_to"] == sent["id"]

    theirs.ctl("edit", answer["id"], "Very well")
    assert comes(ours, bob, id=got["id"], body="Very well")["edited"]
    ours.ctl("react", got["id"], "👍")
    assert comes(theirs, alice, id=answer["id"], reactions={alice: ["👍"]})
    theirs.ctl("retract", answer["id"])
    comes(ours, bob, id=got["id"], kind="retracted")

    ours.ctl("delete", sent["id"])
    assert row(ours, bob, id=sent["id"]) is None and row(theirs, alice, body="How are you?")


def test_what_waits_goes_out_once_the_account_is_online(pair):
    ours, theirs, alice, bob = pair

    ours.ctl("account", "disconnect")
    ours.wait_state("offline")
    kept = ours.run("--timeout=20", "send", bob, "later", "--id=k", "--wait=sent")
    assert kept.code == EXIT_OFFLINE and "account connect" in kept.err
    gone = ours.ctl("send", bob, "never")[0]["id"]
    assert ours.account()["outbox"]["queued"] == 2
    assert ours.ctl("cancel", gone)[0]["state"] == "cancelled" and ours.run("cancel", gone).code == EXIT_FAILURE

    ours.ctl("account", "connect")
    assert ours.ctl("--timeout=30", "send", bob, "later", "--id=k", "--wait=sent")[0]["existing"] is True
    comes(theirs, alice, body="later")
    assert row(theirs, alice, body="never") is None


def test_a_message_to_nobody_fails_with_the_reason(pair):
    ours, theirs, alice, bob = pair
    nobody = "nobody@" + bob.split("@")[1]
    result = ours.run("--timeout=30", "send", nobody, "hello", "--wait=delivered")

    assert result.code == EXIT_REJECTED and "varvectl retry" in result.err, result
    text = ours.run("history", nobody).out
    assert "not delivered" in text and "varvectl retry" in text


def test_contacts(pair):
    ours, theirs, alice, bob = pair

    assert ours.run("roster", "remove", bob).code == EXIT_NOT_FOUND
    ours.ctl("roster", "set", bob, "--name=Bob", "--groups=Friends")
    ours.ctl("roster", "authorize", bob, "request")

    def allowed():
        theirs.ctl("roster", "authorize", alice)  # ejabberd takes no approval before the request is there
        return next((c for c in ours.ctl("roster", "list") if c["subscription"] == "to"), None)

    contact = wait_for(allowed, 20, lambda: ours.run("roster").out)
    assert (contact["jid"], contact["name"], contact["groups"]) == (bob, "Bob", ["Friends"])
    wait_for(lambda: ours.ctl("roster", "list")[0]["presence"], 20, lambda: ours.run("-j", "roster").out)
    ours.ctl("roster", "remove", bob)
    wait_for(lambda: ours.ctl("roster", "list") == [], 20, lambda: ours.run("roster").out)


def test_who_asks_to_see_us_is_shown_until_answered(server, fresh, varved):
    """RFC 6121 section 3.1, asked by slixmpp: shown, also after kill -9; approved: from, both; denied, or taken back: gone."""
    alice, bob, eve, fay = (fresh(stem) for stem in ("alice", "bob", "eve", "fay"))
    for name in (alice, bob, eve, fay):
        server.add_user(name)
    me = f"{alice}@{server.domain}"
    varved.add_account(server, alice)
    varved.wait_sync(timeout=60)

    def contact(jid):
        return next((c for c in varved.ctl("roster", "list") if c["jid"] == jid), None)

    def until(jid, what):
        return wait_for(lambda: what(contact(jid)), 20, lambda: varved.run("-j", "roster").out)

    with Peer(server, bob) as b, Peer(server, eve) as e, Peer(server, fay) as f:
        peers = (b, e, f)
        for peer in peers:
            peer.raw(f"<presence to='{me}' type='subscribe'><status>let me in</status></presence>")
        for peer in peers:
            shown = until(peer.jid, lambda c: c and c["asking"] and c)
            assert (shown["subscription"], shown["asked"], shown["blocked"]) == ("none", False, False)
        assert f"varvectl roster authorize {b.jid} approve" in varved.run("roster", "list").out
        varved.kill9()
        varved.start()
        assert all(contact(peer.jid)["asking"] for peer in peers)
        varved.wait_state("online")

        varved.ctl("--timeout=20", "roster", "authorize", e.jid, "deny")
        assert contact(e.jid) is None
        if server.name == "ejabberd":       # which does not pass on that a request is taken back
            varved.ctl("--timeout=20", "roster", "authorize", f.jid, "revoke")
        else:
            f.raw(f"<presence to='{me}' type='unsubscribe'/>")
        until(f.jid, lambda c: c is None)
        varved.ctl("--timeout=20", "roster", "authorize", b.jid, "approve")
        until(b.jid, lambda c: c and c["subscription"] == "from" and not c["asking"])
        varved.ctl("--timeout=20", "roster", "authorize", b.jid, "request")    # slixmpp allows it by itself
        until(b.jid, lambda c: c and c["subscription"] == "both" and not c["asked"])
        varved.restart()
        varved.wait_state("online")
        assert [(c["jid"], c["subscription"], c["asking"]) for c in varved.ctl("roster", "list")] == [(b.jid, "both", False)]


def test_monitor_goes_on_across_a_restart_without_a_gap(pair, tmp_path):
    ours, theirs, alice, bob = pair
    child = subprocess.Popen([program("varvectl"), "monitor", "--cursor-file", str(tmp_path / "cursor")], env=ours.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for((tmp_path / "cursor").exists, 20, "monitor has begun")
    for number in range(3):
        theirs.ctl("send", alice, f"m{number}", "--wait=sent", "--timeout=20")
        comes(ours, bob, body=f"m{number}")
        ours.restart()
    ours.wait_sync(timeout=60)
    theirs.ctl("send", alice, "end", "--wait=sent", "--timeout=20")
    seen = {}
    while "end" not in seen:
        line = json.loads(child.stdout.readline())
        if line["change"] == "message":
            seen.setdefault(line["body"], set()).add((line["id"], line["mod"]))
    child.kill()
    child.communicate()
    assert list(seen) == ["m0", "m1", "m2", "end"]
