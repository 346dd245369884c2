"""Sending and what is done to messages and contacts, against the fake daemon."""

import json
import subprocess
import uuid

import pytest
from ctlkit import T0, wait_for
from fake import ACCOUNT, Refused, message, v

BOB = "bob@example.org"


def calls(fake, member):
    return [args for name, args in fake.calls if name == member]


# ---- send ------------------------------------------------------------------------------------------------------------
def test_send_without_an_id_makes_a_new_uuid_each_time(fake, ctl):
    a = json.loads(ctl("send", "Bob@Example.org", "hello", "-j"))
    b = json.loads(ctl("send", BOB, "hello", "-j"))

    assert a["id"] != b["id"] and a["existing"] is b["existing"] is False and a["state"] == "queued"
    sent = calls(fake, "Send")
    assert [s[0] for s in sent] == [BOB, BOB] and sent[0][1] != sent[1][1]
    assert all(uuid.UUID(s[1]).version == 4 for s in sent)


def test_the_same_id_twice_is_one_message(fake, ctl):
    first = json.loads(ctl("send", BOB, "x", "--id=k1", "-j"))
    fake.messages[0]["state"] = 13
    second = json.loads(ctl("send", BOB, "x", "--id=k1", "-j"))

    assert second == dict(first, existing=True, state="delivered") and len(fake.messages) == 1
    assert "there already" in ctl("send", BOB, "x", "--id=k1")
    error = ctl.error("send", BOB, "y", "--id=k1", code=1)
    assert error["name"].endswith(".Conflict") and "leave out of it what changes" in error["hint"]


def test_the_text_comes_from_standard_input(fake, ctl):
    ctl("send", BOB, input="two\nlines\n")
    ctl("send", BOB, "-", input="no end")
    ctl("send", BOB, "--", "-5 degrees")

    assert [m["body"] for m in fake.messages] == ["two\nlines", "no end", "-5 degrees"]


@pytest.mark.parametrize("args, words", [
    (["one", "two"], "quotes"), ([""], "empty"), (["x", "--id="], "--id"), (["x", "--id=" + "k" * 129], "--id"),
    (["x", "--id=a\nb"], "control"), (["x", "--wait=read"], "queued, sent or delivered"), (["x" * 70000], "longer"),
    (["x", "--reply-to=bob"], "not the id"),
])
def test_what_is_wrong_with_a_send_is_said_before_anything_is_sent(fake, ctl, args, words):
    ctl("send", BOB, *args, code=2)

    assert words in ctl.err and calls(fake, "Send") == []


def test_who_forgot_the_domain_is_asked(fake, ctl):
    ctl("send", "bob", "hello", code=2)

    assert "did you mean bob@example.org?" in ctl.err and calls(fake, "Send") == []
    ctl("send", "gateway.example.org", "help")      # a server is an address too
    assert calls(fake, "Send")[-1][0] == "gateway.example.org"


def test_a_reply_names_what_it_answers(fake, ctl):
    fake.messages = [message(10, BOB, T0, "question")]
    ctl("send", BOB, "answer", "--reply-to=10")

    assert calls(fake, "Send")[0][3] == {"reply-to": 10}
    assert "reply to 10" in ctl("history", BOB)
    ctl("send", BOB, "answer", "--reply-to=11", code=4)


@pytest.mark.parametrize("goal, states, state", [("sent", [11, 12], "sent"), ("delivered", [11, 12, 13], "delivered"),
                                                 ("sent", [11, 12, 13, 14], None), ("queued", [], "queued")])
def test_wait_returns_when_it_has_come_so_far(fake, ctl, goal, states, state):
    fake.becomes = states
    out = json.loads(ctl("send", BOB, "x", "--wait=" + goal, "-j"))

    assert out["state"] == state or state is None and out["state"] in ("sent", "delivered", "displayed")


def test_wait_hears_of_a_state_that_comes_later(fake, ctl):
    p = ctl.popen("send", BOB, "x", "--wait=delivered")
    wait_for(lambda: any(c[0] == "Changes" for c in fake.calls))
    for state in (11, 12, 13):
        with fake.lock:
            fake.change(fake.messages[0], state=state)
    out, err = p.communicate(timeout=10)

    assert (p.returncode, out, err) == (0, "message 2: delivered\n", "")


