"""The examples of docs/examples against a real daemon, a real server and another person: the chat as somebody sees and
types it in a terminal, the bot while it is killed."""

import collections
import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from varvetest import loop, proc, seed, servers
from varvetest.daemon import TOP
from varvetest.peer import Peer
from varvetest.terminal import Terminal
from varvetest.wait import holds, wait_for

EXAMPLES = os.path.join(TOP, "docs", "examples")
PYTHON = "/usr/bin/python3"         # the one with Debian's python3-gi
DAY = 86400 * 10**6
N = 60                              # messages with bob: three screens


@pytest.fixture
def server(certs):
    with servers.Prosody(certs=certs) as running:
        yield running


def talk(domain, who, count, end_us, prefix=""):
    """A day's conversation, a message a minute; every third is ours."""
    return [seed.Seeded(end_us - (count - i) * 60 * 10**6, f"{who}@{domain}", i % 3 == 2, f"{prefix}{who} {i:03}",
                        f"{prefix}{who}{i}") for i in range(count)]


@pytest.fixture
def history(server):
    """alice has talked with bob and carol, who are real accounts."""
    for name in ("alice", "bob", "carol"):
        server.add_user(name)
    server.add_roster("alice", {f"{n}@{server.domain}": n.capitalize() for n in ("bob", "carol")})
    server.add_roster("bob", {f"alice@{server.domain}": "Alice"})
    now = int(seed.now().timestamp() * 1e6)
    server.seed_archive("alice", talk(server.domain, "carol", 3, now - 2 * DAY) + talk(server.domain, "bob", N, now - DAY))
    return now


@pytest.fixture
def chat(server, history, varved):
    varved.add_account(server, "alice")
    varved.wait_sync()
    with Terminal([PYTHON, os.path.join(EXAMPLES, "chat.py")], varved.environment()) as terminal:
        terminal.wait_text("alice@", "online")
        yield terminal


def watch(peer):
    """The names of what the messages that arrive consist of; slixmpp tells only of those with a body."""
    seen = []
    loop.call(peer.client.register_handler, Callback("watch", StanzaPath("message"), lambda m: seen.extend(x.tag for x in m.xml)))
    return seen


def numbers(lines, who="bob"):
    return [int(n) for line in lines for n in re.findall(rf"{who} (\d\d\d)(?:\s|$)", line)]


