"""An app that writes messages over the socket, with dbus-python: knows the contract of Send and nothing else of varve."""

import time

import dbus
import dbus.connection

NAME, ROOT = "org.varve.Varve1", "/org/varve/Varve1"
ERROR = NAME + ".Error."
QUEUED, SENDING, SENT, DELIVERED, DISPLAYED, FAILED, CANCELLED = 10, 11, 12, 13, 14, 20, 21
PAGE = 400

# What a call may die of while varved is killed and comes back; whether it happened is then unknown
GONE = {"org.freedesktop.DBus.Error." + name for name in ("Disconnected", "NoReply", "NoServer", "FileNotFound",
                                                          "Timeout", "TimedOut", "Failed", "IOError", "AuthFailed")}
GONE.add("org.freedesktop.DBus.Error.UnknownObject")        # started, its accounts are not there yet
GONE |= {ERROR + "Locked", ERROR + "Busy"}


class Row:
    """A message as the bus has it (struct M of facts/ipc.md section 3.3)."""

    def __init__(self, row):
        (self.id, self.mod, self.conversation, self.sender, self.time_us, self.direction, self.state, self.kind,
         self.body, self.extra) = row
        self.id, self.state, self.direction = int(self.id), int(self.state), int(self.direction)
        self.body, self.kind, self.sender = str(self.body), str(self.kind), str(self.sender)

    def __repr__(self):
        return f"<{self.id} {self.sender}->{self.conversation} state {self.state} {self.kind} {self.body!r} {dict(self.extra)}>"


class App:
    """One connection, made anew whenever it broke."""

    def __init__(self, varved, jid=None):
        self.varved, self.jid = varved, jid
        self.connection = self.account = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = self.account = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def raw(self, path, interface, method, signature="", *args, timeout=25):
        if self.connection is None:
            self.connection = dbus.connection.Connection(f"unix:path={self.varved.socket}")
        return self.connection.call_blocking(NAME, path, NAME + "." + interface, method, signature, args, timeout=timeout)

    def call(self, interface, method, signature="", *args):
        if self.account is None:
            jid = self.jid or self.varved.account()["jid"]
            self.account = self.raw(ROOT, "Manager", "FindAccount", "s", jid)
        return self.raw(self.account, interface, method, signature, *args)

    def insist(self, interface, method, signature="", *args, timeout=60):
        """As call(), again and again until it is answered: for what may be repeated."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self.call(interface, method, signature, *args)
            except dbus.exceptions.DBusException as e:
                if e.get_dbus_name() not in GONE and not e.get_dbus_name().endswith("UnknownMethod"):
                    raise
                if time.monotonic() > end:
                    raise
            self.close()
            time.sleep(0.05)        # no hammering while it starts

    def send(self, conversation, client_id, body, insist=False, **options):
        """(row id, whether it was there already)."""
        wrapped = dbus.Dictionary({k.replace("_", "-"): v for k, v in options.items()}, signature="sv")
        row, existing = (self.insist if insist else self.call)("Archive", "Send", "sssa{sv}", conversation, client_id, body,
                                                               wrapped)
        return int(row), bool(existing)

    def rows(self, ids):
        out = []
        for at in range(0, len(ids), PAGE):
            out += self.insist("Archive", "GetMessages", "ata{sv}", dbus.Array(ids[at:at + PAGE], signature="t"),
                               dbus.Dictionary({}, signature="sv"))
        return [Row(row) for row in out]

    def row(self, ident):
        return self.rows([ident])[0]

    def history(self, conversation, n=PAGE):
        """The newest rows, oldest first."""
        try:
            page, _edges, _seq = self.insist("Archive", "GetHistory", "sstuua{sv}", conversation, "newest", dbus.UInt64(0),
                                             dbus.UInt32(n), dbus.UInt32(0),
                                             dbus.Dictionary({"across-gaps": True}, signature="sv"))
        except dbus.exceptions.DBusException as e:
            if e.get_dbus_name() != ERROR + "NoSuchConversation":
                raise
            return []
        return [Row(row) for row in page]

    def conversation(self, ident):
        rows = self.insist("Conversations", "Get", "as", dbus.Array([ident], signature="s"))
        return rows[0] if rows else None

    def edit(self, ident, body, client_id=""):
        self.call("Archive", "Edit", "tssa{sv}", dbus.UInt64(ident), client_id, body, dbus.Dictionary({}, signature="sv"))

    def retract(self, ident, client_id=""):
        self.call("Archive", "Retract", "tsa{sv}", dbus.UInt64(ident), client_id, dbus.Dictionary({}, signature="sv"))

    def react(self, ident, *emojis):
        self.call("Archive", "React", "tasa{sv}", dbus.UInt64(ident), dbus.Array(emojis, signature="s"),
                  dbus.Dictionary({}, signature="sv"))

    def retry(self, ident):
        self.call("Archive", "Retry", "ta{sv}", dbus.UInt64(ident), dbus.Dictionary({}, signature="sv"))

    def cancel(self, ident):
        self.call("Archive", "Cancel", "t", dbus.UInt64(ident))

    def mark_read(self, conversation, up_to=0, **options):
        wrapped = dbus.Dictionary({k.replace("_", "-"): v for k, v in options.items()}, signature="sv")
        self.call("Conversations", "MarkRead", "sta{sv}", conversation, dbus.UInt64(up_to), wrapped)


def refusal(call, *args, **kwargs):
    """The error name that a call is refused with, without org.varve.Varve1.Error."""
    try:
        call(*args, **kwargs)
    except dbus.exceptions.DBusException as e:
        return e.get_dbus_name().removeprefix(ERROR)
    raise AssertionError(f"{call} was not refused")
