"""Bad weather below and around a real daemon (storm.c): a disk that fails, a clock that is wrong."""

import errno
import socket
import time

import pytest

from varvetest import scripted, storm
from varvetest.daemon import EXIT_FAILURE, EXIT_OK
from varvetest.mail import BOB, online, wait_bodies
from varvetest.wait import wait_for


@pytest.fixture
def stormy(new_varved):
    """(varved, storm), not started."""
    varved = new_varved()
    return varved, storm.Storm(varved)


def live(server, number):
    """A message of bob's, archived and sent."""
    entry = scripted.Archived(f"L{number:05d}", int(time.time() * 1e6), f"{BOB}/x", server.jid, f"live {number}",
                              message_id=f"l{number}")
    server.script.archive.append(entry)
    server.send(f"<message from='{BOB}/x' to='{server.jid}' type='chat' id='l{number}'><body>live {number}</body>"
                f"<stanza-id xmlns='urn:xmpp:sid:0' by='{server.jid}' id='{entry.id}'/></message>")


def bodies(varved):
    return [row["body"] for row in varved.export()]


@pytest.mark.parametrize("call, error, words", [(storm.SYNC, errno.EIO, "disk reports an error"),
                                                (storm.WRITE, errno.EDQUOT, "quota")], ids=["sync fails", "over quota"])
def test_a_disk_that_fails_for_a_while(stormy, mail, call, error, words):
    """Nothing is acknowledged or accepted that is not durable, it is said why; it goes on by itself, with all of it once, also
    what came over a stream that broke meanwhile."""
    varved, disk = stormy
    app = online(varved.start(), mail)
    live(mail, 0)
    wait_for(lambda: bodies(varved) == ["live 0"], 10)
    before = mail.request_ack()
    disk.fail(call, error)
    for number in range(1, 6):
        live(mail, number)
    wait_for(lambda: disk.hits(call), 10)
    assert mail.request_ack() == before
    refused = varved.run("send", BOB, "too early", "--id=k")
    assert refused.code == EXIT_FAILURE and words in refused.err, refused
    assert words in varved.account()["state_reason"] and "nothing is lost" in varved.run("doctor").out
    assert bodies(varved) == ["live 0"]
    mail.cut()
    disk.over()
    wait_for(lambda: bodies(varved) == [f"live {n}" for n in range(6)], 20, lambda: f"{bodies(varved)} {varved.tail(3000)}")
    wait_for(lambda: varved.account()["state"] == "online" and not varved.account()["state_reason"], 20,
             lambda: str(varved.account()))
    varved.ctl("send", BOB, "too early", "--id=k")
    wait_bodies(mail, ["too early"])
    wait_for(lambda: mail.request_ack() == mail.current.session.sent, 10)
    assert varved.account()["session"]["binds"] == 1
    app.close()


def test_a_disk_that_does_not_answer(stormy, mail):
    """Reading fails for a while: an error of the disk, and not called a damaged page."""
    varved, disk = stormy
    online(varved.start(), mail).close()
    live(mail, 0)
    wait_for(lambda: bodies(varved) == ["live 0"], 10)
    varved.kill9()
    varved.start()              # nothing is in memory
    varved.wait_resumed(1)
    disk.fail(storm.READ)
    for verb in (["history", BOB], ["export"], ["send", BOB, "too early", "--id=k"]):
        result = varved.run(*verb)
        assert result.code == EXIT_FAILURE and "disk reports an error" in result.err, (verb, result)
    disk.over()
    varved.ctl("send", BOB, "too early", "--id=k")
    wait_bodies(mail, ["too early"])
    assert bodies(varved) == ["live 0", "too early"]


def test_no_memory_for_a_connection(stormy):
    """accept() fails with the connection still waiting: tried now and then, not without end; who waited is served after it."""
    varved, weather = stormy
    varved.start()
    before = weather.hits(storm.ACCEPT)
    weather.fail(storm.ACCEPT, errno.ENOMEM)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(varved.socket)
        wait_for(lambda: weather.hits(storm.ACCEPT) > before, 10)
        time.sleep(0.5)             # what is tested: how often it is tried
        assert weather.hits(storm.ACCEPT) - before < 8000      # 70,000 without a limit
        weather.over()
        waiting.settimeout(10)
        waiting.sendall(b"\0AUTH EXTERNAL\r\n")
        assert waiting.recv(100)
    assert varved.run("status").code == EXIT_OK


def test_a_phone_that_boots_in_1970(stormy, mail):
    """No certificate is valid then: that is said, with what the clock says. When the network's time comes it connects at once,
    and what was written before leaves once."""
    varved, clock = stormy
    clock.ahead(3600 - time.time())
    varved.start().add_account(mail, mail.user)
    wait_for(lambda: "1970-01-01" in (varved.account()["state_reason"] or ""), 15, lambda: str(varved.account()))
    assert varved.account()["state_error"].endswith(".Certificate")
    assert "years behind" in varved.run("doctor").out
    varved.ctl("send", BOB, "written in 1970")
    assert varved.account()["next_retry_usec"]
    clock.ahead(0)
    wait_bodies(mail, ["written in 1970"], timeout=15)      # the next try was a minute away
    assert mail.script.got[-1].delay is None
    varved.wait_sync()
    assert len(varved.export()) == 1


def test_a_clock_that_is_set_while_we_are_online(stormy, mail):
    """Ten years ahead, a day behind, right again: the session stands, nothing is lost, doubled or out of order, and the account
    was never in sync at a time that is to come."""
    varved, clock = stormy
    mail.script.archive += scripted.entries(20)
    app = online(varved.start(), mail)
    for number, ahead in enumerate((10 * 365 * storm.DAY, -storm.DAY, 0)):
        clock.ahead(ahead)
        live(mail, number)
        wait_for(lambda: f"live {number}" in bodies(varved), 10)
        varved.ctl("send", BOB, f"out {number}")
        wait_for(lambda: f"out {number}" in mail.script.bodies(), 10)
        varved.ctl("sync", "now")
        varved.wait_sync()
    mail.cut()
    varved.wait_resumed(1)
    archive = [entry.id for entry in mail.script.archive]
    wait_for(lambda: [row["stanza_id"] for row in varved.export()] == archive, 10,
             lambda: f"{archive} {[(row['stanza_id'], row['body']) for row in varved.export()]}")
    assert varved.account()["session"]["binds"] == 1
    assert varved.account()["sync"]["caught_up_usec"] <= time.time() * 1e6
    app.close()
