"""The archive and its keys, with the real programs and real servers: nothing readable on the disk, locked and unlocked,
backed up and restored, written anew under other keys; and after each story no message is lost or doubled."""

import json
import os
import resource
import shutil
import signal
import stat
import subprocess

import pytest

from keystory import Traffic, epoch, files, leaks
from varvetest import daemon, seed
from varvetest.daemon import EXIT_FAILURE, EXIT_LOCKED, EXIT_OK, assert_same
from varvetest.wait import holds, wait_for

FIRST, SECOND = "many random words", "other words entirely"


@pytest.fixture
def pair(server, fresh):
    names = fresh("alice"), fresh("bob")
    for name in names:
        server.add_user(name, MARKED_PASSWORD)
    return names


MARKED_PASSWORD = "Marked-Pass-4711"


def jid(server, user):
    return f"{user}@{server.domain}"


def synced(varved, server, user, seeded=0):
    if seeded:
        server.seed_archive(user, seed.history(seeded, domain=server.domain))
    varved.add_account(server, user, password=MARKED_PASSWORD)
    return varved.wait_sync(timeout=90)


def same(varved, server, user):
    return assert_same(varved, server, user, MARKED_PASSWORD)


def traffic(server, sender, to, **kwargs):
    out = Traffic(server, sender, to, **kwargs)
    client = server.client
    out.server = type("", (), {"client": staticmethod(lambda user, **kw: client(user, MARKED_PASSWORD, **kw))})
    return out


def key_files(varved):
    folder = os.path.join(varved.config, "varve")
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".key"))


def error(result):
    return json.loads(result.err.strip().splitlines()[-1])["error"]


# -- unreadable -------------------------------------------------------------------------------------------------------
def test_first_start_asks_nothing_and_nothing_on_the_disk_can_be_read(server, pair, varved):
    """Bodies, addresses and passwords: in no file, while it runs (with a log that is not merged), after a kill, after
    a clean stop, and in no backup."""
    alice, bob = pair
    backup = os.path.join(varved.dir, "backup.varve")
    synced(varved, server, alice)
    with server.client(bob, MARKED_PASSWORD) as other:
        other.message(jid(server, alice), "Xylophon-Marker eins")
        other.message(jid(server, alice), "Xylophon-Marker zwei 早く来て")
        other.ping()
    wait_for(lambda: len(varved.export()) == 2, 20)
    assert len(varved.ctl("search", "xylophon")) == 2, "it is in the index as well"
    markers = ["Xylophon", "Marker eins", "早く来て", MARKED_PASSWORD, alice, bob, "SQLite format", "BEGIN CERTIFICATE"]
    where = (varved.data, varved.config, varved.runtime, os.path.dirname(backup))

    def unreadable():
        found = [x for x in leaks(markers, *where) if x[0] != varved.log]
        assert not found, found
        assert not leaks(["Xylophon", MARKED_PASSWORD], varved.dir), "nor in the log"
    assert leaks(["varve archive keys"], varved.data), "the search itself works"
    assert any(p.endswith("-wal") and os.path.getsize(p) for p in files(varved.data)), "the log is there to be looked at"
    unreadable()
    varved.ctl("backup", backup)
    unreadable()
    varved.kill9()
    unreadable()
    varved.restart() if varved.child else varved.start()
    varved.wait_state("online")
    varved.stop(signal.SIGTERM)
    unreadable()
    varved.start()
    same(varved, server, alice)
    assert len(key_files(varved)) == 1
    for path in files(varved.data, varved.config):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path


def dumps_core(pid):
    """Abort the process, with core dumps allowed as far as we may; whether it left one."""
    try:
        resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except PermissionError:
        pass        # not even the same user may reach into a process that is not dumpable (prlimit(2), ptrace(2))
    os.kill(pid, signal.SIGABRT)
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED


def test_no_core_dump(varved, tmp_path):
    control = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    try:
        if not dumps_core(control.pid):
            pytest.skip("nothing dumps core here (kernel.core_pattern, or a hard limit)")
    finally:
        control.kill()
        control.wait()
    assert not dumps_core(varved.child.pid)


# -- locked -----------------------------------------------------------------------------------------------------------
def passphrase_alone(varved, passphrase=FIRST):
    result = varved.run("passwd", "--drop-key-file", password=passphrase)
    assert result.code == EXIT_OK, result
    assert key_files(varved) == []
    return result


