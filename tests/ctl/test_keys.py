"""lock, unlock, passwd, keys, backup, search and doctor against a daemon that obeys: what is asked, what is sent, what
is said, and with which exit code."""

import json
import os
import pty
import re
import signal
import subprocess
import threading

import pytest
from ctlkit import HOUR, T0, wait_for
from fake import Refused, message, v

BOB = "bob@example.org"
KEY_FILE = "/home/me/.config/varve/archive-aaaa.key"  # a path from the daemon is from its configuration directory


class Terminal:
    """varvectl on a terminal of its own, for prompts."""

    def __init__(self, ctl, *args, columns=80):
        self.ours, theirs = pty.openpty()
        self.p = subprocess.Popen(ctl.argv(*args), env=dict(ctl.env, COLUMNS=str(columns), TERM="xterm"), stdin=theirs,
                                  stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.seen = ""

    def read(self):
        try:
            data = os.read(self.ours, 4096).decode(errors="replace")
        except OSError:  # EIO: the other side is closed
            return False
        self.seen += data
        return bool(data)

    def answer(self, prompt, text):
        """Wait for ${prompt}, then type."""
        start = len(self.seen)
        while prompt not in self.seen[start:]:
            assert self.read(), (prompt, self.seen)
        os.write(self.ours, (text + "\n").encode())
        return self

    def end(self, code=0):
        while self.read():
            pass
        os.close(self.ours)
        assert self.p.wait(10) == code, self.seen
        return self.seen.replace("\r\n", "\n")


def calls(fake, member):
    return [c[1] for c in fake.calls if c[0] == member]


# -- locked and failed ------------------------------------------------------------------------------------------------
VERBS = [["ls"], ["history", BOB], ["export"], ["search", "x"], ["sync", "now"], ["sync", "wait"], ["sync", "gaps"],
         ["account", "list"], ["account", "add", "new@example.org", "--password-fd=0"], ["backup", "/nowhere/x"],
         ["passwd", "--password-fd=0"], ["keys", "add", "recovery"], ["keys", "rotate"], ["keys", "remove", "1"]]


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


# -- lock and unlock --------------------------------------------------------------------------------------------------
def test_lock_and_unlock_with_the_key_file_that_is_there(fake, ctl):
    assert "varvectl unlock" in ctl("lock")
    assert json.loads(ctl("lock", "-j")) == {"locked": True}
    ctl("unlock")
    assert fake.state == "ready" and fake.tries == [b""]
    assert "not locked" in ctl("unlock")
    assert fake.tries == [b""], "nothing is sent for an open archive"
    assert json.loads(ctl("unlock", "-j")) == {"locked": False}


def passphrase_only(fake, passphrase=b"correct horse"):
    fake.passphrase = passphrase
    fake.slots = [fake.slot(2, "passphrase")]
    fake.state = "locked"


def test_unlock_with_a_passphrase_from_a_descriptor(fake, ctl):
    passphrase_only(fake)

    assert ctl.error("unlock", "--password-fd=0", code=5, input="wrong\n")["name"].endswith("WrongSecret")
    ctl.error("unlock", "--password-fd=0", code=2, input="\n")
    ctl.error("unlock", code=2)
    ctl("unlock", "--password-fd=0", input="correct horse\n")
    assert fake.tries == [b"wrong", b"correct horse"], "once each, and never an empty one"


def test_unlock_asks_three_times_on_a_terminal(fake, ctl):
    passphrase_only(fake)
    t = Terminal(ctl, "unlock")
    t.answer("Passphrase: ", "one").answer("Passphrase: ", "two").answer("Passphrase: ", "correct horse")
    out = t.end(0)
    assert "correct horse" not in out and "unlocked" in out and out.count("opens none") == 2
    fake.state = "locked"
    t = Terminal(ctl, "unlock")
    for _ in range(3):
        t.answer("Passphrase: ", "wrong")
    t.end(5)


def test_unlock_falls_back_to_the_passphrase_when_no_key_file_opens(fake, ctl):
    passphrase_only(fake)
    fake.slots.append(fake.slot(3, "keyfile", path="/gone"))
    fake.slots.append(fake.slot(4, "recovery"))
    fake.automatic = False

    Terminal(ctl, "unlock").answer("Passphrase (or recovery code): ", "correct horse").end(0)
    assert fake.tries == [b"", b"correct horse"]


def test_unlock_with_a_lost_key_file_alone_says_so(fake, ctl):
    fake.state, fake.automatic = "locked", False

    ctl.error("unlock", code=5)


def test_unlock_with_a_key_file_from_elsewhere(fake, ctl, tmp_path):
    passphrase_only(fake, b"\x00\xffkey\n")
    (tmp_path / "key").write_bytes(b"\x00\xffkey\n")

    ctl("unlock", "--key-file=%s" % (tmp_path / "key"))
    assert fake.tries == [b"\x00\xffkey\n"]
    fake.state = "locked"
    ctl.error("unlock", "--key-file=/nowhere", code=2)
    ctl.error("unlock", "--key-file=/dev/null", code=2)
    ctl.error("unlock", "--key-file=%s" % (tmp_path / "key"), "--password-fd=0", code=2)


def test_unlock_tries_a_failed_archive_again(fake, ctl):
    fake.state = "failed"

    ctl("unlock")
    assert fake.state == "ready"


def test_unlock_asks_when_what_failed_is_only_locked_now(fake, ctl):
    passphrase_only(fake)
    fake.state, fake.repaired = "failed", "locked"
    Terminal(ctl, "unlock").answer("Passphrase: ", "correct horse").end()
    assert fake.state == "ready"
    fake.state, fake.repaired = "failed", None
    fake.refuse["Unlock"] = Refused("Storage", "the disk is full")
    assert ctl.error("unlock", "--password-fd=0", code=1, input="correct horse\n")["message"] == "the disk is full"


def test_a_mistyped_recovery_code_is_not_called_a_passphrase(fake, ctl):
    passphrase_only(fake)
    fake.slots.append(fake.slot(3, "recovery"))
    e = ctl.error("unlock", "--password-fd=0", code=5, input="ABCD\n")
    assert e["name"].endswith("WrongSecret") and "neither the passphrase nor a recovery code" in e["message"]


def test_lock_is_refused_by_varved_unless_forced(fake, ctl):
    fake.slots = [fake.slot(1, "keyfile", path="/usb/a.key", problem="does not exist")]
    e = ctl.error("lock", code=1)
    assert e["name"].endswith("Conflict") and "keys add recovery" in e["message"] and fake.state == "ready"
    ctl("lock", "--force")
    assert fake.state == "locked" and calls(fake, "Lock") == [({},), ({"force": True},)]


def test_unlock_says_how_long_to_wait(fake, ctl):
    passphrase_only(fake)
    fake.refuse["Unlock"] = Refused("Busy", "too many wrong secrets: try again in 8 s")

    assert "8 s" in ctl.error("unlock", "--password-fd=0", code=1, input="x\n")["message"], "something is in work"
    fake.retry_after = 8000000
    assert "8 s" in ctl.error("unlock", "--password-fd=0", code=5, input="x\n")["message"], "too many wrong ones"


# -- passwd -----------------------------------------------------------------------------------------------------------
def test_passwd_asks_twice_for_the_first_one(fake, ctl):
    out = Terminal(ctl, "passwd").answer("New passphrase: ", "many random words").answer("again: ", "many random words").end()

    assert calls(fake, "ChangeSecret") == [([], list(b"many random words"), {})]
    assert "many random words" not in out and "short" not in out
    assert "key file still opens" in out and "keys add recovery" in out
    assert "Backups from before" not in out
    t = Terminal(ctl, "passwd", "--drop-key-file").answer("Present passphrase: ", "many random words")
    out = " ".join(t.answer("New passphrase: ", "other random words").answer("again: ", "other random words").end().split())
    assert "what only the key file opened needs a copy of it" in out and "varvectl backup FILE" in out


def test_passwd_lets_slips_be_repeated_but_not_for_ever(fake, ctl):
    t = Terminal(ctl, "passwd").answer("New passphrase: ", "many random words").answer("again: ", "many randon words")
    out = t.answer("New passphrase: ", "many random words").answer("again: ", "many random words").end()
    assert "not the same" in out
    t = Terminal(ctl, "passwd").answer("Present passphrase: ", "many random words")
    for i in range(3):
        t.answer("New passphrase: ", "a%d" % i).answer("again: ", "b")
    t.end(1)
    assert len(calls(fake, "ChangeSecret")) == 1


def test_passwd_from_a_descriptor_has_the_old_and_the_new(fake, ctl):
    ctl("passwd", "--password-fd=0", input="the first passphrase\n")
    assert fake.passphrase == b"the first passphrase"
    assert ctl.error("passwd", "--password-fd=0", code=5, input="wrong\nthe second one\n")["name"].endswith("WrongSecret")
    r = json.loads(ctl("passwd", "--password-fd=0", "--drop-key-file", "-j", input="the first passphrase\nthe second one\n"))
    assert r == {"automatic": False, "recovery": False, "warning": None}
    assert calls(fake, "ChangeSecret")[-1] == (list(b"the first passphrase"), list(b"the second one"), {"drop-keyfile": True})
    ctl.error("passwd", "--password-fd=0", code=2, input="the second one\n")


def test_an_empty_line_may_stand_for_no_old_passphrase(fake, ctl):
    ctl("passwd", "--password-fd=0", input="\nthe first passphrase\n")
    assert fake.passphrase == b"the first passphrase"


@pytest.mark.parametrize("weak,text", [("1234", "number"), ("123456", "number"), ("12345678901", "number"), ("secret", "short"),
                                       ("äöüäöü", "short")])
def test_a_weak_passphrase_is_taken_and_named_once(fake, ctl, weak, text):
    ctl("passwd", "--password-fd=0", input=weak + "\n")
    assert ctl.err.count(text) == 1 and fake.passphrase == weak.encode()
    fake.passphrase, fake.slots = b"", fake.slots[:1]
    assert text in json.loads(ctl("passwd", "--password-fd=0", "-j", input=weak + "\n"))["warning"]


@pytest.mark.parametrize("good", ["correct horse", "123456789012", "zwölf Boxk"])
def test_a_passphrase_that_will_do_is_not_talked_about(fake, ctl, good):
    ctl("passwd", "--password-fd=0", input=good + "\n")
    assert ctl.err == ""


def test_nothing_is_asked_for_when_the_archive_is_locked(fake, ctl):
    fake.state = "locked"

    assert "assphrase: " not in Terminal(ctl, "passwd").end(5)
    assert "assphrase: " not in Terminal(ctl, "keys", "add", "passphrase").end(5)
    assert "assphrase: " not in Terminal(ctl, "keys", "rotate").end(5)


# -- keys -------------------------------------------------------------------------------------------------------------
def test_keys_list(fake, ctl):
    fake.slots.append(fake.slot(7, "recovery", label="paper"))

    rows = ctl.rows("keys", "list", "-j")
    assert rows == ctl.rows("keys", "-j")
    assert [(r["id"], r["type"], r["label"], r["path"]) for r in rows] == \
        [(1, "key-file", None, KEY_FILE), (7, "recovery", "paper", None)]
    assert rows[0]["created_usec"] == 1700000000000001 and rows[0]["created"].startswith("2023-11-14T22:13:20")
    out = ctl("keys")
    assert re.search(r"^ *7  recovery +2023-11-14  paper", out, re.M), out
    fake.slots = fake.slots[1:]
    assert "locked at every start" in ctl("keys", "list")
    fake.state = "locked"
    assert len(ctl.rows("keys", "list", "-j")) == 1, "also while it is locked"


def test_the_path_of_a_key_file_that_varve_made_is_whole(fake, ctl, tmp_path):
    config = tmp_path / "config/varve"
    os.makedirs(config)
    (config / "archive-aaaa.key").touch()
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}

    assert json.loads(ctl("keys", "list", "-j", env=env))["path"] == str(config / "archive-aaaa.key")
    assert "~/config/varve/archive-aaaa.key" in ctl("keys", "list", env=env)