def test_chat_shows_conversations_and_scrolls_through_all_of_the_history(chat):
    chat.wait_text(f"bob {N - 1:03}")
    listed = [line[:24].split()[0] for line in chat.lines[1:] if line[:24].strip()]
    assert [name.split("@")[0].lower() for name in listed] == ["bob", "carol"]
    seen = set(numbers(chat.lines))
    assert max(seen) == N - 1 and len(seen) > 15
    for _ in range(N):
        if 0 in seen:
            break
        top = min(numbers(chat.lines))
        chat.keys("PPage")
        chat.wait(lambda lines: numbers(lines) and min(numbers(lines)) < top, what=f"something older than {top}")
        shown = numbers(chat.lines)
        assert shown == list(range(shown[0], shown[-1] + 1)), "each once, in order"
        seen.update(shown)
    assert seen == set(range(N)), "every message was on some screen"
    first = chat.screen
    chat.keys("PPage")
    chat.keys("PPage")
    holds(lambda: numbers(chat.lines) == numbers(first.split("\n")), 0.5, "the beginning stays where it is")
    for _ in range(N // 10):
        chat.keys("NPage")
    chat.wait_text(f"bob {N - 1:03}")
    chat.keys("Down")
    chat.wait_text("carol 002")
    chat.wait_gone("bob 0")


def test_chat_fits_its_terminal(chat):
    for width, height in ((60, 15), (40, 8), (12, 4), (120, 40), (80, 24)):
        chat.resize(width, height)
        if width > 12:
            chat.wait(lambda lines: f"bob {N - 1:03}" in "".join(lines[-4:]) and lines[0].strip().startswith("alice@") and
                      len(lines) <= height, what=f"the newest message at the bottom of {width} x {height}")
    assert len(numbers(chat.lines)) > 15


def test_chat_follows_what_comes(chat, server):
    with Peer(server, "bob") as bob, Peer(server, "carol") as carol:
        bob.send(f"alice@{server.domain}", "你好, are you there? 🎂")
        chat.wait_text("ob: 你好, are you there? 🎂")
        carol.send(f"alice@{server.domain}", "one \x9b31mred\u202e evil")
        carol.send(f"alice@{server.domain}", "two")
        line = chat.wait(lambda lines: next((x for x in lines if x.lower().startswith("carol") and x[:24].split()[-1] == "2"),
                                            None), what="carol has two unread messages")
        assert chat.lines.index(line) == 1, "the newest conversation comes first"
        assert any("are you there" in x for x in chat.lines), "and bob's is the one that stays open"


def test_chat_reads_and_the_others_see_it(chat, server, varved):
    with Peer(server, "carol") as carol:
        parts = watch(carol)
        for text in ("one", "two"):
            carol.send(f"alice@{server.domain}", text,
                       children=["<markable xmlns='urn:xmpp:chat-markers:0'/>"])
        chat.wait(lambda lines: lines[1][:24].split()[-1:] == ["2"], what="carol has two unread messages")
        chat.keys("Up")
        chat.wait_text("arol: two")
        chat.wait(lambda lines: lines[1][:24].split()[-1:] != ["2"], what="and none any more")
        assert [c["unread"] for c in varved.ctl("ls") if "carol" in c["conversation"]] == [0]
        wait_for(lambda: "{urn:xmpp:chat-markers:0}displayed" in parts, 20, "carol is told")


def test_chat_sends_and_shows_what_became_of_it(chat, server):
    with Peer(server, "bob") as bob:
        chat.type("hällo bob, 今日は")
        chat.wait_text("> hällo bob, 今日は")
        chat.keys("BSpace")
        chat.keys("Enter")
        bob.wait_body("hällo bob, 今日")
        chat.wait_text("me: hällo bob, 今日", "✓")
        chat.wait_gone("> hällo")
        sent = next(m for m in bob.client.received if m["body"] == "hällo bob, 今日")
        bob.raw(f"<message to='{sent['from'].full}' id='r1' type='chat'><received xmlns='urn:xmpp:receipts' id='{sent['id']}'/>"
                "</message>")
        chat.wait_text("me: hällo bob, 今日", "✓✓")
        bob.raw(f"<message to='{sent['from'].full}' id='r2' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' "
                f"id='{sent['id']}'/></message>")
        chat.wait_text("me: hällo bob, 今日", "✓✓ read")


def test_chat_shows_all_of_what_is_wider_and_longer_than_the_screen(chat, server):
    """Wide and narrow characters in a line, and a message of more lines than there are on the screen."""
    def shown(lines):
        return [int(n) for line in lines for n in re.findall(r"word(\d+)", line)]

    wide = "a narrow beginning of this line " + "".join(chr(0x4e00 + i) for i in range(60)) + "\tend"
    with Peer(server, "bob") as bob:
        bob.send(f"alice@{server.domain}", wide)
        bob.send(f"alice@{server.domain}", " ".join(f"word{i}" for i in range(300)))
        chat.wait_text("word299")
        top = shown(chat.lines)[0]
        assert top > 100
        while top > 0:
            chat.keys("PPage")
            numbers = shown(chat.wait(lambda lines: (n := shown(lines)) and n == list(range(n[0], n[-1] + 1)) and
                                      n[0] < top <= n[-1] and lines, what=f"what is above word {top}, and the line of it"))
            top = numbers[0]
        text = "\n".join(line[25:] for line in chat.lines)
        assert [c for c in text if c >= "\u4e00"] == [c for c in wide if c >= "\u4e00"] and re.search(r"\bend\b", text)
    for _ in range(20):
        chat.keys("NPage")
    chat.wait_text("word299")


def test_chat_is_of_less_than_300_lines():
    with open(os.path.join(EXAMPLES, "chat.py")) as f:
        assert len(f.readlines()) < 300


def test_chat_keeps_what_led_to_an_error(chat, server):
    for text, why in (("/open someone", "an address has an @"), ("/open a b@c", "is not a JID"), ("/opne x", "no such command")):
        chat.type(text)
        chat.keys("Enter")
        chat.wait_text(why)
        chat.wait_text("> " + text)
        chat.keys(*["BSpace"] * len(text))
        chat.wait_gone(text)


def test_chat_keeps_what_is_typed_where_it_was_typed(chat, server):
    """Who looks something up elsewhere in the middle of a sentence does not send it there."""
    with Peer(server, "carol") as carol:
        chat.type("for bob")
        chat.wait_text("> for bob")
        chat.keys("Down")
        chat.wait_text("carol 002")
        chat.wait_gone("for bob")
        chat.keys("Enter")
        chat.type("not this")
        chat.wait_text("> not this")
        chat.keys("C-u")
        chat.wait_gone("not this")
        chat.type("for carol")
        chat.keys("Enter")
        carol.wait_body("for carol")
        assert carol.bodies == ["for carol"]
        chat.wait(lambda lines: [line[:5].strip() for line in lines[1:3]] == ["Carol", "Bob"], what="Carol above Bob")
        chat.keys("Down")
        chat.wait_text("> for bob")


def test_chat_says_why_it_is_offline(chat, server):
    server.stop(signal.SIGKILL)
    chat.wait_text("alice@", "offline: no server answers")


def test_chat_begins_a_conversation(chat, server):
    chat.type(f"/open someone@{server.domain}")
    chat.keys("Enter")
    chat.wait(lambda lines: any(line.startswith("someone") for line in lines), what="a conversation without messages")


def test_chat_does_not_send_what_looks_like_a_command(chat, server):
    with Peer(server, "bob") as bob:
        for text in ("/opne someone", "/help"):
            chat.type(text)
            chat.keys("Enter")
            chat.wait_text("no such command; /help" if text != "/help" else "begin a conversation")
            chat.keys(*["BSpace"] * len(text))          # an unknown one stays, to be mended
        chat.type("/me waves")
        chat.wait_gone("begin a conversation")
        chat.keys("Enter")
        bob.wait_body("/me waves")
        assert bob.bodies == ["/me waves"]


def test_chat_shows_why_a_message_failed(chat, server):
    """The error has a condition and no text."""
    with Peer(server, "bob") as bob:
        chat.type("read this")
        chat.keys("Enter")
        bob.wait_body("read this")
        sent = next(m for m in bob.client.received if m["body"] == "read this")
        bob.raw(f"<message to='{sent['from'].full}' id='{sent['id']}' type='error'><error type='cancel'>"
                "<not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
        chat.wait_text("me: read this  [failed: not-acceptable]")


def test_chat_shows_who_is_typing_and_tells(chat, server):
    with Peer(server, "bob") as bob:
        state = "<message to='alice@{}' type='chat'><{} xmlns='http://jabber.org/protocol/chatstates'/></message>"
        bob.raw(state.format(server.domain, "composing"))
        chat.wait_text("bob@", "is typing")
        bob.raw(state.format(server.domain, "active"))
        chat.wait_gone("is typing")

        parts = watch(bob)
        chat.type("h")
        wait_for(lambda: "{http://jabber.org/protocol/chatstates}composing" in parts, 20, "bob is told that alice is typing")
        chat.keys("BSpace")
        wait_for(lambda: "{http://jabber.org/protocol/chatstates}active" in parts, 20, "and that she is not")


def test_chat_outlives_varved_and_shows_a_gap(chat, server, varved, history):
    """The server forgets what nobody fetched: a known loss, which has its line between the messages."""
    chat.wait_text(f"bob {N - 1:03}")
    varved.stop(signal.SIGKILL)
    chat.wait_text("alice@", "varved is")
    assert any(f"bob {N - 1:03}" in line for line in chat.lines), "what was there stays to be read"
    server.stop(signal.SIGKILL)
    server.seed_archive("alice", talk(server.domain, "bob", 40, history, "again "))
    server.expire("alice", keep=8)
    server.start()
    varved.start()
    varved.wait_sync()
    chat.wait_text("alice@", "online")
    chat.wait_text("again bob 039")
    lines = chat.lines
    gap = next((i for i, line in enumerate(lines) if "gone from the server ╌╌" in line), None)
    assert gap, chat.screen
    assert numbers(lines[:gap])[-1] == N - 1 and numbers(lines[gap:])[0] == 32, chat.screen


def test_chat_outlives_a_lock(chat, server, varved):
    assert varved.run("lock").code == 0
    reason = varved.status()["state_reason"][:20]
    chat.wait_text("alice@", reason)
    assert any(f"bob {N - 1:03}" in line for line in chat.lines), "what was there stays to be read"
    assert varved.run("unlock").code == 0
    chat.wait_text("alice@", "online")
    with Peer(server, "bob") as bob:
        bob.send(f"alice@{server.domain}", "and on it goes")
        chat.wait_text("ob: and on it goes")


def test_chat_sends_once_what_it_could_not_hand_over(chat, server, varved):
    with Peer(server, "bob") as bob:
        varved.run("lock")
        chat.wait_gone("online")
        chat.type("while it was locked")
        chat.keys("Enter")
        chat.wait_text("(waits for varved) while it was locked")
        assert varved.run("unlock").code == 0
        bob.wait_body("while it was locked")
        varved.kill9()
        chat.wait_text("varved is")
        chat.type("while it was dead")
        chat.keys("Enter")
        chat.wait_text("(waits for varved) while it was dead")
        varved.start()
        bob.wait_body("while it was dead")
        chat.wait_text("me: while it was dead", "✓")
        chat.wait_gone("waits for varved")
        assert collections.Counter(bob.bodies) == {"while it was locked": 1, "while it was dead": 1}


class Between:
    """A socket in front of varved's. With swallow, the answer to the next Send is heard here, and never arrives."""

    def __init__(self, directory, upstream):
        os.makedirs(os.path.join(directory, "varve"))
        self.upstream, self.swallow, self.swallowed = upstream, False, threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(directory, "varve", "bus"))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, server = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
            server.connect(self.upstream)
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, sink, to_varved):
        sent = False
        try:
            while data := source.recv(65536):
                sent = sent or b"Send\0" in data
                if self.swallow and not to_varved and self.swallowed.is_set():
                    break
                if self.swallow and to_varved and sent:
                    self.swallowed.set()        # what varved says from here on
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if not to_varved and self.swallowed.is_set():
            self.swallow = False


