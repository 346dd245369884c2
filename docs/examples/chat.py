#!/usr/bin/python3
"""A terminal chat over varve, to read before writing an app: python3 chat.py [ACCOUNT]. Needs python3-gi.

What every app does, in this order: connect (connect); read what is shown, and remember `since` (load); follow the feed
(pull); send under an id of its own, and again under the same id if the answer was lost (flush).

Up, Down        choose a conversation
Page Up, Down   scroll
Enter, ^R       send; send again what failed
^C              leave
/open ADDRESS   begin a conversation
/help           show this
"""

import collections
import curses
import datetime
import os
import signal
import sys
import textwrap
import unicodedata
import uuid

from gi.repository import Gio, GLib

ROOT, PREFIX = "/org/varve/Varve1", "org.varve.Varve1."
ADDRESS = "unix:path=" + os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}") + "/varve/bus"
STATES = {10: "queued", 11: "sending", 12: "✓", 13: "✓✓", 14: "✓✓ read", 20: "failed", 21: "cancelled"}

# Rows, as org.varve.Varve1.xml lists their fields.
Message = collections.namedtuple("Message", "id mod conversation sender time direction state kind body extra")
Conversation = collections.namedtuple("Conversation", "id mod kind title time last unread mentions first flags extra")
Gap = collections.namedtuple("Gap", "id conversation after_id before_id after_time before_time state extra")


def cells(text):
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def cut(text, width):
    text = text[:width]
    while cells(text) > width:
        text = text[:-1]
    return text


