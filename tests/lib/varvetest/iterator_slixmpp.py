"""slixmpp's own archive iterator (XEP-0313 over XEP-0059) into SQLite, as somebody would write it in an afternoon: the reference
of figures.py --iterator. Pages from the oldest on, one after the other; a commit a page. Says how many rows there are, and how
many seconds it took from the connect on.

    python3 -m varvetest.iterator_slixmpp JID PASSWORD CA-FILE PORT PAGE DATABASE
"""

import asyncio
import sqlite3
import sys
import time

import slixmpp

from .peer import dial

TABLE = """CREATE TABLE message(aid TEXT PRIMARY KEY, stamp TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
           id TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID"""


def row(result):
    """What the iterator gives is parsed already; this only takes it out."""
    archived = result["mam_result"]
    message = archived["forwarded"]["stanza"]
    return (archived["id"], archived["forwarded"]["delay"]["stamp"].isoformat(), message["from"].full, message["to"].full,
            message["id"], message["body"])


async def main(jid, password, ca, port, page, database):
    db = sqlite3.connect(database)
    # A power cut costs no page that was said to be there: the same promise as ours.
    db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {TABLE}")
    client = slixmpp.ClientXMPP(jid, password)
    client.ca_certs = ca
    client.register_plugin("xep_0203")
    client.register_plugin("xep_0313")
    stands = asyncio.Event()
    client.add_event_handler("session_start", lambda _: stands.set())
    begin = time.monotonic()
    dial(client, int(port), direct=True)
    await asyncio.wait_for(stands.wait(), 30)
    async for found in client["xep_0313"].retrieve(iterator=True, rsm={"max": int(page)}):
        with db:
            db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", map(row, found["mam"]["results"]))
    took = time.monotonic() - begin
    print(db.execute("SELECT count(*) FROM message").fetchone()[0], f"{took:.3f}", flush=True)
    client.abort()


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(*sys.argv[1:]))
