"""Every verb against a daemon that obeys: exit codes, keys, exact counts, and what reaches the terminal."""

import json
import os
import resource
import re
import signal
import subprocess

import pytest
from ctlkit import HOUR, T0, wait_for
from fake import Refused, message, v

BOB, CAROL = "bob@example.org", "carol@example.org"


# -- reaching the daemon ----------------------------------------------------------------------------------------------
def test_no_daemon_is_exit_3_and_says_how_to_start_it(ctl):
    ctl.fake.path += "-not"

    assert "start it" in ctl.error("status", code=3)["hint"]
    assert ctl.error("doctor", code=3)["name"] == "org.freedesktop.DBus.Error.NoServer"


def test_a_socket_that_nobody_listens_on_is_exit_3(ctl, tmp_path):
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / "dead"))
    s.close()
    ctl.fake = type("", (), {"path": str(tmp_path / "dead")})

    ctl.error("status", code=3)


def test_a_daemon_that_does_not_answer_is_exit_7(ctl, tmp_path):
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / "mute"))
    s.listen()
    ctl.fake = type("", (), {"path": str(tmp_path / "mute")})

    ctl.error("status", "--timeout=0.2", code=7)


def test_the_socket_is_found_by_xdg_runtime_dir(fake, ctl, tmp_path):
    os.mkdir(tmp_path / "varve")
    os.symlink(fake.path, tmp_path / "varve" / "bus")
    p = subprocess.run([ctl.argv()[0], "status", "-j"], env=dict(ctl.env, XDG_RUNTIME_DIR=str(tmp_path)),
                       stdout=subprocess.PIPE)

    assert p.returncode == 0 and json.loads(p.stdout)["version"]


@pytest.mark.parametrize("name,code", [
    ("Locked", 5), ("WrongSecret", 5), ("AuthFailed", 5), ("NotFound", 4), ("NoSuchConversation", 4), ("Offline", 6),
    ("Remote", 8), ("Denied", 9), ("Conflict", 1), ("Storage", 1), ("Busy", 1), ("Unsupported", 1),
    ("org.freedesktop.DBus.Error.InvalidArgs", 2), ("org.freedesktop.DBus.Error.AccessDenied", 9),
    ("org.freedesktop.DBus.Error.UnknownMethod", 11), ("org.freedesktop.DBus.Error.NoReply", 7),
])
def test_each_error_of_the_daemon_has_its_exit_code(fake, ctl, name, code):
    fake.refuse["SyncNow"] = Refused(name, "because")

    assert ctl.error("sync", "now", code=code)["name"].endswith(name) or code == 7


def test_the_account_is_needed_only_when_there_are_several(fake, ctl):
    ctl("sync", "now")
    fake.accounts.append(fake.account("bob@example.org"))
    assert "2 accounts" in ctl.error("sync", "now", code=2)["message"]
    ctl("sync", "now", "-a", "BOB@example.org")
    ctl.error("-a", "eve@example.org", "sync", "now", code=4)
    fake.accounts = []
    assert "account add" in ctl.error("sync", "now", code=4)["hint"]


# -- accounts ---------------------------------------------------------------------------------------------------------
def test_account_add_passes_the_password_and_the_text_of_the_ca(fake, ctl, tmp_path):
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (tmp_path / "ca.pem").write_text(pem)

    ctl("account", "add", "New@Example.org", "--password-fd=0", "--server=localhost:5222", "--tls=starttls",
        "--ca-file=%s" % (tmp_path / "ca.pem"), "--nick=Al", "--allow-plain", input="se cret\nnot this")

    member, (jid, options) = fake.calls[-1]
    assert (member, jid) == ("AddAccount", "new@example.org")
    assert options == {"password": "se cret", "server": "localhost:5222", "tls": "starttls", "ca-pem": pem, "nick": "Al",
                       "allow-plain": True}


def test_account_add_without_a_terminal_asks_for_password_fd(ctl):
    assert "--password-fd" in ctl.error("account", "add", "a@example.org", code=2)["hint"]


