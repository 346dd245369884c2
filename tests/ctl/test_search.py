"""search against a daemon that obeys: pages, matches, and what is around them."""

import pytest
from ctlkit import BOB, HOUR, T0, calls
from fake import Refused, message


def found(fake, n=8):
    fake.hits = [(message(900 - i, BOB, T0 - i * HOUR, "the train %d is late" % i), [(4, 5)]) for i in range(n)]


def test_search_pages_until_n(fake, ctl):
    found(fake)

    rows = ctl.rows("search", "train", "-j")
    assert [r["id"] for r in rows] == list(range(900, 892, -1)) and rows[0]["matches"] == [[4, 5]]
    assert {"id", "mod", "conversation", "sender", "direction", "state", "kind", "time", "time_usec", "body", "matches"} <= set(rows[0])
    assert [r["id"] for r in ctl.rows("search", "train", "-j", "-n4")] == [900, 899, 898, 897]
    fake.calls.clear()
    ctl("search", "see", "you", "--in=BOB@example.org", "--from=Bob@Example.org", "--since=@1600000000", "--until=@1700000000")
    assert calls(fake, "Search")[0] == ("see you", "", 20, {
        "conversation": BOB, "sender": BOB, "since": 1600000000 * 10**6, "until": 1700000000 * 10**6})


def test_search_without_a_hit_is_no_failure(fake, ctl):
    assert ctl("search", "nothing") == "" and ctl.err == "nothing found\n"
    assert ctl("search", "nothing", "-j") == "" and ctl.err == ""
    assert ctl("search", "nothing", "-q") == "" and ctl.err == ""


@pytest.mark.parametrize("args,code", [([" "], 2), (["x", "--since=soon"], 2), (["x", "--until=soon"], 2), (["x", "-n0"], 2), ([], 2),
                                       (["x", "--since=2026-02-01", "--until=2026-01-01"], 2), (["bread", "-milk"], 2)])
def test_search_refuses(ctl, args, code):
    ctl.error("search", *args, code=code)


def test_a_word_to_leave_out_gets_the_way_to_say_so(ctl):
    assert ctl.error("search", "bread", "-milk", code=2)["hint"].endswith("varvectl search -- bread -milk")
    assert "--" not in ctl.error("ls", "-x", code=2)["message"]


def test_search_of_an_unknown_conversation_is_exit_4(fake, ctl):
    fake.refuse["Search"] = Refused("NoSuchConversation", "no message of it")
    ctl.error("search", "x", "--in=eve@example.org", code=4)


MARK, OFF = "\x1b[1m\x1b[33m", "\x1b[0m"


def test_search_marks_matches_only_where_colours_are_on(fake, ctl):
    fake.hits = [(message(1, BOB, T0, "a\r\nübermorgen \x1b[2J 早く来て, ok"), [(3, 10), (21, 2)])]

    assert "\x1b" not in ctl("search", "x")
    out = ctl("search", "x", "--color=always")
    assert OFF + MARK + "übermorgen" + OFF in out, repr(out)
    assert OFF + MARK + "来て" + OFF in out, repr(out)
    assert "\x1b[2J" not in out
    assert "    a\n" in out, "a line end is one character on the screen and two in the ranges"


def test_search_shows_the_lines_around_the_match(fake, ctl):
    body = " ".join("word%03d" % i for i in range(200))
    fake.hits = [(message(1, BOB, T0, body), [(body.index("word100"), 7)])]

    lines = ctl("search", "word100").splitlines()
    assert len(lines) == 4 and all(len(x) <= 80 for x in lines)
    assert "word100" in lines[2] and lines[1].startswith("    …") and lines[3].endswith("…")
    fake.hits = [(message(1, BOB, T0, body), [(len(body) - 3, 3), (10**6, 5)])]
    lines = ctl("search", "199").splitlines()
    assert "word199" in lines[-1] and not lines[-1].endswith("…")
