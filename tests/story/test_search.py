"""Search with the real programs and real servers: what is stored is found, at once, and what is gone is not."""

import json

import pytest

from varvetest import seed
from varvetest.daemon import EXIT_NOT_FOUND, EXIT_OK
from varvetest.wait import wait_for


@pytest.fixture
def talk(server, fresh, varved):
    """(varved, me, other): two accounts, ours online, the other one writing."""
    alice, bob = fresh("alice"), fresh("bob")
    for name in (alice, bob):
        server.add_user(name)
    varved.add_account(server, alice)
    varved.wait_sync(timeout=60)
    with server.client(bob, presence=True) as other:
        yield varved, f"{alice}@{server.domain}", other


def say(varved, me, other, body, **kwargs):
    """Send it, and wait until it is stored."""
    ident = other.message(me, body, **kwargs)
    wait_for(lambda: any(r["origin_id"] == ident for r in history(varved, other)), 10, f"{body!r} is stored")
    return ident


def history(varved, other):
    result = varved.run("-j", "history", other.jid, "-n", 100)
    return [json.loads(line) for line in result.out.splitlines()] if result.code == EXIT_OK else []


def found(varved, *query):
    return [r["body"] for r in varved.ctl("search", *query)]


def marked(row):
    """What the match ranges of a row cut out of it: they count code points, as Python does."""
    return [row["body"][start:start + length] for start, length in row["matches"]]


def test_a_live_message_is_found_at_once(talk):
    varved, me, other = talk
    say(varved, me, other, "Der Zeppelin landet um neun")
    row = varved.ctl("search", "zeppelin")[0]
    assert row["body"] == "Der Zeppelin landet um neun" and row["conversation"] == other.jid and marked(row) == ["Zeppelin"]
    assert found(varved, "zepp") == [row["body"]], "a word also finds longer ones"
    assert found(varved, "landet", "zeppelin") == [row["body"]]
    assert found(varved, '"zeppelin landet"') == [row["body"]] and found(varved, '"landet zeppelin"') == []
    assert found(varved, "--", "zeppelin", "-neun") == []


# query, which bodies it finds, and what is marked in the first of them
BODIES = ["明日早く来てください", "我想去北京大学看看", "안녕하세요 여러분", "ok 👍🏽 see you", "🎂🎉 hooray", "Grüße aus Köln", "Ёлка и ёж",
          "สวัสดีครับ", "plain words only", "𠮷野家"]
QUERIES = [("早く", [0], ["早く"]), ("来て", [0], ["来て"]), ("京大", [1], ["京大"]), ("하세", [2], ["하세"]), ("👍", [3], None),
           ("🎉", [4], ["🎉"]), ("🎂", [4], ["🎂"]), ("grüße", [5], ["Grüße"]), ("koln", [5], ["Köln"]), ("KÖLN", [5], ["Köln"]),
           ("ёлка", [6], ["Ёлка"]), ("ดีคร", [7], None), ("野家", [9], ["野家"]), ("早来", [], None), ("👎", [], None),
           ("see you", [3], ["see", "you"])]


def test_scripts_and_emoji(talk):
    varved, me, other = talk
    for body in BODIES:
        say(varved, me, other, body)
    for indexed in (False, True):
        if indexed:
            wait_for(lambda: varved.status()["archive"]["to_index"] == 0, 30)
        for query, want, marks in QUERIES:
            rows = varved.ctl("search", query)
            assert sorted(r["body"] for r in rows) == sorted(BODIES[i] for i in want), (query, indexed)
            assert all(r["matches"] for r in rows), (query, rows)
            if marks:
                assert marked(rows[0]) == marks, (query, indexed)


def test_an_edited_message_is_found_by_its_new_text_only(talk):
    varved, me, other = talk
    ident = say(varved, me, other, "the password is quokka")
    assert len(found(varved, "quokka")) == 1
    other.message(me, "the password is wombat", extra=f"<replace xmlns='urn:xmpp:message-correct:0' id='{ident}'/>")
    wait_for(lambda: found(varved, "wombat") == ["the password is wombat"], 10, lambda: str(history(varved, other)))
    assert found(varved, "quokka") == []


def test_a_retracted_message_is_found_no_more(talk):
    varved, me, other = talk
    ident = say(varved, me, other, "this axolotl was a mistake")
    stanza_id = [r for r in history(varved, other) if r["origin_id"] == ident][0]["stanza_id"]
    assert stanza_id and len(found(varved, "axolotl")) == 1
    other.raw(f"<message to='{me}' type='chat' id='r1'><retract xmlns='urn:xmpp:message-retract:1' id='{ident}'/>"
              "<store xmlns='urn:xmpp:hints'/></message>")
    wait_for(lambda: found(varved, "axolotl") == [], 10, lambda: str(history(varved, other)))


def test_order_pages_and_limits_agree_with_the_export(server, fresh, varved):
    """Against a seeded archive: what a plain look at every body finds, newest first, whatever the page size."""
    alice = fresh("alice")
    server.add_user(alice)
    server.seed_archive(alice, seed.history(1500, domain=server.domain))
    varved.add_account(server, alice)
    varved.wait_sync(timeout=60)
    rows = varved.export()
    want = [r["id"] for r in reversed(rows) if "train" in r["body"].lower().split()]
    assert len(want) > 20
    got = [r["id"] for r in varved.ctl("search", "train", "-n", 100000)]
    assert got == want
    assert [r["id"] for r in varved.ctl("search", "train", "-n", 7)] == want[:7]
    assert len(varved.ctl("search", "train")) == 20
    friend = next(r["conversation"] for r in rows if r["id"] == want[0])
    inside = [r["id"] for r in reversed(rows) if r["id"] in set(want) and r["conversation"] == friend]
    assert [r["id"] for r in varved.ctl("search", "train", f"--in={friend.upper()}", "-n", 1000)] == inside
    mine = [r["id"] for r in reversed(rows) if r["id"] in set(want) and r["sender"].split("/")[0] == friend]
    assert [r["id"] for r in varved.ctl("search", "train", f"--from={friend}", "-n", 1000)] == mine
    middle = next(r for r in rows if r["id"] == want[len(want) // 2])["time_usec"]
    since = [i for i in want if next(r for r in rows if r["id"] == i)["time_usec"] >= middle // 10**6 * 10**6]
    assert [r["id"] for r in varved.ctl("search", "train", f"--since=@{middle // 10**6}", "-n", 1000)] == since
    until = [i for i in want if i not in set(since)]
    assert [r["id"] for r in varved.ctl("search", "train", f"--until=@{middle // 10**6}", "-n", 1000)] == until


def test_nothing_found_is_no_failure_and_an_unknown_conversation_is(talk):
    varved, _me, _other = talk
    result = varved.run("search", "nobodysaidthis")
    assert (result.code, result.out) == (EXIT_OK, "") and "nothing" in result.err
    assert varved.run("search", "x", "--in=nobody@nowhere.test").code == EXIT_NOT_FOUND


def test_found_after_a_kill_and_while_it_is_indexed(talk):
    varved, me, other = talk
    say(varved, me, other, "the narwhal arrives")
    varved.kill9()
    varved.start()
    assert found(varved, "narwhal") == ["the narwhal arrives"]
    wait_for(lambda: varved.status()["archive"]["to_index"] == 0, 30, lambda: str(varved.status()["archive"]))
    assert found(varved, "narwhal") == ["the narwhal arrives"]
