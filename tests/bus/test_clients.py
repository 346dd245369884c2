"""What the server must do for stock D-Bus clients (facts/ipc.md sections 1.2, 1.3, 4), and its answers. The clients
themselves are in test_stock.py."""

import os
import pwd
import socket
import subprocess
import unittest

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, IFACE, NAME, ROOT, Daemon, Raw, V, blob, call, error_name, history_args

N = 1000


def run(*args, code=0):
    p = subprocess.run(args, capture_output=True, text=True, timeout=20)
    if p.returncode != code:
        raise AssertionError(f"{' '.join(args)}: {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout + p.stderr


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon(seed=N)

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def test_begin_and_call_in_one_write(self):
        # Alone it fits into the 256 bytes that sd-bus reads while authenticating: then nobody polls for it.
        for _ in range(30):
            c = Raw(self.d.path, blob(1, ROOT, "org.freedesktop.DBus.Peer", "Ping"))
            self.assertEqual(c.reply(1).get_message_type(), Gio.DBusMessageType.METHOD_RETURN)
            c.close()
        for _ in range(30):
            c = Raw(self.d.path, blob(1, ROOT, "Manager", "FindAccount", V("(s)", "me@example.org")) +
                    blob(2, ROOT, "org.freedesktop.DBus.Peer", "Ping"))
            self.assertEqual(c.reply(1).get_body().unpack(), (ACCOUNT,))
            self.assertEqual(c.reply(2).get_message_type(), Gio.DBusMessageType.METHOD_RETURN)
            c.close()

    def test_signals_wait_for_the_first_word(self):
        """A signal before the answer to Hello makes sd-bus drop the connection."""
        c = Raw(self.d.path)
        self.d.cmd("flood 3")
        serial = c.send("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        self.assertEqual(c.receive().get_reply_serial(), serial)
        c.close()

    def test_noncharacters_do_not_break_a_page(self):
        rows, _, _ = call(self.d.peer(), ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "oldest", 0, 0, 10, {}))
        self.assertEqual(rows[9][8], "message 9 with \ufffd in it")

    def test_history_pages_are_exact(self):
        conn = self.d.peer()
        seen, anchor = [], None
        while True:
            args = ("newest", 0, 70, 0) if anchor is None else ("message", anchor, 70, 0)
            rows, edges, _ = call(conn, ACCOUNT, "Archive", "GetHistory",
                                  V("(sstuua{sv})", "contact07@example.net", *args, {"across-gaps": GLib.Variant("b", True)}))
            seen = (rows if anchor is None else rows[:-1]) + seen
            if edges & 1:
                break
            anchor = rows[0][0]
        want = [i for i in range(N) if i % 30 == 7]
        self.assertEqual(len(seen), len(want))
        self.assertEqual(seen[0][2], "contact07@example.net")
        self.assertEqual(seen[0][9]["stanza-id"], f"a{want[0]:06}")
        (same,) = call(conn, ACCOUNT, "Archive", "GetMessages", V("(ata{sv})", [seen[2][0], 999999, seen[0][0]], {}))
        self.assertEqual([m[0] for m in same], [seen[2][0], seen[0][0]])
        (found,) = call(conn, ACCOUNT, "Archive", "FindMessage",
                        V("(sss)", "contact07@example.net", "stanza-id", seen[1][9]["stanza-id"]))
        self.assertEqual(found, seen[1][0])

    def test_coverage(self):
        (archives,) = call(self.d.peer(), ACCOUNT, "Sync", "GetCoverage", V("(a{sv})", {}))
        ((jid, start, end, spans, extra),) = archives
        self.assertEqual(jid, "me@example.org")
        self.assertEqual(len(spans), 2)
        self.assertEqual([s[4] & 1 for s in spans], [1, 0])
        self.assertTrue(start <= spans[0][0] < spans[0][1] < spans[1][0] < spans[1][1] <= end)
        self.assertEqual(spans[0][2], "a000000")
        self.assertEqual(extra, {})

    def test_a_gap_that_is_being_fetched_is_told_where_it_shows(self):
        conn = self.d.peer()

        def told():
            ((gap,), _) = call(conn, ACCOUNT, "Sync", "ListGaps", V("(stu)", "", 0, 0))
            oldest, newest = (call(conn, ACCOUNT, "Archive", "GetHistory",
                                   V("(sstuua{sv})", "contact07@example.net", anchor, 0, 60, 60, {}))[1]
                              for anchor in ("oldest", "newest"))
            return gap[6], oldest & (4 | 8 | 32), newest & (4 | 8 | 32)

        self.assertEqual(told(), ("open", 8, 4))
        self.d.cmd("fetching 1")
        self.assertEqual(told(), ("fetching", 8 | 32, 4 | 32))

    def test_conversations(self):
        conn = self.d.peer()
        ids, cursor = [], ""
        while True:
            rows, cursor, seq = call(conn, ACCOUNT, "Conversations", "List", V("(sua{sv})", cursor, 7, {}))
            ids += [r[0] for r in rows]
            self.assertGreater(seq, 0)
            if not cursor:
                break
        self.assertEqual(len(ids), 30)
        self.assertEqual(len(set(ids)), 30)
        (rows,) = call(conn, ACCOUNT, "Conversations", "Get", V("(as)", [ids[3], "nobody@nowhere.example", ids[0]]))
        self.assertEqual([r[0] for r in rows], [ids[3], ids[0]])
        self.assertGreater(rows[0][5][0], 0)

    def failing(self, path, iface, member, args, name, says):
        with self.assertRaises(GLib.Error) as e:
            call(self.d.peer(), path, iface, member, args)
        self.assertEqual(error_name(e.exception), name)
        self.assertIn(says, e.exception.message)

    def test_errors_say_cause_and_next_step(self):
        invalid = "org.freedesktop.DBus.Error.InvalidArgs"
        own = IFACE + "Error."
        t = GLib.Variant
        pw = {"password": t("s", "x")}
        for path, iface, member, args, name, says in (
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "no-at-sign", pw), invalid, "user@domain"),
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "a@b/c", pw), invalid, "without it"),
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "a@b.example", {"server": t("s", "h:99999")}), invalid, "port"),
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "a@b.example", {"ca-pem": t("s", "junk")}), invalid, "PEM"),
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "a@b.example", {"colour": t("s", "red")}), invalid, "colour"),
                (ROOT, "Manager", "AddAccount", V("(sa{sv})", "ME@example.org", pw), own + "Conflict", "exists"),
                (ROOT, "Manager", "FindAccount", V("(s)", "you@example.org"), own + "NotFound", "account list"),
                (ROOT, "Manager", "RemoveAccount", V("(oa{sv})", ACCOUNT + "7", {}), own + "NotFound", "no such account"),
                (ROOT, "Manager", "GetStatus", V("(a{sv})", {"verbose": t("b", True)}), invalid, "verbose"),
                (ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "x@y.example", "newest", 0, 1, 0, {}),
                 own + "NoSuchConversation", "x@y.example"),
                (ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "message", 2**63, 1, 0, {}), own + "NotFound", "no message"),
                (ACCOUNT, "Archive", "GetHistory", V("(sstuua{sv})", "", "last", 0, 1, 0, {}), invalid, "newest"),
                (ACCOUNT, "Archive", "GetMessages", V("(ata{sv})", list(range(501)), {}), own + "LimitExceeded", "500"),
                (ACCOUNT, "Archive", "FindMessage", V("(sss)", "", "body", "x"), invalid, "stanza-id"),
                (ACCOUNT, "Archive", "Changes", V("(stua{sv})", "other", 0, 1, {}), own + "EpochChanged", "read again"),
                (ACCOUNT, "Archive", "Changes", V("(stua{sv})", "", 2**62, 1, {}), own + "EpochChanged", "older copy"),
                (ACCOUNT, "Archive", "Changes", V("(stua{sv})", "", 0, 1, {"kinds": t("as", ["x"])}), invalid, "contact"),
                (ACCOUNT, "Sync", "SyncNow", V("(a{sv})", {}), own + "Offline", "not connected"),
                (ACCOUNT, "Account", "Connect", V("(a{sv})", {}), own + "Offline", "enable"),
                (ACCOUNT, "Account", "SetPassword", V("(sa{sv})", "", {}), invalid, "empty"),
        ):
            with self.subTest(member=member, args=str(args)[:60]):
                self.failing(path, iface, member, args, name, says)
        with self.assertRaises(GLib.Error) as e:
            call(self.d.peer(), ROOT + "/account/99", "Archive", "Changes", V("(stua{sv})", "", 0, 1, {}))
        self.assertEqual(error_name(e.exception), "org.freedesktop.DBus.Error.UnknownObject")

    def test_status_has_the_keys_and_types_of_cli_md(self):
        conn = self.d.peer()
        reply = conn.call_sync(None, ROOT, IFACE + "Manager", "GetStatus", V("(a{sv})", {}), None, 0, 5000, None)
        account = reply.get_child_value(0).lookup_value("accounts", GLib.VariantType("aa{sv}")).get_child_value(0)
        for part, keys in (("session", {"resumable": "b", "resumed": "b", "resumes": "t", "binds": "t", "flights": "u", "h_in": "u",
                                        "h_out": "u", "unacked": "u"}),
                           ("sync", {"state": "s", "done": "t", "total": "t", "gaps": "u", "lost": "u", "messages": "t",
                                     "caught_up": "b"}),
                           ("outbox", {"queued": "u", "sending": "u", "failed": "u"})):
            inner = account.lookup_value(part, GLib.VariantType("a{sv}"))
            for key, kind in keys.items():
                self.assertIsNotNone(inner.lookup_value(key, GLib.VariantType(kind)), f"{part}.{key} as {kind}")
        status = reply.unpack()[0]["accounts"][0]
        self.assertEqual((status["jid"], status["state"]), ("me@example.org", "disabled"))
        self.assertEqual(status["sync"]["messages"], call(conn, ACCOUNT, "org.freedesktop.DBus.Properties", "Get",
                                                          V("(ss)", IFACE + "Sync", "MessageCount"))[0])

    def test_diagnose(self):
        (checks,) = call(self.d.peer(), ROOT, "Manager", "Diagnose", V("(a{sv})", {}))
        self.assertEqual([c[0] for c in checks], ["daemon", "database", "network"])


