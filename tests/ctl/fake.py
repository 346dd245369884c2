"""A varved that obeys the tests: serves ipc/org.varve.Varve1.xml with GIO from Python rows, so that every answer that
varvectl may meet can be arranged, also those that a real daemon gives rarely. The signatures come from the XML."""

import os
import threading

from gi.repository import Gio, GLib

ROOT = "/org/varve/Varve1"
ACCOUNT = ROOT + "/account/1"
with open(os.path.join(os.path.dirname(__file__), "../../ipc/org.varve.Varve1.xml"), encoding="utf-8") as _f:
    XML = _f.read()

OLDEST, NEWEST, GAP_OLDER, GAP_NEWER, CUT = 1, 2, 4, 8, 64


def v(sig, value):
    return GLib.Variant(sig, value)


class Refused(Exception):
    def __init__(self, name, text):
        super().__init__(text)
        self.name = name if "." in name else "org.varve.Varve1.Error." + name


def message(id, conversation, time, body, **kw):
    return dict(id=id, mod=kw.pop("mod", id), conversation=conversation, sender=kw.pop("sender", conversation + "/x"),
                time=time, direction=kw.pop("direction", 0), state=kw.pop("state", 0), kind=kw.pop("kind", "text"),
                body=body, extra=kw)


def pack(m):
    return (m["id"], m["mod"], m["conversation"], m["sender"], m["time"], m["direction"], m["state"], m["kind"],
            m["body"], m["extra"])


NONE = dict(id=0, mod=0, conversation="", sender="", time=0, direction=0, state=0, kind="", body="", extra={})


