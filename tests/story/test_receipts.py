"""Who is told that a message came or was read, and how often (H7): against a scripted server."""

import time

from varvetest import scripted
from varvetest.mail import BOB, NS_MARKERS, NS_RECEIPTS, online, wait_binds, wait_bodies
from varvetest.wait import wait_for


def wants_receipt(number, body, sender=BOB):
    return (f"<message xmlns='jabber:client' from='{sender}/x' to='alice@chat.test' type='chat' id='w{number}'>"
            f"<body>{body}</body><request xmlns='{NS_RECEIPTS}'/></message>")


def own_receipt(ident):
    return (f"<message xmlns='jabber:client' from='alice@chat.test/other' to='{BOB}' type='chat' id='r-{ident}'>"
            f"<received xmlns='{NS_RECEIPTS}' id='{ident}'/></message>")


def archived(server, number, inner):
    server.script.archive.append(scripted.Archived(f"s{number:03d}", int(time.time() * 1e6), None, None, None, inner=inner))


def receipts(server):
    return [m.element.find("{%s}received" % NS_RECEIPTS).get("id") for m in server.script.messages("receipt")
            if m.has("received", NS_RECEIPTS)]


def test_receipts_once_on_first_reception_only(mail, varved):
    """H7: none for the past that a first sync fetches; one for what arrived meanwhile and is first seen in the archive;
    one for what comes live; never a second, whatever comes again."""
    for number in range(3):
        archived(mail, number, wants_receipt(number, "old"))
    with online(varved, mail) as writer:
        assert len(writer.history(BOB)) == 3
        varved.stop()
        mail.sessions.clear()
        archived(mail, 3, wants_receipt(3, "while away"))
        varved.start()
        wait_for(lambda: receipts(mail) == ["w3"], 30, lambda: f"{mail.script.got} {varved.tail()}")
        live = wants_receipt(6, "live")
        wait_for(lambda: mail.current, 10)
        mail.send(live)
        wait_for(lambda: receipts(mail) == ["w3", "w6"], 20, lambda: f"{mail.script.got}")
        archived(mail, 6, live)
        mail.sessions.clear()
        mail.cut()
        wait_binds(varved, 3)
        varved.wait_sync()
        writer.send(BOB, "id-1", "end", insist=True)
        wait_bodies(mail, ["end"])
        assert receipts(mail) == ["w3", "w6"]


def test_a_correction_gets_a_receipt_of_its_own(mail, varved):
    """H7: what profanity, Dino, Gajim and poezio send asks for one each time, and they show the message by its state from then
    on. As it comes live, again from the archive with other ids, and as it came while we were away."""
    def correction(number, of, body):
        return wants_receipt(number, body).replace("</message>", f"<replace xmlns='urn:xmpp:message-correct:0' id='w{of}'/></message>")
    with online(varved, mail) as writer:
        for number, stanza in enumerate((wants_receipt(1, "O Romo"), correction(2, 1, "O Romeo"), correction(3, 2, "O Romeo, Romeo"))):
            mail.send(stanza)
            archived(mail, number, stanza)
        wait_for(lambda: receipts(mail) == ["w1", "w2", "w3"], 20, lambda: f"{mail.script.got} {varved.tail()}")
        mail.send(correction(3, 2, "O Romeo, Romeo"))
        varved.ctl("sync", "now")
        varved.stop()
        mail.sessions.clear()
        archived(mail, 4, correction(4, 1, "wherefore art thou Romeo"))
        archived(mail, 5, correction(5, 1, "wherefore art thou Romeo?"))
        archived(mail, 6, own_receipt("w5"))
        varved.start()
        wait_for(lambda: "w4" in receipts(mail), 30, lambda: f"{mail.script.got} {varved.tail()}")
        mail.send(wants_receipt(6, "end"))
        wait_for(lambda: receipts(mail)[-1] == "w6", 20, lambda: f"{mail.script.got}")
        assert receipts(mail) == ["w1", "w2", "w3", "w4", "w6"]
        assert [row.body for row in writer.history(BOB)] == ["wherefore art thou Romeo?", "end"]


