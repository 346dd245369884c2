"""status, sync and doctor against a daemon that obeys: keys of the contract, exit codes, and when they return."""

import json
import os
import re
import signal

import pytest
from ctlkit import HOUR, T0, wait_for


# -- status ----------------------------------------------------------------------------------------
def test_status_has_the_keys_of_the_contract(ctl):
    s = json.loads(ctl("-j", "status"))

    assert {"version", "locked", "accounts"} <= set(s)
    a = s["accounts"][0]
    assert {"jid", "state", "state_reason", "resource", "next_retry_usec", "session", "sync", "outbox"} <= set(a)
    assert {"resumable", "resumed", "resumes", "binds", "flights", "last_resume_usec", "h_in", "h_out",
            "unacked"} <= set(a["session"])
    assert {"state", "done", "total", "gaps", "lost", "messages", "caught_up_usec"} <= set(a["sync"])
    assert set(a["outbox"]) == {"queued", "sending", "failed"}
    assert a["next_retry_usec"] is None and a["session"]["last_resume"] == "2023-11-14T22:13:20Z"
    assert a["sync"]["caught_up"] is True and a["sync"]["caught_up_usec"] == 1700000001000000


@pytest.mark.parametrize("outbox, line", [((2, 0, 0), "2 queued"), ((1, 3, 0), "1 queued, 3 sending"), ((0, 0, 1), "1 failed"),
                                          ((0, 0, 0), None)])
def test_status_tells_of_the_outbox_what_there_is(fake, ctl, outbox, line):
    fake.accounts[0]["outbox"] = dict(zip(("queued", "sending", "failed"), outbox))
    assert [x.split(None, 1)[1] for x in ctl("status").splitlines() if "outbox" in x] == ([line] if line else [])