def wrap(text, width):
    for line in text.split("\n"):
        yield from [line] if cells(line) <= width else textwrap.wrap(line, width * len(line) // max(cells(line), len(line)))


def when(time, form):
    return datetime.datetime.fromtimestamp(time / 1e6).strftime(form)


def callback(work):
    """What the main loop calls: an error is shown or leads to another beginning, and the screen is drawn anew."""
    def call(self, *args):
        try:
            work(self, *args)
        except GLib.Error as e:
            name = Gio.DBusError.get_remote_error(e) or ""
            if name.endswith((".EpochChanged", ".ChangesTooOld")):
                self.load()
            elif name:          # without one the connection went: on_closed says so
                self.notice = e.message.split(": ", 1)[-1]
        self.draw()
        return True
    return call


class Chat:
    def __init__(self, screen, jid):
        self.screen, self.jid = screen, jid
        self.conn = self.account = self.epoch = self.since = None
        self.conversations, self.typing = {}, {}    # id -> Conversation, id -> who
        self.open = None                    # id of the one that is shown
        self.bottoms = []                   # the lowest message of each screen that was scrolled up to; []: the newest
        self.page, self.gaps, self.edges, self.visible = [], [], 0, []
        self.unsent = []                    # (conversation, client id, text) that varved has not answered yet
        self.help = False                   # the keys are shown, until the next one
        self.text = self.state = self.problem = self.notice = ""    # input; of the account; why nothing works; last error

    def connect(self):
        self.problem = "varved is not running: systemctl --user start varved"      # until load() knows better
        # Peer to peer, without Hello: calls have no destination, signals need no AddMatch.
        self.conn = Gio.DBusConnection.new_for_address_sync(ADDRESS, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT)
        self.conn.connect("closed", self.on_closed)
        self.conn.signal_subscribe(None, None, None, None, None, 0, self.on_signal)
        self.load()

    def call(self, path, method, signature="()", *args):
        if self.conn is None or path is None:
            raise GLib.Error("not connected")
        interface, member = (PREFIX + method if method[0].isupper() else method).rsplit(".", 1)
        return self.conn.call_sync(None, path, interface, member, GLib.Variant(signature, args), None, 0, 5000).unpack()

    @callback
    def load(self):
        """Everything anew: at first, after a reconnect, when the archive was unlocked or is another one."""
        (status,) = self.call(ROOT, "Manager.GetStatus", "(a{sv})", {})
        accounts = [a for a in status["accounts"] if self.jid in (None, a["jid"])]
        self.problem = status.get("state_reason", "") or "there is no such account: varvectl account add you@example.org"
        if status["state"] != "ready" or not accounts:      # locked, say: keep what is on the screen
            return
        self.jid, self.state, self.problem = accounts[0]["jid"], accounts[0]["state"], ""
        (self.account,) = self.call(ROOT, "Manager.FindAccount", "(s)", self.jid)
        (self.epoch,) = self.call(self.account, "org.freedesktop.DBus.Properties.Get", "(ss)", PREFIX + "Archive", "Epoch")
        self.conversations, self.since, cursor = {}, None, ""
        while self.since is None or cursor:
            rows, cursor, seq = self.call(self.account, "Conversations.List", "(sua{sv})", cursor, 500, {})
            self.since = seq if self.since is None else self.since      # of the first page: later changes come again
            self.conversations.update((row[0], Conversation(*row)) for row in rows)
        self.read_page()
        (typing,) = self.call(self.account, "Conversations.GetTyping")
        self.typing = {conversation: who for conversation, who, state in typing if state == "composing"}
        self.flush()

    def pull(self):
        """The doorbell rang: all rows that changed since the last time, each once, in its latest state."""
        more = True
        while more:
            self.since, more, _messages, conversations, _contacts, removed = self.call(
                self.account, "Archive.Changes", "(stua{sv})", self.epoch, self.since, 500, {})
            self.conversations.update((row[0], Conversation(*row)) for row in conversations)
            for kind, key in removed:
                self.conversations.pop(key if kind == "conversation" else None, None)
        self.read_page()            # varved knows where in the order a new row belongs; reading a page takes it 1 ms

    def read_page(self):
        if self.open not in self.conversations:
            self.open, self.bottoms, self.page = next((c.id for c in self.listed()), None), [], []
        if self.open is None:
            return
        anchor = ("message", self.bottoms[-1]) if self.bottoms else ("newest", 0)
        rows, self.edges, _ = self.call(self.account, "Archive.GetHistory", "(sstuua{sv})", self.open, *anchor,
                                        100, 0, {"across-gaps": GLib.Variant("b", True)})      # 100: more than a screen
        self.page = [Message(*row) for row in rows]
        self.gaps = [Gap(*row) for row in self.call(self.account, "Sync.ListGaps", "(stu)", self.open, 0, 0)[0]]
        if not self.bottoms and self.page and self.conversations[self.open].unread:
            self.call(self.account, "Conversations.MarkRead", "(sta{sv})", self.open, self.page[-1].id, {})

    @callback
    def on_closed(self, *_):
        self.conn, self.problem = None, "varved is gone; waiting for it"

    @callback
    def on_signal(self, _conn, _sender, path, _interface, member, arguments):
        a = arguments.unpack()
        if path == ROOT:                    # locked, unlocked, failed, an account more or less
            self.load()
        elif path == self.account and member == "Changed":
            self.pull()
        elif path == self.account and member == "Typing":
            self.typing[a[0]] = a[1] if a[2] == "composing" else None
        elif path == self.account and member == "PropertiesChanged":
            self.state = a[1].get("State", self.state) if a[0] == PREFIX + "Account" else self.state
            if "GapCount" in a[1] or "LostCount" in a[1]:
                self.read_page()

    @callback
    def on_tick(self):                      # and when the terminal changed its size
        curses.resizeterm(*os.get_terminal_size()[::-1])
        if self.conn is None:
            self.connect()
        self.flush()

    def flush(self):
        """What varved answered is safe. What it did not is asked again; under the same id it is the same message."""
        while self.unsent and self.account:
            try:
                self.call(self.account, "Archive.Send", "(sssa{sv})", *self.unsent[0], {})
            except GLib.Error as e:
                name = Gio.DBusError.get_remote_error(e)
                if not name or name.endswith((".Locked", ".Storage", ".Busy")):
                    return                  # on_tick tries again
                self.notice = e.message.split(": ", 1)[-1]
            self.unsent.pop(0)

    def enter(self):
        text, self.text, self.bottoms = self.text.strip(), "", []
        if text.startswith("/open "):
            (self.open,) = self.call(self.account, "Conversations.Open", "(sa{sv})", text[6:].strip(), {})
            self.load()
        elif text.startswith("/") and not text.startswith("/me "):      # XEP-0245: "/me" is said, not done
            self.help = text == "/help"
            self.notice = "" if self.help else "no such command; /help"
        elif text and self.open:
            self.unsent.append((self.open, str(uuid.uuid4()), text))
            self.flush()

    def retry(self):
        for row in self.page:
            if row.direction == 1 and row.state == 20:
                self.call(self.account, "Archive.Retry", "(ta{sv})", row.id, {})

    def select(self, step):
        ids = [c.id for c in self.listed()] or [None]
        self.open = ids[max(0, min(len(ids) - 1, ids.index(self.open) + step))]
        self.page, self.gaps, self.bottoms = [], [], []
        self.read_page()

    def scroll(self, up):
        if up and self.visible and not (self.edges & 1 and self.visible[0] == self.page[0].id):
            self.bottoms.append(self.visible[0] if len(self.visible) > 1 else self.page[-2].id)
        elif not up and self.bottoms:
            self.bottoms.pop()
        self.read_page()

    def type(self, key):
        if key in (curses.KEY_BACKSPACE, "\x7f", "\b"):
            self.text = self.text[:-1]
        self.text += key if isinstance(key, str) and key.isprintable() else ""
        if self.open:
            self.call(self.account, "Conversations.SetTyping", "(ss)", self.open, "composing" if self.text else "active")

    @callback
    def on_key(self, *_):
        self.notice, self.help = "", False
        keys = {curses.KEY_UP: (self.select, -1), curses.KEY_DOWN: (self.select, 1), curses.KEY_PPAGE: (self.scroll, 1),
                curses.KEY_NPAGE: (self.scroll, 0), "\n": (self.enter,), "\r": (self.enter,), "\x12": (self.retry,)}
        try:
            while True:
                key = self.screen.get_wch()
                work, *args = keys.get(key, (self.type, key))
                work(*args)
        except curses.error:                # that was the last one
            pass

    def listed(self):
        return sorted(self.conversations.values(), key=lambda c: (not c.flags & 1, -c.time, c.id))

    def lines(self, width):
        """The page as (text, attribute, message id)."""
        gaps, last = sorted(self.gaps, key=lambda g: g.before_time or 1 << 62), 0
        for row in self.page:
            while gaps and 0 < gaps[0].before_time <= row.time:
                gap = gaps.pop(0)
                if gap.before_time > last > 0 or not last and self.edges & 1:
                    yield self.gap_line(gap), curses.A_BOLD, None
            if not last or when(last, "%x") != when(row.time, "%x"):
                yield when(row.time, "— %A, %d %B %Y —"), curses.A_DIM, None
            for n, line in enumerate(wrap(self.message(row), width - 6)):
                yield " " * 6 * (n > 0) + line, curses.A_NORMAL, row.id
            last = row.time
        if not self.bottoms:
            yield from ((self.gap_line(gap), curses.A_BOLD, None) for gap in gaps if not gap.before_time)
            yield from ((f"(waits for varved) {u[2]}", curses.A_DIM, None) for u in self.unsent if u[0] == self.open)

    def gap_line(self, gap):
        what = {"fetching": "being fetched", "lost": "gone from the server"}.get(gap.state, "not synced yet")
        since = when(gap.after_time, "%d %b %Y") if gap.after_time else "the beginning"
        return f"╌╌ gap since {since}: {what} ╌╌"

    def message(self, row):
        who = "me" if row.direction == 1 else self.conversations[self.open].title.split("@")[0]
        notes = ["edited"] * ("edited" in row.extra) + [" ".join(e) for e in row.extra.get("reactions", {}).values()]
        if row.direction == 1:
            condition, reason = row.extra.get("error", ("", ""))       # a server need not give a reason
            notes.append(": ".join(filter(None, [STATES.get(row.state, "?"), reason or condition])))
        kind = "" if row.kind == "text" else f"({row.kind}) "
        return f"{when(row.time, '%H:%M')} {who}: {kind}{row.body}" + (f"  [{', '.join(notes)}]" if notes else "")

    def put(self, y, x, text, width, attribute=curses.A_NORMAL):
        # Other people wrote it: no control characters into the terminal.
        text = cut("".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf")), width)
        self.screen.addstr(y, x, text + " " * (width - cells(text)), attribute)

    def draw(self):
        height, width = self.screen.getmaxyx()
        column, right = min(24, width // 3), width - min(24, width // 3) - 2
        self.screen.erase()
        if height < 5 or right < 10:
            return
        self.put(0, 0, f" {self.jid or 'varve'}  {self.problem or self.notice or self.state}", width, curses.A_REVERSE)
        listed, rows = self.listed(), height - 1
        at = next((n for n, c in enumerate(listed) if c.id == self.open), 0)
        for y, c in enumerate(listed[max(0, at - rows + 1):][:rows], 1):
            unread = f" {c.unread}" if c.unread else ""
            self.put(y, 0, cut(c.title, column - len(unread)) + unread, column,
                     curses.A_REVERSE if c.id == self.open else curses.A_BOLD if c.unread else curses.A_NORMAL)
        keys = ((line, curses.A_NORMAL, None) for line in __doc__.split("\n\n")[-1].splitlines())
        lines = list(keys if self.help else self.lines(right))[3 - height:]
        self.visible = list(dict.fromkeys(line[2] for line in lines if line[2]))
        for y, (text, attribute, _) in enumerate(lines, 1):
            self.put(y, column + 1, text, right, attribute)
        typing = self.typing.get(self.open)
        self.put(height - 2, column + 1, f"{typing} is typing..." if typing else "", right)
        text = "> " + cut(self.text[::-1], right - 3)[::-1]
        self.put(height - 1, column + 1, text, right)
        self.screen.move(height - 1, column + 1 + cells(text))
        self.screen.refresh()


def main(screen):
    screen.nodelay(True)
    chat = Chat(screen, sys.argv[1] if len(sys.argv) > 1 else None)
    chat.on_tick()
    GLib.timeout_add(1000, chat.on_tick)
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IO_IN, chat.on_key)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGWINCH, chat.on_tick)
    GLib.MainLoop().run()


try:
    curses.wrapper(main)
except KeyboardInterrupt:
    pass