def test_wait_for_a_message_that_is_refused_is_exit_8_with_the_reason(fake, ctl):
    fake.becomes = [11, 12, ("item-not-found", "nobody here")]
    error = ctl.error("send", BOB, "x", "--wait=delivered", "--id=k", code=8)

    assert "nobody here" in error["message"] and error["hint"] == "varvectl retry 2"
    assert ctl.error("send", BOB, "x", "--wait=delivered", "--id=k", code=8)["hint"] == "varvectl retry 2"
    fake.becomes = []
    fake.messages[0]["state"] = 21
    assert ctl.error("send", BOB, "x", "--wait=sent", "--id=k", code=1)["name"].endswith(".Cancelled")


def test_wait_ends_with_7_and_says_that_it_stays_queued(fake, ctl):
    ctl("send", BOB, "x", "--wait=sent", "--timeout=0.5", code=7)

    said = " ".join(ctl.err.split())
    assert "message 2 is queued" in said and "varvectl status says what it waits for" in said and said.endswith("do not send it again")


def test_wait_for_the_other_side_ends_with_7_and_says_that_the_server_has_it(fake, ctl):
    fake.becomes = [11, 12]
    hint = ctl.error("send", BOB, "x", "--wait=delivered", "--timeout=0.5", "--id=k", code=7)["hint"]

    assert hint == "the server has it; not every client tells when it arrives; do not send it again without the same --id"


@pytest.mark.parametrize("state, next", [("disabled", "account enable"), ("auth-failed", "account password")])
def test_wait_for_an_account_that_will_not_come_online_is_exit_6(fake, ctl, state, next):
    fake.accounts = [fake.account("alice@example.org", state=state)]
    ctl("send", BOB, "x", "--wait=sent", code=6)

    assert "message 2 is queued" in ctl.err and next in ctl.err and len(fake.messages) == 1
    ctl("send", BOB, "x")


@pytest.mark.parametrize("name, code", [("Offline", 6), ("Remote", 8), ("Locked", 5), ("LimitExceeded", 1), ("Storage", 1),
                                        ("Denied", 9), ("org.freedesktop.DBus.Error.InvalidArgs", 2)])
def test_what_the_daemon_refuses_has_its_exit_code(fake, ctl, name, code):
    fake.refuse["Send"] = Refused(name, "because")

    assert ctl.error("send", BOB, "x", code=code)["message"] == "because"


def test_quiet_prints_the_id_alone(fake, ctl):
    assert ctl("send", BOB, "x", "-q") == "2\n" and ctl("send", BOB, "y") == "message 4: queued\n"


# ---- messages --------------------------------------------------------------------------------------------------------
@pytest.fixture
def talk(fake):
    fake.messages = [message(2, BOB, T0, "hello"), message(4, BOB, T0 + 10**6, "hi", direction=1, state=12)]
    return fake


def test_edit_retract_react(talk, ctl):
    assert ctl("edit", "4", "hi!") == "message 4: edited\n" and talk.messages[1]["body"] == "hi!"
    assert json.loads(ctl("edit", "4", "-", "-j", "--id=e", input="hi?\n")) == {"id": 4, "state": "sent"}
    ctl("edit", "4", "hi?", "--id=e")
    assert talk.messages[1]["body"] == "hi?" and ctl.error("edit", "4", "x", "--id=e", code=1)["name"].endswith("Conflict")
    ctl("react", "2", "👍", "🎉")
    assert calls(talk, "React")[-1][:2] == (2, ["👍", "🎉"]) and "👍 🎉" in ctl("history", BOB)
    ctl("react", "2", "hello", code=2)
    assert '"hello" is no emoji' in ctl.err
    ctl("react", "2", "1\ufe0f\u20e3")
    assert "no reaction" in ctl("react", "2") and calls(talk, "React")[-1][:2] == (2, [])
    ctl("retract", "4")
    assert "[retracted]" in ctl("history", BOB)
    ctl("edit", "2", "not mine", code=1)
    ctl("edit", "7", "none", code=4)
    ctl("edit", "bob", "x", code=2)


def test_retry_and_cancel(talk, ctl):
    ctl("cancel", "4", code=1)
    talk.messages[1]["state"] = 10
    assert ctl("cancel", "4") == "message 4: cancelled\n" and json.loads(ctl("retry", "4", "-j"))["state"] == "queued"
    assert ctl.error("retry", "4", code=1)["name"].endswith(".Conflict")


