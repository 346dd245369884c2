#!/usr/bin/python3
"""A terminal chat over varve, to read before writing an app: python3 chat.py [ACCOUNT]. Needs python3-gi.

What every app does, in this order: connect (connect); read what is shown, and remember `since` (load); follow the feed
(pull); send under an id of its own, and again under the same id if the answer was lost (flush).

Up, Down        choose a conversation
Page Up, Down   scroll
Enter, ^U, ^R   send; begin the line anew; send again what failed
/open ADDRESS   begin a conversation
/help, ^C       show this; leave
"""

import collections
import contextlib
import curses
import functools
import os
import signal
import sys
import textwrap
import time
import unicodedata

from gi.repository import Gio, GLib

ROOT, PREFIX = "/org/varve/Varve1", "org.varve.Varve1."
ADDRESS = "unix:path=" + os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}") + "/varve/bus"
STATES = {10: "queued", 11: "sending", 12: "✓", 13: "✓✓", 14: "✓✓ read", 20: "failed", 21: "cancelled"}
# Rows, as org.varve.Varve1.xml lists their fields.
Message = collections.namedtuple("Message", "id mod conversation sender time direction state kind body extra")
Conversation = collections.namedtuple("Conversation", "id mod kind title time last unread mentions first flags extra")
Gap = collections.namedtuple("Gap", "id conversation after_id before_id after_time before_time state extra")