def test_a_reason_that_is_a_sentence_stays_one(fake, ctl):
    fake.state, fake.state_reason = "locked", "It was locked by its user: varvectl unlock opens it."
    out = " ".join(ctl("status").split())
    assert "the archive is locked. It was locked by its user: varvectl unlock opens it." in out and out.count("varvectl unlock") == 1


def test_keys_add_each_kind(fake, ctl, tmp_path):
    out = ctl("keys", "add", "recovery", "--label=on paper")
    assert "\n    ABCDE-FGHIJ-KLMNO-PQRST\n" in out and "paper" in out and "not shown again" in " ".join(out.split())
    assert calls(fake, "AddSlot")[-1] == ("recovery", [], {"label": "on paper"})
    r = json.loads(ctl("keys", "add", "recovery", "-j"))
    assert r["code"] == "ABCDE-FGHIJ-KLMNO-PQRST" and r["type"] == "recovery" and r["id"] == 3
    assert ctl("keys", "add", "recovery", "-q") == "ABCDE-FGHIJ-KLMNO-PQRST\n"
    ctl("keys", "add", "key-file", "sub/my.key", cwd=tmp_path)
    assert calls(fake, "AddSlot")[-1] == ("keyfile", [], {"path": str(tmp_path / "sub/my.key")})
    ctl("keys", "add", "credential", "varve")
    assert calls(fake, "AddSlot")[-1] == ("credential", [], {"name": "varve"})
    ctl("keys", "add", "passphrase", "--password-fd=0", input="another good one\n")
    assert calls(fake, "AddSlot")[-1] == ("passphrase", list(b"another good one"), {})