def test_locked_at_start_and_unlocked_by_the_passphrase(server, pair, varved):
    """Status says so, reading exits with 5, a wrong passphrase too; the right one resumes the session, and what came
    meanwhile is there once."""
    alice, bob = pair
    binds = synced(varved, server, alice, 40)["session"]["binds"]
    passphrase_alone(varved)
    assert {k["type"] for k in varved.ctl("keys", "list")} == {"passphrase"}
    varved.stop(signal.SIGTERM)
    varved.start()
    status = varved.status()
    assert (status["locked"], status["state"], status["accounts"]) == (True, "locked", [])
    text = varved.run("status").out
    assert "locked" in text and "varvectl unlock" in text
    for verb in (["ls"], ["history", jid(server, bob)], ["search", "x"], ["export"], ["sync", "wait"]):
        result = varved.run("-j", *verb)
        assert result.code == EXIT_LOCKED and error(result)["name"].endswith(".Locked"), (verb, result)
    assert [k["type"] for k in varved.ctl("keys", "list")] == ["passphrase"], "what opens it can be seen"
    wrong = varved.run("-j", "unlock", password="not this one")
    assert wrong.code == EXIT_LOCKED and error(wrong)["name"].endswith(".WrongSecret"), wrong
    assert varved.status()["locked"]
    with server.client(bob, MARKED_PASSWORD) as other:
        other.message(jid(server, alice), "while it was locked")
        other.ping()
    assert varved.run("unlock", password=FIRST).code == EXIT_OK
    account = varved.wait_state("online")
    assert account["session"]["resumed"] and account["session"]["binds"] == binds, account
    wait_for(lambda: len(varved.export()) == 41, 20)
    same(varved, server, alice)


def test_wrong_passphrases_have_to_wait(varved):
    passphrase_alone(varved)
    varved.ctl("lock")
    codes = [varved.run("-j", "unlock", password=f"wrong {n}") for n in range(4)]
    assert [r.code for r in codes] == [EXIT_LOCKED] * 4, codes
    assert error(codes[3])["name"].endswith(".Busy")
    wait_for(lambda: varved.run("unlock", password=FIRST).code == EXIT_OK, 15, "the right one, once the wait is over")


def test_change_of_the_passphrase(varved):
    passphrase_alone(varved)
    assert varved.run("passwd", password=f"wrong\n{SECOND}").code == EXIT_LOCKED
    assert varved.run("passwd", password=f"{FIRST}\n{SECOND}").code == EXIT_OK
    varved.restart()
    assert varved.run("unlock", password=FIRST).code == EXIT_LOCKED
    assert varved.run("unlock", password=SECOND).code == EXIT_OK
    assert not varved.status()["locked"]


def test_locked_while_messages_arrive(server, pair, varved):
    alice, bob = pair
    binds = synced(varved, server, alice)["session"]["binds"]
    with traffic(server, bob, jid(server, alice)) as t:
        for _ in range(3):
            seen = len(t.sent)
            wait_for(lambda: len(t.sent) > seen + 20, 20)
            varved.ctl("lock")
            assert varved.run("ls").code == EXIT_LOCKED
            holds(lambda: varved.status()["locked"], 0.3, "the key file is there, and it stays locked all the same")
            varved.ctl("unlock")
            varved.wait_state("online")
    wait_for(lambda: len(varved.export()) == len(t.sent), 30, lambda: f"{len(varved.export())} of {len(t.sent)}", interval=0.2)
    assert sorted(r["body"] for r in varved.export()) == sorted(t.sent)
    assert varved.account()["session"]["binds"] == binds, "the session was resumed each time"
    same(varved, server, alice)


def test_recovery_code_after_the_key_file_is_gone(server, pair, varved):
    alice, _bob = pair
    synced(varved, server, alice, 30)
    code = varved.ctl("keys", "add", "recovery", "--label=paper")[0]["code"]
    varved.stop(signal.SIGTERM)
    os.unlink(key_files(varved)[0])
    varved.start()
    status = varved.status()
    assert status["locked"] and ".key" in status["state_reason"], status
    assert varved.run("unlock", password="0000-" + code[5:]).code == EXIT_LOCKED
    assert varved.run("unlock", password=code.lower().replace("-", " ")).code == EXIT_OK
    varved.wait_state("online")
    same(varved, server, alice)


# -- backup and restore -----------------------------------------------------------------------------------------------
def restore(varved, new_varved, backup, key_file=True):
    """As varvectl(1), BACKUP says, into directories of its own."""
    other = new_varved()
    data, config = os.path.join(other.data, "varve"), os.path.join(other.config, "varve")
    os.makedirs(data, 0o700)
    os.makedirs(config, 0o700)
    shutil.copy(backup, data)
    shutil.copy(backup + ".keys", os.path.join(data, "archive.keys"))
    if key_file:
        shutil.copy(key_files(varved)[0], config)
    return other


