"""What data/quickstart.sh needs of Python: the server's side of the demonstration. Standard library only.

    prepare DIR             configure Prosody in DIR, with an account, its contacts and a history; writes DIR/env for the shell
    wait DIR                until Prosody serves
    say DIR TEXT...         the friend sends these messages
    session                 one line from the JSON of `varvectl status` on stdin
    verify DIR EXPORT       compare an export with the server's own archive; exit 1 if they differ
"""

import json
import os
import sys

from . import daemon, loop, seed, servers, xmpp
from .wait import wait_for

MESSAGES, CONTACTS, YEARS = 5000, 30, 2
USER, PASSWORD = "you", "correct horse battery"


def known(directory):
    """What `prepare` chose."""
    with open(os.path.join(directory, "ports")) as f:
        return json.load(f)


def client(directory, user, password, **kwargs):
    ports = known(directory)
    return xmpp.Client(f"{user}@{ports['domain']}", password, ports["tls"], ports["ca"], **kwargs)


def prepare(directory):
    server = servers.Prosody(os.path.join(directory, "server"))
    messages = seed.history(MESSAGES, contacts=CONTACTS, years=YEARS, domain=server.domain)
    people = seed.people(messages)
    friend = next(iter(sorted(people, key=lambda p: -sum(m.contact == p for m in messages)))).split("@")[0]
    server.add_user(USER, PASSWORD)
    for person in people:       # all exist, so that one can write to any of them
        server.add_user(person.split("@")[0], PASSWORD)
    server.add_roster(USER, people)
    server.seed_archive(USER, messages)
    with open(os.path.join(directory, "ports"), "w") as f:
        json.dump({"domain": server.domain, "tls": server.tls_port, "plain": server.port, "ca": server.ca,
                   "friend": friend}, f)
    with open(os.path.join(directory, "env"), "w") as f:
        f.write(f"DOMAIN={server.domain} TLSPORT={server.tls_port} PORT={server.port} CA='{server.ca}' ME={USER} "
                f"FRIEND={friend} PASSWORD='{PASSWORD}' MESSAGES={MESSAGES} CONTACTS={len(people)} YEARS={YEARS}\n")


def wait(directory):
    ports = known(directory)
    wait_for(lambda: servers.listening(ports["tls"]) and servers.serves(ports["plain"], ports["domain"]), 20,
             "Prosody serves")


def say(directory, *texts):
    ports = known(directory)
    with client(directory, ports["friend"], PASSWORD, resource="laptop") as friend:
        for text in texts:
            friend.message(f"{USER}@{ports['domain']}", text)
        friend.ping()


def session():
    for account in json.load(sys.stdin)["accounts"]:
        s = account["session"]
        print(f"{account['state']} resumed={str(s['resumed']).lower()} resumes={s['resumes']} binds={s['binds']} "
              f"flights={s['flights']} messages={account['sync']['messages']}")


def verify(directory, export):
    with client(directory, USER, PASSWORD) as reader:
        archive = reader.archive()
    with open(export, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f if line.strip()]
    different = daemon.differences(rows, archive)
    print(f"  the server's archive   {len(archive):6} messages, read by a client that is not ours")
    print(f"  varvectl export        {len(rows):6} messages")
    for line in different[:10]:
        print("  DIFFERENT: " + line)
    if not different:
        print("  same archive ids in the same order, each once, with the same words")
    return 1 if different else 0


def main(argv):
    result = {"prepare": prepare, "wait": wait, "say": say, "session": session, "verify": verify}[argv[1]](*argv[2:])
    loop.loop().call_soon_threadsafe(loop.loop().stop)
    return result or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
