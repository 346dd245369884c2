"""Reading page by page while messages get their places, are deleted and come: export and long histories."""

import json

import pytest
from ctlkit import HOUR, T0
from fake import message

BOB, CAROL = "bob@example.org", "carol@example.org"
FILE = "a.jsonl"


def ids(fake):
    return [m["id"] for m in fake.messages]


def at(page, do):
    """do() once, after this answer to GetHistory."""
    return lambda n: do() if n == page else None


def move(fake, frm, to):
    """The archive says where a message stands: row number frm becomes row number to; whoever moves changes."""
    m = fake.messages.pop(frm)
    m["mod"] = fake.seq + 1
    fake.messages.insert(to, m)
    return m["id"]


def come(fake, at, n=1):
    """New messages, which an older page of the server's archive brings."""
    top, seq = max(ids(fake)), fake.seq
    fake.messages[at:at] = [message(top + 1 + i, CAROL, T0, "past %d" % i, mod=seq + 1 + i) for i in range(n)]


def delete(fake, frm, to):
    for seq, m in enumerate(fake.messages[frm:to], fake.seq + 1):
        fake.removed.append((seq, "message", str(m["id"])))
    del fake.messages[frm:to]


def touch(fake, frm, to):
    for seq, m in enumerate(fake.messages[frm:to], fake.seq + 1):
        m["mod"] = seq


def exported(ctl, *args):
    return [r["id"] for r in ctl.rows("export", *args)]


# -- export -----------------------------------------------------------------------------------------------------------
def test_what_moves_behind_the_export_comes_at_the_end(archive, ctl):
    before = ids(archive)
    archive.between = at(1, lambda: move(archive, 1000, 10))
    got = exported(ctl)
    assert got == before[:1000] + before[1001:] + [before[1000]]


def test_what_moves_behind_the_export_of_one_conversation_or_two(archive, ctl):
    """Only of those: rows 999, 1000 and 1001 are Bob's, Carol's and Dave's."""
    before = ids(archive)

    def three():
        for _ in range(3):
            move(archive, 1001, 10)
    archive.page_max = 99
    archive.between = at(1, three)
    got = exported(ctl, BOB)
    assert sorted(got) == before[::3] and got[-1] == before[999]
    archive.pages = 0
    archive.messages.sort(key=lambda m: m["id"])
    got = exported(ctl, BOB, CAROL)
    assert sorted(got) == [i for n, i in enumerate(before) if n % 3 != 2]


def test_into_a_file_everything_is_in_its_place(archive, ctl, tmp_path):
    archive.between = at(1, lambda: move(archive, 1000, 10))
    ctl("export", "-O", str(tmp_path / FILE))
    got = [json.loads(line)["id"] for line in (tmp_path / FILE).read_text().splitlines()]
    assert got == ids(archive)
    assert "1 200 messages" in ctl.err or "1200 messages" in ctl.err


def test_a_file_is_complete_also_when_things_go_on_moving(archive, ctl, tmp_path):
    archive.between = lambda n: move(archive, 1000, 10)
    ctl("export", "-O", str(tmp_path / FILE))
    got = [json.loads(line)["id"] for line in (tmp_path / FILE).read_text().splitlines()]
    assert sorted(got) == sorted(ids(archive)) and len(got) == 1200


def test_what_moves_ahead_comes_once(archive, ctl):
    before = ids(archive)
    archive.between = at(1, lambda: move(archive, 10, 1000))
    assert exported(ctl) == before


def test_where_the_export_stood_moves_ahead(archive, ctl):
    before = ids(archive)
    archive.page_max = 100
    archive.between = at(1, lambda: move(archive, 99, 1100))
    assert exported(ctl) == before


@pytest.mark.parametrize("first", [99, 90, 0])
def test_where_the_export_stood_is_deleted(archive, ctl, first):
    before = ids(archive)
    archive.page_max = 100
    archive.between = at(1, lambda: delete(archive, first, 100))
    assert exported(ctl) == before
    # Not begun anew, as long as one of the page is there.
    assert sum(c[0] == "GetHistory" and c[1][1] == "oldest" for c in archive.calls) == (1 if first else 2)


def test_all_that_was_read_last_has_changed(archive, ctl):
    """It is begun anew, and nothing comes twice."""
    before = ids(archive)
    archive.page_max = 100
    archive.between = at(3, lambda: touch(archive, 0, 400))
    assert exported(ctl) == before
    archive.between = lambda n: touch(archive, 0, 1200)
    ctl("export", code=1)
    assert "changes faster" in ctl.err


def test_a_conversation_goes_in_the_middle(archive, ctl):
    bobs = ids(archive)[::3]

    def go():
        archive.messages = [m for m in archive.messages if m["conversation"] != BOB]
        archive.removed.append((archive.seq + 1, "conversation", BOB))
    archive.page_max = 100
    archive.between = at(2, go)
    got = exported(ctl, BOB)
    assert got == bobs[:len(got)] and len(got) >= 100
    assert ctl.error("export", BOB, code=4)["name"].endswith("NoSuchConversation")


