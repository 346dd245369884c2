"""A varvectl that talks to the fake daemon. $VARVECTL names the program; the meson test sets it."""

import json
import os
import pty
import subprocess
import threading
import time

PROGRAM = os.environ.get("VARVECTL", os.path.join(os.path.dirname(__file__), "../../build/ipc/varvectl"))
HOUR = 3600 * 10**6
T0 = 1700000000000000
POPEN_DEADLINE = 30           # seconds
BOB, CAROL = "bob@example.org", "carol@example.org"
KEY_FILE = "/home/me/.config/varve/archive-aaaa.key"  # a path from the daemon is from its configuration directory


class Ctl:
    def __init__(self, fake):
        self.fake = fake
        self.env = dict(PATH=os.environ["PATH"], LC_ALL="C.UTF-8", TZ="UTC", COLUMNS="80", HOME="/home/me")

    def argv(self, *args):
        return [PROGRAM, "--address=" + self.fake.path, *args]

    def __call__(self, *args, code=0, stdin=subprocess.DEVNULL, input=None, **kw):
        """Run to the end; the exit code is part of every test."""
        if input is not None:
            stdin = None
        p = subprocess.run(self.argv(*args), env=dict(self.env, **kw.pop("env", {})), stdin=stdin, input=input,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, text=True, **kw)
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        self.err = p.stderr
        return p.stdout

    def rows(self, *args, code=0):
        return [json.loads(line) for line in self(*args, code=code).splitlines()]

    def error(self, *args, code, **kw):
        """The error object of a failure with -j."""
        assert self(*args, "-j", code=code, **kw) == ""
        return json.loads(self.err)["error"]

    def popen(self, *args):
        p = subprocess.Popen(self.argv(*args), env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        # A line that never comes ends the test: reading it gives "".
        watchdog = threading.Timer(POPEN_DEADLINE, p.kill)
        watchdog.daemon = True
        watchdog.start()
        return p


def wait_for(what, seconds=10):
    """Poll until ${what}() is true; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("it did not happen within %d s" % seconds)


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
    """The arguments of each call of it."""
    return [c[1] for c in fake.calls if c[0] == member]


def ids(fake, conversation=BOB):
    return [m["id"] for m in fake.messages if conversation in ("", m["conversation"])]