@pytest.mark.parametrize("opened_by", ["key file", "recovery code"])
def test_backup_while_traffic_goes_on_and_restored_elsewhere(server, pair, varved, new_varved, opened_by):
    """Complete, another epoch, a session of its own, and nothing lost or doubled when it catches up."""
    alice, bob = pair
    me = jid(server, alice)
    synced(varved, server, alice, 300)
    code = varved.ctl("keys", "add", "recovery")[0]["code"]
    backup = os.path.join(varved.dir, "my backup")
    with traffic(server, bob, me) as t:
        wait_for(lambda: varved.account()["sync"]["messages"] > 320, 20, interval=0.1)
        before = {r["body"] for r in varved.export()}
        told = varved.ctl("backup", backup)[0]
        assert told["path"] == backup and told["bytes"] == os.path.getsize(backup)
        assert varved.run("backup", backup).code == EXIT_FAILURE, "it replaces nothing"
        seen = len(t.sent)
        wait_for(lambda: len(t.sent) > seen + 20, 20)
    first = epoch(varved, me)
    same(varved, server, alice)
    varved.stop(signal.SIGTERM)

    other = restore(varved, new_varved, backup, opened_by == "key file")
    other.start()
    if opened_by == "recovery code":
        assert other.status()["locked"]
        assert other.run("unlock", password=code).code == EXIT_OK
    restored = {r["body"] for r in other.export()}
    assert before <= restored, f"{len(before - restored)} messages were stored before the backup and are not in it"
    account = other.wait_sync()
    # The copy knows no session: it counts its own from the first.
    assert (account["session"]["resumed"], account["session"]["resumes"], account["session"]["binds"]) == (False, 0, 1), account
    assert epoch(other, me) != first
    same(other, server, alice)
    assert other.run("doctor", "--deep").code == EXIT_OK, other.run("doctor", "--deep").out


# -- rotation ---------------------------------------------------------------------------------------------------------
def test_rotate_while_traffic_goes_on(server, pair, varved):
    alice, bob = pair
    binds = synced(varved, server, alice, 300)["session"]["binds"]
    before = varved.status()["archive"]["epoch_key"]
    first = epoch(varved, jid(server, alice))
    old = set(files(os.path.join(varved.data, "varve")))
    code = varved.ctl("keys", "add", "recovery")[0]["code"]
    with traffic(server, bob, jid(server, alice)) as t:
        wait_for(lambda: varved.account()["sync"]["messages"] > 320, 20, interval=0.1)
        done = varved.ctl("keys", "rotate", "--yes")[0]
        assert done["dropped"] == 1 and [k["type"] for k in done["ended"]] == ["recovery"], "its secret is not at hand"
        seen = len(t.sent)
        wait_for(lambda: len(t.sent) > seen + 20, 20)
        varved.wait_state("online")
    same(varved, server, alice)
    assert varved.account()["session"]["binds"] == binds
    assert varved.status()["archive"]["epoch_key"] == before + 1
    assert epoch(varved, jid(server, alice)) == first, "the feed goes on"
    now = set(files(os.path.join(varved.data, "varve")))
    assert len([p for p in now if p.endswith(".db")]) <= 1 and len(now) <= len(old) + 1, now
    varved.restart()
    assert not varved.status()["locked"]
    varved.ctl("lock")
    assert varved.run("unlock", password=code).code == EXIT_LOCKED, "it went with the old master key"
    varved.ctl("unlock")
    same(varved, server, alice)


def test_killed_at_every_step_of_a_rotation(server, pair, new_varved):
    """Whenever it dies, the archive opens with the same key file and is complete."""
    alice, _bob = pair
    varved = new_varved()
    plain = varved.environment
    varved.start()
    synced(varved, server, alice, 120)
    want = [r["stanza_id"] for r in varved.export()]
    varved.run("account", "disable")
    killed = 0
    for number in range(1, 120):
        varved.stop(signal.SIGTERM) if varved.child else None
        varved.environment = lambda: dict(plain(), VARVE_STEP_KILL=str(number))
        varved.spawn()
        varved.environment = plain
        wait_for(lambda: varved.child.poll() is not None or varved.run("status").code == EXIT_OK, 15)
        done = varved.child.poll() is None and varved.run("keys", "rotate").code == EXIT_OK
        wait_for(lambda: done or varved.child.poll() is not None, 10, "it was killed, or did it")
        if varved.child.poll() is not None:
            killed += 1
            varved.kill9()
            varved.start()
            assert varved.status()["state"] == "ready", (number, varved.status())
        assert [r["stanza_id"] for r in varved.export()] == want, number
        if done:
            break
    assert done and killed >= 5, (done, killed)
    print(f"killed at {killed} steps")
    varved.kill9()
    varved.start()
    varved.run("account", "enable")
    same(varved, server, alice)


@pytest.mark.parametrize("after_ms", [20, 120] + [pytest.param(ms, marks=pytest.mark.slow) for ms in (5, 50, 80, 200)])
def test_killed_during_a_rotation_with_traffic(server, pair, varved, after_ms):
    alice, bob = pair
    synced(varved, server, alice, 300)
    with traffic(server, bob, jid(server, alice)) as t:
        wait_for(lambda: len(t.sent) > 20, 20)
        rotating = subprocess.Popen([daemon.program("varvectl"), "keys", "rotate"], env=varved.environment(),
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            rotating.wait(after_ms / 1000)
        except subprocess.TimeoutExpired:
            pass
        varved.kill9()
        rotating.wait(20)
        varved.start()
        varved.wait_state("online")
        seen = len(t.sent)
        wait_for(lambda: len(t.sent) > seen + 10, 20)
    wait_for(lambda: {r["body"] for r in varved.export()} >= set(t.sent), 30, interval=0.2)
    same(varved, server, alice)