def test_what_comes_meanwhile_is_of_the_next_export(archive, ctl):
    before = ids(archive)
    archive.between = at(1, lambda: (come(archive, 0, 300), come(archive, 1100)))
    assert exported(ctl) == before
    assert exported(ctl) == ids(archive)


def test_what_changes_in_its_place_does_not_come_twice(archive, ctl):
    before = ids(archive)
    archive.between = at(2, lambda: touch(archive, 0, 1200))
    archive.page_max = 700
    assert exported(ctl) == before


def test_since_goes_for_what_moved_too(archive, ctl):
    since = "--since=@%d" % ((T0 + 600 * HOUR) // 10**6)
    before = ids(archive)
    archive.page_max = 100
    archive.between = at(1, lambda: (move(archive, 1000, 610), move(archive, 20, 30)))
    assert exported(ctl, since) == before[600:1000] + before[1001:] + [before[1000]]


def test_another_archive_in_the_middle_is_a_failure(archive, ctl):
    def another():
        archive.epoch = "e2"
    archive.between = at(1, another)
    ctl("export", "-j", code=1)
    assert json.loads(ctl.err)["error"]["name"].endswith("EpochChanged")


def test_too_much_was_deleted_to_say_what_changed(archive, ctl):
    """Then it is looked at once more."""
    before = ids(archive)

    def much():
        archive.oldest_seq = archive.seq + 1
        move(archive, 1000, 10)
        touch(archive, 1100, 1101)
    archive.between = at(1, much)
    got = exported(ctl)
    assert sorted(got) == before and got[-1] == before[1000]


def test_an_older_varved_does_not_say_what_is_new(archive, ctl):
    before = ids(archive)
    archive.last_id = False
    archive.between = at(1, lambda: (move(archive, 1000, 10), come(archive, 0)))
    assert sorted(exported(ctl)) == before


# -- history ----------------------------------------------------------------------------------------------------------
def history(ctl, n, *args):
    return [r["id"] for r in ctl.rows("history", "-j", BOB, "-n%d" % n, *args)]


@pytest.fixture
def bobs(archive):
    for m in archive.messages:
        m["conversation"] = BOB
    return archive


@pytest.mark.parametrize("frm,to", [(1100, 300), (300, 1100), (701, 10), (701, 1100)])
def test_a_long_history_is_of_one_state(bobs, ctl, frm, to):
    bobs.between = at(1, lambda: move(bobs, frm, to))
    assert history(ctl, 1000) == ids(bobs)[-1000:]


def test_where_a_long_history_goes_on_changes_each_time(bobs, ctl):
    """It goes on from the one before that, and what both pages have is there once."""
    bobs.between = lambda n: touch(bobs, 701, 702)
    assert history(ctl, 1100) == ids(bobs)[-1100:]


def test_where_a_long_history_went_on_is_deleted(bobs, ctl):
    bobs.between = at(1, lambda: delete(bobs, 600, 750))
    assert history(ctl, 1000) == ids(bobs)[-1000:]


@pytest.mark.parametrize("way", ["--after=100", "--around=1200", "--before=2300"])
def test_each_way_of_reading_on(bobs, ctl, way):
    bobs.page_max = 100
    want = history(ctl, 700, way)
    bobs.pages = 0
    bobs.between = at(2, lambda: (delete(bobs, 0, 3), touch(bobs, 100, 1190)))
    assert history(ctl, 700, way) == want


def test_a_history_of_an_archive_that_goes_on_changing_has_nothing_twice(bobs, ctl):
    bobs.between = lambda n: touch(bobs, 0, 1)
    assert history(ctl, 1100) == ids(bobs)[-1100:]
    bobs.between = lambda n: move(bobs, 1150, 20)
    assert "changes faster" in ctl.error("history", BOB, "-n1200", code=1)["message"]


def test_a_history_of_one_page_asks_once(bobs, ctl):
    bobs.between = lambda n: move(bobs, 1150, 20)
    assert len(history(ctl, 400)) == 400
    assert bobs.pages == 1


# -- ls ---------------------------------------------------------------------------------------------------------------
def test_a_conversation_that_moves_is_listed_once(fake, ctl):
    """While pages of three are read, a message comes to one of the last page, then to one of the first."""
    def say(i):
        fake.messages.append(message(100 + i, "c%d@example.org" % i, T0 + 100 * HOUR + i, "now", mod=fake.seq + 1))
    fake.messages = [message(2 + i, "c%d@example.org" % i, T0 - i * HOUR, "then") for i in range(8)]
    fake.between = at(1, lambda: say(7))
    listed = [r["conversation"] for r in ctl.rows("ls", "-j")]
    assert sorted(listed) == ["c%d@example.org" % i for i in range(8)]
    fake.pages = 0
    fake.between = at(2, lambda: say(0))
    listed = [r["conversation"] for r in ctl.rows("ls", "-j")]
    assert sorted(listed) == ["c%d@example.org" % i for i in range(8)]
    fake.between = None
    assert len(ctl.rows("ls", "-j", "-n5")) == 5