class Fake:
    """State that tests change while they hold `lock`; `calls` records (member, arguments)."""

    def __init__(self, path):
        self.path = str(path)
        self.lock = threading.RLock()
        self.calls = []
        self.messages = []
        self.gaps = []            # (after_id, before_id, after_time, before_time, state)
        self.titles = {}
        self.unread = {}
        self.settings = {}        # conversation -> (flags, extra)
        self.removed = []         # (mod, kind, key)
        self.contacts = []
        self.epoch = "e1"
        self.oldest_seq = 0
        self.page_max = 500
        self.refuse = {}          # member -> Refused
        self.raw = {}             # member -> answer, whatever the contract says
        self.hold = set()         # members that are never answered
        self.held = []
        self.changed = []         # conversations of Changes
        self.config = {"server": v("s", "localhost:5222"), "tls": v("s", ""), "ca-pem": v("s", ""), "nick": v("s", ""),
                       "allow-plain": v("b", False), "push-service": v("s", ""), "enabled": v("b", True)}
        self.spans = []
        self.ends = (0, 0)
        self.state, self.state_reason = "ready", ""
        self.problems = []        # of the archive, while it is open
        self.revision = 7
        self.network = "up"
        self.auto_lock = 0        # AutoLockUSec
        self.retry_after = 0      # RetryAfterUSec
        self.slots = [self.slot(1, "keyfile", path="archive-aaaa.key")]
        self.passphrase = b""
        self.tries = []           # every secret that Unlock was given
        self.automatic = True     # the key file opens it
        self.repaired = None      # the state that a failed archive has once Unlock has looked again
        self.archive = {"bytes": v("t", 12345678), "epoch_key": v("u", 1), "indexed": v("t", 5), "to_index": v("t", 0)}
        self.hits = []            # of Search: (message, [(start, length)])
        self.working = None       # Backup and Rotate answer when this event is set
        self.checks = [("store", "ok", "fine", "", {})]
        self.accounts = [self.account("alice@example.org")]
        self.connections = []
        self.server = None
        self.sent = {}            # client id -> (what was asked, id)
        self.becomes = []         # states that a message goes through, one a doorbell, once it was sent
        self.roster = {}          # jid -> (name, subscription, flags, groups)
        self.devices = []         # (full jid, show, status)
        self.job_result = {}
        self.last_id = True       # there is the property LastId
        self.between = None       # called with the number of GetHistory and List calls that were answered, after each
        self.pages = 0
        self.job = None           # (state, (done, total), (error, text)); each look takes the next of a list

    def account(self, jid, state="online", sync="idle", caught_up=True, **kw):
        a = dict(id="1", jid=jid, enabled=True, state=state, resource="varve.1")
        a.update(kw.pop("top", {}))
        session = dict(resumable=True, resumed=True, resumes=3, binds=1, flights=4, last_resume_usec=1700000000000000,
                       h_in=10, h_out=9, unacked=1)
        syncd = dict(state=sync, phase="", done=100, total=100, gaps=0, lost=0, messages=5, oldest_usec=0,
                     caught_up_usec=1700000001000000, caught_up=caught_up)
        syncd.update(kw)
        return dict(top=a, session=session, sync=syncd, outbox=dict(queued=0, sending=0, failed=0))

    @staticmethod
    def slot(id, type, label="", **extra):
        return (id, type, label, 1700000000000000 + id, {k: v("s", x) for k, x in extra.items()})

    def has(self, type):
        return any(s[1] == type for s in self.slots)

    @property
    def seq(self):
        mods = [m["mod"] for m in self.messages] + [r[0] for r in self.removed] + [c[1] for c in self.contacts + self.changed]
        return max(mods, default=0)

    # -- server -------------------------------------------------------------------------------------------------
    def start(self):
        ready = threading.Event()
        self.context = GLib.MainContext()
        self.loop = GLib.MainLoop.new(self.context, False)

        def run():
            self.context.push_thread_default()
            self.server = Gio.DBusServer.new_sync("unix:path=" + self.path, Gio.DBusServerFlags.NONE,
                                                  Gio.dbus_generate_guid(), None, None)
            self.server.connect("new-connection", self.on_connection)
            self.server.start()
            ready.set()
            self.loop.run()
            self.context.pop_thread_default()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert ready.wait(10)
        return self

    def stop(self):
        def end():
            self.server.stop()
            for c in self.connections:
                if not c.is_closed():
                    c.close_sync(None)
            self.connections = []
            self.loop.quit()
            return False

        self.context.invoke_full(GLib.PRIORITY_DEFAULT, end)
        self.thread.join(10)
        if os.path.exists(self.path):
            os.unlink(self.path)

    def on_connection(self, server, conn):
        self.connections.append(conn)
        info = Gio.DBusNodeInfo.new_for_xml(XML)
        for i in info.interfaces:
            path = ROOT if i.name.endswith((".Manager", ".Keyring")) else ACCOUNT
            if i.name.endswith(".Job"):
                path = ROOT + "/job/1"
            conn.register_object(path, i, self.on_call, self.on_get, self.on_set)
        return True

    def emit(self, iface, member, value):
        """A signal of the account."""
        def out():
            for c in self.connections:
                if not c.is_closed():
                    c.emit_signal(None, ACCOUNT, "org.varve.Varve1." + iface, member, value)
            return False

        self.context.invoke_full(GLib.PRIORITY_DEFAULT, out)

    def ring(self):
        """The doorbell, and the properties of Sync."""
        def emit():
            for c in self.connections:
                if c.is_closed():
                    continue
                c.emit_signal(None, ACCOUNT, "org.varve.Varve1.Archive", "Changed", v("(st)", (self.epoch, self.seq)))
                c.emit_signal(None, ACCOUNT, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                              v("(sa{sv}as)", ("org.varve.Varve1.Sync", {}, ["State"])))
            return False

        self.context.invoke_full(GLib.PRIORITY_DEFAULT, emit)

    def on_call(self, conn, sender, path, iface, member, args, invocation):
        with self.lock:
            self.calls.append((member, args.unpack()))
            try:
                if member in self.refuse:
                    raise self.refuse[member]
                if member in self.hold:
                    self.held.append(invocation)
                    return
                if member in self.raw:
                    conn.send_message(self.answer(invocation, self.raw[member]), Gio.DBusSendMessageFlags.NONE)
                    return
                self.fds = invocation.get_message().get_unix_fd_list()
                handler = getattr(self, iface.split(".")[-1].lower() + "_" + member, getattr(self, "do_" + member, None))
                out = handler(*args.unpack()) if handler else None
            except Refused as e:
                invocation.return_dbus_error(e.name, str(e))
                return
            if member in ("Backup", "Rotate") and self.working is not None:
                threading.Thread(target=lambda: (self.working.wait(20), invocation.return_value(out)), daemon=True).start()
                return
            invocation.return_value(out)

    @staticmethod
    def answer(invocation, value):
        m = Gio.DBusMessage.new_method_reply(invocation.get_message())
        m.set_body(value)
        return m

    def on_get(self, conn, sender, path, iface, name):
        with self.lock:
            values = dict(Version=v("s", "0.1.0"), ApiRevision=v("u", 1), Role=v("s", "admin"), State=v("s", "ready"),
                          Enabled=v("b", getattr(self, "enabled", True)), Features=v("as", []), Epoch=v("s", self.epoch), Seq=v("t", self.seq),
                          OldestSeq=v("t", self.oldest_seq), RetryAfterUSec=v("t", self.retry_after))
            if self.last_id is not False:  # an older varved has none
                values["LastId"] = v("t", max([m["id"] for m in self.messages], default=0))
            if iface.endswith(".Job"):
                state, progress, error = self.job[0]
                if name == "Result" and len(self.job) > 1:  # the last one that GetAll asks for
                    self.job.pop(0)
                values = dict(Kind=v("s", "fetch"), State=v("s", state), Progress=v("(tt)", progress),
                              Error=v("(ss)", error), Result=v("a{sv}", self.job_result))
            return values.get(name)

    def on_set(self, conn, sender, path, iface, name, value):
        with self.lock:
            self.calls.append(("Set", (name, value.unpack())))
            if name == "AutoLockUSec":
                self.auto_lock = value.unpack()
            return True

    # -- Manager, Account ---------------------------------------------------------------------------------------
    def do_GetStatus(self, options):
        def dictionary(d):
            out = {}
            for k, x in d.items():
                if isinstance(x, bool):
                    out[k] = v("b", x)
                elif isinstance(x, int):
                    out[k] = v("x" if k.endswith("_usec") else "u" if k in ("gaps", "lost") else "t", x)
                elif isinstance(x, list):
                    out[k] = v("at", x)
                else:
                    out[k] = v("s", x)
            return out

        accounts = []
        for a in self.accounts:
            d = dictionary(a["top"])
            for part in ("session", "sync", "outbox"):
                d[part] = v("a{sv}", dictionary(a[part]))
            accounts.append(d)
        if self.state != "ready":
            accounts = []
        return v("(a{sv})", ({"version": v("s", "0.1.0"), "locked": v("b", self.state == "locked"),
                              "state": v("s", self.state), "state_reason": v("s", self.state_reason),
                              "network": v("s", self.network),
                              **({"auto_lock_usec": v("t", self.auto_lock)} if self.auto_lock else {}),
                              **({"problems": v("as", self.problems)} if self.problems else {}),
                              "archive": v("a{sv}", self.archive), "accounts": v("aa{sv}", accounts)},))

    def do_FindAccount(self, jid):
        for a in self.accounts:
            if a["top"]["jid"] == jid:
                return v("(o)", (ACCOUNT,))
        raise Refused("NotFound", "there is no account %s" % jid)

    def do_AddAccount(self, jid, options):
        if "@" not in jid:
            raise Refused("org.freedesktop.DBus.Error.InvalidArgs", "not a JID")
        if any(a["top"]["jid"] == jid for a in self.accounts):
            raise Refused("Conflict", "exists")
        self.accounts.append(self.account(jid))
        return v("(o)", (ACCOUNT,))

    def do_GetConfig(self):
        return v("(a{sv})", (self.config,))

    def do_Diagnose(self, options):
        return v("(a(ssssa{sv}))", (self.checks,))

    def do_Backup(self, path, options):
        if os.path.exists(path):
            raise Refused("Conflict", "%s exists" % path)
        with open(path, "w") as f:
            f.write("x" * 100)
        return v("(t)", (7654321,))

    # -- Keyring ------------------------------------------------------------------------------------------------
    def do_Lock(self, options):
        if not options.get("force") and all("problem" in s[4] for s in self.slots):
            raise Refused("Conflict", "nothing could open the archive again: varvectl keys add recovery")
        self.state = "locked"

    def do_Unlock(self, secret, options):
        self.tries.append(bytes(secret))
        if self.state == "failed" and self.repaired is not None:
            self.state, self.state_reason = self.repaired, ""
        if bytes(secret) == self.passphrase != b"" or (not secret and self.automatic and self.has("keyfile")):
            self.state = "ready"
            return
        raise Refused("WrongSecret", "the secret opens none of the keys")

    def do_ListSlots(self, options):
        return v("(a(ussxa{sv}))", (self.slots,))

    def do_AddSlot(self, type, secret, options):
        id = self.slots[-1][0] + 1
        self.slots.append(self.slot(id, type, options.get("label", "")))
        return v("(us)", (id, "ABCDE-FGHIJ-KLMNO-PQRST" if type == "recovery" else ""))

    def do_RemoveSlot(self, id, options):
        if len(self.slots) == 1:
            raise Refused("Conflict", "it is the last one")
        self.slots = [s for s in self.slots if s[0] != id]

    def do_ChangeSecret(self, old, new, options):
        if self.revision < 7 and "check" in options:
            raise Refused("org.freedesktop.DBus.Error.InvalidArgs", "there is no option 'check' here")
        if self.passphrase and bytes(old) != self.passphrase:
            raise Refused("WrongSecret", "the old passphrase is wrong")
        if options.get("check"):
            return
        self.passphrase = bytes(new)
        if not self.has("passphrase"):
            self.slots.append(self.slot(9, "passphrase"))
        if options.get("drop-keyfile"):
            self.slots = [s for s in self.slots if s[1] != "keyfile"]

    def do_Rotate(self, passphrase, options):
        if bytes(passphrase) != self.passphrase:
            raise Refused("WrongSecret", "the passphrase is wrong")
        kept = [s for s in self.slots if s[1] != "recovery" and "problem" not in s[4]]
        dropped, self.slots = len(self.slots) - len(kept), kept
        return v("(u)", (dropped,))

    # -- Sync ---------------------------------------------------------------------------------------------------
    def do_ListGaps(self, conversation, after, limit):
        rows = [(i + 1, "", g[0], g[1], g[2], g[3], g[4], {}) for i, g in enumerate(self.gaps)]
        rows = [r for r in rows if r[0] > after]
        return v("(a(tsttxxsa{sv})b)", (rows[:2], len(rows) > 2))  # small pages: varvectl must ask again

    def do_GetCoverage(self, options):
        return v("(a(sxxa(xxssua{sv})a{sv}))", ([("alice@example.org",) + self.ends + (self.spans, {})],))

    # -- Archive ------------------------------------------------------------------------------------------------
    def do_GetHistory(self, *args):
        answer = self.history(*args)
        self.pages += 1
        if self.between:
            self.between(self.pages)
        return answer

    def history(self, conversation, anchor, value, before, after, options):
        rows = [m for m in self.messages if conversation in ("", m["conversation"])]
        if conversation and not rows:
            raise Refused("NoSuchConversation", "no message of %s is stored" % conversation)
        if anchor == "oldest":
            lo, hi = 0, min(len(rows), after)
        elif anchor == "newest":
            lo, hi = max(0, len(rows) - before), len(rows)
        else:
            if anchor == "message":
                at = next((i for i, m in enumerate(rows) if m["id"] == value), None)
                if at is None:
                    raise Refused("NotFound", "no message %d" % value)
            else:
                at = next((i for i, m in enumerate(rows) if m["time"] >= value), None)
            if at is None:
                lo, hi = max(0, len(rows) - before), len(rows)
            else:
                lo, hi = max(0, at - before), min(len(rows), at + 1 + after)
        edges = 0
        if hi - lo > self.page_max:  # cut the far end, as the daemon does at 1 MiB
            edges |= CUT
            if after:
                hi = lo + self.page_max
            else:
                lo = hi - self.page_max
        if lo == 0:
            edges |= OLDEST
        if hi == len(rows):
            edges |= NEWEST
        page = rows[lo:hi]
        for g in self.gaps:
            if page and g[3] and g[3] <= page[0]["time"] and (lo == 0 or g[2] >= rows[lo - 1]["time"]):
                edges |= GAP_OLDER
        return v("(a(ttssxyyssa{sv})ut)", ([pack(m) for m in page], edges, self.seq))

    def do_Changes(self, epoch, since, limit, options):
        if epoch != self.epoch:
            raise Refused("EpochChanged", "another archive")
        if since < self.oldest_seq:
            raise Refused("ChangesTooOld", "too long ago")
        all_rows = sorted([(m["mod"], "m", m) for m in self.messages] + [(c[1], "c", c) for c in self.contacts] +
                          [(c[1], "v", c) for c in self.changed] +
                          [(r[0], "r", r) for r in self.removed], key=lambda x: x[0])
        rows = [r for r in all_rows if r[0] > since]
        page = rows[:min(limit, 100)]
        nxt = page[-1][0] if page else max(since, self.seq)
        return v("(tba(ttssxyyssa{sv})a(stssx(ttssxyyssa{sv})uutua{sv})a(stssuasa{sv})a(ss))",
                 (nxt, len(rows) > len(page), [pack(x) for _, k, x in page if k == "m"],
                  [x for _, k, x in page if k == "v"],
                  [x for _, k, x in page if k == "c"], [(x[1], x[2]) for _, k, x in page if k == "r"]))

    def do_Search(self, query, cursor, limit, options):
        start = int(cursor or 0)
        page = self.hits[start:start + min(limit, 3)]
        nxt = str(start + len(page)) if start + len(page) < len(self.hits) else ""
        return v("(a((ttssxyyssa{sv})a(uu))s)", ([(pack(m), r) for m, r in page], nxt))

    # -- Conversations ------------------------------------------------------------------------------------------
    def do_List(self, *args):
        answer = self.conversations(*args)
        self.pages += 1
        if self.between:
            self.between(self.pages)
        return answer

    def conversations(self, cursor, limit, options):
        last = {}
        for m in self.messages:
            last[m["conversation"]] = m
        rows = sorted(last.values(), key=lambda m: -m["time"])
        if options.get("unread"):
            rows = [m for m in rows if self.unread.get(m["conversation"])]
        start = int(cursor or 0)
        page = rows[start:start + min(limit, 3)]
        out = [(m["conversation"], m["mod"], "direct", self.titles.get(m["conversation"], m["conversation"]), m["time"],
                pack(m), self.unread.get(m["conversation"], 0), 0, 0) + self.settings.get(m["conversation"], (0, {})) for m in page]
        nxt = str(start + len(page)) if start + len(page) < len(rows) else ""
        return v("(a(stssx(ttssxyyssa{sv})uutua{sv})st)", (out, nxt, self.seq))

    def do_Get(self, ids):
        known = {m["conversation"] for m in self.messages}
        return v("(a(stssx(ttssxyyssa{sv})uutua{sv}))",
                 ([(i, 1, "direct", i, 0, pack(NONE), 0, 0, 0, 0, {}) for i in ids if i in known],))

    def do_Delete(self, conversation, options):
        gone = [m for m in self.messages if m["conversation"] == conversation]
        if not gone:
            raise Refused("NoSuchConversation", "no message of %s is stored" % conversation)
        self.do_DeleteLocal([m["id"] for m in gone])

    def do_MarkRead(self, conversation, up_to, options):
        if conversation not in {m["conversation"] for m in self.messages}:
            raise Refused("NoSuchConversation", "no message of %s is stored" % conversation)
        for m in self.messages:
            if m["conversation"] == conversation and m["state"] == 0 and (not up_to or m["id"] <= up_to):
                self.change(m, state=1)

    # -- writing ------------------------------------------------------------------------------------------------
    def find(self, id):
        for m in self.messages:
            if m["id"] == id:
                return m
        raise Refused("NotFound", "there is no message %d" % id)

    def change(self, m, **kw):
        m.update(kw, mod=self.seq + 1)
        self.ring()

    def advance(self, m):
        """The server's side of it: each state with a doorbell of its own."""
        for state in self.becomes:
            if isinstance(state, tuple):
                m["extra"]["error"] = v("(ss)", state)
                state = 20
            self.change(m, state=state)

    def once(self, client_id, what, do):
        known = self.sent.get(client_id)
        if known:
            if known[0] != what:
                raise Refused("Conflict", "the id %s was used for something else" % client_id)
            return known[1], True
        id = do()
        self.sent[client_id] = (what, id)
        return id, False

    def do_Send(self, conversation, client_id, body, options):
        if any(ord(c) < 32 and c not in "\t\n" for c in body):
            raise Refused("org.freedesktop.DBus.Error.InvalidArgs", "control characters")
        if options.get("reply-to"):
            self.find(options["reply-to"])

        def do():
            id = max([m["id"] for m in self.messages], default=0) + 2
            extra = {"origin-id": v("s", client_id)}
            if options.get("reply-to"):
                extra["reply-to"] = v("t", options["reply-to"])
            m = message(id, conversation, 1700000000000000 + 10**15, body, mod=self.seq + 1, direction=1, state=10,
                        sender="alice@example.org", **extra)
            self.messages.append(m)
            self.ring()
            self.advance(m)
            return id

        return v("(tb)", self.once(client_id, ("send", conversation, body, str(options)), do))

    def own(self, id):
        m = self.find(id)
        if not m["direction"]:
            raise Refused("Conflict", "it is not an own message")
        return m

    def do_Edit(self, id, client_id, body, options):
        m = self.own(id)
        self.once(client_id, ("edit", id, body), lambda: self.change(m, body=body))

    def do_Retract(self, id, client_id, options):
        m = self.own(id)
        self.once(client_id, ("retract", id), lambda: self.change(m, body="", kind="retracted"))

    def do_React(self, id, emojis, options):
        m = self.find(id)
        m["extra"]["reactions"] = v("a{sas}", {"alice@example.org": emojis} if emojis else {})
        self.change(m)

    def do_Retry(self, id, options):
        if self.find(id)["state"] not in (20, 21):
            raise Refused("Conflict", "it neither failed nor was cancelled")
        self.change(self.find(id), state=10)

    def do_Cancel(self, id):
        if self.find(id)["state"] != 10:
            raise Refused("Conflict", "it may have left already")
        self.change(self.find(id), state=21)

    def do_DeleteLocal(self, ids):
        for id in ids:
            if any(m["id"] == id for m in self.messages):
                self.removed.append((self.seq + 1, "message", str(id)))
        self.messages = [m for m in self.messages if m["id"] not in ids]
        self.ring()

    def do_GetMessages(self, ids, options):
        return v("(a(ttssxyyssa{sv}))", ([pack(m) for i in ids for m in self.messages if m["id"] == i],))

    def do_Export(self, handle, options):
        fd = self.fds.get(handle)
        os.write(fd, b"what was exported\n")
        os.close(fd)
        self.fds = None           # it is the app's own output: open here, that would never end
        return v("(o)", (ROOT + "/job/1",))

    def job_Cancel(self):
        pass

    def do_Fetch(self, conversation, options):
        return v("(o)", (ROOT + "/job/1",))

    def do_Verify(self, conversation, options):
        return v("(o)", (ROOT + "/job/1",))

    # -- Roster, by the name of Conversations' method where they share one ----------------------------------------
    def roster_List(self, cursor, limit, options):
        rows = [(jid, 1, r[0], r[1], r[2], r[3], {}) for jid, r in sorted(self.roster.items())]
        start = int(cursor or 0)
        page = rows[start:start + 2]
        return v("(a(stssuasa{sv})st)", (page, str(start + 2) if start + 2 < len(rows) else "", self.seq))

    def roster_Set(self, jid, changes):
        old = self.roster.get(jid, ("", "none", 0, []))
        self.roster[jid] = (changes.get("name", old[0]), old[1], old[2], changes.get("groups", old[3]))

    def roster_Remove(self, jid):
        if jid not in self.roster:
            raise Refused("NotFound", "%s is not a contact" % jid)
        del self.roster[jid]

    def do_Authorize(self, jid, action):
        pass

    def do_SetBlocked(self, jid, blocked):
        pass

    def do_GetPresence(self, jids):
        return v("(a(sssa{sv}))", ([d + ({},) for d in self.devices if d[0].split("/")[0] in jids],))
