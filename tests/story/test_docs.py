"""The programs of docs/ipc.md run as they are printed, against a real daemon with a real history and another person."""

import json
import os
import re
import shutil
import subprocess

import pytest

from varvetest import daemon, seed, servers
from varvetest.daemon import TOP
from varvetest.peer import Peer

PYTHON = "/usr/bin/python3"         # the one with Debian's python3-gi
N = 12

with open(os.path.join(TOP, "docs", "ipc.md")) as f:
    DOC = f.read()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOC, re.S | re.M)


def blocks(language):
    return [text for kind, text in BLOCKS if kind == language]


@pytest.fixture
def server(certs):
    with servers.Prosody(certs=certs) as running:
        for name in ("alice", "bob"):
            running.add_user(name)
        end = int(seed.now().timestamp() * 1e6) - 86400 * 10**6
        running.seed_archive("alice", [seed.Seeded(end + i * 10**6, f"bob@{running.domain}", i % 2 == 1, f"line {i}", f"id{i}")
                                       for i in range(N)])
        yield running


@pytest.fixture
def synced(server, varved):
    varved.add_account(server, "alice")
    varved.wait_sync()
    return varved


def tell(server, varved, argv, text, env=(), directory=None):
    """Run it, and look at what it says of a message to bob, who must get it once."""
    bob = f"bob@{server.domain}"
    with Peer(server, "bob") as peer:
        p = subprocess.run([*argv, bob, text], env=dict(varved.environment(), **dict(env)), capture_output=True, text=True,
                           timeout=60, cwd=directory)
        assert p.returncode == 0, p.stdout + p.stderr
        peer.wait_body(text)
        peer.ping()
        assert peer.bodies.count(text) == 1
    lines = p.stdout.splitlines()
    history = [line.split(" ", 3) for line in lines if line.startswith("history ")]
    assert len(history) >= 5 and all(h[2] == "me" or h[2].startswith(bob) for h in history), p.stdout
    sent = next(line for line in lines if line.startswith("sent as "))
    assert sent.split()[-1].lower() == "false"
    changes = [line for line in lines if line.startswith("changed ") and line.endswith(text)]
    assert changes and changes[-1].split()[1] == sent.split()[2], p.stdout
    return lines, history


def test_every_program_of_the_guide_is_run():
    """A block in another language would be run by nobody."""
    assert {kind for kind, _ in BLOCKS} == {"python", "c", "javascript"}
    assert (len(blocks("c")), len(blocks("javascript"))) == (2, 1)
    assert len(blocks("python")) >= 6


def test_python(server, synced, tmp_path):
    program = tmp_path / "guide.py"
    take = next(line for line in DOC.splitlines() if line.endswith(">guide.py")).replace("docs/", f"{TOP}/docs/")
    subprocess.run(["sh", "-c", take], cwd=tmp_path, check=True)
    assert program.read_text() == "".join(blocks("python"))
    lines, history = tell(server, synced, [PYTHON, "-u", str(program)], "from Python, größer", directory=tmp_path)
    assert lines[0] == f"account alice@{server.domain} online"
    assert lines[1] == f"conversation bob@{server.domain} 0 line {N - 1}"
    assert [h[3] for h in history] == [f"line {i}" for i in range(N - 10, N)]
    assert lines[-2].startswith("error org.varve.Varve1.Error.Conflict ")
    assert lines[-1] == "export done"
    exported = [json.loads(line)["body"] for line in (tmp_path / "export.jsonl").read_text().splitlines()]
    assert exported[:N] == [f"line {i}" for i in range(N)] and exported[-1] == "from Python, größer"


@pytest.mark.parametrize("library", ["libvarve", "libsystemd"])
def test_c(server, synced, tmp_path, library):
    source = next(b for b in blocks("c") if ("varve/varve.h" in b) == (library == "libvarve"))
    (tmp_path / "guide.c").write_text(source)
    home = os.path.join(daemon.build_dir(), "ipc")
    os.symlink(os.path.join(TOP, "ipc"), tmp_path / "varve")       # as it is installed
    link = ["-I", str(tmp_path), f"-L{home}", f"-Wl,-rpath,{home}", "-lvarve"] if library == "libvarve" else ["-lsystemd"]
    program = str(tmp_path / "guide")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "guide.c", *link, "-o", program], cwd=tmp_path, check=True)
    argv = [program] if library == "libvarve" else [program, f"alice@{server.domain}"]
    _, history = tell(server, synced, argv, f"from C with {library}")
    assert len(history) == 5


def test_javascript(server, synced, tmp_path):
    # tests/bus/test_stock.py has fetched it, or said why not
    modules = os.path.join(daemon.build_dir(), "tests", "unit", "bus", "node_modules")
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "dbus-next")):
        pytest.skip("NOT TESTED: the guide in JavaScript: no node, or npm could not fetch dbus-next")
    (tmp_path / "guide.js").write_text(blocks("javascript")[0])
    lines, history = tell(server, synced, ["node", str(tmp_path / "guide.js")], "from JavaScript", [("NODE_PATH", modules)])
    assert lines[0] == f"account alice@{server.domain} online"
    assert len(history) == 10


def test_shell(server, synced):
    lines = [line.strip() for line in DOC.split("      S=unix")[1].split("\n\n")[0].splitlines()]
    assert len(lines) == 5
    for line in (line.replace("you@chat.test", f"alice@{server.domain}") for line in lines[1:]):
        p = subprocess.run(["sh", "-c", "S=unix" + lines[0] + "; " + line], env=synced.environment(), capture_output=True,
                           text=True, timeout=20)
        assert p.returncode == 0, line + p.stderr
