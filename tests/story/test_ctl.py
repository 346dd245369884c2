"""varvectl writing, with two real daemons at a real server: what one sends, the other reads."""

import json
import subprocess

import pytest

from varvetest.daemon import EXIT_FAILURE, EXIT_NOT_FOUND, EXIT_OFFLINE, EXIT_OK, EXIT_REJECTED, Varved, program
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