@pytest.mark.parametrize("args,code", [
    (["a@example.org", "--password-fd=77"], 2), (["a@example.org", "--password-fd=x"], 2),
    (["a@example.org", "--password-fd=0", "--tls=no"], 2), (["a@example.org", "--password-fd=0", "--ca-file=/nowhere"], 2),
    (["a@example.org", "--password-fd=0", "--ca-file=/bin/ls"], 2), (["nonsense", "--password-fd=0"], 2),
    (["alice@example.org", "--password-fd=0"], 1),
])
def test_account_add_refuses(ctl, args, code):
    ctl.error("account", "add", *args, code=code, input="pw\n")


def test_an_empty_password_is_refused(fake, ctl):
    ctl.error("account", "add", "a@example.org", "--password-fd=0", code=2, input="\n")
    assert not [c for c in fake.calls if c[0] == "AddAccount"]


def test_the_password_is_asked_for_without_echo(fake, ctl):
    import pty
    ours, theirs = pty.openpty()
    p = subprocess.Popen(ctl.argv("account", "add", "a@example.org"), env=ctl.env, stdin=theirs, stdout=theirs, stderr=theirs,
                         start_new_session=True)
    os.close(theirs)
    seen = b""
    while b"Password of a@example.org: " not in seen:
        seen += os.read(ours, 200)
    os.write(ours, b"hush\n")
    try:
        while True:
            seen += os.read(ours, 200)
    except OSError:  # EIO: the other side is closed
        pass
    os.close(ours)
    assert p.wait(10) == 0
    assert b"hush" not in seen and b"added" in seen
    assert fake.calls[-1][1][1]["password"] == "hush"


def test_an_interrupt_at_the_prompt_turns_the_echo_on_again(ctl):
    import pty
    import termios
    ours, theirs = pty.openpty()
    # A session of its own, so that ^C on its terminal reaches it.
    own = ("import os, fcntl, termios, sys; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
           "os.execv(sys.argv[1], sys.argv[1:])")
    for _ in range(20):  # the moment matters
        p = subprocess.Popen(["/usr/bin/python3", "-c", own, *ctl.argv("account", "add", "a@example.org")], env=ctl.env,
                             stdin=theirs, stdout=theirs, stderr=theirs)
        seen = b""
        while b"Password of a@example.org: " not in seen:
            seen += os.read(ours, 200)
        assert not termios.tcgetattr(theirs)[3] & termios.ECHO
        os.write(ours, b"\x03")
        assert p.wait(10) == -signal.SIGINT
        assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.close(ours)
    os.close(theirs)


def test_account_verbs_call_what_they_say(fake, ctl):
    def last():
        return fake.calls[-1]

    ctl("account", "disable", "alice@example.org")
    assert last() == ("Configure", ({"enabled": False},))
    ctl("account", "enable")
    assert last() == ("Configure", ({"enabled": True},))
    ctl("account", "connect")
    assert last()[0] == "Connect"
    ctl("account", "disconnect")
    assert last()[0] == "Disconnect"
    ctl("account", "password", "--password-fd=0", input="new")
    assert last() == ("SetPassword", ("new", {}))
    ctl("account", "set", "alice@example.org", "nick=A B", "allow-plain=yes", "server=", "ca-file=")
    assert last() == ("Configure", ({"nick": "A B", "allow-plain": True, "server": "", "ca-pem": ""},))
    ctl.error("account", "set", "color=red", code=2)
    ctl.error("account", "set", "enabled=maybe", code=2)
    ctl.error("account", "set", "alice@example.org", code=2)
    ctl("account", "remove", "alice@example.org")
    assert last() == ("RemoveAccount", ("/org/varve/Varve1/account/1", {}))


