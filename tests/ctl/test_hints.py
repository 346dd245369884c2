"""What is said to somebody who mistypes, waits for what cannot come, or looks at an account that is offline."""

import json
import time

import pytest
from ctlkit import T0, wait_for
from fake import Refused, message

BOB = "bob@example.org"


@pytest.fixture
def talk(fake):
    fake.messages = [message(2, BOB, T0, "hello"), message(4, "example.net", T0, "we go down at noon", kind="text")]
    return fake


def state(fake, name, reason="", retry=0, **sync):
    with fake.lock:
        fake.accounts = [fake.account("alice@example.org", state=name, **sync)]
        fake.accounts[0]["top"].update(state_reason=reason, next_retry_usec=retry)


def words(text):
    return " ".join(text.split())


# -- addresses --------------------------------------------------------------------------------------------------------
def monitored(ctl, fake, *args):
    """What stands on standard error by the time that the feed is read."""
    begun = len(fake.calls)
    p = ctl.popen("monitor", *args)
    try:
        wait_for(lambda: any(c[0] == "Changes" for c in fake.calls[begun:]) or p.poll() is not None, 30)
        assert p.poll() is None
    finally:
        p.kill()
        err = p.communicate()[1]
    return err


def test_monitor_refuses_a_word(talk, ctl):
    assert "did you mean bob@example.org?" in ctl.error("monitor", "bob", code=2)["message"]


def test_monitor_says_of_whom_nothing_is_here(talk, ctl):
    assert "no message of nobody@example.org is stored: waiting for the first" in words(
        monitored(ctl, talk, "nobody@example.org", "--json=off"))
    note = json.loads(monitored(ctl, talk, "nobody@example.org", BOB, "-j"))["note"]
    assert note["name"].endswith(".NoSuchConversation") and "bob" not in note["message"]
    assert monitored(ctl, talk, "nobody@example.org", "-q") == monitored(ctl, talk, BOB, "example.net") == ""


def test_monitor_ends_after_timeout_also_when_something_comes_all_the_time(talk, ctl):
    p = ctl.popen("monitor", "--timeout=2")
    n = 9001
    while p.poll() is None:
        with talk.lock:
            talk.messages.append(message(n, BOB, T0, "again", mod=talk.seq + 1))
        talk.ring()
        n += 2
        time.sleep(0.02)
    out, err = p.communicate()
    assert p.returncode == 7 and "timeout" in err


def test_search_from_a_word_is_no_search_for_nothing(talk, ctl):
    e = ctl.error("search", "hello", "--from=bob", code=2)

    assert "did you mean bob@example.org?" in e["message"] and not any(c[0] == "Search" for c in talk.calls)
    for sender in (BOB, "example.net", BOB + "/phone"):
        ctl("search", "hello", "--from=" + sender)
        assert talk.calls[-1][0] == "Search"


@pytest.mark.parametrize("line, hint", [
    ("sync bogus", "varvectl sync --help"), ("sync wiat", 'did you mean "varvectl sync wait"?'), ("bogus", "varvectl --help"),
    ("roster bogus", "varvectl roster --help"),
])
def test_an_unknown_verb_hints_at_the_nearest_help(ctl, line, hint):
    assert ctl.error(*line.split(), code=2)["hint"] == hint


# -- paused, offline --------------------------------------------------------------------------------------------------
def test_paused_is_one_exit_code(talk, ctl):
    paused = Refused("Conflict", "the sync is paused: varvectl sync resume")
    talk.refuse = {"Fetch": paused, "Verify": paused, "SyncNow": paused}
    state(talk, "online", sync="paused", caught_up=False)

    for args in (["sync", "fetch", BOB], ["sync", "fetch", BOB, "--wait"], ["sync", "verify", "--all"], ["sync", "now"], ["sync", "wait"]):
        assert "paused" in ctl.error(*args, code=1)["message"], args


def test_the_next_step_is_said_once(talk, ctl):
    talk.refuse["SyncNow"] = Refused("Offline", "the account is not connected: the archive cannot be asked")
    ctl("sync", "now", code=6)

    assert words(ctl.err).count("varvectl status") == 1 and words(ctl.err).count("varvectl account connect") == 1


@pytest.mark.parametrize("args", [["sync", "wait"], ["send", BOB, "x", "--wait=sent"]])
def test_who_waits_for_an_account_disconnected_by_hand_is_told_at_once(talk, ctl, args):
    state(talk, "offline", "disconnected by you", caught_up=False)

    e = ctl.error(*args, "--timeout=3", code=6)
    assert "disconnected by you" in e["message"] and e["hint"] == "varvectl account connect"


def test_status_says_who_disconnected_it_and_what_connects_it(fake, ctl):
    state(fake, "offline", "disconnected by you", caught_up=False)

    assert "disconnected by you (varvectl account connect)" in words(ctl("status"))
    assert "disconnected by you" in ctl("status", "--check", code=10)
    state(fake, "offline", "the connection was lost", retry=int(time.time() + 60) * 10**6, caught_up=False)
    assert "account connect" not in ctl("status")


def test_what_is_offline_is_not_up_to_date(fake, ctl):
    ago = int(time.time() - 8 * 60) * 10**6
    state(fake, "offline", "the connection was lost", caught_up=False, caught_up_usec=ago)

    assert "up to date" not in ctl("status") and "complete until 8 min ago, 5 messages" in ctl("status")
    state(fake, "disabled", caught_up=False, caught_up_usec=0)
    assert "not complete yet, 5 messages" in ctl("status")
    state(fake, "offline", sync="paused", caught_up=False, caught_up_usec=ago)
    assert "paused, complete until 8 min ago" in ctl("status")
    state(fake, "online")
    assert "up to date, 5 messages" in ctl("status")


def test_api_call_hints_at_the_object_that_was_asked(talk, ctl):
    talk.refuse["GetCoverage"] = Refused("org.freedesktop.DBus.Error.UnknownMethod", "no such method")

    assert ctl.error("api", "call", "account", "Sync", "GetCoverage", "a{sv}", "0", code=4)["hint"] == "varvectl api introspect account"
