"""
varvectl sync verify (A11): what coverage claims is compared with the server's archive, by ids, and mended. The server's archive is
changed behind its back: so that its pages had holes when they were fetched.
"""

import json


from varvetest import daemon, seed

PROBLEMS = 10


def verify(varved, *argv, code=0):
    result = varved.run("--json=short", "sync", "verify", *argv)
    assert result.code == code, result
    return json.loads(result.out)


def given(server, varved, user, n=600, hidden=()):
    """In sync with an archive of `n` messages, of which the server kept some (first, count) to itself."""
    messages = seed.history(n, contacts=8, domain=server.domain)
    server.add_user(user)
    server.seed_archive(user, messages)
    # counted after those before are gone
    for first, count in sorted(hidden, reverse=True):
        server.hide(user, first, count)
    varved.add_account(server, user)
    varved.wait_sync()
    server.unhide(user)
    return messages


def test_A11_verify_finds_and_mends(server, varved, fresh):
    user = fresh("vera")
    given(server, varved, user, hidden=[(100, 25), (400, 1)])
    assert len(varved.export()) == 574
    report = verify(varved, "--all", code=PROBLEMS)
    assert (report["missing"], report["different"], report["gone"], report["moved"]) == (26, 0, 0, 0), report
    assert report["messages"] == 600
    daemon.assert_same(varved, server, user)
    assert verify(varved, "--all")["missing"] == 0


def test_A11_verify_of_one_conversation(server, varved, fresh):
    user = fresh("vera")
    messages = given(server, varved, user, hidden=[(200, 100)])
    lost = messages[200:300]
    who = lost[0].contact
    report = verify(varved, who, code=PROBLEMS)
    assert report["missing"] == sum(m.contact == who for m in lost), report
    assert report["conversation"] == who
    mine = [m.body for m in messages if m.contact == who]
    assert [row["body"] for row in varved.export(who)] == mine
    assert verify(varved, who)["missing"] == 0
    report = verify(varved, "--all", code=PROBLEMS)
    assert report["missing"] == sum(m.contact != who for m in lost), report
    daemon.assert_same(varved, server, user)


def test_what_the_server_forgot_stays(server, varved, fresh):
    user = fresh("vera")
    given(server, varved, user)
    server.hide(user, 300, 40)
    report = verify(varved, "--all")
    assert (report["missing"], report["gone"]) == (0, 40), report
    assert len(varved.export()) == 600


def test_only_down_to_a_time(server, varved, fresh):
    user = fresh("vera")
    messages = given(server, varved, user, hidden=[(10, 10), (580, 10)])
    report = verify(varved, "--all", f"--since=@{messages[560].stamp_us // 1000000}", code=PROBLEMS)
    assert report["missing"] == 10 and report["messages"] < 200, report
    assert len(varved.export()) == 590


def test_nothing_to_compare_with(varved):
    result = varved.run("sync", "verify", "--all")
    assert result.code == 4, result


def test_nothing_is_asked_while_the_sync_is_paused(server, varved, fresh):
    """Beyond what varve.conf keeps is a gap, which a fetch would cross; it is refused, not accepted and forgotten."""
    user = fresh("vera")
    messages = seed.history(400, contacts=2, years=1, domain=server.domain)
    server.add_user(user)
    server.seed_archive(user, messages)
    varved.configure("[sync]\nhistory = 7 days\n")
    varved.restart()
    varved.add_account(server, user)
    varved.wait_sync()
    varved.run("sync", "pause")
    who = messages[0].contact
    for argv in (("fetch", who, "--all"), ("fetch", who, "--all", "--wait"), ("fetch", who, "--since=2000-01-01"), ("fetch", who),
                 ("verify", who), ("verify", "--all"), ("now",), ("wait",)):
        result = varved.run("sync", *argv)
        assert result.code == 1 and "the sync is paused" in result.err, (argv, result)
        assert "varvectl sync resume" in result.err, (argv, result)
    varved.run("sync", "resume")
    assert varved.run("sync", "fetch", who, "--all", "--wait").code == 0
    assert [row["body"] for row in varved.export(who)] == [m.body for m in messages if m.contact == who]