def test_account_list_and_show(fake, ctl):
    fake.accounts.append(fake.account("zoe@example.org", state="auth-failed", top={"state_reason": "not authorized"}))

    rows = ctl.rows("account", "list", "-j")
    assert [r["jid"] for r in rows] == ["alice@example.org", "zoe@example.org"]
    assert rows[0]["state_reason"] is None and rows[1]["state_reason"] == "not authorized"
    assert rows == ctl.rows("account", "-j")
    shown = json.loads(ctl("account", "show", "zoe@example.org", "--json=pretty"))
    assert shown["state"] == "auth-failed" and shown["config"]["server"] == "localhost:5222"
    assert shown["config"]["ca_pem"] is None and "password" not in shown["config"]
    assert "auth-failed" in ctl("account", "list")


# -- status -----------------------------------------------------------------------------------------------------------
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


# -- sync -------------------------------------------------------------------------------------------------------------
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


# -- reading ----------------------------------------------------------------------------------------------------------
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


def ids(fake, conversation=BOB):
    return [m["id"] for m in fake.messages if conversation in ("", m["conversation"])]


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


# -- export -----------------------------------------------------------------------------------------------------------
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
    ctl.error("export", "-O", "/nowhere/x", code=1)


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


# -- monitor ----------------------------------------------------------------------------------------------------------
def read_n(p, n):
    return [json.loads(p.stdout.readline()) for _ in range(n)]


def say(fake, id, body):
    with fake.lock:
        fake.messages.append(message(id, BOB, T0 + id * HOUR, body, mod=fake.seq + 1))
    fake.ring()


def test_monitor_since_gives_every_change_in_order(archive, ctl):
    archive.contacts.append((BOB, 2500, "Bob", "both", 0, ["friends"], {}))
    archive.removed.append((2600, "message", "77"))
    p = ctl.popen("monitor", "--since=0")
    try:
        rows = read_n(p, 1202)
        assert [r["seq"] for r in rows] == sorted(r["seq"] for r in rows)
        assert [r["id"] for r in rows if r["change"] == "message"] == ids(archive, "")
        assert [r["jid"] for r in rows if r["change"] == "contact"] == [BOB]
        assert rows[-1]["change"] == "removed" and rows[-1]["key"] == "77"
    finally:
        p.kill()
        p.communicate()


def test_monitor_for_people_says_a_message_once(archive, ctl):
    """Then what becomes of it, by its id; a text that changed is said again."""
    def change(**fields):
        with archive.lock:
            archive.messages[-1].update(fields, mod=archive.seq + 1)
        archive.ring()

    p = ctl.popen("monitor", "--json=off", BOB)
    try:
        wait_for(lambda: any(c[0] == "Changes" for c in archive.calls))
        say(archive, 9001, "one and only")
        line = p.stdout.readline()
        assert line.startswith("9001 ") and line.rstrip().endswith("one and only")
        change(state=1)
        assert p.stdout.readline() == "9001 read\n"
        change()
        change(body="another")
        line = p.stdout.readline()
        assert line.startswith("9001 ") and line.rstrip().endswith("another")
    finally:
        p.kill()
        p.communicate()


def test_monitor_follows_and_survives_a_restart(archive, ctl):
    p = ctl.popen("monitor", BOB)
    try:
        wait_for(lambda: any(c[0] == "Changes" for c in archive.calls))
        say(archive, 9001, "one")
        assert read_n(p, 1)[0]["body"] == "one"
        archive.stop()
        with archive.lock:
            archive.messages.append(message(9003, BOB, T0, "meanwhile", mod=archive.seq + 1))
            archive.messages.append(message(9005, "carol@example.org", T0, "not wanted", mod=archive.seq + 1))
        archive.start()
        assert read_n(p, 1)[0]["body"] == "meanwhile"
        say(archive, 9007, "after")
        assert read_n(p, 1)[0]["body"] == "after"
    finally:
        p.kill()
        p.communicate()


