"""What the stories of the fast login share: an account that is online, comes back, and can be written to."""

from varvetest.wait import wait_for


def session(varved):
    return varved.account()["session"]


def online(varved, server, **kwargs):
    varved.add_account(server, server.user, **kwargs)
    varved.wait_sync()


def again(varved, server, resumes=None):
    """Cut, and wait until it is back; the names that the new connections' clients said, one list each. A second wire that
    waited and was not needed says nothing (0013): the network of this machine may change meanwhile, and that is a trigger."""
    before, had = len(server.connections), session(varved)["resumes"]
    server.cut()
    varved.wait_resumed(had + 1 if resumes is None else resumes)
    said = [server.names(n) for n in range(before, len(server.connections))]
    return [names for names in said if names != ["eof"]]


def reason(varved):
    return str(varved.account()["state_reason"])


def live_message_arrives(varved, server, text):
    wait_for(lambda: server.current, 10)
    server.send(f"<message from='bob@chat.test/x' to='alice@chat.test' type='chat' id='{text}'><body>{text}</body></message>")
    wait_for(lambda: [r for r in varved.export() if r["body"] == text], 20, lambda: varved.tail(2000))
