"""Completions in the shells themselves, at a terminal, with a daemon to ask: a key is pressed, and the line is read."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from ctlkit import PROGRAM, T0
from fake import message

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../data/completions")
SETUP = {
    "bash": "source %s/varvectl" % FILES,
    "zsh": "fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D; unsetopt BEEP; setopt NO_ALWAYS_LAST_PROMPT" % FILES,
}
START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}


class Shell:
    def __init__(self, name, home):
        self.seen = ""
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(home)
            os.environ.clear()
            os.environ.update(PATH=os.path.dirname(os.path.abspath(PROGRAM)) + ":/usr/bin:/bin", TERM="dumb", HOME=home,
                              LC_ALL="C.UTF-8", INPUTRC="/dev/null", COLUMNS="200")
            os.execvp(START[name][0], START[name])
        self.pid = pid
        self.type(SETUP[name] + "; PS1='READY> '\n")
        self.until(r"READY> ")

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern, seconds=15):
        """Read until ${pattern} is there; what was read since the last time."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, "waited for %r, saw %r" % (pattern, self.seen)
            self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
            while "\b" in self.seen.lstrip("\b"):  # the cursor goes back over what is drawn again
                self.seen = re.sub("[^\b]\b", "", self.seen)
        text, self.seen = self.seen, ""
        return text

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def talk(fake):
    fake.messages = [message(2, "bob@example.org", T0, "hello"), message(4, "bella@example.org", T0, "hi"),
                     message(6, "carol@example.org", T0, "hi")]
    fake.roster = {"dora@example.org": ("", "both", 0, [])}
    return fake


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_an_address_is_no_command(talk, ctl, tmp_path, name):
    """RFC 7622 allows $, ( and ` in an address, and anybody may write: neither the key nor the line may run it."""
    who = "mallory$({touch,owned})`{touch,owned}`@example.org"
    talk.messages += [message(8, who, T0, "hi"), message(10, "x\\\\20y@example.org".replace("\\\\", "\\"), T0, "hi")]
    shell = Shell(name, str(tmp_path))
    shell.type("varvectl --address=%s history mal\t" % talk.path)
    shell.until(r"mallory\\\$\\\(.*@example\.org ")
    shell.type("-j\n")
    shell.until(r"READY> ")
    assert ("GetHistory", who) in [(member, args[0]) for member, args in talk.calls if member == "GetHistory"]
    shell.type("varvectl --address=%s history x\t" % talk.path)
    shell.until(r"history x\\\\20y@example\.org ")
    shell.close()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_the_tab_key_completes_verbs_options_and_who_is_there(talk, ctl, tmp_path, name):
    shell = Shell(name, str(tmp_path))
    start = "varvectl --address=%s " % talk.path
    for typed, done in [("hist\t", "history "), ("history bo\t", "history bob@example.org"),
                        ("history bob@ex\t", "history bob@example.org"), ("send ca\t", "send carol@example.org"),
                        ("roster remove do\t", "roster remove dora@example.org"), ("account sh\t", "account show "),
                        ("search --in=ca\t", "search --in=carol@example.org"), ("send bob@example.org --wait=de\t", "--wait=delivered"),
                        ("account show al\t", "account show alice@example.org"), ("status --che\t", "status --check"),
                        ("-a alice@example.org hist\t", "history "), ("help sy\t", "help sync "), ("help sync fe\t", "help sync fetch "),
                        ("account set tls=st\t", "tls=starttls "), ("account set en\t", "enabled="), ("account set ali\t", "account set alice@example.org"),
                        ("search --from=ca\t", "--from=carol@example.org"), ("api call ro\t", "api call root ")]:
        shell.type(start + typed)
        shell.until(re.escape(done))
        shell.type("\x15")  # the line is forgotten
    shell.close()


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_only_authorize_takes_an_action_behind_the_contact(talk, tmp_path, name):
    shell = Shell(name, str(tmp_path))
    start = "varvectl --address=%s roster " % talk.path
    for verb, seen in [("authorize", "approve !"), ("set", "ap\a?!"), ("block", "ap\a?!"), ("remove", "ap\a?!")]:
        shell.type(start + verb + " dora@example.org ap\t!")
        shell.until(r"dora@example\.org " + seen)
        shell.type("\x15")
    shell.close()


def test_bash_offers_nothing_behind_the_last_word(talk, tmp_path):
    def offered(line):
        line = "varvectl --address=%s %s" % (talk.path, line)
        script = 'source "$0"; COMP_LINE=$1 COMP_POINT=${#1}; _varvectl 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
        return set(subprocess.run(["bash", "-c", script, FILES + "/varvectl", line], stdout=subprocess.PIPE, text=True, check=True,
                                  env={"PATH": os.path.dirname(os.path.abspath(PROGRAM)) + ":/usr/bin:/bin"}).stdout.split())

    assert "bob@example.org" in offered("history ") and "bob@example.org" in offered("monitor carol@example.org ")
    for line in ("history bob@example.org ", "account show alice@example.org ", "sync gaps bob@example.org ", "send bob@example.org "):
        assert offered(line) == set(), line


def test_zsh_has_a_line_for_each_verb():
    """It puts those that are described alike on one line, which all others are then padded to the width of: it asks whether
    132 possibilities are to be shown."""
    with open(FILES + "/_varvectl", encoding="utf-8") as f:
        verbs = re.search(r"'\'\) verbs=\((.*?)\) ;;", f.read(), re.S).group(1).split("\n")
    said = [x.partition(":")[2] for x in verbs if x.strip()]
    assert len(said) > 20 and len(said) == len(set(said))


def test_fish_completes(talk, ctl, tmp_path):
    def complete(line):
        p = subprocess.run(["fish", "-N", "-c", "source %s/varvectl.fish; complete -C $argv[1]" % FILES, line],
                           env={"PATH": os.path.dirname(os.path.abspath(PROGRAM)) + ":/usr/bin:/bin", "HOME": str(tmp_path)},
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
        assert p.returncode == 0 and p.stderr == "", p
        return {x.split("\t")[0] for x in p.stdout.splitlines()}

    start = "varvectl --address=%s " % talk.path
    assert {"history", "send"} <= complete(start)
    assert complete(start + "history b") == {"bob@example.org", "bella@example.org"}
    assert complete(start + "send ca") == {"carol@example.org"}
    assert complete(start + "roster remove d") == {"dora@example.org"}
    assert complete(start + "roster ") >= {"list", "set", "authorize"}
    assert complete(start + "-a alice@example.org hist") == {"history"}
    assert complete(start + "help sy") == {"sync"} and complete(start + "help sync fe") == {"fetch"}
    assert complete(start + "account set tls=") == {"tls=direct", "tls=starttls"}
    for one in ("send bob@example.org ca", "history bob@example.org ca", "account show alice@example.org al"):
        assert complete(start + one) == set()
    assert complete(start + "roster authorize dora@example.org ap") == {"approve"}
    assert complete(start + "roster set dora@example.org ap") == set()
    assert "--reply-to=" in {x.rstrip("=") + "=" for x in complete(start + "send --re")}