@pytest.mark.parametrize("args", [["pin"], ["key-file"], ["credential"], ["recovery", "x"], ["passphrase"], ["passphrase", "x"]])
def test_keys_add_refuses(fake, ctl, args):
    ctl.error("keys", "add", *args, code=2)
    assert not calls(fake, "AddSlot")


def test_keys_remove(fake, ctl):
    ctl("keys", "add", "recovery")
    ctl.error("keys", "remove", "99", code=4)
    ctl.error("keys", "remove", "x", code=2)
    assert json.loads(ctl("keys", "remove", "1", "-j")) == {"id": 1}
    assert [s[0] for s in fake.slots] == [2]
    assert ctl.error("keys", "remove", "2", code=1)["name"].endswith("Conflict")


def test_keys_remove_asks_and_says_what_is_left(fake, ctl):
    ctl("keys", "add", "recovery")
    out = Terminal(ctl, "keys", "remove", "1").answer("[y/N] ", "n").end(1)
    assert "What opens the archive then: the recovery code." in out and "Remove the key file %s?" % KEY_FILE in out
    assert len(fake.slots) == 2
    Terminal(ctl, "keys", "remove", "1").answer("[y/N] ", "y").end()
    assert len(fake.slots) == 1


def test_keys_rotate(fake, ctl):
    assert json.loads(ctl("keys", "rotate", "-j")) == {"dropped": 0, "ended": []}
    assert ctl("keys", "rotate") == "The archive has a new master key.\n"
    ctl("passwd", "--password-fd=0", input="a good passphrase\n")
    ctl.error("keys", "rotate", code=2)
    ctl.error("keys", "rotate", "--password-fd=0", code=5, input="wrong\n")
    ctl("keys", "rotate", "--password-fd=0", input="a good passphrase\n")
    assert calls(fake, "Rotate")[-1] == (list(b"a good passphrase"), {})


