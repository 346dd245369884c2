"""ls, history and export against a daemon that obeys: exact counts, pages of any size, and what reaches the terminal."""

import os
import resource
import subprocess

import pytest
from ctlkit import BOB, CAROL, HOUR, T0, ids
from fake import Refused, message, v


# -- reading ---------------------------------------------------------------------------------------
def test_ls_pages_through_all(archive, ctl):
    archive.messages += [message(9000 + i, "n%d@example.org" % i, T0 - HOUR, "x") for i in range(7)]
    archive.unread = {BOB: 3}

    rows = ctl.rows("ls", "-j")
    assert len(rows) == 10 and len({r["conversation"] for r in rows}) == 10
    assert {"conversation", "kind", "title", "unread", "last"} <= set(rows[0])
    assert rows[0]["last"]["body"] == "message 1199"
    assert [r["conversation"] for r in ctl.rows("ls", "-j", "-n4")] == [r["conversation"] for r in rows[:4]]
    assert [r["unread"] for r in ctl.rows("ls", "-u", "-j")] == [3]


FLAGS = ["pinned", "muted", "archived", "joined", "encrypted", "blocked", "has_gap", "typing_allowed"]


def test_ls_holds_of_long_bodies_what_it_shows(fake, ctl):
    fake.page_max = 100
    bodies = ["long " * 13000, "z" + "\u0301" * 32000]
    fake.messages = [message(2 + i, "bob%d@example.org" % i, T0 + i * HOUR, bodies[i % 2]) for i in range(400)]

    out = ctl("ls", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (8 << 20, 8 << 20)))     # they are 25 MiB

    assert len(out.splitlines()) == 401
    assert all(line.endswith("long…") or len(line) < 2000 for line in out.splitlines())


def test_ls_has_what_is_set_of_a_conversation(fake, ctl):
    fake.messages = [message(2, BOB, T0, "hi"), message(4, CAROL, T0 - HOUR, "ho")]
    plain = ctl.rows("ls", "-j")[0]
    assert [plain[k] for k in FLAGS] == [False] * 8
    assert [plain[k] for k in ("muted_until", "muted_until_usec", "peer_displayed_id", "draft")] == [None] * 4

    for bit, flag in enumerate(FLAGS):
        fake.settings[BOB] = (1 << bit, {})
        assert [k for k in FLAGS if ctl.rows("ls", "-j")[0][k]] == [flag]
    fake.settings[BOB] = (2, {"muted-until": v("x", T0), "peer-displayed-id": v("t", 2), "draft": v("s", "well")})
    fake.settings[CAROL] = (2, {"muted-until": v("x", 2**63 - 1)})
    bob, carol = ctl.rows("ls", "-j")
    assert (bob["muted_until"], bob["muted_until_usec"]) == ("2023-11-14T22:13:20Z", T0)
    assert (bob["peer_displayed_id"], bob["draft"]) == (2, "well")
    assert (carol["muted_until"], carol["muted_until_usec"]) == (None, 2**63 - 1)


MESSAGE_KEYS = {"id", "mod", "conversation", "sender", "direction", "state", "kind", "time", "time_usec", "body", "stanza_id",
                "origin_id", "client_id", "xmpp_id", "edited", "reply_to", "reactions", "encryption", "error"}


def test_history_row_has_the_keys_of_the_contract(archive, ctl):
    archive.messages.append(message(
        5001, BOB, T0 + 2000 * HOUR, "hi", direction=1, state=20, **{
            "stanza-id": v("s", "sid"), "origin-id": v("s", "oid"), "client-id": v("s", "cid"), "edited": v("x", T0), "reply-to": v("t", 2),
            "reactions": v("a{sas}", {"bob@example.org": ["👍", "x"]}), "encryption": v("s", "omemo"),
            "error": v("(ss)", ("forbidden", "no")), "of-the-future": v("a(ii)", [(1, 2)])}))

    plain, full = ctl.rows("history", BOB, "-j", "-n2")
    assert MESSAGE_KEYS <= set(plain) and MESSAGE_KEYS <= set(full)
    assert plain["stanza_id"] is None and plain["error"] is None and plain["time"].endswith("Z")
    assert plain["client_id"] is None and full["client_id"] == "cid"
    assert full["stanza_id"] == "sid" and full["origin_id"] == "oid" and full["edited_usec"] == T0
    assert full["reply_to"] == 2 and full["reactions"] == {"bob@example.org": ["👍", "x"]} and full["state"] == "failed"
    assert full["encryption"] == "omemo" and full["error"] == {"name": "forbidden", "message": "no"}


