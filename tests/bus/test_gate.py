"""What a locked or failed archive answers, and calls whose answer comes later. Against the double of the hub."""

import select
import unittest
import xml.etree.ElementTree as ET

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, IFACE, ROOT, XML, Daemon, Raw, V, call, error_name, wait_for
from test_feed import signals

ERROR = "org.varve.Varve1.Error."
OPEN = ("Manager", "Keyring")           # interfaces that answer in every state
SAMPLE = {"s": "", "u": 0, "t": 0, "b": False, "ay": b"", "at": [], "as": [], "a{sv}": {}, "o": ACCOUNT, "x": 0, "h": 0}


def methods():
    """(interface, method, GLib.Variant of well-formed arguments) of the whole contract."""
    for iface in ET.parse(XML).getroot().iter("interface"):
        for m in iface.findall("method"):
            sigs = [a.get("type") for a in m.findall("arg") if a.get("direction", "in") == "in"]
            yield (iface.get("name").rsplit(".", 1)[1], m.get("name"),
                   GLib.Variant("(" + "".join(sigs) + ")", tuple(SAMPLE[s] for s in sigs)))


class Gate(unittest.TestCase):
    def setUp(self):
        self.d = Daemon(seed=100)
        self.conn = self.d.peer()

    def tearDown(self):
        self.assertEqual(self.d.stop(), 0)

    def refused(self, path, iface, member, args=None):
        with self.assertRaises(GLib.Error) as e:
            call(self.conn, path, iface, member, args)
        return error_name(e.exception).removeprefix(ERROR), str(e.exception)

    def test_every_method_of_an_account_says_locked(self):
        for state, want, words in (("locked", "Locked", "varvectl unlock"), ("failed", "Storage", "page 7 of archive.db")):
            self.d.cmd("archive " + state)
            seen = 0
            for iface, member, args in methods():
                if iface in OPEN:
                    continue
                seen += 1
                name, text = self.refused(ACCOUNT, iface, member, args)
                self.assertEqual(name, want, f"{iface}.{member}")
                self.assertIn(words, text)
            self.assertGreater(seen, 15)
            for iface in ("Account", "Sync", "Archive"):
                self.assertEqual(self.refused(ACCOUNT, "org.freedesktop.DBus.Properties", "GetAll", V("(s)", IFACE + iface))[0],
                                 want)

    def test_the_root_answers_in_every_state(self):
        for state, locked in (("locked", True), ("failed", False), ("ready", False)):
            self.d.cmd("archive " + state)
            (status,) = call(self.conn, ROOT, "Manager", "GetStatus", V("(a{sv})", {}))
            self.assertEqual((status["state"], status["locked"]), (state, locked))
            self.assertEqual("archive" in status, state == "ready")
            self.assertEqual(len(status["accounts"]), state == "ready")
            (props,) = call(self.conn, ROOT, "org.freedesktop.DBus.Properties", "GetAll", V("(s)", IFACE + "Manager"))
            self.assertEqual(props["State"], state)
            self.assertEqual(props["StateReason"] == "", state == "ready")
            self.assertEqual(props["StateReason"], status.get("state_reason", ""))
            (slots,) = call(self.conn, ROOT, "Keyring", "ListSlots", V("(a{sv})", {}))
            self.assertEqual(slots, [(1, "keyfile", "", 1, {"path": "/k"}), (3, "passphrase", "mine", 2, {})])
            call(self.conn, ACCOUNT, "org.freedesktop.DBus.Peer", "Ping")
            (objects,) = call(self.conn, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
            self.assertEqual(len(objects), state == "ready")
            (checks,) = call(self.conn, ROOT, "Manager", "Diagnose", V("(a{sv})", {}))
            self.assertEqual([c[0] for c in checks], ["daemon", "database", "network"])
        self.assertEqual(self.refused(ROOT, "Manager", "FindAccount", V("(s)", "x@example.org"))[0], "NotFound")
        self.d.cmd("archive locked")
        self.assertEqual(self.refused(ROOT, "Manager", "FindAccount", V("(s)", "me@example.org"))[0], "Locked")

    def test_a_reader_may_not_touch_keys(self):
        conn = self.d.peer(self.d.path_ro)
        for iface, member, args in methods():
            if iface == "Keyring" or (iface, member) == ("Manager", "Backup"):
                with self.assertRaises(GLib.Error) as e:
                    call(conn, ROOT, iface, member, args)
                self.assertEqual(error_name(e.exception), ERROR + "Denied", member)
        call(conn, ROOT, "Manager", "Diagnose", V("(a{sv})", {}))
        with self.assertRaises(GLib.Error) as e:
            call(conn, ROOT, "Manager", "Diagnose", V("(a{sv})", {"deep": GLib.Variant("b", True)}))
        self.assertEqual(error_name(e.exception), ERROR + "Denied")

    def test_an_answer_comes_when_it_is_done_and_nobody_waits(self):
        c = Raw(self.d.path)
        serial = c.send(ROOT, "Keyring", "AddSlot", V("(saya{sv})", "recovery", b"", {}))
        self.assertEqual(c.reply(c.send(ROOT, "org.freedesktop.DBus.Peer", "Ping")).get_message_type(),
                         Gio.DBusMessageType.METHOD_RETURN)
        self.assertEqual(self.refused(ROOT, "Keyring", "Rotate", V("(aya{sv})", b"", {}))[0], "Busy")
        self.d.cmd("finish ok")
        self.assertEqual(c.reply(serial).get_body().unpack(), (7, "the-code"))
        serial = c.send(ROOT, "Keyring", "Unlock", V("(aya{sv})", b"nonsense", {}))
        wait_for(lambda: self.d.cmd("last") == "unlock", what="the call")
        self.d.cmd("finish wrong")
        m = c.reply(serial)
        self.assertEqual(m.get_error_name(), ERROR + "WrongSecret")
        c.close()

    def test_a_caller_who_goes_takes_the_work_along(self):
        c = Raw(self.d.path)
        c.send(ROOT, "Manager", "Backup", V("(sa{sv})", "/nowhere/copy", {}))
        wait_for(lambda: self.d.cmd("last") == "backup", what="the call")
        c.close()
        c = Raw(self.d.path)

        def accepted():
            serial = c.send(ROOT, "Keyring", "RemoveSlot", V("(ua{sv})", 1, {}))
            # Taken, or refused at once; "finish" is about what was taken.
            wait_for(lambda: self.d.cmd("last") == "remove" or select.select([c.sock], [], [], 0)[0], what="the call")
            self.d.cmd("finish ok")
            return c.reply(serial).get_message_type() == Gio.DBusMessageType.METHOD_RETURN
        wait_for(accepted, what="the hub to be free")
        c.close()

    def test_state_is_told_before_accounts_come_and_go(self):
        conn, spin = signals(self.d)
        self.d.cmd("archive locked")
        wait_for(lambda: any(s[0] == "InterfacesRemoved" for s in spin()), what="the account to go")
        self.d.cmd("archive ready")
        wait_for(lambda: any(s[0] == "InterfacesAdded" for s in spin()), what="the account to come")
        told = []
        for member, args, _, path in spin():
            if member == "PropertiesChanged" and path == ROOT:
                told.append((args[0].rsplit(".", 1)[1], args[1].get("State", args[1].get("Locked"))))
            elif member.startswith("Interfaces"):
                told.append(member)
        self.assertEqual(told, [("Manager", "locked"), ("Keyring", True), "InterfacesRemoved",
                                ("Manager", "ready"), ("Keyring", False), "InterfacesAdded"])

    def test_arguments_of_a_slot(self):
        label = {"label": GLib.Variant("s", "x")}
        for kind, secret, options in (("keyfile", b"", {}), ("keyfile", b"", {"path": GLib.Variant("s", "rel")}),
                                      ("keyfile", b"x", {"path": GLib.Variant("s", "/k")}), ("passphrase", b"", label),
                                      ("passphrase", b"x", {"path": GLib.Variant("s", "/k")}), ("credential", b"", {}),
                                      ("credential", b"", {"name": GLib.Variant("s", "a/b")}), ("recovery", b"x", {}),
                                      ("tpm", b"", {}), ("recovery", b"", {"colour": GLib.Variant("s", "red")})):
            self.assertEqual(self.refused(ROOT, "Keyring", "AddSlot", V("(saya{sv})", kind, secret, options))[0],
                             "org.freedesktop.DBus.Error.InvalidArgs", (kind, secret, options))
        self.assertEqual(self.refused(ROOT, "Keyring", "ChangeSecret", V("(ayaya{sv})", b"a", b"", {}))[0],
                         "org.freedesktop.DBus.Error.InvalidArgs")


if __name__ == "__main__":
    unittest.main()
