"""Bad input and bad surroundings: a clear message that names the cause and the next step, the right exit code,
and nothing lost."""

import hashlib
import json
import os
import shutil
import signal
import subprocess

import pytest

from varvetest import daemon, scripted, seed
from varvetest.daemon import EXIT_CHECK, EXIT_FAILURE, EXIT_NOT_FOUND, EXIT_OFFLINE, EXIT_OK, EXIT_TIMEOUT, EXIT_UNREACHABLE, EXIT_USAGE
from varvetest.daemon import assert_same
from varvetest.ports import free_port
from varvetest.wait import wait_for


def clear(result, *words):
    """One message on stderr, short, no trace of code, that has these words."""
    text = result.err.strip()
    assert text, "it says nothing"
    assert len(text.splitlines()) <= 6, text
    for word in words:
        assert word.lower() in text.lower(), f"{word!r} is not in: {text}"
    return text


@pytest.mark.parametrize("jid", ids=lambda jid: jid[:20], argvalues=["", "@", "alice", "@chat.test", "alice@", "a@b@c", "alice@chat.test/phone", "a b@chat.test",
                                 "alice@ch at.test", "al<ice@chat.test", "x" * 1100 + "@chat.test", "alice@chat..test"])
def test_malformed_jid(varved, jid):
    result = varved.run("account", "add", jid, password="pw")
    assert result.code == EXIT_USAGE, result
    clear(result)
    assert varved.status()["accounts"] == []


@pytest.mark.parametrize("server", ["127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:abc", "127.0.0.1:", ":5222", "127.0.0.1:-1",
                                    "127.0.0.1:5222x", "[::1"])
def test_malformed_port(varved, server):
    result = varved.run("account", "add", "alice@chat.test", f"--server={server}", password="pw")
    assert result.code == EXIT_USAGE, result
    clear(result)
    assert varved.status()["accounts"] == []


def test_ca_file_that_is_not_there(varved):
    result = varved.run("account", "add", "alice@chat.test", "--ca-file=/nonexistent/ca.crt", password="pw")
    assert result.code not in (EXIT_OK, EXIT_UNREACHABLE), result
    clear(result, "/nonexistent/ca.crt", "no such file")
    assert varved.status()["accounts"] == []


def test_ca_file_that_is_none(varved, tmp_path):
    """Refused when it is given, or told as the reason why the account stays offline; never silently ignored."""
    path = tmp_path / "ca.crt"
    path.write_text("this is no certificate\n")
    result = varved.run("account", "add", "alice@chat.test", f"--server=127.0.0.1:{free_port()}", f"--ca-file={path}",
                        password="pw")
    if result.code == EXIT_OK:
        wait_for(lambda: "ca" in json.dumps(varved.account()["state_reason"] or "").lower().split() or
                 "certificate" in json.dumps(varved.account()["state_reason"] or "").lower(), 15,
                 lambda: str(varved.account()))
    else:
        clear(result, "certificate")
        assert varved.status()["accounts"] == []


def test_unreachable_server(varved):
    port = free_port()
    result = varved.run("account", "add", "alice@chat.test", f"--server=127.0.0.1:{port}", "--tls=direct", password="pw")
    assert result.code == EXIT_OK, result
    wait_for(lambda: "refused" in json.dumps(varved.account()["state_reason"] or "").lower(), 15, lambda: str(varved.account()))
    account = varved.account()
    assert account["state"] in ("waiting-network", "offline", "connecting") and account["next_retry_usec"], account
    assert varved.run("--timeout=1", "sync", "wait").code in (EXIT_TIMEOUT, EXIT_OFFLINE)
    assert varved.run("status", "--check").code == EXIT_CHECK


def test_dns_without_an_answer(varved):
    """.invalid never resolves (RFC 6761)."""
    result = varved.run("account", "add", "alice@nowhere.invalid", password="pw")
    assert result.code == EXIT_OK, result
    words = ("resolve", "dns", "name", "lookup", "address")
    wait_for(lambda: any(w in json.dumps(varved.account()["state_reason"] or "").lower() for w in words), 40,
             lambda: f"{varved.account()} {varved.tail(1500)}")
    assert "nowhere.invalid" in json.dumps(varved.account()["state_reason"])


