"""What varvectl says when something is wrong: an archive that is locked or has failed, a server that does not answer as it should,
and doctor, with and without a daemon."""

import json
import os
import subprocess

import pytest
from ctlkit import BOB, Terminal, calls
from fake import v


VERBS = [["ls"], ["history", BOB], ["export"], ["search", "x"], ["sync", "now"], ["sync", "wait"], ["sync", "gaps"],
         ["account", "list"], ["account", "add", "new@example.org", "--password-fd=0"], ["backup", "/nowhere/x"],
         ["passwd", "--password-fd=0"], ["keys", "add", "recovery"], ["keys", "rotate"], ["keys", "remove", "1"]]


# -- locked and failed -----------------------------------------------------------------------------
@pytest.mark.parametrize("args", VERBS, ids=lambda a: " ".join(a[:2]))
def test_a_locked_archive_is_exit_5_and_says_what_to_do(fake, ctl, args):
    fake.state, fake.state_reason = "locked", "no key file opens it"

    e = ctl.error(*args, code=5, input="pw\n")
    assert e["name"] == "org.varve.Varve1.Error.Locked" and "no key file opens it" in e["message"]
    assert e["hint"] == "varvectl unlock"


@pytest.mark.parametrize("args", VERBS, ids=lambda a: " ".join(a[:2]))
def test_a_failed_archive_is_exit_1_with_the_reason(fake, ctl, args):
    fake.state, fake.state_reason = "failed", "archive.db is missing; put it back"

    e = ctl.error(*args, code=1, input="pw\n")
    assert e["name"] == "org.varve.Varve1.Error.Storage" and "put it back" in e["message"]


def test_status_says_locked_and_failed(fake, ctl):
    fake.state, fake.state_reason = "locked", "the passphrase is needed"
    s = json.loads(ctl("status", "-j"))
    assert (s["locked"], s["state"], s["state_reason"], s["accounts"]) == (True, "locked", "the passphrase is needed", [])
    out = ctl("status")
    assert "the passphrase is needed" in out and "varvectl unlock" in out and "no account" not in out
    assert "locked" in ctl("status", "--check", code=10)
    assert json.loads(ctl("status", "--check", "-j", code=10))["problems"][0]["account"] is None
    fake.state, fake.state_reason = "failed", "page 1 is damaged"
    out = ctl("status")
    assert "page 1 is damaged" in out and "varvectl doctor" in out
    assert json.loads(ctl("status", "-j"))["state"] == "failed"
    fake.state, fake.state_reason = "ready", ""
    s = json.loads(ctl("status", "-j"))
    assert s["state"] == "ready" and s["state_reason"] is None
    assert s["archive"] == {"bytes": 12345678, "epoch_key": 1, "indexed": 5, "to_index": 0}


def test_status_shows_each_problem_of_an_open_archive(fake, ctl):
    assert json.loads(ctl("status", "-j"))["problems"] == [] and "problem" not in ctl("status")
    ctl("status", "--check")
    fake.problems = ["the only key file is gone: varvectl keys add recovery", "page 7 is damaged"]
    out = ctl("status")
    assert "  problem   the only key file is gone: varvectl keys add recovery\n" in out and "  problem   page 7 is damaged\n" in out
    assert "alice@example.org" in out, "and the accounts"
    assert json.loads(ctl("status", "-j"))["problems"] == fake.problems
    assert ctl("status", "--check", code=10).splitlines() == fake.problems
    assert ctl("status", "--check", "-q", code=10) == ""
    r = json.loads(ctl("status", "--check", "-j", code=10))
    assert r["ok"] is False and r["problems"] == [{"account": None, "problem": p} for p in fake.problems]


def test_the_reason_is_not_said_twice(fake, ctl):
    for fake.state, fake.state_reason, code in (("locked", 'the archive is locked; unlock it with "varvectl unlock"', 5),
                                                ("failed", "the archive could not be opened: it is damaged", 1)):
        for out in (ctl("status"), ctl("status", "--check", code=10), ctl.error("ls", code=code)["message"]):
            out = " ".join(out.split())
            assert fake.state_reason in out and out.count("the archive") == 1, out


def test_status_tells_of_an_index_that_is_far_behind(fake, ctl):
    assert "indexed" not in ctl("status")
    fake.archive["to_index"] = v("t", 123456)
    assert "123,456 messages are still being indexed" in ctl("status")


