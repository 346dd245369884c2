"""A program in a terminal (tmux), and what a person would see there."""

import os
import shlex
import subprocess
import tempfile

from .wait import wait_for


class Terminal:
    """`argv` in a terminal of its own, 80 x 24. In the `with` block: keys(), resize(), wait_text()."""

    def __init__(self, argv, env, width=80, height=24):
        self.dir = tempfile.mkdtemp(prefix="varvetest-tty-")
        self.env = dict(env, TERM="xterm-256color", LC_ALL="C.UTF-8")
        self.env.pop("TMUX", None)
        # What the program says last stays on the screen.
        command = shlex.join(argv) + f" 2>{shlex.quote(self.dir)}/stderr; echo ended with $?; exec sleep 1000"
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), command)

    def _tmux(self, *args):
        p = subprocess.run(["tmux", "-u", "-f", "/dev/null", "-S", os.path.join(self.dir, "tmux"), *args], env=self.env,
                           capture_output=True, text=True, timeout=20)
        assert p.returncode == 0, f"tmux {args}: {p.stderr}"
        return p.stdout

    def keys(self, *names):
        """By tmux's names: Enter, Up, PPage, C-r."""
        self._tmux("send-keys", *names)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def resize(self, width, height):
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def screen(self):
        return self._tmux("capture-pane", "-p")

    @property
    def lines(self):
        return self.screen.rstrip("\n").split("\n")

    def wait(self, condition, timeout=20, what=None):
        """Until condition(lines) is true."""
        def told():
            with open(os.path.join(self.dir, "stderr")) as f:
                return f"{what}; the screen:\n{self.screen}\n{f.read()[-2000:]}"
        return wait_for(lambda: condition(self.lines), timeout, told, 0.05)

    def wait_text(self, *texts, timeout=20):
        """Until one line of the screen has all of them."""
        return self.wait(lambda lines: next((line for line in lines if all(t in line for t in texts)), None), timeout,
                         f"a line with {texts}")

    def wait_gone(self, text, timeout=20):
        self.wait(lambda lines: not any(text in line for line in lines), timeout, f"no line with {text!r}")

    def close(self):
        subprocess.run(["tmux", "-S", os.path.join(self.dir, "tmux"), "kill-server"], capture_output=True, timeout=20)
        subprocess.run(["rm", "-rf", self.dir])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
