"""varve-wire without varved: tests/unit/wire/drive-wire is its keeper, records are lines."""

import os
import re
import shutil
import signal
import subprocess
import tempfile

from . import proc
from .daemon import build_dir, program
from .wait import wait_for

# enum out_kind
TEXT, CORRECTION, RETRACTION, REACTION, RECEIPT, MARKER, READ = range(7)
# enum link_request_kind
ROSTER_SET, ROSTER_REMOVE, BLOCK, UNBLOCK, SUBSCRIPTION, PRESENCE = range(6)
# enum link_chat_state_id
ACTIVE, COMPOSING, PAUSED, INACTIVE, GONE = range(5)

_FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')


class Record(dict):
    """Fields of one record; absent ones are ''. Numbers are int."""

    def __init__(self, line):
        self.name, _, rest = line.partition(" ")
        plain = lambda text: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)
        super().__init__((k, int(n) if n else plain(text)) for k, text, n in _FIELD.findall(rest))

    def __missing__(self, key):
        return ""

    def __repr__(self):
        return f"{self.name} {super().__repr__()}"


class Wire:
    """
    START with `settings` (see struct link_start); go="auto": each item may go as soon as it is numbered. `wrap`: what it is
    started by.
    """

    def __init__(self, server, user, password="pw", go="auto", commit="auto", wrap=(), **settings):
        self.dir = tempfile.mkdtemp(prefix="varvetest-w-")
        self.log = os.path.join(self.dir, "records")
        start = {"jid": f"{user}@{server.domain}", "password": password, "host": "127.0.0.1", "port": server.tls_port,
                 "tls": "direct", "ca": server.ca, "grant": 1000, "ahead": 1000, **settings}
        if go:
            start["go"] = go
        if commit:
            start["commit"] = commit
        argv = [*wrap, os.path.join(build_dir(), "tests", "unit", "wire", "drive-wire"), program("varve-wire"),
                *(f"{k}={v}" for k, v in start.items())]
        self.child = proc.spawn(argv, log=self.log, stdin=subprocess.PIPE)
        self.item = 0

    @property
    def records(self):
        with open(self.log, errors="replace") as f:
            return [Record(line) for line in f.read().splitlines() if re.match(r"[A-Z_]+( |$)", line)]

    def all(self, name, **fields):
        return [r for r in self.records if r.name == name and all(r[k] == v for k, v in fields.items())]

    def wait(self, name, timeout=20, **fields):
        """The first record of that name with these fields."""
        return wait_for(lambda: self.all(name, **fields), timeout, lambda: f"{name} {fields}; {self.records[-12:]}")[0]

    def tell(self, name, /, **fields):
        """A record to the wire."""
        escaped = {k: str(int(v) if isinstance(v, bool) else v).replace("\n", "\\n") for k, v in fields.items()}
        line = "\t".join([name, *(f"{k}={v}" for k, v in escaped.items())]) + "\n"
        self.child.stdin.write(line.encode())
        self.child.stdin.flush()

    def send(self, kind, to, id, **fields):
        """An item; returns its number in the outbox of this test."""
        self.item += 1
        self.tell("SEND", item=self.item, kind=kind, to=to, id=id, **fields)
        return self.item

    def stop(self, final=False):
        if self.child.poll() is None:
            self.tell("STOP", final=final)
            wait_for(lambda: self.all("EXIT"), 10, lambda: f"the wire's end; {self.records[-5:]}")

    def close(self):
        proc.reap(self.child, signal.SIGKILL)
        self.child.stdin.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            print("--- records of the wire\n" + "\n".join(map(repr, self.records[-60:])))
        self.close()
