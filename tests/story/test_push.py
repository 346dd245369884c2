"""P4: with a push service (XEP-0357) the server keeps the session of a machine that sleeps; nothing of it costs a session."""

import pytest

from varvetest import scripted
from varvetest.peer import Peer
from varvetest.proxy import Proxy
from varvetest.wait import holds, wait_for

NS_PUSH = "urn:xmpp:push:0"
SERVICE = "push.chat.test"


def push(varved, jid=None):
    return varved.account(jid).get("push", {})


def set_service(varved, jid, service):
    assert varved.run("account", "set", jid, f"push-service={service}").code == 0


def wait_push(varved, state, jid=None):
    wait_for(lambda: push(varved, jid).get("state") == state, 20, lambda: f"{state}; is {push(varved, jid)}; {varved.tail()}")


def test_a_session_outlives_a_sleep(own_server, fresh, varved):
    """P4. Two accounts sleep for longer than the server keeps a session; one of them has a push service, then the other.
    Another device of each tells when the server has given the session up."""
    server = own_server(smacks_seconds=2, push=1)
    users = [fresh("alice"), fresh("bob")]
    jids = [f"{u}@{server.domain}" for u in users]
    with Proxy(server.tls_port) as link:
        for user in users:
            varved.add_account(server.add_user(user), user, port=link.port)
        resources = [varved.wait_sync(jid=jid)["resource"] for jid in jids]
        watches = [Peer(server, user, resource="watch") for user in users]
        there = lambda n: resources[n] in watches[n].online
        set_service(varved, jids[0], server.domain)
        binds = [1, 1]
        for kept, lost in ((0, 1), (1, 0)):
            wait_push(varved, "enabled", jids[kept])
            wait_for(lambda: "push" not in varved.account(jids[lost]), 20, lambda: varved.tail())
            wait_for(lambda: there(0) and there(1), 20, "the other devices see us")
            resumes = varved.account(jids[kept])["session"]["resumes"]
            link.refuse()
            link.cut()
            wait_for(lambda: not there(lost), 40, "the server gives up who has no push service")
            holds(lambda: there(kept), 2, "the server keeps who has one")
            link.resume()
            for jid in jids:
                varved.run("account", "connect", jid)
            varved.wait_resumed(resumes + 1, jid=jids[kept])
            varved.wait_sync(jid=jids[lost])
            binds[lost] += 1
            assert [varved.account(jid)["session"]["binds"] for jid in jids] == binds
            # the other way round, on sessions that stand
            set_service(varved, jids[kept], "")
            set_service(varved, jids[lost], server.domain)
        for watch in watches:
            watch.close()


class Script(scripted.Script):
    """Answers XEP-0357 as `how` says; counts it."""

    features = (*scripted.Script.features, NS_PUSH)

    def __init__(self, how):
        super().__init__()
        self.how, self.asked = how, []

    async def iq(self, connection, iq, payload):
        if payload.tag not in ("{%s}enable" % NS_PUSH, "{%s}disable" % NS_PUSH):
            return False
        self.asked.append((payload.tag.rsplit("}", 1)[1], payload.get("jid"), payload.get("node"), len(payload)))
        await self.how(connection, iq)
        return True


async def yes(connection, iq):
    await connection.result(iq)


async def silence(connection, iq):
    pass


async def refuse(connection, iq):
    await connection.error(iq, "not-allowed", "auth")


async def yes_and_no(connection, iq):
    await connection.result(iq)
    await connection.error(iq, "not-allowed")


async def flood(connection, iq):
    await connection.result(iq, "<error type='cancel'><not-allowed xmlns='%s'/><text xmlns='%s'>%s</text></error>"
                            % (scripted.NS_STANZAS, scripted.NS_STANZAS, "long \U0001f600" * 20000), "error")


async def nothing(connection, iq):
    await connection.result(iq, "", "error")


async def a_stranger(connection, iq):
    await connection.stanza(f"<iq type='result' id='{iq.get('id')}' from='push.chat.test'/>")


@pytest.mark.parametrize("how, state, reason, again", [
    (refuse, "refused", "not-allowed", 0),
    (silence, "waiting", None, 1),
    (yes_and_no, "enabled", None, 0),
    (flood, "refused", "not-allowed", 0),
    (nothing, "refused", "undefined-condition", 0),
    (a_stranger, "waiting", None, 1),
], ids=lambda v: getattr(v, "__name__", None) if callable(v) else "")
def test_no_answer_costs_the_session(scripted_server, varved, how, state, reason, again):
    """Errors, floods, silence, answers of others: the session goes on, is resumed, and the user is told."""
    script = Script(how)
    server = scripted_server(script)
    varved.add_account(server, server.user, extra=(f"--push-service={SERVICE}",))
    varved.wait_sync()
    wait_for(lambda: script.asked and push(varved).get("state") == state, 20, lambda: str(push(varved)))
    assert push(varved).get("reason") == reason
    assert script.asked == [("enable", SERVICE, script.asked[0][2], 0)] and len(script.asked[0][2]) == 32
    server.request_ack()
    wait_for(lambda: server.current and not server.current.session.unacked, 20, "every answer is acknowledged")
    server.cut()
    account = varved.wait_resumed(1)
    assert account["session"]["binds"] == 1
    wait_for(lambda: len(script.asked) == 1 + again, 20)
    shown = varved.run("account", "show").out
    assert ("push" in shown) and (reason is None or reason in shown)
    # somebody else's address is for who may configure, and in no log
    assert SERVICE not in varved.tail(1 << 20) and SERVICE not in varved.run("-j", "status").out


def test_not_announced_is_not_asked(scripted_server, varved):
    script = Script(yes)
    script.features = scripted.Script.features
    server = scripted_server(script)
    varved.add_account(server, server.user, extra=(f"--push-service={SERVICE}",))
    varved.wait_sync()
    wait_push(varved, "unsupported")
    assert not script.asked
    assert "the server has no push" in varved.run("status").out
    checks = {c["check"]: c for c in varved.ctl("doctor")}
    assert checks[f"push {server.jid}"]["result"] == "warn"


def test_taken_away_and_closed_for_good(scripted_server, varved):
    """The server is told to forget the service when the user does, and before a session is closed for good."""
    script = Script(yes)
    server = scripted_server(script)
    varved.add_account(server, server.user, extra=(f"--push-service={SERVICE}",))
    wait_push(varved, "enabled")
    node = script.asked[0][2]
    assert varved.run("account", "set", "push-service=other.test").code == 0
    wait_for(lambda: len(script.asked) == 3, 20, lambda: str(script.asked))
    assert script.asked[1] == ("disable", SERVICE, node, 0)
    assert script.asked[2][:2] == ("enable", "other.test") and script.asked[2][2] != node
    wait_for(lambda: push(varved) == {"state": "enabled", "going": 0}, 20, lambda: str(push(varved)))
    assert varved.run("account", "disconnect").code == 0
    number = len(server.connections) - 1
    wait_for(lambda: "stream-end" in server.names(number), 10, lambda: str(server.names(number)))
    assert script.asked[3:] == [("disable", "other.test", script.asked[2][2], 0)]
    # nothing of it is said of an address that is our own
    refused = varved.run("account", "set", f"push-service={server.jid}")
    assert refused.code != 0 and "the account itself" in refused.err