def test_monitor_exits_on_disconnect_when_told_so(archive, ctl):
    p = ctl.popen("monitor", "--exit-on-disconnect", "-j")
    wait_for(lambda: any(c[0] == "Changes" for c in archive.calls))
    archive.stop()
    assert p.wait(10) == 3
    assert json.loads(p.communicate()[1])["error"]["name"]
    archive.start()


def test_monitor_with_a_cursor_goes_on_where_it_stopped(archive, ctl, tmp_path):
    cursor = str(tmp_path / "cursor")
    for n in range(3):
        p = ctl.popen("monitor", "--cursor-file=" + cursor)
        try:
            if n == 0:
                wait_for(lambda: os.path.exists(cursor))
                expected = []
            say(archive, 9001 + 4 * n, "live %d" % n)
            expected.append("live %d" % n)
            assert [r["body"] for r in read_n(p, len(expected))] == expected
            want = " %d\n" % archive.seq
            wait_for(lambda: open(cursor).read().endswith(want))
        finally:
            p.send_signal(signal.SIGKILL)
            p.communicate()
        say(archive, 9003 + 4 * n, "away %d" % n)
        expected = ["away %d" % n]
    assert sorted(os.listdir(tmp_path)) == ["bus", "cursor"]


@pytest.mark.parametrize("how", ["epoch", "old"])
def test_monitor_says_reset_when_the_feed_cannot_go_on(archive, ctl, tmp_path, how):
    cursor = tmp_path / "cursor"
    cursor.write_text("varve-cursor 1 alice@example.org e1 5\n")
    if how == "epoch":
        archive.epoch = "e2"
    else:
        archive.oldest_seq = 100
    p = ctl.popen("monitor", "--cursor-file=%s" % cursor)
    try:
        row = read_n(p, 1)[0]
        assert row["change"] == "reset" and row["seq"] == archive.seq
        say(archive, 9001, "on")
        assert read_n(p, 1)[0]["body"] == "on"
    finally:
        p.kill()
        p.communicate()


@pytest.mark.parametrize("text", ["something else\n", "varve-cursor 1 other@example.org e1 5\n", "varve-cursor 1 alice@example.org e1 x\n"])
def test_monitor_touches_no_file_that_is_not_its_cursor(ctl, tmp_path, text):
    (tmp_path / "cursor").write_text(text)

    ctl.error("monitor", "--cursor-file=%s" % (tmp_path / "cursor"), code=2)
    assert (tmp_path / "cursor").read_text() == text


# -- doctor -----------------------------------------------------------------------------------------------------------
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


# -- usage ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("args,text", [
    ([], "say what to do"), (["stauts"], 'did you mean "varvectl status"'), (["account", "lst"], "account list"),
    (["status", "--chek"], "did you mean --check"), (["history"], "needs more"), (["status", "x"], 'does not take "x"'),
    (["--timeout=x", "status"], "not a number"), (["-n5", "ls"], "unknown option -n"), (["sync"], "needs a second word"),
    (["status", "--check=1"], "takes no value"), (["ls", "-n"], "needs a value"), (["--json=xml", "status"], "pretty"),
    (["--check", "status"], "must come after the verb"), (["status", "--color=blue"], "auto"),
    (["export", "--format=xml"], "jsonl"), (["export", "--since=soon"], "no time"),
    (["monitor", "--since=x"], "not a number"),
])
def test_usage_errors_are_exit_2_and_help(ctl, args, text):
    ctl(*args, code=2)
    assert text in ctl.err


def test_options_come_before_or_after_the_verb(archive, ctl):
    want = ctl("history", BOB, "-n2", "-j")
    assert ctl("-j", "history", "-n", "2", BOB) == want
    assert ctl("--json", "history", "--", BOB, env={}) != ""
    assert ctl("history", "--lines=2", "--json=short", BOB) == want
    assert ctl("-j", "history", "-n2", "-j=off", BOB).startswith("──")


def test_versions(ctl):
    assert ctl("--version").startswith("varvectl ")
    ctl("status", "--format-version=1")
    ctl.error("status", "--format-version=2", code=11)