def offline(ctl, home, code=3, **env):
    p = subprocess.run([ctl.argv()[0], "doctor", "-j"], env=dict(ctl.env, HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"), **env),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == code, p
    assert json.loads(p.stderr)["error"]["name"].endswith("NoServer")
    return {r["check"]: r for r in map(json.loads, p.stdout.splitlines())}


# -- doctor ----------------------------------------------------------------------------------------
def test_doctor_without_a_daemon_checks_what_can_be_seen(ctl, tmp_path):
    data, config = tmp_path / ".local/share/varve", tmp_path / ".config/varve"
    checks = offline(ctl, tmp_path)
    assert checks["runtime"]["result"] == "fail" and "session" in checks["runtime"]["hint"]
    assert checks["data-directory"]["result"] == "skip"
    assert checks["configuration"]["result"] == "ok", "none is there"
    os.mkdir(tmp_path / "run", 0o700)
    os.makedirs(data, 0o700)
    os.makedirs(config, 0o700)
    checks = offline(ctl, tmp_path)
    assert checks["runtime"]["result"] == checks["data-directory"]["result"] == checks["disk"]["result"] == "ok"
    assert checks["archive"]["result"] == "skip"
    (data / "archive.db").write_bytes(b"x" * 100)
    assert offline(ctl, tmp_path)["archive"]["result"] == "fail", "an archive without its keys"
    text = ('varve archive keys, format 1\n# ...\nvault 00\ndatabase "my \\"own\\" file"\nstate %s\nslot 1\ntype keyfile\n'
            'label ""\npath "archive-1.key"\nslot 2\ntype credential\npath "name"\n')
    (data / "archive.keys").write_text("something else\n")
    assert offline(ctl, tmp_path)["archive"]["result"] == "fail"
    (data / "archive.keys").write_text(text % "ready")
    checks = offline(ctl, tmp_path)
    assert checks["archive"]["result"] == "fail" and 'my "own" file' in checks["archive"]["text"], "the database is missing"
    assert checks["key-file"]["result"] == "warn" and str(config / "archive-1.key") in checks["key-file"]["text"]
    (config / "archive-1.key").touch(0o600)
    (data / 'my "own" file').touch(0o600)
    checks = offline(ctl, tmp_path)
    assert checks["archive"]["result"] == checks["key-file"]["result"] == "ok"
    os.rename(data / "archive.keys", data / "archive.keys.bak")
    p = subprocess.run([ctl.argv()[0], "doctor"], env=dict(ctl.env, HOME=str(tmp_path)), stdout=subprocess.PIPE, text=True,
                       stderr=subprocess.DEVNULL)
    assert "archive.keys.bak" in p.stdout and "warn  archive" in p.stdout and "ok    archive" in p.stdout
    os.rename(data / "archive.keys.bak", data / "archive.keys")
    os.chmod(config / "archive-1.key", 0o644)
    assert "0644" in offline(ctl, tmp_path)["key-file"]["text"]
    os.chmod(data, 0o755)
    assert "0755" in offline(ctl, tmp_path)["data-directory"]["text"]
    (config / "varve.conf").write_text("pages = 10\n")
    checks = offline(ctl, tmp_path)["configuration"]
    assert checks["result"] == "skip" and "run varved" in checks["hint"], "what is in it is not known here"


def test_doctor_without_a_daemon_finds_the_program_and_the_one_that_holds_the_lock(ctl, tmp_path):
    import fcntl
    data = tmp_path / ".local/share/varve"
    os.makedirs(data, 0o700)
    os.mkdir(tmp_path / "bin")
    assert offline(ctl, tmp_path, PATH=str(tmp_path / "bin"))["varved"]["result"] == "fail"
    (tmp_path / "bin/varved").touch(0o755)
    assert offline(ctl, tmp_path, PATH=str(tmp_path / "bin"))["varved"]["result"] == "ok"
    (data / "lock").write_text("4711\n")
    assert "lock" not in offline(ctl, tmp_path)
    with open(data / "lock") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        lock = offline(ctl, tmp_path)["lock"]
    assert lock["result"] == "fail" and "4711" in lock["text"]


def test_doctor_deep_is_passed_on(fake, ctl):
    ctl("doctor")
    ctl("doctor", "--deep")
    assert calls(fake, "Diagnose") == [({},), ({"deep": True},)]


# -- accounts and servers --------------------------------------------------------------------------
@pytest.mark.parametrize("args,code", [
    (["nonsense"], 2), (["a@b@c"], 2), (["@example.org"], 2), (["a@example.org/x"], 2), (["a@example.org", "--server=h:99999"], 2),
    (["a@example.org", "--server=h:x"], 2), (["a@example.org", "--tls=no"], 2), (["a@example.org", "--ca-file=/nowhere"], 2),
    (["alice@example.org"], 1),
])
def test_no_password_is_asked_for_what_cannot_be_done(fake, ctl, args, code):
    assert "Password" not in Terminal(ctl, "account", "add", *args).end(code)


def test_connecting_a_disabled_account_is_exit_1(fake, ctl):
    fake.accounts[0] = fake.account("alice@example.org", state="disabled")

    e = ctl.error("account", "connect", code=1)
    assert "disabled" in e["message"] and e["hint"] == "varvectl account enable"
    assert not calls(fake, "Connect")


def test_sync_wait_says_why_it_is_not_online_instead_of_a_bar(fake, ctl):
    fake.accounts[0] = fake.account("alice@example.org", state="waiting-network", caught_up=False)
    fake.accounts[0]["top"]["state_reason"] = "no route to the server"

    out = Terminal(ctl, "sync", "wait", "--timeout=1").end(7)
    assert "waiting-network: no route to the server" in out and "100%" not in out


def test_a_first_connection_that_breaks_names_the_kind_of_port(fake, ctl):
    broke = "the connection broke: Connection reset by peer"
    fake.accounts[0] = fake.account("alice@example.org", state="waiting-network", messages=0)
    fake.accounts[0]["top"]["state_reason"] = broke
    assert "account set tls=direct" not in ctl("status"), "it was connected before"
    fake.accounts[0]["session"]["binds"] = 0
    assert broke in (out := " ".join(ctl("status").split())) and "varvectl account set tls=direct" in out


def test_gaps_of_an_unknown_conversation_are_exit_4(archive, ctl):
    error = ctl.error("sync", "gaps", "Nobody@example.org", code=4)
    assert error["name"].endswith("NoSuchConversation") and error["hint"] == "varvectl ls shows the conversations"
    assert error["message"] == "no message of nobody@example.org is stored"
    assert ctl("sync", "gaps", "Bob@example.org") == "no gap\n"


def test_an_output_that_was_closed_is_no_other_file(fake, ctl):
    """Its number would be that of the next thing opened: the socket, say, into which the text is then written."""
    p = subprocess.run(["/bin/sh", "-c", 'exec "$@" >&-', "sh", *ctl.argv("status")], env=ctl.env, stderr=subprocess.PIPE, text=True,
                       timeout=30)
    assert (p.returncode, p.stderr) == (1, "varvectl: cannot write: Bad file descriptor\n")