def test_rotate_asks_before_keys_end_and_names_them(fake, ctl):
    def slots():
        return [fake.slot(1, "keyfile", path="a.key"), fake.slot(2, "keyfile", path="/usb/b.key", problem="does not exist"),
                fake.slot(3, "recovery", label="paper")]

    fake.slots = slots()
    e = ctl.error("keys", "rotate", code=2)
    assert e["hint"] == "varvectl keys rotate --yes"
    assert 'the key file /usb/b.key and the recovery code "paper"' in e["message"]
    out = " ".join(Terminal(ctl, "keys", "rotate").answer("[y/N] ", "n").end(1).split())
    assert 'What ends with the old master key, and has to be made anew: the key file /usb/b.key and the recovery code "paper".' in out
    assert "nothing was changed" in out and not calls(fake, "Rotate") and len(fake.slots) == 3
    out = " ".join(Terminal(ctl, "keys", "rotate").answer("[y/N] ", "y").end().split())
    assert 'Ended with the old one: the key file /usb/b.key and the recovery code "paper".' in out and "keys add recovery" in out
    assert [s[0] for s in fake.slots] == [1]
    assert "[y/N]" not in Terminal(ctl, "keys", "rotate").end(), "nothing ends: nothing is asked"
    fake.slots = slots()
    r = json.loads(ctl("keys", "rotate", "--yes", "-j"))
    assert r["dropped"] == 2 and [(x["id"], x["type"], x["label"]) for x in r["ended"]] == \
        [(2, "key-file", None), (3, "recovery", "paper")]


