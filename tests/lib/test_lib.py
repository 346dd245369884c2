"""The tools of the stories are tools that can fail: what they must notice, and that they leave nothing behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from varvetest import daemon, loop, proc, scripted, seed, servers, xmpp
from varvetest.peer import Peer
from varvetest.proxy import Mute, Proxy
from varvetest.wait import Timeout, holds, wait_for


def archive(count):
    return [xmpp.Row(f"a{n}", "2024-01-01T00:00:00Z", "bob@x", "alice@x", f"body {n}") for n in range(count)]


def export(rows):
    return [{"stanza_id": r.archive_id, "body": r.body, "sender": r.sender} for r in rows]


def test_equal_is_equal():
    rows = archive(5)
    assert daemon.differences(export(rows), rows) == []
    receipt = rows[2]._replace(archive_id="r", body=None)
    assert daemon.differences(export(rows), [*rows, receipt]) == [], "what has no body needs no row"


@pytest.mark.parametrize("change, word", [
    (lambda e: e.pop(2), "missing"),
    (lambda e: e.append(dict(e[1])), "2 times"),
    (lambda e: e.insert(1, e.pop(3)), "order"),
    (lambda e: e[1].update(body="other"), "another body"),
    (lambda e: e[1].update(stanza_id=None), "without an archive id"),
    (lambda e: e.append({"stanza_id": "x", "body": "x", "sender": "x"}), "not in the archive"),
])
def test_every_difference_is_found(change, word):
    rows = archive(5)
    exported = export(rows)
    change(exported)
    assert any(word in line for line in daemon.differences(exported, rows))


def test_wait_for_and_holds_fail_in_time():
    with pytest.raises(Timeout):
        wait_for(lambda: False, 0.1, "nothing")
    with pytest.raises(AssertionError):
        holds(lambda: False, 0.1)


def test_child_dies_with_its_parent(tmp_path):
    """Also when the test itself is killed with -9."""
    script = ("import sys, os, time; sys.path.insert(0, sys.argv[1]); from varvetest import proc; "
              "c = proc.spawn(['sleep', '1000']); print(c.pid, flush=True); time.sleep(1000)")
    parent = subprocess.Popen([sys.executable, "-c", script, os.path.dirname(os.path.dirname(proc.__file__))],
                              stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{child}")
    parent.kill()
    parent.wait()
    parent.stdout.close()

    def gone():
        try:
            with open(f"/proc/{child}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
        except FileNotFoundError:
            return True
    wait_for(gone, 5)


def test_stubborn_child_is_killed(tmp_path):
    mark = tmp_path / "ready"
    child = proc.spawn(["sh", "-c", f"trap '' TERM; sleep 1000 & : >{mark}; wait"])
    wait_for(mark.exists, 5)
    begin = time.monotonic()
    proc.reap(child, signal.SIGTERM, timeout=0.2)
    assert time.monotonic() - begin < 3
    left = subprocess.run(["ps", "-o", "pid=", "-g", str(child.pid)], capture_output=True, text=True).stdout.split()
    assert [p for p in left if p == str(child.pid)] == []


def test_history_is_the_same_for_the_same_seed():
    end = seed.now()
    first, second = (seed.history(500, end=end) for _ in range(2))
    assert first == second != seed.history(500, end=end, seed=2)
    assert len(seed.people(first)) == 30
    assert first == sorted(first, key=lambda m: m.stamp_us)
    assert (first[-1].stamp_us - first[0].stamp_us) / 86400e6 > 600


def test_server_and_seeded_archive(server, fresh):
    """What seed_archive writes, the server gives out; what the server wrote itself looks the same."""
    alice, bob = fresh("alice"), fresh("bob")
    for user in (alice, bob):
        server.add_user(user)
    messages = seed.history(600, domain=server.domain)
    server.seed_archive(alice, messages)
    rows = server.archive(alice)
    assert [r.body for r in rows] == [m.body for m in messages]
    stamps = [xmpp.stamp_us(r.stamp) // 1000000 for r in rows]
    assert stamps == [m.stamp_us // 1000000 for m in messages]
    with Peer(server, bob) as other, server.client(alice, presence=True) as ours:
        ours.ping()
        other.send(f"{alice}@{server.domain}", "hello", id="i1", origin_id="i1")
        other.ping()
        wait_for(lambda: "hello" in ours.bodies, 10)
    assert server.archive(alice)[-1].body == "hello"
    server.expire(alice, keep=10)
    assert len(server.archive(alice)) == 10


def test_carbons_between_peers(server, fresh):
    alice, bob = fresh("alice"), fresh("bob")
    for user in (alice, bob):
        server.add_user(user)
    with Peer(server, alice, resource="one") as one, Peer(server, alice, resource="two") as two:
        wait_for(lambda: "two" in one.online, 10)
        two.send(f"{bob}@{server.domain}", "copied")
        wait_for(lambda: [c["body"] for c in one.client.carbons] == ["copied"], 10)
    with pytest.raises(Exception, match="refused"):
        Peer(server, alice, password="wrong")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_server_restarts_with_its_archive(own_server, fresh, sig):
    server = own_server()
    alice = fresh("alice")
    server.add_user(alice)
    server.seed_archive(alice, seed.history(20, domain=server.domain))
    server.restart(sig)
    assert len(server.archive(alice)) == 20


def plain(port, domain=servers.DOMAIN):
    """What a server says in plaintext until it offers features."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.settimeout(5)
        s.sendall(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
                  b"to='%s'>" % domain.encode())
        got = b""
        while b"</stream:features>" not in got:
            data = s.recv(4096)
            if not data:
                break
            got += data
        return got


