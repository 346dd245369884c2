"""backup against a daemon that obeys: what is sent, and what is said of what opens it."""

import json
import threading

from ctlkit import KEY_FILE, Terminal, calls, wait_for
from fake import v


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
