"""What changes something: each member with its arguments, outcomes and errors, against the double of the hub (whose outbox is
the real one), and who may call it."""

import unittest

from gi.repository import Gio, GLib

from busdaemon import ACCOUNT, ROOT, XML, Daemon, Raw, V, blob, call, error_name, wait_for
from test_gate import methods

ERROR = "org.varve.Varve1.Error."
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
BOB = "bob@example.org"
SENT_BY_US = {"Send", "Edit", "Retract", "React"}


def S(**kw):
    """a{sv} of strings, booleans and variants; _ in a name is -."""
    kinds = {str: "s", bool: "b"}
    return {k.replace("_", "-"): v if isinstance(v, GLib.Variant) else GLib.Variant(kinds[type(v)], v) for k, v in kw.items()}


T, X, AS = (lambda n: GLib.Variant("t", n)), (lambda n: GLib.Variant("x", n)), (lambda v: GLib.Variant("as", v))


class Write(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon(seed=300)
        cls.conn = cls.d.peer()

    @classmethod
    def tearDownClass(cls):
        assert cls.d.stop() == 0

    def ok(self, iface, member, signature="()", *args, path=ACCOUNT):
        return call(self.conn, path, iface, member, V(signature, *args))

    def refused(self, iface, member, signature, *args, path=ACCOUNT, conn=None):
        with self.assertRaises(GLib.Error, msg=(member, args)) as e:
            call(conn or self.conn, path, iface, member, V(signature, *args))
        return error_name(e.exception).removeprefix(ERROR)

    def outcomes(self, names, iface, member, signature, *args):
        """Each outcome of the hub arrives as the error that the contract names."""
        for outcome, want in names.items():
            self.d.cmd("outcome " + outcome)
            self.assertEqual(self.refused(iface, member, signature, *args), want, (member, outcome))

    def send(self, key, body="hello", to=BOB, options=None):
        return self.ok("Archive", "Send", "(sssa{sv})", to, key, body, options or {})

    def row(self, msg):
        (rows,) = self.ok("Archive", "GetMessages", "(ata{sv})", [msg], {})
        return rows[0]

    WRITES = {"storage": "org.freedesktop.DBus.Error.Failed", "busy": "Busy", "limit": "LimitExceeded", "notfound": "NotFound",
              "conflict": "Conflict", "unsuitable": "Conflict", "invalid": INVALID}
    WRITES["storage"] = "Storage"

    # ---- Send

    def test_send_is_in_the_archive_when_it_answers(self):
        msg, existing = self.send("first", "h\u00e9llo\n\tthere", to="Bob@Example.ORG")
        self.assertFalse(existing)
        row = self.row(msg)
        self.assertEqual((row[2], row[3].split("/")[0], row[5], row[6], row[7], row[8]),
                         (BOB, "me@example.org", 1, 10, "text", "h\u00e9llo\n\tthere"))
        self.assertEqual(row[9]["client-id"], "first")

    def test_the_same_id_is_the_same_message(self):
        first = self.send("again", "once")[0]
        self.assertEqual(self.send("again", "once"), (first, True))
        self.assertEqual(self.refused("Archive", "Send", "(sssa{sv})", BOB, "again", "twice", {}), "Conflict")
        self.assertEqual(self.refused("Archive", "Send", "(sssa{sv})", "x@example.org", "again", "once", {}), "Conflict")

    def test_a_reply_names_a_message_of_the_conversation(self):
        msg = self.send("asked")[0]
        answer = self.send("answered", options=S(reply_to=T(msg)))[0]
        self.assertEqual(self.row(answer)[9]["reply-to"], msg)
        for wrong in (999999, 2**63, 2**64 - 1, 0):
            self.assertEqual(self.refused("Archive", "Send", "(sssa{sv})", BOB, "wrong", "x", S(reply_to=T(wrong))), "NotFound")

    def test_what_cannot_be_sent_is_refused(self):
        for to, key, body, options in (
                ("", "k", "x", {}), ("bob@example.org/phone", "k", "x", {}), ("a b@example.org", "k", "x", {}),
                (BOB, "", "x", {}), (BOB, "k" * 129, "x", {}), (BOB, "a\nb", "x", {}), (BOB, "a\x7fb", "x", {}),
                (BOB, "k", "", {}), (BOB, "k", "x" * 65537, {}), (BOB, "k", "bell\x07", {}), (BOB, "k", "a\r\nb", {}),
                (BOB, "k", "x", S(colour="red")), (BOB, "k", "x", S(reply_to="seven"))):
            self.assertEqual(self.refused("Archive", "Send", "(sssa{sv})", to, key, body, options), INVALID,
                             (to, key, body[:20], options))
        self.send("k" * 128, "x" * 65536, options=S(x_mine="kept for whoever wants it"))

    def test_outcomes_of_send(self):
        self.outcomes(self.WRITES, "Archive", "Send", "(sssa{sv})", BOB, "outcome", "x", {})

    def test_pipelined_sends_keep_their_order(self):
        """H6: nobody waits for an answer before the next one."""
        c = Raw(self.d.path)
        n = 300
        c.sock.sendall(b"".join(blob(i, ACCOUNT, "Archive", "Send", V("(sssa{sv})", "order@example.org", f"p{i}", str(i), {}))
                                for i in range(1, n + 1)))
        ids = []
        for i in range(1, n + 1):
            m = c.receive()
            while m.get_message_type() == Gio.DBusMessageType.SIGNAL:
                m = c.receive()
            self.assertEqual((m.get_reply_serial(), m.get_message_type()), (i, Gio.DBusMessageType.METHOD_RETURN))
            ids.append(m.get_body().unpack()[0])
        c.close()
        self.assertEqual(ids, sorted(ids))
        (rows, _, _) = self.ok("Archive", "GetHistory", "(sstuua{sv})", "order@example.org", "newest", 0, n, 0, {})
        self.assertEqual([r[8] for r in rows], [str(i) for i in range(1, n + 1)])

    # ---- about a message

    def test_edit_retract_react(self):
        msg = self.send("to be changed")[0]
        for member, signature, args, kind in (
                ("Edit", "(tssa{sv})", (msg, "e1", "better", {}), 1),
                ("Retract", "(tsa{sv})", (msg, "r1", {}), 2),
                ("React", "(tasa{sv})", (msg, ["\u2764\ufe0f", "+1"], S(client_id="c1")), 3)):
            self.outcomes(self.WRITES, "Archive", member, signature, *args)
            self.assertEqual(self.d.cmd("last-send").split()[:2], ["send", str(kind)])

    def test_a_message_that_waits_can_be_cancelled_and_tried_again(self):
        msg = self.send("waits")[0]
        self.ok("Archive", "Cancel", "(t)", msg)
        self.assertEqual(self.row(msg)[6], 21)
        self.assertEqual(self.refused("Archive", "Edit", "(tssa{sv})", msg, "", "x", {}), "Conflict")
        self.assertEqual(self.refused("Archive", "Cancel", "(t)", msg), "Conflict")
        self.ok("Archive", "Retry", "(ta{sv})", msg, {})
        self.assertEqual(self.row(msg)[6], 10)
        self.assertEqual(self.refused("Archive", "Retry", "(ta{sv})", msg, {}), "Conflict")

    def test_a_reaction_to_somebody_is_there_at_once(self):
        (rows, _, _) = self.ok("Archive", "GetHistory", "(sstuua{sv})", "contact01@example.net", "newest", 0, 1, 0, {})
        msg = rows[0][0]
        self.ok("Archive", "React", "(tasa{sv})", msg, ["\U0001f44d"], {})
        self.assertEqual(self.row(msg)[9]["reactions"], {"me@example.org": ["\U0001f44d"]})
        self.ok("Archive", "React", "(tasa{sv})", msg, [], {})
        self.assertNotIn("reactions", self.row(msg)[9])
        self.assertEqual(self.refused("Archive", "Edit", "(tssa{sv})", msg, "", "not mine", {}), "Conflict")
        self.assertEqual(self.refused("Archive", "Retract", "(tsa{sv})", msg, "", {}), "Conflict")

    def test_a_reaction_counts_once(self):
        self.ok("Archive", "React", "(tasa{sv})", 1, ["+1", "\u2764", "+1", "\u2764", "+"], {})
        self.assertEqual(self.row(1)[9]["reactions"], {"me@example.org": ["+1", "\u2764", "+"]})
        self.ok("Archive", "React", "(tasa{sv})", 1, [], {})

    def test_what_d_bus_does_not_carry_is_refused_with_words(self):
        bad = "a\ufffeb"
        for iface, member, signature, args in (
                ("Archive", "Send", "(sssa{sv})", (BOB, "k", bad, {})), ("Archive", "Send", "(sssa{sv})", (BOB, bad, "x", {})),
                ("Archive", "Send", "(sssa{sv})", (bad, "k", "x", {})), ("Archive", "Send", "(sssa{sv})", (BOB, "k", "\ufdd0", {})),
                ("Archive", "Send", "(sssa{sv})", (BOB, "k", "x", {bad: GLib.Variant("b", True)})),
                ("Archive", "Edit", "(tssa{sv})", (1, "", bad, {})), ("Archive", "Retract", "(tsa{sv})", (1, bad, {})),
                ("Archive", "React", "(tasa{sv})", (1, [bad], {})), ("Archive", "React", "(tasa{sv})", (1, ["x"], S(client_id=bad))),
                ("Archive", "Search", "(ssua{sv})", (bad, "", 1, {})), ("Archive", "Changes", "(stua{sv})", (bad, 0, 1, {})),
                ("Archive", "GetHistory", "(sstuua{sv})", (bad, "newest", 0, 1, 0, {})),
                ("Archive", "FindMessage", "(sss)", ("", "id", bad)), ("Conversations", "Get", "(as)", ([bad],)),
                ("Conversations", "Open", "(sa{sv})", (bad, {})), ("Conversations", "Set", "(sa{sv})", (BOB, S(draft=bad))),
                ("Conversations", "List", "(sua{sv})", ("", 1, S(query=bad))), ("Conversations", "SetTyping", "(ss)", (BOB, bad)),
                ("Conversations", "MarkRead", "(sta{sv})", (bad, 0, {})), ("Conversations", "Delete", "(sa{sv})", (bad, {})),
                ("Roster", "Set", "(sa{sv})", (BOB, S(name=bad))), ("Roster", "Remove", "(s)", (bad,)),
                ("Roster", "GetPresence", "(as)", ([bad],)), ("Roster", "Authorize", "(ss)", (BOB, bad)),
                ("Roster", "List", "(sua{sv})", (bad, 1, {})), ("Roster", "SetBlocked", "(sb)", (bad, True)),
                ("Account", "SetPresence", "(ssa{sv})", ("", bad, {})), ("Account", "SetPassword", "(sa{sv})", (bad, {})),
                ("Account", "Configure", "(a{sv})", (S(nick=bad),)), ("Sync", "Fetch", "(sa{sv})", (bad, {})),
                ("Sync", "Verify", "(sa{sv})", (bad, {})), ("Sync", "ListGaps", "(stu)", (bad, 0, 0))):
            with self.assertRaises(GLib.Error, msg=(member, args)) as e:
                call(self.conn, ACCOUNT, iface, member, V(signature, *args))
            self.assertEqual(error_name(e.exception), INVALID, (member, args))
            self.assertIn("noncharacter", e.exception.message, member)
        for iface, member, signature, args in (
                ("Manager", "FindAccount", "(s)", (bad,)), ("Manager", "AddAccount", "(sa{sv})", (bad, {})),
                ("Manager", "SetInterest", "(a{sv})", ({"conversations": GLib.Variant("as", [bad])},)),
                ("Manager", "Backup", "(sa{sv})", (bad, {})), ("Keyring", "AddSlot", "(saya{sv})", (bad, b"", {})),
                ("Keyring", "AddSlot", "(saya{sv})", ("recovery", b"", S(label=bad)))):
            with self.assertRaises(GLib.Error, msg=(member, args)) as e:
                call(self.conn, ROOT, iface, member, V(signature, *args))
            self.assertIn("noncharacter", e.exception.message, member)

    def test_arguments_about_a_message(self):
        for wrong in (0, 2**63, 2**64 - 1, 999999):
            for member, signature, args in (("Edit", "(tssa{sv})", ("", "x", {})), ("Retract", "(tsa{sv})", ("", {})),
                                            ("React", "(tasa{sv})", (["x"], {})), ("Retry", "(ta{sv})", ({},)), ("Cancel", "(t)", ())):
                self.assertEqual(self.refused("Archive", member, signature, wrong, *args), "NotFound", (member, wrong))
        for member, signature, args in (
                ("Edit", "(tssa{sv})", ("k" * 129, "x", {})), ("Edit", "(tssa{sv})", ("", "", {})),
                ("Edit", "(tssa{sv})", ("", "\x01", {})), ("Edit", "(tssa{sv})", ("", "x" * 65537, {})),
                ("Edit", "(tssa{sv})", ("", "x", S(a="b"))), ("Retract", "(tsa{sv})", ("a\tb", {})),
                ("Retract", "(tsa{sv})", ("", S(a="b"))), ("React", "(tasa{sv})", ([""], {})),
                ("React", "(tasa{sv})", (["x" * 61], {})), ("React", "(tasa{sv})", (["a\nb"], {})),
                ("React", "(tasa{sv})", (["x"] * 17, {})), ("React", "(tasa{sv})", (["x"], S(client_id="\n"))),
                ("Retry", "(ta{sv})", (S(a="b"),))):
            self.assertEqual(self.refused("Archive", member, signature, 1, *args), INVALID, (member, args))

    def test_outcomes_about_a_message(self):
        self.outcomes(self.WRITES, "Archive", "Retry", "(ta{sv})", 1, {})
        self.outcomes(self.WRITES, "Archive", "Cancel", "(t)", 1)
        self.outcomes(self.WRITES, "Archive", "DeleteLocal", "(at)", [1])

    def test_delete_local(self):
        self.ok("Archive", "DeleteLocal", "(at)", [7, 8])
        self.assertEqual(self.d.cmd("last-send"), "delete 2 7")
        self.ok("Archive", "DeleteLocal", "(at)", [])
        self.assertEqual(self.refused("Archive", "DeleteLocal", "(at)", [1] * 501), "LimitExceeded")

    # ---- conversations

    def test_open(self):
        self.assertEqual(self.ok("Conversations", "Open", "(sa{sv})", "New@Example.org", {}), ("new@example.org",))
        self.assertEqual(self.d.cmd("last-send"), "open new@example.org")
        for wrong in ("", "a@b/c", "@"):
            self.assertEqual(self.refused("Conversations", "Open", "(sa{sv})", wrong, {}), INVALID)
        self.assertEqual(self.refused("Conversations", "Open", "(sa{sv})", BOB, S(a="b")), INVALID)
        self.outcomes(self.WRITES, "Conversations", "Open", "(sa{sv})", BOB, {})

    def test_set(self):
        c = "contact01@example.net"
        self.ok("Conversations", "Set", "(sa{sv})", c, S(pinned=True, archived=False, muted_until=X(5), draft="half a"))
        self.assertEqual(self.d.cmd("last-send"), f"set {c} 11 10 1:5 1:half a")
        self.ok("Conversations", "Set", "(sa{sv})", c, {})
        self.assertEqual(self.d.cmd("last-send"), f"set {c} 00 00 0:0 0:")
        for wrong in (S(muted_until=X(-1)), S(draft="x" * 65537), S(draft="\x02"), S(pinned="yes"), S(colour="red")):
            self.assertEqual(self.refused("Conversations", "Set", "(sa{sv})", c, wrong), INVALID)
        self.assertEqual(self.refused("Conversations", "Set", "(sa{sv})", "nobody@example.org", {}), "NoSuchConversation")
        self.outcomes(self.WRITES, "Conversations", "Set", "(sa{sv})", c, S(pinned=True))

    def test_mark_read(self):
        c = "contact01@example.net"
        self.ok("Conversations", "MarkRead", "(sta{sv})", c, 2, {})
        self.assertEqual(self.d.cmd("last-send"), f"mark-read {c} 2 1")
        self.ok("Conversations", "MarkRead", "(sta{sv})", c, 0, S(send_marker=False))
        self.assertEqual(self.d.cmd("last-send"), f"mark-read {c} 0 0")
        self.assertEqual(self.refused("Conversations", "MarkRead", "(sta{sv})", c, 2**63, {}), "NotFound")
        self.assertEqual(self.refused("Conversations", "MarkRead", "(sta{sv})", c, 2, S(a="b")), INVALID)
        self.assertEqual(self.refused("Conversations", "MarkRead", "(sta{sv})", "x@example.org", 0, {}), "NoSuchConversation")
        self.outcomes(self.WRITES, "Conversations", "MarkRead", "(sta{sv})", c, 2, {})

    def test_delete(self):
        c = "contact02@example.net"
        self.ok("Conversations", "Delete", "(sa{sv})", c, {})
        self.assertEqual(self.d.cmd("last-send"), "delete-conversation " + c)
        self.assertEqual(self.refused("Conversations", "Delete", "(sa{sv})", c, S(a="b")), INVALID)
        self.assertEqual(self.refused("Conversations", "Delete", "(sa{sv})", "x@example.org", {}), "NoSuchConversation")
        self.outcomes(self.WRITES, "Conversations", "Delete", "(sa{sv})", c, {})

    def test_list_filters(self):
        def ids(**options):
            return [c[0] for c in self.ok("Conversations", "List", "(sua{sv})", "", 0, S(**options))[0]]
        self.send("filter")
        everything = ids()
        self.assertIn(BOB, everything)
        self.assertEqual(ids(query="ONTACT07@"), ["contact07@example.net"])
        self.assertEqual(ids(query="100%_no"), [])
        self.assertEqual(ids(kind="room"), [])
        self.assertEqual(ids(kind="direct"), everything)
        self.assertEqual(ids(archived=False), everything)
        self.assertEqual(ids(archived=True), [])
        for wrong in (S(kind="tree"), S(query=True), S(archived="no")):
            self.assertEqual(self.refused("Conversations", "List", "(sua{sv})", "", 0, wrong), INVALID)
        self.assertEqual(self.refused("Conversations", "List", "(sua{sv})", "not ours", 0, {}), INVALID)

    # ---- roster

    def test_roster_answers_when_the_server_has_answered(self):
        for member, signature, args, want in (
                ("Set", "(sa{sv})", (BOB, S(name="Bob", groups=AS(["a", "b c"]))), f"request 0 {BOB} Bob a|b c"),
                ("Set", "(sa{sv})", (BOB, {}), f"request 0 {BOB}  "),
                ("Authorize", "(ss)", (BOB, "request"), f"request 4 {BOB} subscribe "),
                ("Authorize", "(ss)", (BOB, "approve"), f"request 4 {BOB} subscribed "),
                ("Authorize", "(ss)", (BOB, "deny"), f"request 4 {BOB} unsubscribed "),
                ("Authorize", "(ss)", (BOB, "revoke"), f"request 4 {BOB} unsubscribed "),
                ("Authorize", "(ss)", (BOB, "unsubscribe"), f"request 4 {BOB} unsubscribe "),
                ("SetBlocked", "(sb)", ("example.com", True), "request 2 example.com  "),
                ("SetBlocked", "(sb)", (BOB, False), f"request 3 {BOB}  ")):
            for answer, error in (("ok", None), ("remote", "Remote"), ("offline", "Offline")):
                c = Raw(self.d.path)
                serial = c.send(ACCOUNT, "Roster", member, V(signature, *args))
                # In order behind it, and answered before it.
                self.assertIsNotNone(c.reply(c.send(ROOT, "org.freedesktop.DBus.Peer", "Ping")))
                self.assertEqual(self.d.cmd("last-send"), want.strip())
                self.d.cmd("answer " + answer)
                m = c.reply(serial)
                self.assertEqual((m.get_error_name() or "").removeprefix(ERROR) or None, error, (member, args))
                if error == "Remote":
                    self.assertTrue(m.get_body().unpack()[0].startswith("item-not-found: "))
                c.close()
            self.d.cmd("outcome offline")
            self.assertEqual(self.refused("Roster", member, signature, *args), "Offline")

    def test_who_asks_to_see_us_is_a_contact_until_answered(self):
        def row():
            return next((r for r in self.ok("Roster", "List", "(sua{sv})", "", 0, {})[0] if r[0] == "eve@example.com"), None)

        def changes(since):
            return self.ok("Archive", "Changes", "(stua{sv})", "", since, 0, {})
        seq = self.ok("Roster", "List", "(sua{sv})", "", 0, {})[2]
        self.assertIsNone(row())
        self.d.cmd("asking eve@example.com")
        self.assertEqual(row()[3:5], ("none", 4 | 8))
        self.assertIn(("eve@example.com", 4 | 8), [(c[0], c[4]) for c in changes(seq)[4]])
        self.d.cmd("answered eve@example.com")
        self.assertIsNone(row())
        self.assertEqual([r for r in changes(seq)[-1] if r[1] == "eve@example.com"][0][0], "contact")

    def test_a_caller_who_goes_is_forgotten(self):
        c = Raw(self.d.path)
        c.send(ACCOUNT, "Roster", "SetBlocked", V("(sb)", BOB, True))
        c.reply(c.send(ROOT, "org.freedesktop.DBus.Peer", "Ping"))
        c.close()
        wait_for(lambda: self.d.cmd("last-send") == "abandoned", what="the request to be given up")
        self.d.cmd("answer ok")

    def test_at_most_sixteen_wait(self):
        c = Raw(self.d.path)
        serials = [c.send(ACCOUNT, "Roster", "SetBlocked", V("(sb)", BOB, True)) for _ in range(17)]
        self.assertEqual(c.reply(serials[16]).get_error_name(), ERROR + "LimitExceeded")
        self.d.cmd("answer ok")
        for s in serials[:16]:
            m = c.receive()
            while m.get_message_type() == Gio.DBusMessageType.SIGNAL:
                m = c.receive()
            self.assertEqual(m.get_message_type(), Gio.DBusMessageType.METHOD_RETURN)
        c.close()

    def test_arguments_of_the_roster(self):
        for member, signature, args in (
                ("Set", "(sa{sv})", ("", {})), ("Set", "(sa{sv})", ("a@b/c", {})), ("Set", "(sa{sv})", (BOB, S(colour="red"))),
                ("Set", "(sa{sv})", (BOB, S(name="x" * 1025))), ("Set", "(sa{sv})", (BOB, S(name="a\nb"))),
                ("Set", "(sa{sv})", (BOB, S(groups=AS([""])))), ("Set", "(sa{sv})", (BOB, S(groups=AS(["a\nb"])))),
                ("Set", "(sa{sv})", (BOB, S(groups=AS(["g"] * 65)))), ("Set", "(sa{sv})", (BOB, S(groups=AS(["g" * 1000] * 9)))),
                ("Remove", "(s)", ("a@b/c",)), ("Authorize", "(ss)", (BOB, "shout")), ("Authorize", "(ss)", ("", "deny")),
                ("SetBlocked", "(sb)", ("a@b/c", True)), ("List", "(sua{sv})", ("", 0, S(a="b")))):
            self.assertEqual(self.refused("Roster", member, signature, *args), INVALID, (member, args))
        self.assertEqual(self.refused("Roster", "Remove", "(s)", "stranger@example.org"), "NotFound")
        self.assertEqual(self.ok("Roster", "List", "(sua{sv})", "", 0, {})[:2], ([], ""))

    def test_a_server_without_a_block_list(self):
        self.d.cmd("state online")
        self.assertEqual(self.refused("Roster", "SetBlocked", "(sb)", BOB, True), "Unsupported")
        self.d.cmd("state offline")

    # ---- presence

    def test_presence(self):
        self.d.cmd("presence ann@example.org/a away back at \ufffe noon")
        self.d.cmd("presence ann@example.org/b here")
        self.d.cmd("presence eve@example.org/x dnd go")
        want = [("ann@example.org/a", "away", "back at \ufffd noon", {"priority": 5}), ("ann@example.org/b", "", "", {"priority": 5})]
        self.assertEqual(self.ok("Roster", "GetPresence", "(as)", ["Ann@example.org", "no one", "nobody@example.org"])[0], want)
        self.d.cmd("presence ann@example.org/a offline")
        self.assertEqual(len(self.ok("Roster", "GetPresence", "(as)", ["ann@example.org"])[0]), 1)
        self.assertEqual(self.refused("Roster", "GetPresence", "(as)", ["a@b"] * 501), "LimitExceeded")

    def test_own_presence(self):
        self.ok("Account", "SetPresence", "(ssa{sv})", "away", "for lunch", {})
        self.assertEqual(self.d.cmd("last-send"), "presence away for lunch")
        self.ok("Account", "SetPresence", "(ssa{sv})", "", "", {})
        for wrong in (("asleep", "", {}), ("", "x" * 1025, {}), ("", "\x03", {}), ("", "", S(a="b"))):
            self.assertEqual(self.refused("Account", "SetPresence", "(ssa{sv})", *wrong), INVALID)
        self.outcomes({"storage": "Storage"}, "Account", "SetPresence", "(ssa{sv})", "", "", {})

    # ---- typing

    def test_typing_ends_with_its_connection(self):
        c = Raw(self.d.path)
        c.reply(c.send(ACCOUNT, "Conversations", "SetTyping", V("(ss)", "Carol@example.org", "composing")))
        self.assertEqual(self.d.cmd("last-send"), "typing carol@example.org 1")
        c.close()
        wait_for(lambda: self.d.cmd("last-send") == "typing carol@example.org 2", what="paused")
        c = Raw(self.d.path)
        for state in ("composing", "active"):
            c.reply(c.send(ACCOUNT, "Conversations", "SetTyping", V("(ss)", "dave@example.org", state)))
        c.close()
        # Nothing is said twice: the next call finds the last one as it was.
        self.assertIsNotNone(call(self.d.peer(), ROOT, "org.freedesktop.DBus.Peer", "Ping"))
        self.assertEqual(self.d.cmd("last-send"), "typing dave@example.org 0")

    def test_typing_arguments_and_limits(self):
        for wrong in ((BOB, "shouting"), ("a@b/c", "active"), ("", "active")):
            self.assertEqual(self.refused("Conversations", "SetTyping", "(ss)", *wrong), INVALID)
        conn = self.d.peer()
        for i in range(16):
            call(conn, ACCOUNT, "Conversations", "SetTyping", V("(ss)", f"t{i}@example.org", "composing"))
        self.assertEqual(self.refused("Conversations", "SetTyping", "(ss)", "t16@example.org", "composing", conn=conn), "LimitExceeded")
        call(conn, ACCOUNT, "Conversations", "SetTyping", V("(ss)", "t3@example.org", "paused"))
        call(conn, ACCOUNT, "Conversations", "SetTyping", V("(ss)", "t16@example.org", "composing"))
        conn.close_sync(None)
        self.outcomes({"invalid": INVALID}, "Conversations", "SetTyping", "(ss)", BOB, "active")

    def test_who_types(self):
        self.d.cmd("typing ann@example.org/\ufffex composing")
        self.assertEqual(self.ok("Conversations", "GetTyping")[0], [("ann@example.org", "ann@example.org/\ufffdx", "composing")])

    # ---- roles

    def test_the_socket_for_readers_changes_nothing(self):
        """Every method of the contract is either open to a reader or Denied, by the table below alone."""
        reads = {"Manager": {"FindAccount", "GetStatus", "Diagnose", "SetInterest", "GetAddress"}, "Keyring": set(), "Account": set(),
                 "Sync": {"ListGaps", "GetCoverage"}, "Archive": {"GetHistory", "GetMessages", "FindMessage", "Changes", "Search"},
                 "Conversations": {"List", "Get", "GetUnreadTotal", "GetTyping"}, "Roster": {"List", "GetPresence"}, "Job": set()}
        conn = self.d.peer(self.d.path_ro)
        seen = 0
        for iface, member, args in methods():
            path = ROOT if iface in ("Manager", "Keyring") else ACCOUNT
            try:
                call(conn, path, iface, member, args)
                name = "ok"
            except GLib.Error as e:
                name = error_name(e)
            self.assertEqual(name == ERROR + "Denied", member not in reads[iface], (iface, member, name))
            seen += 1
        self.assertGreater(seen, 50)
        self.assertEqual(self.refused("Manager", "SetInterest", "(a{sv})", S(active=True), path=ROOT, conn=conn), "Denied")

    def test_what_is_misspelt_is_unknown_and_not_denied(self):
        unknown = "org.freedesktop.DBus.Error.Unknown"
        for conn in (self.d.peer(self.d.path), self.d.peer(self.d.path_ro)):
            for path, iface, member, kind in [(ROOT, "Manager", "Nope", "Method"), (ACCOUNT, "Archive", "send", "Method"),
                                              (ROOT, "Managr", "GetStatus", "Interface")]:
                with self.assertRaises(GLib.Error) as e:
                    call(conn, path, iface, member)
                self.assertEqual(error_name(e.exception), unknown + kind)

    def test_a_member_is_documented_with_each_error_that_it_gives(self):
        """The words before a method name what the tests above have met; "As Edit" follows the reference."""
        with open(XML) as f:
            text = f.read()
        for member, errors in {"Send": ("InvalidArgs", "Conflict", "NotFound", "LimitExceeded", "Busy", "Storage"),
                               "Edit": ("InvalidArgs", "Conflict", "NotFound", "LimitExceeded", "Busy", "Storage"),
                               "Retry": ("NotFound", "Conflict"), "Cancel": ("NotFound", "Conflict"),
                               "MarkRead": ("InvalidArgs", "NoSuchConversation", "NotFound"),
                               "SetBlocked": ("Unsupported",), "GetPresence": ("LimitExceeded",)}.items():
            words = text[:text.index(f'<method name="{member}">')].rsplit("<!--", 1)[1]
            for e in errors:
                self.assertIn(e, words, member)


if __name__ == "__main__":
    unittest.main()
