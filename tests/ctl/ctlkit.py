"""A varvectl that talks to the fake daemon. $VARVECTL names the program; the meson test sets it."""

import json
import os
import subprocess
import threading
import time

PROGRAM = os.environ.get("VARVECTL", os.path.join(os.path.dirname(__file__), "../../build/ipc/varvectl"))
HOUR = 3600 * 10**6
T0 = 1700000000000000
POPEN_DEADLINE = 30           # seconds


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
