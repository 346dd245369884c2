"""Live through cuts and kills, or synced afresh: the same rows. What points at messages (corrections, retractions, reactions,
replies, receipts, markers) comes at random, live, after a resume or from the archive, before and after its target."""

import json

from varvetest.daemon import Varved
from varvetest.peer import Peer
from varvetest.proxy import Proxy
from varvetest.wait import wait_for

STORE = "<store xmlns='urn:xmpp:hints'/>"
KEYS = ("sender", "direction", "state", "kind", "body", "stanza_id", "origin_id", "edited", "reactions")


def correction(target, body):
    return f"<body>{body}</body><replace xmlns='urn:xmpp:message-correct:0' id='{target}'/>"


def payload(rng, number, mine, theirs, ident):
    """What somebody says of his own messages, of those of the other side, or of any."""
    own, other = rng.choice(mine), rng.choice(theirs[-5:])
    return rng.choice((
        correction(own, f"edited {number}"),
        correction(own, f"edited {number}"),
        correction(other, f"stolen {number}"),
        correction(ident + "later", f"early {number}"),
        f"<retract xmlns='urn:xmpp:message-retract:1' id='{own}'/>{STORE}",
        f"<reactions xmlns='urn:xmpp:reactions:0' id='{other}'><reaction>{rng.choice('👍❤😂')}</reaction></reactions>{STORE}",
        f"<reactions xmlns='urn:xmpp:reactions:0' id='{other}'/>{STORE}",
        f"<body>answer {number}</body><reply xmlns='urn:xmpp:reply:0' to='a@b' id='{other}'/>",
        f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{other}'/>{STORE}",
        f"<received xmlns='urn:xmpp:receipts' id='{other}'/>{STORE}",
    ))


def disturb(rng, varved, link):
    match rng.randrange(5):
        case 0:
            link.cut()
        case 1:
            varved.kill9()
            varved.start()
        case 2:
            varved.run("account", "disconnect")
        case 3:
            varved.run("account", "connect")
        case 4:
            varved.run("sync", "now")


def rows(varved):
    export = varved.export()
    places = {row["id"]: row["stanza_id"] for row in export}
    return ([{**{key: row[key] for key in KEYS}, "reply_to": places.get(row["reply_to"])} for row in export],
            [(c["conversation"], c["unread"]) for c in varved.ctl("ls")])


def differences(one, other):
    return [(a, b) for a, b in zip(one[0], other[0]) if a != b][:4], len(one[0]), len(other[0]), one[1], other[1]


def test_lived_through_and_synced_afresh(server, fresh, varved, rng):
    alice, bob = fresh("alice"), fresh("bob")
    for user in (alice, bob):
        server.add_user(user)
    jids = [f"{user}@{server.domain}" for user in (alice, bob)]
    with Proxy(server.tls_port) as link, Peer(server, alice, resource="tablet") as tablet, Peer(server, bob) as other:
        varved.add_account(server, alice, port=link.port)
        varved.wait_sync()
        sides = [(tablet, jids[1], []), (other, jids[0], [])]
        for number in range(90):
            side = rng.randrange(2)
            peer, to, said = sides[side]
            ident = f"{side}-{number}-"
            if number < 4 or not said or not sides[1 - side][2] or rng.random() < 0.35:
                said.append(peer.send(to, f"text {number}", id=ident, origin_id=ident if rng.random() < 0.6 else None))
            else:
                inside = payload(rng, number, said, sides[1 - side][2], ident)
                peer.raw(f"<message to='{to}' type='chat' id='{ident}'>{inside}</message>")
                if "later" in inside:
                    said.append(peer.send(to, f"late {number}", id=ident + "later"))
            if rng.random() < 0.12:
                disturb(rng, varved, link)
        tablet.ping()
        other.ping()
        varved.run("account", "connect")
        varved.wait_state("online")
        varved.run("sync", "now")
        varved.wait_sync()
        # nothing is mended by it, but what came live gets the archive's times
        report = json.loads(varved.run("--json=short", "sync", "verify", "--all").out)
        assert (report["missing"], report["moved"], report["different"], report["gone"]) == (0, 0, 0, 0), report
        with Varved() as again:
            again.add_account(server, alice)
            again.wait_sync()
            wait_for(lambda: rows(varved) == rows(again), 20, lambda: f"the same rows: {differences(rows(varved), rows(again))}")