class Accounts(unittest.TestCase):
    def test_a_life(self):
        d = Daemon()
        conn = d.peer()
        t = GLib.Variant
        (path,) = call(conn, ROOT, "Manager", "AddAccount", V("(sa{sv})", "You@Example.net", {
            "password": t("s", "secret"), "server": t("s", "[::1]:5223"), "tls": t("s", "direct"), "nick": t("s", "Y"),
            "enabled": t("b", False)}))
        self.assertEqual(call(conn, ROOT, "Manager", "FindAccount", V("(s)", "you@example.net")), (path,))
        (config,) = call(conn, path, "Account", "GetConfig")
        self.assertEqual(config, {"server": "[::1]:5223", "tls": "direct", "ca-pem": "", "nick": "Y", "allow-plain": False,
                                  "push-service": "", "enabled": False})
        call(conn, path, "Account", "Configure", V("(a{sv})", {"server": t("s", ""), "enabled": t("b", True)}))
        (config,) = call(conn, path, "Account", "GetConfig")
        self.assertEqual((config["server"], config["tls"], config["enabled"]), ("", "direct", True))
        call(conn, path, "Account", "SetPassword", V("(sa{sv})", "another", {}))
        call(conn, path, "Account", "Disconnect", V("(a{sv})", {}))
        self.assertEqual(d.cmd("last"), "disconnect")
        (props,) = call(conn, path, "org.freedesktop.DBus.Properties", "GetAll", V("(s)", IFACE + "Account"))
        self.assertEqual((props["Jid"], props["DisplayName"], props["Enabled"]), ("you@example.net", "Y", True))
        self.assertIn("urn:xmpp:mam:2", props["ServerFeatures"])
        call(conn, ROOT, "Manager", "RemoveAccount", V("(oa{sv})", path, {}))
        with self.assertRaises(GLib.Error):
            call(conn, ROOT, "Manager", "FindAccount", V("(s)", "you@example.net"))
        self.assertEqual(d.stop(), 0)