def test_read(talk, ctl):
    assert ctl("read", BOB, "2") == BOB + ": read up to 2\n" and calls(talk, "MarkRead")[-1][:2] == (BOB, 2)
    assert json.loads(ctl("read", BOB, "-j")) == {"conversation": BOB, "up_to_id": None}
    assert calls(talk, "MarkRead")[-1][:2] == (BOB, 0)
    assert ctl.error("read", "nobody@example.org", code=4)["name"].endswith(".NoSuchConversation")


def test_delete_is_of_ids_or_of_a_conversation(talk, ctl):
    assert "no message 99" in ctl.error("delete", "2", "99", code=4)["message"] and len(talk.messages) == 2
    assert json.loads(ctl("delete", "2", "-j")) == {"deleted": [2]} and [m["id"] for m in talk.messages] == [4]
    assert ctl("delete", BOB) == BOB + ": deleted here\n" and talk.messages == []
    ctl("delete", BOB, code=4)
    ctl("delete", "4", BOB, code=2)
    talk.messages = [message(6, "bob", T0, "of a local domain")]
    assert ctl("delete", "bob") == "bob: deleted here\n" and talk.messages == []


def test_ls_failed_says_why_and_what_to_do(talk, ctl):
    assert ctl("ls", "--failed") == "No message failed.\n" and ctl.rows("ls", "--failed", "-j") == []
    talk.messages.append(message(50, BOB, T0, "oops", direction=1, state=20, error=v("(ss)", ("x", "no such host"))))
    talk.accounts[0]["outbox"].update(failed=2, failed_ids=[50, 4])
    lines = ctl("ls", "--failed").splitlines()
    assert lines[0] == "50 %s: oops" % BOB and lines[1].strip() == "no such host"
    assert lines[2].strip() == "varvectl retry 50 | varvectl delete 50"
    assert "edit, reaction or retraction" in lines[4]
    assert [r["id"] for r in ctl.rows("ls", "--failed", "-j")] == [50, 4]
    assert "varvectl ls --failed" in " ".join(ctl("status").split())


def test_history_says_what_became_of_own_messages_and_what_to_do(fake, ctl):
    states = [(10, "queued"), (11, "sending"), (12, "✓"), (13, "✓✓"), (14, "✓✓ read"), (21, "(cancelled)")]
    fake.messages = [message(2 + i, BOB, T0 + i * 10**6, "m", direction=1, state=s) for i, (s, _) in enumerate(states)]
    fake.messages.append(message(50, BOB, T0 + 10**8, "oops", direction=1, state=20,
                                 error=v("(ss)", ("remote-server-not-found", "no such host"))))
    lines = ctl("history", BOB).splitlines()

    for line, (_, text) in zip(lines[1:], states):
        assert line.endswith(text), line
    assert "oops" in lines[-2] and "✗" in lines[-2]
    assert "no such host" in lines[-1] and "varvectl retry 50" in lines[-1] and len(lines[-1]) <= 80


# ---- contacts --------------------------------------------------------------------------------------------------------
def test_the_roster(fake, ctl):
    fake.roster = {"%s@example.org" % n: (n.title(), sub, flags, ["Friends"]) for n, sub, flags in
                   [("bob", "both", 0), ("carol", "none", 1), ("dan", "none", 4 | 8), ("eve", "none", 2 | 4)]}
    fake.devices = [("bob@example.org/phone", "away", "on the train"), ("bob@example.org/desk", "", "")]
    rows = ctl.rows("roster", "list", "-j")

    assert [r["jid"] for r in rows] == ["bob@example.org", "carol@example.org", "dan@example.org", "eve@example.org"]
    assert [r["asking"] for r in rows] == [False, False, True, False]
    assert rows[0]["presence"] == [{"jid": "bob@example.org/phone", "show": "away", "status": "on the train"},
                                   {"jid": "bob@example.org/desk", "show": "online", "status": None}]
    assert (rows[1]["asked"], rows[3]["blocked"], rows[0]["groups"]) == (True, True, ["Friends"])
    assert [r["unlisted"] for r in rows] == [False, False, True, True]
    text = ctl("roster")
    assert all(len(line) <= 80 for line in text.splitlines()) and "blocked" in text and "online" in text
    assert ("dan@example.org asks to see your presence:\n    varvectl roster authorize dan@example.org approve\n"
            "    varvectl roster authorize dan@example.org deny\n") in text
    fake.refuse["GetPresence"] = Refused("Unsupported", "no")
    assert "bob@example.org" in ctl("roster", "list")