def test_unknown_verb_and_option(varved):
    for argv in (("frobnicate",), ("status", "--frobnicate"), ("account", "frobnicate"), ("history",), ("sync", "sideways"),
                 ("--timeout=soon", "status"), ("--json=yaml", "status"), ("--format-version=99", "status")):
        result = varved.run(*argv)
        assert result.code == EXIT_USAGE or (argv[0].startswith("--format") and result.code == 11), (argv, result)
        clear(result)
    assert "help" in varved.run("frobnicate").err.lower(), "the next step"


def test_unknown_things(varved):
    assert varved.run("account", "show", "nobody@chat.test").code == EXIT_NOT_FOUND
    assert varved.run("-a", "nobody@chat.test", "ls").code == EXIT_NOT_FOUND
    clear(varved.run("account", "remove", "nobody@chat.test"), "nobody@chat.test")


def test_twice_the_same_account(varved):
    first = varved.run("account", "add", "alice@chat.test", f"--server=127.0.0.1:{free_port()}", password="pw")
    assert first.code == EXIT_OK
    second = varved.run("account", "add", "ALICE@chat.test", f"--server=127.0.0.1:{free_port()}", password="pw")
    assert second.code not in (EXIT_OK, EXIT_UNREACHABLE)
    clear(second, "alice@chat.test")
    assert len(varved.status()["accounts"]) == 1


def test_no_daemon(new_varved):
    varved = new_varved()
    result = varved.run("status")
    assert result.code == EXIT_UNREACHABLE
    clear(result, "varved")
    asked = varved.run("--json=short", "status")
    assert asked.code == EXIT_UNREACHABLE and "error" in json.loads(asked.err)


def test_second_daemon(varved, new_varved):
    """The same data directory: refused with the pid of the first, which goes on."""
    second = new_varved(varved.dir)
    second.log = os.path.join(varved.dir, "second.log")
    second.spawn()
    wait_for(lambda: second.child.poll() is not None, 10, "the second one leaves")
    assert second.child.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert str(varved.child.pid) in second.tail(), second.tail()
    assert varved.run("status").code == EXIT_OK


def test_second_daemon_with_another_socket(varved, new_varved):
    """Another runtime directory does not make the archive free."""
    second = new_varved()
    second.data, second.config = varved.data, varved.config
    second.spawn()
    wait_for(lambda: second.child.poll() is not None, 10, "the second one leaves")
    assert second.child.returncode > 0
    assert str(varved.child.pid) in second.tail(), second.tail()


def test_stale_lock_of_a_killed_daemon(varved):
    """kill -9 leaves lock and socket files behind: the next start does not mind."""
    varved.kill9()
    varved.start()


def mounted(path, options):
    """Mount a tmpfs, or skip the test where that is not allowed."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(size): a directory on a file system of its own."""
    paths = []

    def make(options):
        path = tmp_path / f"disk{len(paths)}"
        path.mkdir()
        mounted(str(path), options)
        paths.append(path)
        return str(path)
    yield make
    for path in paths:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_unwritable_directory(new_varved, small_disk):
    """root may write everywhere but on a read-only file system."""
    varved = new_varved()
    varved.data = small_disk("ro,size=1m")
    varved.spawn()
    wait_for(lambda: varved.child.poll() is not None, 10, "it leaves")
    assert varved.child.returncode > 0
    assert varved.data in varved.tail() and "read-only" in varved.tail().lower(), varved.tail()


def test_data_directory_is_a_file(new_varved):
    varved = new_varved()
    shutil.rmtree(varved.data)
    with open(varved.data, "w") as f:
        f.write("in the way\n")
    varved.spawn()
    wait_for(lambda: varved.child.poll() is not None, 10, "it leaves")
    assert varved.child.returncode > 0 and varved.data in varved.tail(), varved.tail()
    with open(varved.data) as f:
        assert f.read() == "in the way\n"


def test_no_runtime_directory(new_varved):
    """Without XDG_RUNTIME_DIR it looks where systemd would put it, and says where."""
    varved = new_varved()
    env = varved.environment()
    del env["XDG_RUNTIME_DIR"]
    done = subprocess.run([daemon.program("varvectl"), "status"], env=env, capture_output=True, text=True, timeout=20)
    assert done.returncode == EXIT_UNREACHABLE
    assert f"/run/user/{os.getuid()}/varve/bus" in done.stderr or "XDG_RUNTIME_DIR" in done.stderr, done.stderr