class Access(unittest.TestCase):
    def test_the_readonly_socket_reads_and_no_more(self):
        d = Daemon(seed=10)
        conn = d.peer(d.path_ro)
        self.assertEqual(len(call(conn, ACCOUNT, "Archive", "GetHistory", history_args(5))[0]), 5)
        (role,) = call(conn, ROOT, "org.freedesktop.DBus.Properties", "Get", V("(ss)", IFACE + "Manager", "Role"))
        self.assertEqual(role, "read")
        for path, iface, member, args in ((ROOT, "Manager", "RemoveAccount", V("(oa{sv})", ACCOUNT, {})),
                                          (ACCOUNT, "Sync", "Pause", V("(a{sv})", {})),
                                          (ACCOUNT, "Account", "GetConfig", None)):
            with self.assertRaises(GLib.Error) as e:
                call(conn, path, iface, member, args)
            self.assertEqual(error_name(e.exception), IFACE + "Error.Denied")
        self.assertEqual(d.cmd("last"), "")
        d.stop()

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_another_user_is_refused(self):
        d = Daemon()
        for p, mode in ((d.dir, 0o711), (os.path.dirname(d.path), 0o711), (d.path, 0o666)):
            os.chmod(p, mode)
        nobody = pwd.getpwnam("nobody").pw_uid
        code = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(10)\ns.connect(sys.argv[1])\n"
                "try:\n s.sendall(b'\\0AUTH EXTERNAL\\r\\n')\n sys.exit(0 if s.recv(100)==b'' else 1)\n"
                "except (BrokenPipeError,ConnectionResetError): sys.exit(0)\n")
        p = subprocess.run(["/usr/bin/python3", "-c", code, d.path], user=nobody, timeout=20)
        self.assertEqual(p.returncode, 0)
        d.stop()

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_root_sees_states_and_no_content(self):
        d = Daemon(seed=10, user="nobody", group="nogroup", extra_groups=[])
        conn = d.peer()
        self.assertEqual(len(call(conn, ROOT, "Manager", "GetStatus", V("(a{sv})", {}))[0]["accounts"]), 1)
        with self.assertRaises(GLib.Error) as e:
            call(conn, ACCOUNT, "Archive", "GetHistory", history_args(5))
        self.assertEqual(error_name(e.exception), IFACE + "Error.Denied")
        self.assertIn("Sync", run("busctl", "--address=" + d.address, "introspect", NAME, ACCOUNT))
        d.stop()

    def test_a_wrong_uid_in_auth_is_rejected(self):
        d = Daemon()
        for token in (b"31323334", b""):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(10)
            s.connect(d.path)
            s.sendall(b"\0AUTH " + (b"EXTERNAL " + token if token else b"ANONYMOUS") + b"\r\n")
            self.assertFalse(s.recv(100).startswith(b"OK"))
            s.close()
        d.stop()


if __name__ == "__main__":
    unittest.main()
