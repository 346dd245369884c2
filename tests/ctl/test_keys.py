"""lock, unlock, passwd and keys against a daemon that obeys: what is asked, what is sent, what is said, and with which exit
code."""

import json
import os
import re
import signal
import threading

import pytest
from ctlkit import KEY_FILE, Terminal, calls, wait_for
from fake import Refused


# -- lock and unlock -------------------------------------------------------------------------------
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


def test_lock_after_some_time(fake, ctl):
    assert json.loads(ctl("lock", "--after=30min", "-j")) == {"locked": False, "auto_lock_usec": 1800000000}
    assert fake.auto_lock == 1800 * 10**6 and fake.state == "ready"
    assert "for 30 min" in ctl("status") and json.loads(ctl("status", "-j"))["auto_lock_usec"] == 1800 * 10**6
    assert "passwd --drop-key-file" in ctl("lock", "--after=1h"), "a key file asks nothing"
    fake.slots = [fake.slot(2, "passphrase")]
    assert "drop-key-file" not in ctl("lock", "--after=30min")
    assert "does not lock itself" in ctl("lock", "--after=never")
    assert "locks" not in ctl("status") and json.loads(ctl("status", "-j"))["auto_lock_usec"] == 0
    for wrong in ("30", "soon", "-2h", "2h30", ""):
        ctl.error("lock", "--after=" + wrong, code=2)
    ctl.error("lock", "--after=1h", "--force", code=2)
    assert [us for _, us in calls(fake, "Set")] == [1800 * 10**6, 3600 * 10**6, 1800 * 10**6, 0] and calls(fake, "Lock") == []


def test_unlock_says_how_long_to_wait(fake, ctl):
    passphrase_only(fake)
    fake.refuse["Unlock"] = Refused("Busy", "too many wrong secrets: try again in 8 s")

    assert "8 s" in ctl.error("unlock", "--password-fd=0", code=1, input="x\n")["message"], "something is in work"
    fake.retry_after = 8000000
    assert "8 s" in ctl.error("unlock", "--password-fd=0", code=5, input="x\n")["message"], "too many wrong ones"


# -- passwd ----------------------------------------------------------------------------------------
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
    assert len([c for c in calls(fake, "ChangeSecret") if "check" not in c[2]]) == 1


def test_passwd_checks_the_present_one_before_it_asks_for_another(fake, ctl):
    fake.passphrase = b"many random words"
    fake.slots.append(fake.slot(2, "passphrase"))
    out = Terminal(ctl, "passwd").answer("Present passphrase: ", "many randon words").end(5)
    assert "New passphrase" not in out and fake.passphrase == b"many random words"
    assert calls(fake, "ChangeSecret") == [(list(b"many randon words"), [], {"check": True})]


def test_passwd_goes_on_with_a_varved_that_cannot_check(fake, ctl):
    fake.passphrase, fake.revision = b"many random words", 6
    fake.slots.append(fake.slot(2, "passphrase"))
    t = Terminal(ctl, "passwd").answer("Present passphrase: ", "many random words")
    t.answer("New passphrase: ", "other random words").answer("again: ", "other random words").end()
    assert fake.passphrase == b"other random words"


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


# -- keys ------------------------------------------------------------------------------------------
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