def test_full_disk(new_varved, small_disk, server, fresh):
    """The disk fills up during the first sync: it says so, the bus answers, nothing is lost; with room it goes on."""
    alice = fresh("alice")
    server.add_user(alice)
    server.seed_archive(alice, seed.history(6000, domain=server.domain))
    varved = new_varved()
    varved.data = small_disk("size=1500k")
    varved.start()
    varved.add_account(server, alice)

    def says():
        text = json.dumps(varved.status()).lower() + varved.tail().lower()
        return "disk" in text and ("full" in text or "space" in text)
    wait_for(says, 40, lambda: f"disk full; {varved.status()} {varved.tail(2000)}")
    have = [r["stanza_id"] for r in varved.export()]
    assert len(have) == len(set(have)) < 6000

    subprocess.run(["mount", "-o", "remount,size=64m", varved.data], check=True)
    varved.run("sync", "now")
    varved.run("account", "connect")
    varved.wait_sync(timeout=90)
    assert len(assert_same(varved, server, alice)) == 6000


def synced(varved, scripted_server, count=200):
    script = scripted.Script()
    script.archive = scripted.entries(count)
    server = scripted_server(script)
    varved.add_account(server, server.user)
    varved.wait_sync()
    varved.stop(signal.SIGTERM)
    return server


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


@pytest.mark.parametrize("damage", ["header", "truncated to nothing", "text"])
def test_corrupt_database(varved, scripted_server, damage):
    """Not a database any more: it names the file and what to do, and leaves it as it is."""
    synced(varved, scripted_server)
    path = varved.archive_file
    for extra in ("-wal", "-shm"):
        if os.path.exists(path + extra):
            os.unlink(path + extra)
    with open(path, "r+b") as f:
        if damage == "header":
            f.write(b"\0" * 100)
        elif damage == "text":
            f.truncate(0)
            f.write(b"these are not the pages you are looking for\n" * 100)
        else:
            f.truncate(5000)
    before = digest(path)
    varved.start()      # it runs, and says what is wrong to whoever asks
    status = varved.status()
    assert status["state"] == "failed" and path in status["state_reason"], status
    for verb in (["ls"], ["export"], ["account", "add", "b@chat.test"]):
        result = varved.run("-j", *verb, **({"password": "pw"} if verb[0] == "account" else {}))
        assert result.code == EXIT_FAILURE and path in result.err and ".Storage" in result.err, (verb, result)
    doctor = varved.run("-j", "doctor")
    assert doctor.code == EXIT_CHECK and path in doctor.out, doctor
    assert varved.run("status", "--check").code == EXIT_CHECK
    varved.stop()
    assert digest(path) == before, "nothing is overwritten"


def test_corrupt_page_in_the_middle(varved, scripted_server):
    """Found at start or when the page is read: said so, never a wrong or silently shorter answer."""
    synced(varved, scripted_server, 600)
    path = varved.archive_file
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for offset in range(4096 * 4, size - 4096, 4096):
            f.seek(offset + 200)
            f.write(os.urandom(3000))
    varved.spawn()
    wait_for(lambda: varved.child.poll() is not None or varved.run("status").code == EXIT_OK, 15)
    if varved.child.poll() is not None:
        assert varved.child.returncode > 0 and path in varved.tail(), varved.tail()
        return
    result = varved.run("--json=short", "export")
    rows = result.out.count("\n")
    assert result.code != EXIT_OK or rows == 600, f"exit {result.code} with {rows} rows"
    if result.code != EXIT_OK:
        clear(result)


def test_secret_is_never_in_the_arguments_or_the_log(varved, scripted_server):
    server = scripted_server(password="Correct-Horse-77")
    varved.add_account(server, server.user, password="Correct-Horse-77")
    varved.wait_sync()
    children = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "Correct-Horse-77" not in children
    assert "Correct-Horse-77" not in varved.tail(1 << 20)


def test_doctor(varved):
    checks = varved.run("--json=short", "doctor")
    lines = [json.loads(line) for line in checks.out.splitlines()]
    assert lines and all(line["result"] in ("ok", "warn", "fail", "skip") for line in lines)
    assert checks.code == (EXIT_CHECK if any(line["result"] == "fail" for line in lines) else EXIT_OK)
