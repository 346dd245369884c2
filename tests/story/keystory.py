"""What the stories of keys and of search have in common: files that must not tell anything, and traffic."""

import os
import threading

from varvetest import bus

ARCHIVE = "org.varve.Varve1.Archive"


def files(*directories):
    """Every regular file below them."""
    for top in directories:
        for folder, _dirs, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path


def leaks(markers, *directories):
    """[(file, marker)]: which of the texts stand in which file, as UTF-8 or UTF-16, in any case."""
    needles = [(m, n.lower()) for m in markers for n in (m.encode(), m.encode("utf-16-le"))]
    out = []
    for path in files(*directories):
        with open(path, "rb") as f:
            content = f.read().lower()
        out += [(path, marker) for marker, needle in needles if needle in content]
    return out


class Traffic:
    """The other party writes without pause while the body of the `with` runs; `sent` are the bodies."""

    def __init__(self, server, sender, to, stem="traffic", pause=0.03):
        self.server, self.sender, self.to, self.stem, self.pause = server, sender, to, stem, pause
        self.sent, self.error = [], None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        try:
            with self.server.client(self.sender, resource="traffic") as other:
                while not self._end.is_set():
                    body = f"{self.stem} {len(self.sent)}"
                    other.message(self.to, body)
                    self.sent.append(body)
                    self._end.wait(self.pause)
                other.ping()
        except Exception as e:
            self.error = e

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._end.set()
        self._thread.join(60)
        assert self.error is None and not self._thread.is_alive(), self.error


def epoch(varved, jid):
    """Archive.Epoch: the name of the change feed."""
    connection = bus.Bus(varved)
    try:
        path = connection.call(bus.MANAGER, "FindAccount", "s", (jid,))
        return str(connection.call("org.freedesktop.DBus.Properties", "Get", "ss", (ARCHIVE, "Epoch"), path=path))
    finally:
        connection.close()