def test_a_command_that_names_a_stranger_can_be_copied(fake, ctl):
    """RFC 7622 allows all of this in an address."""
    for who in ("$(reboot)`reboot`;reboot@example.org", "o\u2019neil;x@example.org"):
        fake.roster = {who: ("", "none", 4 | 8, [])}
        line = [x for x in ctl("roster").splitlines() if x.endswith(" approve")][0]
        words = subprocess.run(["sh", "-c", 'varvectl() { printf "%s\\n" "$@"; }; ' + line], stdout=subprocess.PIPE, text=True, check=True)
        assert words.stdout.split("\n")[:4] == ["roster", "authorize", who, "approve"]


def test_contacts_are_changed(fake, ctl):
    ctl("roster", "set", "Bob@Example.org", "--name=Bob", "--groups=Work,Friends")
    assert fake.roster["bob@example.org"] == ("Bob", "none", 0, ["Work", "Friends"])
    ctl("roster", "set", BOB, "--groups=")
    assert fake.roster["bob@example.org"] == ("Bob", "none", 0, [])
    ctl("roster", "authorize", BOB)
    ctl("roster", "authorize", BOB, "request")
    ctl("roster", "block", "evil.example")
    ctl("roster", "unblock", "evil.example")
    assert calls(fake, "Authorize") == [(BOB, "approve"), (BOB, "request")]
    assert calls(fake, "SetBlocked") == [("evil.example", True), ("evil.example", False)]
    ctl("roster", "remove", BOB)
    assert fake.roster == {}
    ctl("roster", "remove", BOB, code=4)
    ctl("roster", "authorize", BOB, "maybe", code=2)
    ctl("roster", "set", "bob@example.org/phone", code=2)
    for verb in ("set", "block", "authorize"):
        ctl("roster", verb, "bob", code=2)
        assert "did you mean bob@example.org?" in ctl.err
    fake.refuse["Set"] = Refused("Remote", "not-allowed: full")
    assert ctl.error("roster", "set", BOB, code=8)["message"] == "not-allowed: full"
    fake.refuse["Set"] = Refused("Offline", "offline")
    ctl("roster", "set", BOB, code=6)
    assert "account connect" in ctl.err
    fake.enabled = False
    ctl("roster", "set", BOB, code=6)
    assert "account enable" in ctl.err and "account connect" not in ctl.err


# ---- monitor, fetch, api ---------------------------------------------------------------------------------------------
def test_monitor_tells_who_is_typing_and_who_is_there_if_wanted(fake, ctl):
    fake.messages = [message(2, BOB, T0, "hello")]
    p = ctl.popen("monitor", "--ephemeral", "--since=0", BOB)
    q = ctl.popen("monitor", "--since=0")
    assert json.loads(p.stdout.readline())["id"] == json.loads(q.stdout.readline())["id"] == 2
    fake.emit("Conversations", "Typing", v("(sss)", (BOB, BOB + "/x", "composing")))
    fake.emit("Conversations", "Typing", v("(sss)", ("carol@example.org", "carol@example.org/x", "composing")))
    fake.emit("Roster", "Presence", v("(sssa{sv})", (BOB + "/x", "", "here", {})))
    assert json.loads(p.stdout.readline()) == {"seq": None, "change": "typing", "conversation": BOB, "sender": BOB + "/x",
                                               "state": "composing"}
    assert json.loads(p.stdout.readline()) == {"seq": None, "change": "presence", "jid": BOB + "/x", "show": "online",
                                               "status": "here"}
    fake.messages.append(message(4, BOB, T0, "more"))
    fake.ring()
    assert json.loads(q.stdout.readline())["id"] == 4
    for x in (p, q):
        x.kill()
        x.communicate()


def test_monitor_waits_for_an_archive_that_is_locked_meanwhile(fake, ctl):
    fake.messages = [message(2, BOB, T0, "hello")]
    p = ctl.popen("monitor", "--since=0")
    p.stdout.readline()
    with fake.lock:
        fake.refuse["Changes"] = Refused("Locked", "the archive is locked")
        fake.messages.append(message(4, BOB, T0, "more"))
    fake.ring()
    wait_for(lambda: len(calls(fake, "Changes")) > 2)
    del fake.refuse["Changes"]
    fake.ring()
    assert json.loads(p.stdout.readline())["id"] == 4 and p.poll() is None
    p.kill()
    p.communicate()