def test_a_receipt_of_another_device_is_enough(mail, varved):
    """H7: the archive has the message and, behind it, the receipt that another device of ours gave."""
    with online(varved, mail):
        varved.stop()
        mail.sessions.clear()
        archived(mail, 1, wants_receipt(1, "answered by the other device"))
        archived(mail, 2, own_receipt("w1"))
        archived(mail, 3, wants_receipt(3, "not answered"))
        varved.start()
        wait_for(lambda: "w3" in receipts(mail), 30, lambda: f"{mail.script.got} {varved.tail()}")
        assert receipts(mail) == ["w3"]


def test_strangers_get_no_receipt(mail, varved):
    with online(varved, mail) as writer:
        mail.send(wants_receipt(1, "who are you", "mallory@chat.test"))
        mail.send(wants_receipt(2, "hello"))
        wait_for(lambda: receipts(mail) == ["w2"], 20, lambda: f"{mail.script.got}")
        writer.send(BOB, "id-1", "end")
        wait_bodies(mail, ["end"])
        assert receipts(mail) == ["w2"]


def test_a_stranger_is_not_told_what_was_read(mail, varved):
    """XEP-0333 section 7: a marker says that we are online; who may not see our presence gets none, a contact does."""
    stranger = "spam@evil.test"
    with online(varved, mail) as app:
        for jid in (stranger, BOB):
            mail.send(f"<message from='{jid}/x' to='alice@chat.test' type='chat' id='ask'><body>read me</body>"
                      f"<markable xmlns='{NS_MARKERS}'/></message>")
            wait_for(lambda: app.history(jid))
            app.mark_read(jid)
        wait_for(lambda: [m for m in mail.script.messages(None) if m.has("displayed", NS_MARKERS)], 20)
        assert [m.to.split("/")[0] for m in mail.script.messages(None) if m.has("displayed", NS_MARKERS)] == [BOB]
        assert app.conversation(stranger)[6] == 0


def chat_states(server):
    """What they are told of our typing, with the texts between: "composing", "=hello" ..."""
    found = []
    for m in list(server.script.got):
        found += [f"={m.body}"] if m.body is not None else [s for s in ("active", "composing", "paused", "inactive", "gone")
                                                            if m.has(s, "http://jabber.org/protocol/chatstates")]
    return found


def test_typing_is_told_once_in_a_row(mail, varved):
    """XEP-0085 section 5.3: an app calls at every key, and two apps may. What follows a text is told anew."""
    with online(varved, mail) as app:
        def typing(*states):
            for state in states:
                app.call("Conversations", "SetTyping", "ss", BOB, state)
        typing(*["composing"] * 50, "paused", "paused", "composing")
        app.send(BOB, "t-1", "hello", insist=True)
        wait_bodies(mail, ["hello"])
        typing("active", "composing", "composing")
        app.send(BOB, "t-2", "there", insist=True)
        wait_bodies(mail, ["hello", "there"])
        assert chat_states(mail) == ["composing", "paused", "composing", "=hello", "composing", "=there"]
        # A new stream: they may have missed the end of the old one.
        typing("composing")
        mail.cut()
        wait_for(lambda: varved.account()["session"]["resumes"] == 1 and mail.current, 30)
        typing("composing")
        wait_for(lambda: chat_states(mail)[6:] == ["composing", "composing"], 20, lambda: chat_states(mail))


def test_a_flood_of_typing_is_not_passed_on(mail, varved):
    with online(varved, mail) as app:
        begin = time.monotonic()
        for i in range(500):
            app.call("Conversations", "SetTyping", "ss", BOB, "composing" if i % 2 == 0 else "paused")
        took = time.monotonic() - begin
        app.send(BOB, "t-1", "end", insist=True)
        wait_bodies(mail, ["end"])
        # hub-presence.c: 40 at once, 4 a second
        assert 40 <= len(chat_states(mail)) - 1 <= 42 + 4 * took, chat_states(mail)