def test_no_key_comes_twice(ctl):
    def unique(pairs):
        assert len({k for k, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    json.loads(ctl("status", "-j"), object_pairs_hook=unique)


@pytest.mark.parametrize("state,sync,code", [
    ("online", "idle", 0), ("online", "catching-up", 0), ("disabled", "idle", 0), ("auth-failed", "idle", 10),
    ("waiting-network", "idle", 10), ("online", "error", 10), ("online", "paused", 10),
])
def test_status_check(fake, ctl, state, sync, code):
    fake.accounts = [fake.account("alice@example.org", state=state, sync=sync)]

    assert bool(ctl("status", "--check", code=code)) == (code != 0)
    assert json.loads(ctl("status", "--check", "-j", code=code))["ok"] == (code == 0)
    assert ctl("status", "--check", "-q", code=code) == "" and ctl.err == ""


def test_status_watch_prints_again_when_something_changes(fake, ctl):
    p = ctl.popen("status", "--watch", "-j")
    try:
        assert json.loads(p.stdout.readline())["accounts"][0]["state"] == "online"
        with fake.lock:
            fake.accounts[0]["top"]["state"] = "offline"
        fake.ring()
        assert json.loads(p.stdout.readline())["accounts"][0]["state"] == "offline"
    finally:
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=10)


# -- sync ------------------------------------------------------------------------------------------
def test_sync_wait_returns_when_all_is_there(fake, ctl):
    fake.accounts = [fake.account("alice@example.org", state="connecting", sync="idle", caught_up=False),
                     fake.account("off@example.org", state="disabled", caught_up=False)]
    p = ctl.popen("sync", "wait", "--timeout=20")
    wait_for(lambda: any(c[0] == "GetStatus" for c in fake.calls))
    for change in [dict(state="online", sync="idle"), dict(state="online", sync="catching-up", gaps=1)]:
        with fake.lock:
            fake.accounts[0] = fake.account("alice@example.org", caught_up=False, **change)
            seen = len(fake.calls)
        fake.ring()
        wait_for(lambda: len(fake.calls) > seen)
        assert p.poll() is None
    with fake.lock:
        fake.accounts[0] = fake.account("alice@example.org")
    fake.ring()

    assert p.wait(10) == 0
    p.communicate()


@pytest.mark.parametrize("state,sync,args,code", [
    ("connecting", "idle", ["--timeout=0.3"], 7), ("auth-failed", "idle", [], 5), ("online", "paused", [], 1),
    ("disabled", "idle", ["-a", "alice@example.org"], 6), ("disabled", "idle", [], 6),
])
def test_sync_wait_ends(fake, ctl, state, sync, args, code):
    fake.accounts = [fake.account("alice@example.org", state=state, sync=sync, caught_up=False)]

    if code == 0:
        ctl("sync", "wait", *args)
    else:
        assert "alice@example.org" in ctl.error("sync", "wait", *args, code=code)["message"]


def test_sync_wait_ends_when_the_daemon_goes_away(fake, ctl):
    fake.accounts = [fake.account("alice@example.org", state="connecting", caught_up=False)]
    p = ctl.popen("sync", "wait")
    wait_for(lambda: any(c[0] == "GetStatus" for c in fake.calls))
    fake.stop()

    assert p.wait(10) == 3
    p.communicate()
    fake.start()


@pytest.mark.parametrize("key,text", [("unsettled", "not settled yet"), ("contradicts", "gives ids of stored messages to others")])
def test_status_says_when_the_server_is_not_to_be_relied_on(fake, ctl, key, text):
    assert "unsure" not in ctl("status") and key not in ctl.rows("status", "-j")[0]["accounts"][0]["sync"]
    fake.accounts = [fake.account("alice@example.org", **{key: True})]
    assert text in ctl("status") and "varvectl doctor" in ctl("status")
    assert ctl.rows("status", "-j")[0]["accounts"][0]["sync"][key] is True


def test_sync_gaps_asks_until_there_are_no_more(fake, ctl):
    fake.gaps = [(0, 2, 0, T0, "open"), (4, 6, T0 + 1, T0 + 9, "lost"), (8, 10, T0 + 10, T0 + 19, "fetching")]

    rows = ctl.rows("sync", "gaps", "-j")
    assert [r["state"] for r in rows] == ["open", "lost", "fetching"]
    assert rows[0]["archive"] == "alice@example.org" and rows[0]["after_id"] is None and rows[0]["after_usec"] is None
    assert rows[1]["after_usec"] == T0 + 1 and rows[1]["before"] == "2023-11-14T22:13:20.000009Z"
    assert "the beginning" in ctl("sync", "gaps")


def test_coverage_shows_held_missing_and_lost(fake, ctl):
    day = 24 * HOUR
    fake.spans = [(T0, T0 + 100 * day, "a", "b", 1, {}), (T0 + 200 * day, T0 + 300 * day, "c", "d", 0, {}),
                  (T0 + 310 * day, T0 + 400 * day, "e", "f", 4 | 2, {})]
    fake.ends = (T0, T0 + 400 * day)

    line = [x for x in ctl("sync", "coverage").splitlines() if x.startswith("alice")][0]
    assert re.fullmatch(r"alice@example\.org  █+░+█+✗+█+  72%", line), line
    ascii_line = [x for x in ctl("sync", "coverage", env={"LC_ALL": "C"}).splitlines() if x.startswith("alice")][0]
    assert re.fullmatch(r"alice@example\.org  #+\.+#+x+#+  72%", ascii_line)
    row = ctl.rows("sync", "coverage", "-j")[0]
    assert [s["lost_before"] for s in row["spans"]] == [False, False, True] and row["spans"][0]["start"] is True


# -- doctor ----------------------------------------------------------------------------------------
def test_doctor(fake, ctl):
    rows = ctl.rows("doctor", "-j")
    assert all(set(r) == {"check", "result", "text", "hint"} for r in rows)
    assert {r["check"] for r in rows} == {"socket", "version", "store"}
    fake.checks.append(("clock", "warn", "late", "set it", {}))
    ctl("doctor")
    fake.checks.append(("disk", "fail", "full", "make room", {}))
    assert "make room" in ctl("doctor", code=10)
    os.chmod(fake.path, 0o666)
    assert "others" in ctl("doctor", code=10)
