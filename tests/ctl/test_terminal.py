"""What people see in a terminal of a phone: 40 or 60 columns, interrupted, with names in any script."""

import signal
import unicodedata

import pytest
from ctlkit import HOUR, T0, Terminal
from fake import Refused, message

LONG = "averyveryverylongnameindeedthatdoesnotend@a-very-long-domain-name.example.org"
NAMES = {LONG: "Jörg Müller-Lüdenscheidt von und zu Weißenstein", "yuki@example.org": "山田太郎さんと仲間たちの集まり",
         "olga@example.org": "שלום עליכם", "zoe@example.org": "Zoé 🎂"}


def cells(line):
    return sum(0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(c) in "WF") for c in line)


@pytest.fixture
def crowd(fake):
    for i, (jid, name) in enumerate(NAMES.items()):
        fake.messages.append(message(5002 + 2 * i, jid, T0 + i * HOUR, "今日は電車がとても遅れています。" * 4, direction=i % 2))
        fake.roster[jid] = (name, "both", 0, ["家族", "Sport und Freizeit"])
    fake.titles = dict(NAMES)
    fake.hits = [(m, [(0, 2)]) for m in reversed(fake.messages)]
    return fake


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_line_of_a_list_is_wider_than_the_terminal_or_ends_in_blanks(crowd, ctl, columns):
    for verb in ("ls", "roster", "account", "search 電車", "status", "history yuki@example.org", "keys"):
        lines = ctl(*verb.split(), env={"COLUMNS": str(columns)}).splitlines()
        assert lines and [x for x in lines if cells(x) > columns or x != x.rstrip()] == [], verb
    assert "yuki" in ctl("ls", env={"COLUMNS": str(columns)}) and "yuki" in ctl("roster", env={"COLUMNS": str(columns)})


@pytest.mark.parametrize("columns", [40, 80])
def test_the_id_of_what_was_found_is_never_cut(crowd, ctl, columns):
    out = ctl("search", "電車", env={"COLUMNS": str(columns)})

    assert all("  id %d\n" % m["id"] in out for m in crowd.messages)


def test_help_is_wrapped_and_what_is_to_be_typed_is_not(ctl):
    for verb in ("send", "account set", "keys add", "sync fetch"):
        lines = ctl(*verb.split(), "--help", env={"COLUMNS": "40"}).splitlines()
        wide = [x for x in lines if len(x) > 40]
        assert all(x.startswith(("Usage: ", "    varvectl ")) for x in wide), wide
        assert " ".join(ctl(*verb.split(), "--help").split()).replace(" ", "") == "".join(lines).replace(" ", "")


def test_long_lines_wrap_between_words_with_a_hanging_indent(fake, ctl):
    reason = "the certificate of the server is for another name, and it is out of date; " * 3
    fake.accounts[0]["top"]["state_reason"] = reason
    fake.accounts[0]["top"]["state"] = "waiting-network"
    fake.checks = [("store", "warn", reason, reason, {}), ("connection alice@example.org", "ok", reason, "", {})]

    for columns in (60, 80):
        for verb, indent in (("status", 12), ("doctor", 23)):
            out = ctl(verb, env={"COLUMNS": str(columns)})
            assert max(len(x) for x in out.splitlines() if "/bus" not in x) <= columns, "a path stays whole"
            assert " ".join(reason.split()) in " ".join(out.split()), "no word is broken or lost"
            more = [x for x in out.splitlines() if x.startswith(" " * indent) and x.strip()]
            assert more and all(x[indent] != " " for x in more), out


def test_a_narrow_terminal_has_short_lines_not_a_thin_column(fake, ctl):
    fake.checks = [("connection alice@example.org", "ok", "the certificate of the server is for another name " * 2, "", {})]
    fake.accounts = [fake.account("alice@example.org", sync="backfilling", done=50, messages=123456)]

    for verb in ("status", "doctor"):
        lines = [x for x in ctl(verb, env={"COLUMNS": "40"}).splitlines() if "/bus" not in x]
        assert max(map(len, lines)) <= 40 and len(lines) <= 14, lines


def test_commands_stay_on_one_line(fake, ctl):
    reasons = ["%s the key is gone: varvectl keys add recovery, and then \"varvectl backup FILE\"" % ("x" * n) for n in range(1, 60)]

    fake.problems = reasons
    for out in (ctl("status"), ctl("status", env={"COLUMNS": "60"})):
        assert out.count("varvectl keys add recovery,") == out.count('"varvectl backup FILE"') == len(reasons)
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("columns, shown", [(40, "backfilling  50%"), (60, "░]  50%"), (80, " 50%  3,120 messages")])
def test_progress_fits_with_room_for_what_is_typed(fake, ctl, columns, shown):
    fake.accounts = [fake.account("alice@example.org", sync="backfilling", caught_up=False, done=50, messages=3120)]
    t = Terminal(ctl, "sync", "wait", columns=columns)
    while "\033[K" not in t.seen:
        assert t.read(), t.seen
    line = t.seen.lstrip("\r").split("\033[K")[0]
    t.p.terminate()
    t.end(-signal.SIGTERM)
    assert line.endswith(shown) and cells(line) <= columns - 3, line


def test_an_interrupt_takes_the_progress_line_away(fake, ctl):
    fake.accounts = [fake.account("alice@example.org", state="connecting", caught_up=False)]
    t = Terminal(ctl, "sync", "wait")
    while "alice@example.org  connecting" not in t.seen:
        assert t.read(), t.seen
    t.p.send_signal(signal.SIGINT)
    assert t.end(-signal.SIGINT).endswith("\r\033[K")


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_question_is_asked_between_words_and_its_answer_beside_the_choice(crowd, ctl, columns):
    crowd.slots = [crowd.slot(1, "keyfile", path="/media/somewhere/" + "d" * (columns // 3) + ".key"), crowd.slot(2, "recovery", label="paper")]

    def ask(*line):
        lines = Terminal(ctl, *line, columns=columns).answer("[y/N] ", "n").end(1).split("\n")
        (asked,) = [x for x in lines if "[y/N]" in x]
        assert asked.endswith("[y/N] n") and cells(asked) <= columns, lines
        assert [x for x in lines if cells(x) > columns and " " in x] == [], "only a word that is longer is not broken"

    for line in ("delete " + LONG, "delete yuki@example.org", "delete 5002", "keys remove 1", "keys remove 2", "keys rotate"):
        ask(*line.split())
    for n in range(8, columns):         # wherever the edge falls
        crowd.accounts = [crowd.account("a" * n + "@example.org")]
        ask("account", "remove")


# -- who was meant ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["history yuki", "export yuki", "search x --in=Yuki", "read yuki", "sync gaps yuki",
                                  "sync fetch yuki", "delete yuki --yes"])
def test_a_word_that_names_nobody_is_answered_with_whom_it_may_mean(crowd, ctl, line):
    crowd.refuse = {m: Refused("NoSuchConversation", "there is none") for m in ("Search", "Fetch")}
    assert ctl.error(*line.split(), code=4)["hint"] == "did you mean yuki@example.org?"
    assert ctl.error(*line.replace("uki", "oko").split(), code=4)["hint"] == "varvectl ls shows the conversations"


@pytest.mark.parametrize("line", ["retry 99", "edit 99 x", "react 99", "delete 99 --yes"])
def test_where_ids_are_is_said_to_who_gives_one_that_is_none(crowd, ctl, line):
    assert "varvectl history CONV" in ctl.error(*line.split(), code=4)["hint"]