def test_chat_sends_once_when_the_answer_is_lost(server, history, varved, tmp_path):
    varved.add_account(server, "alice")
    varved.wait_sync()
    between = Between(str(tmp_path), varved.socket)
    env = dict(varved.environment(), XDG_RUNTIME_DIR=str(tmp_path))
    with Terminal([PYTHON, os.path.join(EXAMPLES, "chat.py")], env) as chat, Peer(server, "bob") as bob:
        chat.wait_text("alice@", "online")
        between.swallow = True
        chat.type("did you get this?")
        chat.keys("Enter")
        assert between.swallowed.wait(20)
        bob.wait_body("did you get this?")      # varved has it, the chat does not know
        chat.wait_text("me: did you get this?", "✓")
        chat.wait_gone("waits for varved")
        chat.type("and this?")
        chat.keys("Enter")
        bob.wait_body("and this?")
        assert bob.bodies == ["did you get this?", "and this?"]


def test_chat_says_what_to_do_without_varved_and_without_an_account(new_varved):
    varved = new_varved()
    with Terminal([PYTHON, os.path.join(EXAMPLES, "chat.py")], varved.environment()) as chat:
        chat.wait_text("varved is not running", "systemctl --user start varved")
        varved.start()
        chat.wait_text("varvectl account add")


