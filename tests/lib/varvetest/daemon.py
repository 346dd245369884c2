"""varved with directories of its own, and varvectl as the only way in."""

import collections
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from . import proc
from .wait import wait_for

TOP = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))

Result = collections.namedtuple("Result", "code out err")

EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_NOT_FOUND, EXIT_LOCKED, EXIT_OFFLINE, EXIT_TIMEOUT, \
    EXIT_REJECTED, EXIT_PERMISSION, EXIT_CHECK, EXIT_VERSION = range(12)


class CtlError(AssertionError):
    def __init__(self, argv, result):
        super().__init__(f"varvectl {' '.join(argv)}: exit {result.code}\n{result.out[-2000:]}\n{result.err[-2000:]}")
        self.result = result


def build_dir():
    return os.path.abspath(os.environ.get("VARVE_BUILD", os.path.join(TOP, "build")))


def program(name):
    return os.path.join(build_dir(), {"varvectl": "ipc"}.get(name, "daemon"), name)


def usable():
    """None, or why the programs cannot be tested."""
    for name in ("varved", "varve-wire", "varvectl"):
        if not os.access(program(name), os.X_OK):
            return f"{program(name)} is not built"
    return None


class Varved:
    def __init__(self, directory=None):
        self.own_dir = directory is None
        self.dir = str(directory or tempfile.mkdtemp(prefix="varvetest-d-"))
        self.data = os.path.join(self.dir, "data")
        self.config = os.path.join(self.dir, "config")
        self.runtime = os.path.join(self.dir, "run")
        for path in (self.data, self.config, self.runtime):
            os.makedirs(path, mode=0o700, exist_ok=True)
        self.log = os.path.join(self.dir, "varved.log")
        self.socket = os.path.join(self.runtime, "varve", "bus")
        self.archive_file = os.path.join(self.data, "varve", "archive.db")
        self.child = None
        self.starts = 0
        self.wrap = []          # what varved is started by: ip netns exec ...
        self.extra_env = {}

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("DBUS_", "NOTIFY_"))}
        env.update(XDG_DATA_HOME=self.data, XDG_CONFIG_HOME=self.config, XDG_RUNTIME_DIR=self.runtime,
                   HOME=self.dir, LC_ALL="C.UTF-8", COLUMNS="80")
        env.update(self.extra_env)
        return env

    def configure(self, text):
        """varve.conf says this from the next start on."""
        os.makedirs(os.path.join(self.config, "varve"), mode=0o700, exist_ok=True)
        with open(os.path.join(self.config, "varve", "varve.conf"), "w", encoding="utf-8") as f:
            f.write(text)

    # the daemon

    def spawn(self):
        assert self.child is None
        self.starts += 1
        self.child = proc.spawn([*self.wrap, program("varved")], log=self.log, env=self.environment(), cwd=self.dir)
        return self

    def start(self):
        self.spawn()
        wait_for(self._up, 20, lambda: f"varved answers; its log: {self.tail()}")
        return self

    def _up(self):
        if self.child.poll() is not None:
            raise AssertionError(f"varved exited with {self.child.returncode}: {self.tail()}")
        return os.path.exists(self.socket) and self.run("status").code == EXIT_OK

    def stop(self, sig=signal.SIGTERM):
        status = proc.reap(self.child, sig)
        self.child = None
        return status

    def kill9(self):
        return self.stop(signal.SIGKILL)

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        return self.start()

    def close(self):
        self.kill9()
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    def tail(self, size=4000):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()[-size:]
        except FileNotFoundError:
            return "(no log)"

    # varvectl

    def run(self, *argv, password=None, timeout=120):
        """varvectl as a user runs it. `password` goes through --password-fd."""
        argv = [str(a) for a in argv]
        fds = ()
        if password is not None:
            read, write = os.pipe()
            os.write(write, (password + "\n").encode())
            os.close(write)
            argv.append(f"--password-fd={read}")
            fds = (read,)
        try:
            done = subprocess.run([program("varvectl"), *argv], env=self.environment(), cwd=self.dir, pass_fds=fds,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        finally:
            for fd in fds:
                os.close(fd)
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def ctl(self, *argv, **kwargs):
        """The JSON objects that a verb prints, one a line; CtlError unless it exits with 0."""
        result = self.run("--json=short", *argv, **kwargs)
        if result.code != EXIT_OK:
            raise CtlError(argv, result)
        return [json.loads(line) for line in result.out.splitlines() if line.strip()]

    def add_account(self, server, user, password="pw", port=None, tls="direct", ca=True, host="127.0.0.1", extra=()):
        argv = ["account", "add", f"{user}@{server.domain}", *extra]
        if host:
            argv.append(f"--server={host}:{port or (server.tls_port if tls == 'direct' else server.port)}")
        if tls:
            argv.append(f"--tls={tls}")
        if ca:
            argv.append(f"--ca-file={server.ca}")
        return self.ctl(*argv, password=password)

    def status(self):
        return self.ctl("status")[0]

    def account(self, jid=None):
        accounts = self.status()["accounts"]
        return next(a for a in accounts if jid is None or a["jid"] == jid)

    def wait_state(self, *states, timeout=30, jid=None):
        def reached():
            account = self.account(jid)
            return account if account["state"] in states else None
        return wait_for(reached, timeout, lambda: f"state {states}; is {self.account(jid)}; log: {self.tail(2000)}")

    def wait_sync(self, timeout=60, jid=None):
        account = ("-a", jid) if jid else ()
        result = self.run(f"--timeout={timeout}", *account, "sync", "wait", timeout=timeout + 20)
        if result.code != EXIT_OK:
            raise AssertionError(f"sync wait: exit {result.code} {result.err}\nstatus {self.run('-j', 'status').out}\n"
                                 f"gaps {self.run('-j', 'sync', 'gaps').out}\nlog: {self.tail()}")
        return self.account(jid)

    def export(self, *argv):
        return self.ctl("export", *argv)

    def wait_resumed(self, resumes, timeout=30, jid=None):
        """Until the session was resumed that often since the account was added."""
        def reached():
            account = self.account(jid)
            return account if account["state"] == "online" and account["session"]["resumes"] >= resumes else None
        return wait_for(reached, timeout, lambda: f"{resumes} resumes; is {self.account(jid)}; log: {self.tail(2000)}")


def differences(export, archive):
    """How an export differs from the archive as the independent reader sees it; [] when it does not.

    Nothing missing, nothing twice, archive order, the same bodies. Rows without a body on the server's side
    (receipts, markers) need no row of their own.
    """
    out = []
    want = [row for row in archive if row.body is not None]
    ids = [row["stanza_id"] for row in export]
    have = collections.Counter(ids)
    for row in export:
        if row["stanza_id"] is None:
            out.append(f"without an archive id: {row['body']!r} of {row['sender']}")
    for ident, count in have.items():
        if count > 1 and ident is not None:
            out.append(f"{count} times: {ident}")
    expected = {row.archive_id: row for row in want}
    for row in want:
        if row.archive_id not in have:
            out.append(f"missing: {row}")
    for row in export:
        if row["stanza_id"] is not None and row["stanza_id"] not in expected:
            out.append(f"not in the archive: {row['stanza_id']} {row['body']!r}")
        elif row["stanza_id"] is not None and expected[row["stanza_id"]].body != row["body"]:
            out.append(f"another body: {row['stanza_id']} {row['body']!r}, is {expected[row['stanza_id']].body!r}")
    if not out:
        for number, (ident, row) in enumerate(zip(ids, want)):
            if ident != row.archive_id:
                out.append(f"order: row {number} is {ident}, should be {row.archive_id}")
                break
    return out


def assert_same(varved, server, user, password="pw", timeout=20):
    """`varvectl export` equals the server's archive. Live copies without an archive id get it from the archive, so
    one round of sync is asked for; the comparison must then come out equal, and stay so."""
    def asked():
        nonlocal refused
        refused = varved.run("sync", "now")
        return refused.code == EXIT_OK      # a link that was just cut has to come back first
    refused = None
    wait_for(asked, max(timeout, 20), lambda: f"sync now; it says {refused.err}; log: {varved.tail(2000)}")
    varved.wait_sync(timeout=max(timeout, 20))
    end = time.monotonic() + timeout
    while True:
        archive = server.archive(user, password)
        different = differences(varved.export(), archive)
        if not different or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert not different, (f"{len(different)} differences to the archive of {len(archive)}:\n  " +
                           "\n  ".join(different[:12]) + f"\nlog: {varved.tail(3000)}")
    return archive
