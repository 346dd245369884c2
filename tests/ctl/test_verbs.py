"""What all verbs have in common: how the daemon is found, what its errors become, usage; and the accounts."""

import json
import os
import signal
import subprocess

import pytest
from ctlkit import BOB
from fake import Refused


# -- reaching the daemon ---------------------------------------------------------------------------
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


# -- accounts --------------------------------------------------------------------------------------
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


# -- usage -----------------------------------------------------------------------------------------
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
