"""monitor against a daemon that obeys: every change once, in order, across restarts and with a cursor on the disk."""

import json
import os
import signal

import pytest
from ctlkit import BOB, HOUR, T0, ids, wait_for
from fake import message


def read_n(p, n):
    return [json.loads(p.stdout.readline()) for _ in range(n)]


def say(fake, id, body):
    with fake.lock:
        fake.messages.append(message(id, BOB, T0 + id * HOUR, body, mod=fake.seq + 1))
    fake.ring()


def test_monitor_since_gives_every_change_in_order(archive, ctl):
    archive.contacts.append((BOB, 2500, "Bob", "both", 0, ["friends"], {}))
    archive.removed.append((2600, "message", "77"))
    p = ctl.popen("monitor", "--since=0")
    try:
        rows = read_n(p, 1202)
        assert [r["seq"] for r in rows] == sorted(r["seq"] for r in rows)
        assert [r["id"] for r in rows if r["change"] == "message"] == ids(archive, "")
        assert [r["jid"] for r in rows if r["change"] == "contact"] == [BOB]
        assert rows[-1]["change"] == "removed" and rows[-1]["key"] == "77"
    finally:
        p.kill()
        p.communicate()


def test_monitor_for_people_names_a_contact(archive, ctl):
    archive.contacts += [(BOB, 2500, "Bob \x1b[31m", "both", 0, [], {}), ("spam.example", 2501, "", "none", 6, [], {})]
    p = ctl.popen("monitor", "--json=off", "--since=2499")
    try:
        assert p.stdout.readline() == "contact bob@example.org (Bob \ufffd[31m): subscription both\n"
        assert p.stdout.readline() == "contact spam.example: subscription none, blocked\n"
    finally:
        p.kill()
        p.communicate()


def test_monitor_for_people_says_a_message_once(archive, ctl):
    """Then what becomes of it, by its id; a text that changed is said again."""
    def change(**fields):
        with archive.lock:
            archive.messages[-1].update(fields, mod=archive.seq + 1)
        archive.ring()

    p = ctl.popen("monitor", "--json=off", BOB)
    try:
        wait_for(lambda: any(c[0] == "Changes" for c in archive.calls))
        say(archive, 9001, "one and only")
        line = p.stdout.readline()
        assert line.startswith("9001 ") and line.rstrip().endswith("one and only")
        change(state=1)
        assert p.stdout.readline() == "9001 read\n"
        change()
        change(body="another")
        line = p.stdout.readline()
        assert line.startswith("9001 ") and line.rstrip().endswith("another")
    finally:
        p.kill()
        p.communicate()


def test_monitor_follows_and_survives_a_restart(archive, ctl):
    p = ctl.popen("monitor", BOB)
    try:
        wait_for(lambda: any(c[0] == "Changes" for c in archive.calls))
        say(archive, 9001, "one")
        assert read_n(p, 1)[0]["body"] == "one"
        archive.stop()
        with archive.lock:
            archive.messages.append(message(9003, BOB, T0, "meanwhile", mod=archive.seq + 1))
            archive.messages.append(message(9005, "carol@example.org", T0, "not wanted", mod=archive.seq + 1))
        archive.start()
        assert read_n(p, 1)[0]["body"] == "meanwhile"
        say(archive, 9007, "after")
        assert read_n(p, 1)[0]["body"] == "after"
    finally:
        p.kill()
        p.communicate()


def test_monitor_exits_on_disconnect_when_told_so(archive, ctl):
    p = ctl.popen("monitor", "--exit-on-disconnect", "-j")
    wait_for(lambda: any(c[0] == "Changes" for c in archive.calls))
    archive.stop()
    assert p.wait(10) == 3
    assert json.loads(p.communicate()[1])["error"]["name"]
    archive.start()


def test_monitor_with_a_cursor_goes_on_where_it_stopped(archive, ctl, tmp_path):
    cursor = str(tmp_path / "cursor")
    for n in range(3):
        p = ctl.popen("monitor", "--cursor-file=" + cursor)
        try:
            if n == 0:
                wait_for(lambda: os.path.exists(cursor))
                expected = []
            say(archive, 9001 + 4 * n, "live %d" % n)
            expected.append("live %d" % n)
            assert [r["body"] for r in read_n(p, len(expected))] == expected
            want = " %d\n" % archive.seq
            wait_for(lambda: open(cursor).read().endswith(want))
        finally:
            p.send_signal(signal.SIGKILL)
            p.communicate()
        say(archive, 9003 + 4 * n, "away %d" % n)
        expected = ["away %d" % n]
    assert sorted(os.listdir(tmp_path)) == ["bus", "cursor"]


@pytest.mark.parametrize("how", ["epoch", "old"])
def test_monitor_says_reset_when_the_feed_cannot_go_on(archive, ctl, tmp_path, how):
    cursor = tmp_path / "cursor"
    cursor.write_text("varve-cursor 1 alice@example.org e1 5\n")
    if how == "epoch":
        archive.epoch = "e2"
    else:
        archive.oldest_seq = 100
    p = ctl.popen("monitor", "--cursor-file=%s" % cursor)
    try:
        row = read_n(p, 1)[0]
        assert row["change"] == "reset" and row["seq"] == archive.seq
        say(archive, 9001, "on")
        assert read_n(p, 1)[0]["body"] == "on"
    finally:
        p.kill()
        p.communicate()


@pytest.mark.parametrize("text", ["something else\n", "varve-cursor 1 other@example.org e1 5\n", "varve-cursor 1 alice@example.org e1 x\n"])
def test_monitor_touches_no_file_that_is_not_its_cursor(ctl, tmp_path, text):
    (tmp_path / "cursor").write_text(text)

    ctl.error("monitor", "--cursor-file=%s" % (tmp_path / "cursor"), code=2)
    assert (tmp_path / "cursor").read_text() == text