def test_rotate_keeps_the_passphrase_that_is_given_and_no_other(fake, ctl):
    fake.passphrase = b"a good one"
    fake.slots = [fake.slot(1, "passphrase", label="mine"), fake.slot(2, "passphrase", label="hers")]

    assert 'hers' in (m := ctl.error("keys", "rotate", "--password-fd=0", code=2, input="a good one\n")["message"]) and "mine" not in m


def test_an_interrupted_rotation_says_that_the_old_key_stays(fake, ctl):
    fake.working = threading.Event()
    p = ctl.popen("keys", "rotate")
    wait_for(lambda: calls(fake, "Rotate"))
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=10)
    assert p.returncode == -signal.SIGINT and "keeps its old master key" in err, (p.returncode, err)
    fake.working.set()


def test_a_path_is_shown_whole_on_a_narrow_terminal(fake, ctl):
    long = "/media/" + "a-long-name/" * 8 + "my.key"
    fake.slots = [fake.slot(1, "keyfile", label="on the card", path=long), fake.slot(2, "keyfile", path="x.key", problem="does not exist")]

    out = ctl("keys", "list")
    assert "\n    %s\n" % long in out and "…" not in out, out
    assert "  ~/.config/varve/x.key\nKey 2 does not open it now: does not exist\n" in out
    assert "Any of the others opens the archive" in out and "locked at every start" not in out
    fake.slots = fake.slots[1:]
    assert "None of them opens the archive now." in ctl("keys", "list")
    fake.slots.append(fake.slot(3, "passphrase"))
    assert "locked at every start" in ctl("keys", "list"), "what is gone opens nothing at a start"
    assert [r["problem"] for r in ctl.rows("keys", "list", "-j")] == ["does not exist", None]


# -- backup -----------------------------------------------------------------------------------------------------------
def test_backup_sends_an_absolute_path_and_says_what_opens_it(fake, ctl, tmp_path):
    out = ctl("backup", "b.varve", cwd=tmp_path)
    assert calls(fake, "Backup") == [(str(tmp_path / "b.varve"), {})]
    assert "b.varve.keys" in out and "the key file %s." % KEY_FILE in " ".join(out.split())
    assert "keys add recovery" in ctl.err, "only a key file: it is said"
    ctl("backup", "c.varve", "-q", cwd=tmp_path)
    assert "keys add recovery" in ctl.err
    ctl("keys", "add", "recovery", "--label=paper")
    out = ctl("backup", str(tmp_path / "d.varve"))
    assert ctl.err == "" and 'the key file %s or the recovery code "paper".' % KEY_FILE in " ".join(out.split())
    r = json.loads(ctl("backup", "./e.varve", "-j", cwd=tmp_path))
    assert r == {"path": str(tmp_path / "e.varve"), "keys_path": str(tmp_path / "e.varve.keys"), "bytes": 7654321,
                 "opened_by": ["key-file", "recovery"]}


def test_a_key_file_that_is_gone_opens_no_backup(fake, ctl, tmp_path):
    fake.slots = [fake.slot(1, "keyfile", path="/usb/a.key", problem="does not exist")]

    out = " ".join(ctl("backup", "b", cwd=tmp_path).split())
    assert "What opens it: nothing that is here now. Not counted, as it cannot be read: the key file /usb/a.key." in out
    assert "Nobody can open it" in ctl.err and "varvectl keys add recovery" in ctl.err
    fake.slots.append(fake.slot(2, "recovery"))
    assert json.loads(ctl("backup", "c", "-j", cwd=tmp_path))["opened_by"] == ["recovery"]
    out = " ".join(ctl("backup", "d", cwd=tmp_path).split())
    assert "What opens it: the recovery code. Not counted" in out and ctl.err == ""


