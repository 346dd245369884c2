#!/usr/bin/python3
"""An echo bot: python3 bot.py STATE.db [ACCOUNT]. It answers every new message exactly once; kill it at any moment.

`since`, its place in the feed, is stored in one transaction with the work. The answer cannot be part of that transaction:
it goes out under an id made from the message's, and sent again after a crash it is the same message.
"""

import os
import sqlite3
import sys
import time

from gi.repository import Gio, GLib

if len(sys.argv) < 2:
    sys.exit("usage: python3 bot.py STATE.db [ACCOUNT]")
ADDRESS = "unix:path=" + os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}") + "/varve/bus"
try:
    conn = Gio.DBusConnection.new_for_address_sync(ADDRESS, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT)
except GLib.Error:
    sys.exit("varved is not running: systemctl --user start varved")
conn.set_exit_on_close(True)        # without varved there is nothing to do: let systemd start it again


def call(path, interface, member, signature, *args):
    return conn.call_sync(None, path, interface, member, GLib.Variant(signature, args), None, 0, -1).unpack()


def get(name):
    return call(account, "org.freedesktop.DBus.Properties", "Get", "(ss)", "org.varve.Varve1.Archive", name)[0]


def answer(id, conversation, sender, body):
    try:
        call(account, "org.varve.Varve1.Archive", "Send", "(sssa{sv})", conversation, f"echo-{epoch}-{id}", body, {})
    except GLib.Error as e:         # Conflict: answered before we were killed, and edited since
        if Gio.DBusError.get_remote_error(e) != "org.varve.Varve1.Error.Conflict":
            raise
    db.execute("INSERT OR IGNORE INTO done VALUES (?, ?, ?)", (id, sender, body))


def pull(*_):
    since, began, highest, seen = db.execute("SELECT since, began, highest, seen FROM place").fetchone()
    more = True
    while more:
        since, more, messages, *_ = call(account, "org.varve.Varve1.Archive", "Changes", "(stua{sv})", epoch, since, 100, {})
        for id, _mod, conversation, sender, stamp, direction, _state, kind, body, _extra in messages:
            # Known ids come again when they change: read, reacted to, edited. Late rows of the archive have an old time.
            if id > highest and stamp >= began and direction == 0 and kind == "text":
                answer(id, conversation, sender, body)
            seen = max(seen, id)
        highest = highest if more else seen     # not before: rows come by their last change, not by id
        db.execute("UPDATE place SET since = ?, highest = ?, seen = ?", (since, highest, seen))
        db.commit()


db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE IF NOT EXISTS place (epoch TEXT, since INTEGER, began INTEGER, highest INTEGER, seen INTEGER)")
db.execute("CREATE TABLE IF NOT EXISTS done (id INTEGER PRIMARY KEY, sender TEXT, body TEXT)")
(status,) = call("/org/varve/Varve1", "org.varve.Varve1.Manager", "GetStatus", "(a{sv})", {})
if not status["accounts"]:          # locked, say
    sys.exit(status.get("state_reason") or "there is no account yet: varvectl account add JID")
jid = sys.argv[2] if len(sys.argv) > 2 else status["accounts"][0]["jid"]
(account,) = call("/org/varve/Varve1", "org.varve.Varve1.Manager", "FindAccount", "(s)", jid)
epoch = get("Epoch")
if db.execute("SELECT epoch FROM place").fetchone() != (epoch,):     # the first start, or another archive: begin now
    db.executescript("DELETE FROM place; DELETE FROM done")
    rows, _, since = call(account, "org.varve.Varve1.Conversations", "List", "(sua{sv})", "", 500, {})
    highest = max((row[5][0] for row in rows), default=0)
    began = int(time.time() - 60) * 10**6       # servers' times are of whole seconds, and their clocks may be slow
    db.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?)", (epoch, since, began, highest, highest))
    db.commit()
conn.signal_subscribe(None, "org.varve.Varve1.Archive", "Changed", account, None, 0, pull)
pull()
GLib.MainLoop().run()