def test_proxy(server, fresh):
    alice = fresh("alice")
    server.add_user(alice)
    with Proxy(server.port) as thief:
        assert b"starttls" in plain(thief.port)
        thief.strip_starttls = True
        assert b"starttls" not in plain(thief.port) and b"</stream:features>" in plain(thief.port)
    with Proxy(server.tls_port) as link:
        client = xmpp.Client(f"{alice}@{server.domain}", "pw", link.port, server.ca)
        begin = time.monotonic()
        link.delay = 0.1
        client.ping()
        assert time.monotonic() - begin >= 0.2
        link.delay = 0
        link.cut()
        wait_for(lambda: link.open == 0, 5)
        link.refuse()
        with pytest.raises(OSError):
            xmpp.Client(f"{alice}@{server.domain}", "pw", link.port, server.ca)
        link.resume()
        xmpp.Client(f"{alice}@{server.domain}", "pw", link.port, server.ca).close()


def test_mute():
    with Mute() as mute, socket.create_connection(("127.0.0.1", mute.port), 2) as s:
        s.settimeout(0.2)
        with pytest.raises(TimeoutError):
            s.recv(1)


def test_scripted_server_is_a_good_one_by_default(scripted_server):
    script = scripted.Script()
    script.archive = scripted.entries(120)
    server = scripted_server(script)
    with xmpp.Client(server.jid, "pw", server.tls_port, server.ca, presence=True) as client:
        assert [r.archive_id for r in client.archive()] == [e.id for e in script.archive]
        wait_for(lambda: server.current, 5)
        server.send("<message from='bob@chat.test'><body>x</body></message>")
        wait_for(lambda: client.bodies == ["x"], 5)
    wait_for(lambda: "stream-end" in server.names(), 5)
    Peer(server, server.user).close()       # STARTTLS, by a client that is not ours


@pytest.mark.parametrize("step", ["accept", "header", "features", "challenge", "success", "second-header", "bind", "query"])
def test_scripted_server_falls_silent(scripted_server, step):
    script = scripted.Script()
    script.silent_at = step
    server = scripted_server(script)
    client = xmpp.AsyncClient(server.jid, "pw", server.tls_port, server.ca)

    async def walk():
        await client.connect()
        await client.archive()
    task = asyncio.run_coroutine_threadsafe(walk(), loop.loop())
    wait_for(lambda: step in server.silent, 10, lambda: str(server.names()))
    assert not task.done()
    task.cancel()