def cells(text):
    return sum(unicodedata.category(c)[0] != "M" and 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def cut(text, width):
    return next(text[:n] for n in range(width, -1, -1) if cells(text[:n]) <= width)


@functools.lru_cache(1000)      # a page is drawn with every key
def wrap(text, width):
    text = "".join(c + "\0" * (cells(c) - 1) for c in text)        # for textwrap a wide character is made of two
    return [part.replace("\0", "") for line in text.split("\n") for part in textwrap.wrap(line, width) or [""]]


def when(usec, form):
    return time.strftime(form, time.localtime(usec / 1e6))


def callback(work):
    """What the main loop calls: an error is shown or leads to another beginning, and the screen is drawn anew."""
    def call(self, *args):
        try:
            work(self, *args)
        except GLib.Error as e:
            name = Gio.DBusError.get_remote_error(e) or ""
            if name.endswith((".EpochChanged", ".ChangesTooOld")):
                self.load()
            elif name:          # without one the connection went: on_tick makes another
                self.notice = e.message.split(": ", 1)[-1]
        self.draw()
        return True
    return call


class Chat:
    def __init__(self, screen, jid):
        self.screen, self.jid, self.problem, self.notice = screen, jid, "", ""      # why nothing works; error
        self.conn = self.account = self.epoch = self.since = None
        self.conversations, self.typing, self.open = {}, {}, None   # id -> Conversation, id -> who, id of the one shown
        self.bottoms = []       # the lowest (message, line of it) of each screen scrolled up to; []: the newest
        self.page, self.gaps, self.edges, self.top = [], [], 0, None       # top: where the next screen above ends
        self.unsent, self.help = [], False      # (conversation, client id, text) not answered yet; the keys are shown
        self.state, self.texts = {}, collections.defaultdict(str)   # the account's; id -> what is typed there

    def connect(self):
        self.problem = "varved is not running: systemctl --user start varved"      # until load() knows better
        # Peer to peer, without Hello: calls have no destination, signals need no AddMatch.
        self.conn = Gio.DBusConnection.new_for_address_sync(ADDRESS, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT)
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
        self.problem = status.get("state_reason", "") or "there is no such account: varvectl account add JID"
        if status["state"] != "ready" or not accounts:      # locked, say: keep what is on the screen
            return
        self.jid, self.problem = accounts[0]["jid"], ""
        (self.account,) = self.call(ROOT, "Manager.FindAccount", "(s)", self.jid)
        (self.state,) = self.call(self.account, "org.freedesktop.DBus.Properties.GetAll", "(s)", PREFIX + "Account")
        (self.epoch,) = self.call(self.account, "org.freedesktop.DBus.Properties.Get", "(ss)", PREFIX + "Archive", "Epoch")
        rows, cursor, self.since = self.call(self.account, "Conversations.List", "(sua{sv})", "", 500, {})
        while cursor:               # `since` is that of the first page: what changed meanwhile comes again
            more, cursor, _ = self.call(self.account, "Conversations.List", "(sua{sv})", cursor, 500, {})
            rows += more
        self.conversations = {row[0]: Conversation(*row) for row in rows}
        self.read_page()

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
        anchor = ("message", self.bottoms[-1][0]) if self.bottoms else ("newest", 0)
        rows, self.edges, _ = self.call(self.account, "Archive.GetHistory", "(sstuua{sv})", self.open, *anchor,
                                        100, 0, {"across-gaps": GLib.Variant("b", True)})      # 100: more than a screen
        self.page = [Message(*row) for row in rows]
        self.gaps = [Gap(*row) for row in self.call(self.account, "Sync.ListGaps", "(stu)", self.open, 0, 0)[0]]
        if not self.bottoms and self.page and self.conversations[self.open].unread:
            self.call(self.account, "Conversations.MarkRead", "(sta{sv})", self.open, self.page[-1].id, {})

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
            self.state.update(a[1] if a[0] == PREFIX + "Account" else {})
            if "GapCount" in a[1] or "LostCount" in a[1]:
                self.read_page()

    @callback
    def on_tick(self):                      # and when the terminal changed its size
        curses.resizeterm(*os.get_terminal_size()[::-1])
        if self.conn is None or self.conn.is_closed():
            self.connect()
        self.flush()

    def flush(self):
        """What varved answered is safe. What it did not is asked again; under the same id it is the same message."""
        while self.unsent and self.account:
            try:
                self.call(self.account, "Archive.Send", "(sssa{sv})", *self.unsent[0], {})
            except GLib.Error as e:
                if not (name := Gio.DBusError.get_remote_error(e)) or name.endswith((".Locked", ".Storage", ".Busy")):
                    return                  # on_tick tries again
                where, _, text = self.unsent[0]
                self.notice, self.texts[where] = e.message.split(": ", 1)[-1], text + self.texts[where]  # to be mended
            self.unsent.pop(0)

    def enter(self):
        here, text = self.open, self.texts[self.open].strip()
        command, _, rest = text.partition(" ")
        if command == "/open" and ("@" in rest or "." in rest):         # a word would be the server of that name
            (self.open,) = self.call(self.account, "Conversations.Open", "(sa{sv})", rest.strip(), {})
            self.load()
        elif text == "/help":
            self.help = True
        elif text.startswith("/") and command != "/me":                 # XEP-0245: "/me" is said, not done
            self.notice = "an address has an @" if command == "/open" else "no such command; /help"
            return                          # what was typed stays, to be mended
        elif text and self.open:
            self.unsent.append((self.open, GLib.uuid_string_random(), text))
        self.texts[here], self.bottoms = "", []
        self.flush()

    def retry(self):
        for row in (row for row in self.page if row.state == 20):
            self.call(self.account, "Archive.Retry", "(ta{sv})", row.id, {})

    def select(self, step):
        ids = [c.id for c in self.listed()] or [None]
        self.open = ids[max(0, min(len(ids) - 1, ids.index(self.open) + step))]
        self.page, self.gaps, self.bottoms = [], [], []
        self.read_page()

    def scroll(self, up):
        self.bottoms = self.bottoms + [self.top] * bool(self.top) if up else self.bottoms[:-1]
        self.read_page()
        self.draw()                         # finds the next top; keys may come in a row

    def type(self, key):
        left = 0 if key == "\x15" else -1 if key in (curses.KEY_BACKSPACE, "\x7f", "\b") else None
        text = self.texts[self.open][:left] + (key if isinstance(key, str) and key.isprintable() else "")
        self.texts[self.open] = text
        if self.open:
            self.call(self.account, "Conversations.SetTyping", "(ss)", self.open, "composing" if text else "active")

    @callback
    def on_key(self, *_):
        self.notice, self.help = "", False
        keys = {curses.KEY_UP: (self.select, -1), curses.KEY_DOWN: (self.select, 1), curses.KEY_PPAGE: (self.scroll, 1),
                curses.KEY_NPAGE: (self.scroll, 0), "\n": (self.enter,), "\r": (self.enter,), "\x12": (self.retry,)}
        with contextlib.suppress(curses.error):         # that was the last one
            while True:
                work, *args = keys.get(key := self.screen.get_wch(), (self.type, key))
                work(*args)

    def listed(self):
        return sorted(self.conversations.values(), key=lambda c: (not c.flags & 1, -c.time, c.id))

    def lines(self, width):
        """The page as (text, attribute, (message id, line of it))."""
        gaps, last = sorted(self.gaps, key=lambda g: g.before_time or 1 << 62), 0
        for row in self.page:
            while gaps and 0 < gaps[0].before_time <= row.time:
                gap = gaps.pop(0)
                if gap.before_time > last > 0 or not last and self.edges & 1:
                    yield self.gap_line(gap), curses.A_BOLD, (row.id, -2)
            if not last or when(last, "%x") != when(row.time, "%x"):
                yield when(row.time, "— %a %d %b %Y —"), curses.A_DIM, (row.id, -1)
            for n, line in enumerate(wrap(self.message(row), width - 6)):
                yield " " * 6 * (n > 0) + line, curses.A_NORMAL, (row.id, n)
            last = row.time
        if not self.bottoms:
            yield from ((self.gap_line(gap), curses.A_BOLD, None) for gap in gaps if not gap.before_time)
            yield from ((f"(waits for varved) {u[2]}", curses.A_DIM, None) for u in self.unsent if u[0] == self.open)

    def gap_line(self, gap):
        what = {"fetching": "being fetched", "lost": "gone from the server"}.get(gap.state, "not synced yet")
        return f"╌╌ gap since {when(gap.after_time, '%d %b %Y') if gap.after_time else 'the beginning'}: {what} ╌╌"

    def message(self, row):
        title = self.conversations[self.open].title if self.open in self.conversations else row.sender
        who = "me" if row.direction == 1 else title.split("@")[0]
        notes = ["edited"] * ("edited" in row.extra) + [" ".join(e) for e in row.extra.get("reactions", {}).values()]
        if row.direction == 1:
            condition, reason = row.extra.get("error", ("", ""))       # a server need not give a reason
            notes.append(": ".join(filter(None, [STATES.get(row.state, "?"), reason or condition])))
        body = row.body if row.kind == "text" else f"({row.kind}) {row.body}"
        return f"{when(row.time, '%H:%M')} {who}: {body.rstrip()}" + (f"  [{', '.join(notes)}]" if notes else "")

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
        state = ": ".join(filter(None, (self.state.get("State"), *self.state.get("StateReason", ())[1:])))
        self.put(0, 0, f" {self.jid or 'varve'}  {self.problem or self.notice or state}", width, curses.A_REVERSE)
        listed, rows = self.listed(), height - 1
        at = next((n for n, c in enumerate(listed) if c.id == self.open), 0)
        for y, c in enumerate(listed[max(0, at - rows + 1):][:rows], 1):
            self.put(y, 0, cut(c.title, column - len(unread := f" {c.unread}" * (c.unread > 0))) + unread, column,
                     curses.A_REVERSE if c.id == self.open else curses.A_BOLD if c.unread else curses.A_NORMAL)
        keys = ((line, curses.A_NORMAL, None) for line in __doc__.split("\n\n")[-1].splitlines())
        bottom, end = self.bottoms[-1] if self.bottoms else (None, 0)
        lines = [line for line in (keys if self.help else self.lines(right))
                 if not line[2] or line[2][0] != bottom or line[2][1] <= end]
        first, again = max(0, len(lines) - height + 3), 1 + (height > 5)    # two lines of the screen below come again
        first *= not (self.bottoms and self.edges & 1 and first <= again)   # the beginning comes with its day
        self.top = lines[first + again - 1][2] if first or len(lines) > again and not self.edges & 1 else None
        for y, (text, attribute, _) in enumerate(lines[first:first + height - 3], 1):
            self.put(y, column + 1, text, right, attribute)
        self.put(height - 2, column + 1, f"{who} is typing..." if (who := self.typing.get(self.open)) else "", right)
        text = "> " + cut(self.texts[self.open][::-1], right - 3)[::-1]
        self.put(height - 1, column + 1, text, right)
        self.screen.move(height - 1, column + 1 + cells(text))
        self.screen.refresh()


def main(screen):
    screen.nodelay(True)
    chat, loop = Chat(screen, sys.argv[1] if len(sys.argv) > 1 else None), GLib.MainLoop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # or Python would raise an exception somewhere
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, loop.quit)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGWINCH, chat.on_tick)
    GLib.timeout_add(1000, chat.on_tick)
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IO_IN, chat.on_key)
    chat.on_tick()
    loop.run()
    return chat.unsent


for conversation, _, text in curses.wrapper(main) if os.isatty(0) and os.isatty(1) else sys.exit("it needs a terminal"):
    print(f"not handed over, varved is gone: to {conversation}: {text}")