def test_backup_replaces_nothing(fake, ctl, tmp_path):
    (tmp_path / "b").write_text("old")

    assert ctl.error("backup", str(tmp_path / "b"), code=1)["name"].endswith("Conflict")
    ctl.error("backup", str(tmp_path), code=1)
    assert (tmp_path / "b").read_text() == "old" and not calls(fake, "Backup")


def test_a_long_backup_shows_progress_and_is_not_given_up(fake, ctl, tmp_path):
    fake.working = threading.Event()
    fake.archive["bytes"] = v("t", 400)
    t = Terminal(ctl, "backup", str(tmp_path / "b"))
    while "25%" not in t.seen:
        assert t.read(), t.seen
    fake.working.set()
    assert "complete and checked" in t.end()


def test_a_backup_ends_with_the_daemon(fake, ctl, tmp_path):
    fake.working = threading.Event()
    p = ctl.popen("backup", str(tmp_path / "b"), "-j")
    wait_for(lambda: calls(fake, "Backup"))
    fake.stop()
    assert p.wait(10) == 3, p.communicate()
    p.communicate()
    fake.start()


# -- search -----------------------------------------------------------------------------------------------------------
def found(fake, n=8):
    fake.hits = [(message(900 - i, BOB, T0 - i * HOUR, "the train %d is late" % i), [(4, 5)]) for i in range(n)]


def test_search_pages_until_n(fake, ctl):
    found(fake)

    rows = ctl.rows("search", "train", "-j")
    assert [r["id"] for r in rows] == list(range(900, 892, -1)) and rows[0]["matches"] == [[4, 5]]
    assert {"id", "mod", "conversation", "sender", "direction", "state", "kind", "time", "time_usec", "body", "matches"} <= set(rows[0])
    assert [r["id"] for r in ctl.rows("search", "train", "-j", "-n4")] == [900, 899, 898, 897]
    fake.calls.clear()
    ctl("search", "see", "you", "--in=BOB@example.org", "--from=Bob@Example.org", "--since=@1600000000", "--until=@1700000000")
    assert calls(fake, "Search")[0] == ("see you", "", 20, {
        "conversation": BOB, "sender": BOB, "since": 1600000000 * 10**6, "until": 1700000000 * 10**6})


def test_search_without_a_hit_is_no_failure(fake, ctl):
    assert ctl("search", "nothing") == "" and ctl.err == "nothing found\n"
    assert ctl("search", "nothing", "-j") == "" and ctl.err == ""
    assert ctl("search", "nothing", "-q") == "" and ctl.err == ""


@pytest.mark.parametrize("args,code", [([" "], 2), (["x", "--since=soon"], 2), (["x", "--until=soon"], 2), (["x", "-n0"], 2), ([], 2),
                                       (["x", "--since=2026-02-01", "--until=2026-01-01"], 2), (["bread", "-milk"], 2)])
def test_search_refuses(ctl, args, code):
    ctl.error("search", *args, code=code)


def test_a_word_to_leave_out_gets_the_way_to_say_so(ctl):
    assert ctl.error("search", "bread", "-milk", code=2)["hint"].endswith("varvectl search -- bread -milk")
    assert "--" not in ctl.error("ls", "-x", code=2)["message"]


def test_search_of_an_unknown_conversation_is_exit_4(fake, ctl):
    fake.refuse["Search"] = Refused("NoSuchConversation", "no message of it")
    ctl.error("search", "x", "--in=eve@example.org", code=4)


MARK, OFF = "\x1b[1m\x1b[33m", "\x1b[0m"


def test_search_marks_matches_only_where_colours_are_on(fake, ctl):
    fake.hits = [(message(1, BOB, T0, "a\r\nübermorgen \x1b[2J 早く来て, ok"), [(3, 10), (21, 2)])]

    assert "\x1b" not in ctl("search", "x")
    out = ctl("search", "x", "--color=always")
    assert OFF + MARK + "übermorgen" + OFF in out, repr(out)
    assert OFF + MARK + "来て" + OFF in out, repr(out)
    assert "\x1b[2J" not in out
    assert "    a\n" in out, "a line end is one character on the screen and two in the ranges"


