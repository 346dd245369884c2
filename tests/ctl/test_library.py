"""What apps do with libvarve, by an app that says what it hears (libapp.c), against the fake daemon; also with sanitizers:
meson setup build-sanitize -Dtests=true -Db_sanitize=address,undefined -Db_lundef=false"""

import ctypes
import errno
import os
import queue
import subprocess
import threading

import pytest

from ctlkit import T0, wait_for
from fake import NONE, Refused, message, pack, v

APP = os.environ["LIBAPP"]
BOB = "bob@example.org"
OWN = "org.varve.Varve1.Error."


class App:
    """Lines of a libapp, each within a deadline; it ends well, and sanitizers have nothing to say."""

    def __init__(self, fake, *args):
        self.p = subprocess.Popen([APP, fake.path, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.lines, self.seen = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.p.stdout:
            self.lines.put(line.rstrip("\n"))

    def until(self, start, seconds=10):
        """The next line that begins so; the ones before it are in self.seen."""
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError("no %r among %r: %s" % (start, self.seen, self.p.poll())) from None
            self.seen.append(line)
            if line.split()[0] == start.split()[0] and line.startswith(start):
                return line

    def heard(self, word):
        return [x for x in self.seen if x.split()[0] == word]

    def end(self):
        assert self.p.wait(15) == 0, (self.p.stderr.read(), self.seen)
        assert self.p.stderr.read() == "", self.seen

    def kill(self):
        self.p.kill()
        self.p.wait()
        err = self.p.stderr.read()
        self.p.stderr.close()
        return err


@pytest.fixture
def app(fake):
    apps = []

    def start(*args):
        apps.append(App(fake, *args))
        return apps[-1]

    fake.messages = [message(2, BOB, T0, "one"), message(4, BOB, T0 + 1, "two")]
    fake.hits = [(fake.messages[0], [(0, 3)])]
    fake.refuse["Diagnose"] = Refused("Busy", "another one is at work")
    fake.hold.add("SetInterest")
    yield start
    errors = [a.kill() for a in apps]
    assert not any("Sanitizer" in e or "runtime error" in e for e in errors), errors


def say(fake, id, body, **kw):
    with fake.lock:
        fake.messages.append(message(id, BOB, T0 + id, body, mod=fake.seq + 1, **kw))
    fake.ring()


def change(fake, what):
    """Make the callback ${what} happen in an app that follows."""
    if what == "message":
        say(fake, 6, "three")
    elif what == "contact":
        fake.contacts.append((BOB, fake.seq + 1, "Bob", "both", 4, [], {}))
        fake.ring()
    elif what == "conversation":
        fake.changed.append((BOB, fake.seq + 1, "direct", "Bob", T0, pack(NONE), 1, 0, 6, 0, {}))
        fake.ring()
    elif what == "removed":
        fake.do_DeleteLocal([2])
    elif what == "reset":
        fake.epoch = "e2"
        fake.ring()
    elif what == "trouble":
        fake.refuse["Changes"] = Refused("Storage", "the disk is full")
        say(fake, 6, "three")
    elif what in ("typing", "signal"):
        fake.emit("Conversations", "Typing", v("(sss)", (BOB, BOB + "/x", "composing")))
    elif what == "presence":
        fake.emit("Roster", "Presence", v("(sssa{sv})", (BOB + "/x", "away", "out", {})))
    elif what in ("lost", "held"):
        fake.stop()
    elif what == "there":
        fake.stop()
        fake.start()


PLACES = ["message", "contact", "conversation", "removed", "position", "reset", "trouble", "typing", "presence", "signal",
          "lost", "there", "history", "search", "sent", "refused", "held"]


# ---- arguments ---
class Library:
    """The shared library itself: int functions of it by name; what they said of a failure."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(os.environ["LIBVARVE"])
        self.lib.varve_errname.restype = self.lib.varve_errmsg.restype = ctypes.c_char_p
        self.v, self.account = ctypes.c_void_p(), ctypes.c_void_p()
        assert self.lib.varve_open(path.encode(), ctypes.c_uint64(0), ctypes.byref(self.v)) == 0
        assert self.lib.varve_account_find(self.v, None, ctypes.byref(self.account)) == 0

    def refused(self, name, *args):
        assert getattr(self.lib, name)(self.account, *args) == -errno.EINVAL
        assert self.lib.varve_errname(self.v) == b"org.freedesktop.DBus.Error.InvalidArgs"
        return self.lib.varve_errmsg(self.v).decode()


def test_the_network_is_part_of_the_status(fake):
    lib = Library(fake.path)
    status = ctypes.c_void_p()
    lib.lib.varve_status_network.restype = ctypes.c_char_p
    for word in ("metered", "none"):
        fake.network = word
        assert lib.lib.varve_get_status(lib.v, ctypes.byref(status)) == 0
        assert lib.lib.varve_status_network(status) == word.encode()
        lib.lib.varve_status_free(status)
    lib.lib.varve_account_free(lib.account)
    lib.lib.varve_close(lib.v)


def test_what_varved_would_refuse_does_not_end_the_connection(fake):
    lib = Library(fake.path)
    zero, out = ctypes.c_uint64(0), ctypes.c_void_p()
    for n in (65537, 3000000):
        assert "65536" in lib.refused("varve_send", BOB.encode(), b"k", b"x" * n, zero, None, None)
        assert "65536" in lib.refused("varve_edit", ctypes.c_uint64(2), b"k", b"x" * n)
    assert lib.lib.varve_send(lib.account, BOB.encode(), b"k", b"x" * 65536, zero, None, None) == 0
    assert "UTF-8" in lib.refused("varve_send", BOB.encode(), b"k", b"\xe4", zero, None, None)
    assert "noncharacter" in lib.refused("varve_send", BOB.encode(), b"k", "\ufffe".encode(), zero, None, None)
    assert "descriptor" in lib.refused("varve_export", 9999, b"jsonl", None, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.byref(out))
    assert "epoch" in lib.refused("varve_follow", b"", zero, 0, None, None, ctypes.byref(out))
    lib.lib.varve_account_free(lib.account)
    lib.lib.varve_close(lib.v)


# ---- asynchronous calls ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["wait", "poll", "event"])
def test_each_question_is_answered_once(fake, app, how):
    a = app("run", how, "lost")
    for start in ("position", "history", "search", "sent", "refused"):
        if not a.heard(start):
            a.until(start)
    fake.stop()
    a.until("lost")
    a.end()

    assert a.heard("history") == ["history ok 2"] or a.heard("history") == ["history ok 3"]  # Send may have been first
    assert a.heard("search") == ["search ok 1 1"]
    assert a.heard("sent") == ["sent ok 6 0"]
    assert a.heard("refused") == ["refused " + OWN + "Busy"]
    assert a.heard("held") == ["held org.freedesktop.DBus.Error.Disconnected"]
    assert not a.heard("forgotten")
    fake.start()


def test_an_answer_of_another_version_is_told_by_its_name(fake, app):
    fake.raw["GetHistory"] = v("(s)", ("what?",))
    a = app("run", "wait", "history")

    assert a.until("history") == "history org.freedesktop.DBus.Error.InvalidSignature 0"
    a.end()


def test_an_event_loop_that_lets_go_leaves_the_library_usable(fake, app):
    a = app("run", "detach", "message")
    a.until("detached")
    if not a.heard("position"):
        a.until("position")
    say(fake, 100, "still there")
    while "still there" not in a.until("message"):
        pass
    a.end()


# ---- varve_close() from inside ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["wait", "poll", "event"])
@pytest.mark.parametrize("place", PLACES)
def test_the_library_may_be_closed_from_inside_of_any_callback(fake, app, place, how):
    a = app("run", how, place)
    if place not in ("position", "history", "search", "sent", "refused"):
        a.until("position")
        wait_for(lambda: any(m == "SetInterest" for m, _ in fake.calls))
        change(fake, place)
    a.until(place)
    a.end()
    assert a.lines.empty() and a.seen[-1].split()[0] == place, "nothing is told after it: %r" % a.seen
    if place in ("lost", "held"):
        fake.start()


# ---- following -------------------------------------------------------------------------------------------------------
def bodies(a):
    return [x.split(" ", 2)[2] for x in a.heard("message")]


def test_following_goes_on_after_the_connection_came_back(fake, app):
    """Each change once, also what happened meanwhile; and the app is told that it was away."""
    a = app("run", "wait", "", "e1", "0")
    while not a.until("message").endswith("hello"):
        pass
    for n in range(3):
        fake.stop()
        a.until("lost")
        say_offline = message(100 + n, BOB, T0 + 100, "away %d" % n, mod=fake.seq + 1)
        fake.messages.append(say_offline)
        fake.start()
        while not a.until("message").endswith("away %d" % n):
            pass
        if len(a.heard("there")) == n:
            a.until("there")
        say(fake, 200 + n, "back %d" % n)
        while not a.until("message").endswith("back %d" % n):
            pass

    assert bodies(a) == ["one", "two", "hello"] + [x % n for n in range(3) for x in ("away %d", "back %d")]
    assert len(a.heard("lost")) == len(a.heard("there")) == 3 and not a.heard("reset")


@pytest.mark.parametrize("why", ["EpochChanged", "ChangesTooOld"])
def test_a_place_that_the_feed_does_not_know_is_a_reset(fake, app, why):
    fake.oldest_seq = 3
    a = app("run", "wait", "", "e0" if why == "EpochChanged" else "e1", "4" if why == "EpochChanged" else "2")
    seq = int(a.until("reset %s%s e1" % (OWN, why)).split()[-1])
    assert seq >= 4
    say(fake, 100, "after")
    while not a.until("message").endswith("after"):
        pass
    assert len(a.heard("reset")) == 1 and set(bodies(a)) <= {"hello", "after"}


@pytest.mark.parametrize("restart", [False, True])
def test_another_archive_while_following_is_a_reset(fake, app, restart):
    a = app("run", "wait", "", "e1", "0")
    while not a.until("message").endswith("hello"):
        pass
    if restart:
        fake.stop()
    fake.epoch, fake.messages = "e2", [message(2, BOB, T0, "of another archive")]
    fake.start() if restart else fake.ring()
    assert a.until("reset") == "reset " + OWN + "EpochChanged e2 2"
    say(fake, 100, "after")
    assert a.until("message") == "message 100 after"
    assert "of another archive" not in bodies(a), "the app reads that itself"


def test_trouble_is_told_once_and_then_it_goes_on(fake, app):
    fake.refuse["Changes"] = Refused("Storage", "the disk is full")
    a = app("run", "wait", "", "e1", "0")
    assert a.until("trouble") == "trouble " + OWN + "Storage"
    tried = len([1 for m, _ in fake.calls if m == "Changes"])
    wait_for(lambda: len([1 for m, _ in fake.calls if m == "Changes"]) > tried)
    del fake.refuse["Changes"]
    while not a.until("message").endswith("hello"):
        pass
    assert bodies(a) == ["one", "two", "hello"] and len(a.heard("trouble")) == 1


# ---- the rest --------------------------------------------------------------------------------------------------------
def test_export_passes_the_descriptor_and_says_how_far_it_is(fake, app):
    fake.job = [("running", (1, 2), ("", "")), ("running", (1, 2), ("", "")), ("done", (2, 2), ("", ""))]
    a = app("export")
    a.until("done 2/2")
    a.end()

    assert a.seen == ["what was exported", "done 2/2"]
    assert [x for x in fake.calls if x[0] == "Export"][0][1][1:] == (
        {"format": "text", "conversations": [BOB], "since": 10, "until": 20},)
    assert ("Cancel", ()) in fake.calls


def test_active_is_said_of_the_connection(fake, app):
    fake.hold.clear()
    app("active").end()
    assert [x[1] for x in fake.calls if x[0] == "SetInterest"] == [({"active": True},), ({"active": False},)]