def test_bot_answers_each_message_once_however_often_it_is_killed(server, history, varved, tmp_path, rng):
    varved.add_account(server, "alice")
    varved.wait_sync()
    state, log = str(tmp_path / "bot.db"), str(tmp_path / "bot.log")
    want, kills = [f"echo {i}" for i in range(300)], 0

    def spawn():
        return proc.spawn([PYTHON, os.path.join(EXAMPLES, "bot.py"), state], log=log, env=varved.environment())

    def place():
        return subprocess.run(["sqlite3", "-cmd", ".timeout 5000", state, "SELECT since FROM place"], capture_output=True,
                              text=True).stdout
    bot = spawn()
    wait_for(place, 20, "the bot has its place")
    proc.reap(bot, signal.SIGKILL)
    with Peer(server, "bob") as bob:
        for text in want:
            bob.send(f"alice@{server.domain}", text)
        bob.ping()
        while not set(bob.bodies) >= set(want):
            # Killed in the middle of its work: after its first new answer, and before it has given them all.
            had, bot = len(bob.bodies), spawn()
            wait_for(lambda: len(bob.bodies) > had or set(bob.bodies) >= set(want), 30,
                     lambda: f"an answer after {had}: {open(log).read()[-2000:]}", interval=0.001)
            threading.Event().wait(rng.uniform(0, 0.1))
            proc.reap(bot, signal.SIGKILL)
            kills += 1
        bot = spawn()       # one that is let finish
        wait_for(lambda: subprocess.run(["sqlite3", "-cmd", ".timeout 5000", state, "SELECT count(*) FROM done"],
                                        capture_output=True, text=True).stdout.strip() == "300", 20, "all is noted")
        proc.reap(bot, signal.SIGKILL)
        bob.ping()
    done = subprocess.run(["sqlite3", state, "SELECT body FROM done"], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == sorted(want)
    # Not in order: a feed has rows by their latest change, and the batch that a kill interrupts is met anew.
    assert collections.Counter(bob.bodies) == collections.Counter(want), f"each once, after {kills} kills"
    assert kills >= 3


def test_bot_answers_nothing_old(server, history, varved, tmp_path):
    """Rows come again when they are read or reacted to, and late ones of the archive come first after the bot's start."""
    alice, bob_jid = f"alice@{server.domain}", f"bob@{server.domain}"
    now = int(seed.now().timestamp() * 1e6)
    server.seed_archive("alice", talk(server.domain, "carol", 3, now + DAY, "ahead "))      # of a server with a fast clock
    varved.add_account(server, "alice")
    varved.wait_sync()
    state, log = str(tmp_path / "bot.db"), str(tmp_path / "bot.log")

    def spawn():
        return proc.spawn([PYTHON, os.path.join(EXAMPLES, "bot.py"), state], log=log, env=varved.environment())

    def ids(who):
        return [str(m["id"]) for m in varved.ctl("history", f"{who}@{server.domain}", "-n", "5") if m["direction"] == "in"]

    def unread(count):
        return [c["unread"] for c in varved.ctl("ls") if c["conversation"] == bob_jid] == [count]

    with Peer(server, "bob") as bob, Peer(server, "carol") as carol:
        for i in range(3):
            bob.send(alice, f"unread {i}")
        wait_for(lambda: unread(3), 20, "three unread messages")
        bot = spawn()
        wait_for(lambda: subprocess.run(["sqlite3", "-cmd", ".timeout 5000", state, "SELECT since FROM place"],
                                        capture_output=True, text=True).stdout, 20, "the bot has its place")
        assert varved.run("read", bob_jid).code == 0
        for id in ids("bob") + ids("carol"):
            assert varved.run("react", id, "👍").code == 0
        wait_for(lambda: unread(0), 20, "nothing is unread")
        bob.send(alice, "new")
        bob.wait_body("new")
        assert varved.run("react", ids("bob")[-1], "🎂").code == 0
        bob.send(alice, "newer")
        bob.wait_body("newer")
        assert [b for b in bob.bodies if "👍" not in b and "🎂" not in b] == ["new", "newer"]
        assert not [b for b in carol.bodies if "carol" in b]
    varved.stop(signal.SIGKILL)
    proc.reap(bot, signal.SIGKILL)
    server.stop(signal.SIGKILL)
    server.seed_archive("alice", talk(server.domain, "bob", 9, history, "late "))
    server.start()
    varved.start()
    varved.wait_sync()
    wait_for(lambda: varved.ctl("search", "late"), 20, "the late ones are here")
    with Peer(server, "bob") as bob:
        bot = spawn()       # while somebody hears it
        bob.send(alice, "newest")
        bob.wait_body("newest")
        assert bob.bodies == ["newest"]
    proc.reap(bot, signal.SIGKILL)