def test_search_shows_the_lines_around_the_match(fake, ctl):
    body = " ".join("word%03d" % i for i in range(200))
    fake.hits = [(message(1, BOB, T0, body), [(body.index("word100"), 7)])]

    lines = ctl("search", "word100").splitlines()
    assert len(lines) == 4 and all(len(x) <= 80 for x in lines)
    assert "word100" in lines[2] and lines[1].startswith("    …") and lines[3].endswith("…")
    fake.hits = [(message(1, BOB, T0, body), [(len(body) - 3, 3), (10**6, 5)])]
    lines = ctl("search", "199").splitlines()
    assert "word199" in lines[-1] and not lines[-1].endswith("…")


# -- doctor without a daemon ------------------------------------------------------------------------------------------
def offline(ctl, home, code=3, **env):
    p = subprocess.run([ctl.argv()[0], "doctor", "-j"], env=dict(ctl.env, HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"), **env),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == code, p
    assert json.loads(p.stderr)["error"]["name"].endswith("NoServer")
    return {r["check"]: r for r in map(json.loads, p.stdout.splitlines())}


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
    assert checks["key file"]["result"] == "warn" and str(config / "archive-1.key") in checks["key file"]["text"]
    (config / "archive-1.key").touch(0o600)
    (data / 'my "own" file').touch(0o600)
    checks = offline(ctl, tmp_path)
    assert checks["archive"]["result"] == checks["key file"]["result"] == "ok"
    os.rename(data / "archive.keys", data / "archive.keys.bak")
    p = subprocess.run([ctl.argv()[0], "doctor"], env=dict(ctl.env, HOME=str(tmp_path)), stdout=subprocess.PIPE, text=True,
                       stderr=subprocess.DEVNULL)
    assert "archive.keys.bak" in p.stdout and "warn  archive" in p.stdout and "ok    archive" in p.stdout
    os.rename(data / "archive.keys.bak", data / "archive.keys")
    os.chmod(config / "archive-1.key", 0o644)
    assert "0644" in offline(ctl, tmp_path)["key file"]["text"]
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


# -- small things that were wrong -------------------------------------------------------------------------------------
def test_long_lines_wrap_between_words_with_a_hanging_indent(fake, ctl):
    reason = "the certificate of the server is for another name, and it is out of date; " * 3
    fake.accounts[0]["top"]["state_reason"] = reason
    fake.accounts[0]["top"]["state"] = "waiting-network"
    fake.checks = [("store", "warn", reason, reason, {}), ("connection alice@example.org", "ok", reason, "", {})]

    for columns in (60, 80):
        for verb, indent in (("status", 12), ("doctor", 23)):
            out = ctl(verb, env={"COLUMNS": str(columns)})
            assert max(len(x) for x in out.splitlines() if "/bus" not in x) <= columns, "a path stays whole"
            assert " ".join(reason.split()) in " ".join(out.split()), "no word is broken or lost"
            more = [x for x in out.splitlines() if x.startswith(" " * indent) and x.strip()]
            assert more and all(x[indent] != " " for x in more), out


def test_a_narrow_terminal_has_short_lines_not_a_thin_column(fake, ctl):
    fake.checks = [("connection alice@example.org", "ok", "the certificate of the server is for another name " * 2, "", {})]
    fake.accounts = [fake.account("alice@example.org", sync="backfilling", done=50, messages=123456)]

    for verb in ("status", "doctor"):
        lines = [x for x in ctl(verb, env={"COLUMNS": "40"}).splitlines() if "/bus" not in x]
        assert max(map(len, lines)) <= 40 and len(lines) <= 14, lines


def test_commands_stay_on_one_line(fake, ctl):
    reasons = ["%s the key is gone: varvectl keys add recovery, and then \"varvectl backup FILE\"" % ("x" * n) for n in range(1, 60)]

    fake.problems = reasons
    for out in (ctl("status"), ctl("status", env={"COLUMNS": "60"})):
        assert out.count("varvectl keys add recovery,") == out.count('"varvectl backup FILE"') == len(reasons)
        assert max(map(len, out.splitlines())) <= 80


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
    assert error["name"].endswith("NoSuchConversation") and error["hint"].startswith("varvectl ls")
    assert error["message"] == "no message of nobody@example.org is stored"
    assert ctl("sync", "gaps", "Bob@example.org") == "no gap\n"