def test_what_an_encrypted_message_says_to_others_is_not_taken_for_it(fake, ctl):
    """Its body is its client's word to those who cannot decrypt it (XEP-0380): as profanity's, also of what we wrote there."""
    omemo = {"encryption": v("s", "eu.siacs.conversations.axolotl")}
    hint = "You received a message encrypted with OMEMO but your client doesn't support OMEMO."
    fake.messages = [message(2, BOB, T0, "hello", edited=v("x", T0)), message(4, BOB, T0 + 1, hint, direction=1, state=12, **omemo),
                     message(6, BOB, T0 + 2, "", **omemo), message(8, BOB, T0 + 3, "", kind="retracted", edited=v("x", T0), **omemo),
                     message(10, CAROL, T0 + 4, hint, **omemo)]

    lines = ctl("history", BOB).replace("\n", " ")
    assert "hello (edited)" in lines and "[encrypted] You received" in lines
    assert lines.count("[encrypted]") == 2 and "[retracted]" in lines and lines.count("(edited)") == 1
    assert "[encrypted] You received" in ctl("ls") and "> [encrypted] You received" in ctl("export", "--format=text")
    assert ctl.rows("history", CAROL, "-j")[0]["body"] == hint


@pytest.mark.parametrize("page_max", [500, 37, 2])
@pytest.mark.parametrize("n", [1, 2, 5, 350, 399, 400, 1000])
def test_history_gives_exactly_n_when_they_exist(archive, ctl, n, page_max):
    """Also when the daemon cuts its pages short."""
    if page_max == 2 and n > 5:
        return
    archive.page_max = page_max
    have = ids(archive)
    mid = 200
    anchor, when = have[mid], T0 + HOUR * 3 * mid

    def got(*args):
        return [r["id"] for r in ctl.rows("history", BOB, "-j", "-n%d" % n, *args)]

    assert got() == have[-n:]
    assert got("--before=%d" % anchor) == have[max(0, mid - n):mid]
    assert got("--after=%d" % anchor) == have[mid + 1:mid + 1 + n]
    assert got("--before=@%d" % (when // 10**6)) == have[max(0, mid - n):mid]
    assert got("--after=@%d" % (when // 10**6)) == have[mid:mid + n]
    around = got("--around=%d" % anchor)
    assert anchor in around and len(around) == min(n, 400)
    assert around == have[have.index(around[0]):have.index(around[0]) + len(around)]
    if n == 5:
        assert around == have[mid - 2:mid + 3]


def test_history_at_the_ends(archive, ctl):
    have = ids(archive)

    def got(*args):
        return [r["id"] for r in ctl.rows("history", BOB, "-j", *args)]

    assert got("--around=%d" % have[0], "-n6") == have[:6]
    assert got("--around=%d" % have[-1], "-n6") == have[-6:]
    assert got("--before=%d" % have[0]) == []
    assert got("--after=%d" % have[-1]) == []
    assert got("--after=2100-01-01") == []
    assert got("--before=2100-01-01", "-n3") == have[-3:]
    ctl.error("history", BOB, "--around=3", code=4)
    ctl.error("history", "nobody@example.org", code=4)
    ctl.error("history", BOB, "--around=never", code=2)
    ctl.error("history", BOB, "-n0", code=2)
    ctl.error("history", BOB, "--before=2", "--after=4", code=2)


def test_history_shows_gaps_between_messages(archive, ctl):
    b = [m for m in archive.messages if m["conversation"] == BOB]
    archive.gaps = [(b[-3]["id"], b[-2]["id"], b[-3]["time"], b[-2]["time"], "open")]

    lines = ctl("history", BOB, "-n4").splitlines()
    at = [i for i, x in enumerate(lines) if x.startswith("-- gap: 20") and "not synced --" in x]
    assert len(at) == 1
    messages = [i for i, x in enumerate(lines) if "message " in x]
    assert messages[1] < at[0] < messages[2]


def test_nothing_that_a_peer_wrote_acts_on_the_terminal(fake, ctl):
    evil = "a\x1b[31mb\x9bc\u202ed\x07\r\x08"
    fake.messages = [message(2, "eve@example.org", T0, evil + "\nsecond", nick=v("s", evil))]
    fake.titles = {"eve@example.org": evil}
    fake.accounts[0]["top"]["state_reason"] = evil
    fake.checks = [("x", "warn", evil, evil, {})]
    fake.refuse["SyncNow"] = Refused("Remote", evil)

    out = ctl("history", "eve@example.org") + ctl("ls", env={"COLUMNS": "120"}) + ctl("status") + ctl("doctor")
    out += ctl("export", "--format=text") + ctl("account", "list") + ctl("history", "eve@example.org", "-j")
    ctl("sync", "now", code=8)
    for c in out + ctl.err:
        assert c == "\n" or (c >= " " and not "\x7f" <= c <= "\x9f" and c != "\u202e"), repr(c)
    assert ctl.rows("history", "eve@example.org", "-j")[0]["body"] == evil + "\nsecond"


def test_people_get_80_columns(archive, ctl):
    import unicodedata
    archive.messages += [message(9000, "a-name-that-does-not-end@a-conference.of.a-long-domain.example.org", T0 + 9000 * HOUR,
                                 "日本語" * 60 + " and words " * 30, nick=v("s", "ニックネームニックネーム"))]
    archive.titles = {BOB: "Bob " * 30}
    archive.accounts[0]["top"]["state_reason"] = "a reason " * 3
    archive.gaps = [(2, 4, T0, T0 + 1, "open")]

    out = ctl("ls") + ctl("history", BOB) + ctl("history", archive.messages[-1]["conversation"]) + ctl("sync", "gaps")
    out += ctl("sync", "coverage") + ctl("account", "list")
    for line in out.splitlines():
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
        assert width <= 80, (width, line)


# -- export ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("page_max", [500, 99])
def test_export_is_everything_in_order(archive, ctl, page_max):
    archive.page_max = page_max

    assert [r["id"] for r in ctl.rows("export")] == ids(archive, "")
    assert [r["id"] for r in ctl.rows("export", "BOB@example.org")] == ids(archive)
    two = [r["id"] for r in ctl.rows("export", BOB, "carol@example.org")]
    assert two == [m["id"] for m in archive.messages if m["conversation"] in (BOB, "carol@example.org")]
    since = [r["id"] for r in ctl.rows("export", "--since=@%d" % ((T0 + 1000 * HOUR) // 10**6))]
    assert since == ids(archive, "")[1000:]
    assert ctl("export", "--since=2100-01-01") == ""
    assert len(ctl("export", "--format=text").splitlines()) == 1200


def test_export_of_nothing(ctl):
    assert ctl("export") == ""


def test_export_to_a_file_replaces_it_only_when_complete(archive, ctl, tmp_path):
    out = tmp_path / "a.jsonl"
    out.write_text("old")
    archive.refuse["GetHistory"] = Refused("Storage", "damaged")
    ctl.error("export", "-O", str(out), code=1)
    assert out.read_text() == "old"
    del archive.refuse["GetHistory"]
    ctl("export", "-O", str(out))
    assert len(out.read_text().splitlines()) == 1200
    assert out.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["a.jsonl", "bus"]
    error = ctl.error("export", "-O", "/nowhere/x", code=1)
    assert error["message"] == "there is no directory for /nowhere/x" and "make it" in error["hint"]


def test_export_into_what_is_no_file_leaves_it_what_it_is(archive, ctl, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    p = ctl.popen("export", "-O", str(fifo))
    with open(fifo) as f:
        assert len(f.read().splitlines()) == 1200
    assert p.wait(10) == 0 and fifo.is_fifo()
    p.communicate()
    assert "No space left" in ctl.error("export", "-O", "/dev/full", code=1)["message"]


def test_a_full_disk_is_a_failure(archive, ctl):
    with open("/dev/full", "w") as full:
        p = subprocess.run(ctl.argv("export"), env=ctl.env, stdout=full, stderr=subprocess.PIPE)
    assert p.returncode == 1 and b"No space left" in p.stderr