def test_fetch(fake, ctl):
    fake.job = [("running", (0, 0), ("", "")), ("running", (10, 100), ("", "")), ("done", (100, 100), ("", ""))]
    assert "fetching" in ctl("sync", "fetch", BOB, "--since=2024-01-01") and len(fake.job) == 3
    assert calls(fake, "Fetch")[0] == (BOB, {"since": 1704067200000000, "detach": True})
    assert ctl("sync", "fetch", BOB, "--all", "--wait") == BOB + ": fetched\n"
    assert calls(fake, "Fetch")[1] == (BOB, {"all": True, "detach": True})
    fake.job = [("failed", (0, 0), ("org.varve.Varve1.Error.Offline", "not connected"))]
    assert ctl.error("sync", "fetch", BOB, "--wait", code=6)["message"] == "not connected"
    fake.job = [("running", (0, 0), ("", ""))]
    ctl("sync", "fetch", BOB, "--wait", "--timeout=0.3", code=7)
    ctl("sync", "fetch", BOB, "--all", "--since=2024-01-01", code=2)


def test_verify(fake, ctl):
    fake.job = [("running", (10, 100), ("", "")), ("done", (100, 100), ("", ""))]
    fake.job_result = {k: v("t", n) for k, n in (("pages", 4), ("messages", 200), ("missing", 1), ("different", 0), ("gone", 2),
                                                 ("moved", 3))}
    out = ctl("sync", "verify", BOB, "--since=2024-01-01", code=10)
    assert calls(fake, "Verify")[-1] == (BOB, {"since": 1704067200000000})
    assert [x.strip() for x in out.splitlines()] == [
        BOB + ": 200 archived messages, receipts and the like compared with the server:", "1 was missing, and is here now",
        "3 stood in a wrong place, and are in the server's order now", "2 are not on the server any more, and are kept here"]
    assert json.loads(ctl("sync", "verify", "--all", "-j", code=10)) == {
        "conversation": None, "pages": 4, "messages": 200, "missing": 1, "different": 0, "gone": 2, "moved": 3}
    assert calls(fake, "Verify")[-1] == ("", {})
    fake.job_result = {"messages": v("t", 7), "gone": v("t", 1)}
    assert "nothing is missing" in ctl("sync", "verify", "--all")
    fake.job = [("failed", (0, 0), ("org.varve.Varve1.Error.Unsupported", "the server keeps no archive"))]
    assert ctl.error("sync", "verify", "--all", code=1)["message"] == "the server keeps no archive"
    fake.job = [("running", (0, 0), ("", ""))]
    ctl("sync", "verify", "--all", "--timeout=0.3", code=7)
    ctl("sync", "verify", code=2)
    ctl("sync", "verify", BOB, "--all", code=2)


def test_api_calls_any_method_with_arguments_as_busctl_takes_them(fake, ctl):
    fake.messages = [message(2, BOB, T0, "hello", **{"stanza-id": v("s", "a1")})]
    assert json.loads(ctl("api", "call", "root", "Manager", "FindAccount", "s", "alice@example.org", "-j")) == ACCOUNT
    out = json.loads(ctl("api", "call", "account", "Archive", "GetHistory", "sstuua{sv}", BOB, "newest", "0", "5", "0", "1",
                         "across-gaps", "b", "true"))
    assert out[0][0][0] == 2 and out[0][0][9] == {"stanza-id": "a1"} and calls(fake, "GetHistory")[-1][5] == {"across-gaps": True}
    ctl("api", "call", ACCOUNT, "org.varve.Varve1.Archive", "React", "tasa{sv}", "2", "2", "a", "b", "0")
    assert calls(fake, "React") == [(2, ["a", "b"], {})]
    assert "<interface name=\"org.varve.Varve1.Archive\">" in ctl("api", "introspect", "account")
    for bad in (["t", "x"], ["t"], ["as", "2", "a"], ["y", "300"], ["a{sv}", "1", "k", "zz", "1"], ["s", "a", "b"], ["(", "1"]):
        ctl("api", "call", "root", "Manager", "FindAccount", *bad, code=2)
    ctl("api", "call", "nowhere", "Manager", "X", code=2)
    fake.refuse["NoSuch"] = Refused("org.freedesktop.DBus.Error.UnknownMethod", "there is no such method")
    assert ctl.error("api", "call", "root", "Manager", "NoSuch", code=4)["name"].endswith(".UnknownMethod")
    assert ctl.error("api", "call", "root", "Manager", "FindAccount", "s", "x@y", code=4)["name"].endswith(".NotFound")
