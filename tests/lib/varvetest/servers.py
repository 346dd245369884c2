"""Real servers on loopback: Prosody and ejabberd from Debian, configured by the scripts in tests/servers."""

import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid

from . import proc, seed, xmpp
from .certs import SERVERS, Certs
from .ports import free_port
from .wait import wait_for

DOMAIN = "chat.test"


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def serves(port, domain):
    """Whether features are offered there for this domain: Prosody listens some time before."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.sendall(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                      b"version='1.0' to='%s'>" % domain.encode())
            got = b""
            while b"</stream:features>" not in got:
                data = s.recv(4096)
                if not data:
                    return False
                got += data
            return True
    except OSError:
        return False


class Server:
    """What both have in common. Settings are the environment variables of tests/servers/*-config.sh, in lower case:
    smacks_seconds, smacks_queue, mam_page, retention, offline, extra. cert: a kind of certs.Certs.pair()."""

    name = None
    script = None
    needs = ()

    def __init__(self, directory=None, domain=DOMAIN, cert="good", certs=None, **settings):
        self.own_dir = directory is None
        self.dir = str(directory or tempfile.mkdtemp(prefix=f"varvetest-{self.name}-"))
        os.makedirs(self.dir, exist_ok=True)
        self.domain, self.settings = domain, settings
        self.certs = certs or Certs(os.path.join(self.dir, "certs"), domain)
        self.cert = cert
        self.ca = self.certs.ca
        self.port, self.tls_port, self.http_port = free_port(), free_port(), free_port()
        self.child = None
        self.configure()

    @classmethod
    def missing(cls):
        """What is not installed, or None."""
        return next((n for n in cls.needs if not shutil.which(n)), None)

    def configure(self):
        env = dict(os.environ, **{k.upper(): str(v) for k, v in self.settings.items()})
        env.update(self.cert_environment())
        subprocess.run(["sh", os.path.join(SERVERS, self.script), self.dir, self.domain, str(self.port),
                        str(self.tls_port), str(self.http_port)], env=env, check=True)

    def start(self):
        assert self.child is None
        self.child = proc.spawn(self.argv(), log=os.path.join(self.dir, "stdout.log"))
        wait_for(self._up, 30, lambda: f"{self.name} listening; its output: {self.tail()}")
        return self

    def _up(self):
        if self.child.poll() is not None:
            raise AssertionError(f"{self.name} exited with {self.child.returncode}: {self.tail()}")
        return listening(self.tls_port) and serves(self.port, self.domain)

    def tail(self):
        with open(os.path.join(self.dir, "stdout.log"), errors="replace") as f:
            return f.read()[-1500:]

    def stop(self, sig=signal.SIGTERM):
        """TERM: a clean stop. KILL: a crash."""
        proc.reap(self.child, sig)
        self.child = None

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        self.start()

    def close(self):
        self.stop(signal.SIGKILL)
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    def client(self, user, password="pw", presence=False, **kwargs):
        return xmpp.Client(f"{user}@{self.domain}", password, self.tls_port, self.ca, presence=presence, **kwargs)

    def archive(self, user, password="pw"):
        """The independent reader: [Row(archive_id, stamp, sender, to, body)] by XEP-0313, oldest first."""
        return xmpp.read_archive(self, user, password)

    def database(self):
        db = sqlite3.connect(self.archive_file(), timeout=20, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        return db

    table, row, order, owner = "archive", "id", "timestamp", "username"

    def hide(self, user, first, n):
        """Take `n` messages out of the user's archive behind the server's back, from the `first` on (0 = oldest)."""
        db = self.database()
        db.execute(f"UPDATE {self.table} SET {self.owner} = ? WHERE {self.row} IN (SELECT {self.row} FROM {self.table} "
                   f"WHERE {self.owner} = ? ORDER BY {self.order} LIMIT ? OFFSET ?)", (user + ".hidden", user, n, first))
        db.execute("COMMIT")
        db.close()

    def unhide(self, user):
        db = self.database()
        db.execute(f"UPDATE {self.table} SET {self.owner} = ? WHERE {self.owner} = ?", (user, user + ".hidden"))
        db.execute("COMMIT")
        db.close()


class Prosody(Server):
    name = "prosody"
    script = "prosody-config.sh"
    needs = ("prosody",)
    iterations = 10000
    table, row, order, owner = "prosodyarchive", "sort_id", "sort_id", "user"

    @staticmethod
    def binds():
        """Prosody 13: channel binding is its own (tests/servers/mod_channel_binding.lua is for 0.12), SASL2's modules fit it."""
        module = "/usr/lib/prosody/modules/mod_saslauth.lua"
        if not os.path.exists(module):
            return False
        with open(module) as f:
            return "urn:xmpp:sasl-cb:0" in f.read()

    def argv(self):
        return ["prosody", "-F", "--config", os.path.join(self.dir, "prosody.cfg.lua")]

    def cert_environment(self):
        chain, key = self.certs.pair(self.cert)
        return {"CERT": chain, "KEY": key}

    def archive_file(self):
        return os.path.join(self.dir, "data", "archive.sqlite")

    def _store(self, kind, user, text):
        folder = os.path.join(self.dir, "data", self.domain.replace(".", "%2e").replace("-", "%2d"), kind)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, user + ".dat")
        with open(path + "~", "w") as f:
            f.write(text)
        os.replace(path + "~", path)

    def add_user(self, user, password="pw"):
        """As prosodyctl register (it needs 55 ms): the account's SCRAM keys, in Prosody's own file format."""
        salt = str(uuid.uuid4())
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), self.iterations)
        key = lambda name: hmac.new(salted, name, "sha256").digest()
        stored = hashlib.sha256(key(b"Client Key")).hexdigest()
        self._store("accounts", user, 'return {\n\t["iteration_count"] = %d;\n\t["salt"] = "%s";\n\t["server_key"] = '
                    '"%s";\n\t["stored_key"] = "%s";\n};\n' % (self.iterations, salt, key(b"Server Key").hex(), stored))
        return self

    def add_roster(self, user, people):
        """{bare JID: name}, subscribed both ways. Before the user's first login."""
        items = "".join('\t["%s"] = { ["subscription"] = "both"; ["name"] = "%s"; ["groups"] = {}; };\n' % item
                        for item in people.items())
        self._store("roster", user, 'return {\n\t[false] = { ["version"] = 1; };\n%s};\n' % items)

    def database(self):
        db = sqlite3.connect(self.archive_file(), timeout=20, isolation_level=None)
        # Prosody makes its tables at the first use: the same statements, for an archive that is filled before
        db.executescript('''
            CREATE TABLE IF NOT EXISTS "prosodyarchive" ("sort_id" INTEGER PRIMARY KEY AUTOINCREMENT, "host" TEXT NOT NULL,
              "user" TEXT NOT NULL, "store" TEXT NOT NULL, "key" TEXT NOT NULL, "when" INTEGER NOT NULL, "with" TEXT NOT NULL,
              "type" TEXT NOT NULL, "value" TEXT NOT NULL);
            CREATE UNIQUE INDEX IF NOT EXISTS "prosodyarchive_index" ON "prosodyarchive" ("host", "user", "store", "key");
            CREATE INDEX IF NOT EXISTS "prosodyarchive_with_when" ON "prosodyarchive" ("host", "user", "store", "with", "when");
            CREATE INDEX IF NOT EXISTS "prosodyarchive_when" ON "prosodyarchive" ("host", "user", "store", "when");
            CREATE INDEX IF NOT EXISTS "prosodyarchive_sort" ON "prosodyarchive" ("host", "user", "store", "sort_id");''')
        db.execute("BEGIN IMMEDIATE")
        return db

    def seed_archive(self, user, messages):
        """Write seed.Seeded messages into the user's archive, as Prosody writes them itself."""
        db = self.database()
        db.executemany(
            'INSERT INTO prosodyarchive (host, user, store, key, "when", "with", type, value) '
            "VALUES (?, ?, 'archive', ?, ?, ?, 'xml', ?)",
            [(self.domain, user, str(uuid.uuid4()), m.stamp_us // 1000000, m.contact,
              seed.stanza(m, user, self.domain)) for m in messages])
        db.execute("COMMIT")
        db.close()

    def expire(self, user, keep):
        """Forget all but the newest `keep` messages of the user's archive, as the server's retention would."""
        db = self.database()
        db.execute("DELETE FROM prosodyarchive WHERE user = ? AND sort_id NOT IN (SELECT sort_id FROM prosodyarchive "
                   "WHERE user = ? ORDER BY sort_id DESC LIMIT ?)", (user, user, keep))
        db.execute("COMMIT")
        db.close()


class Ejabberd(Server):
    name = "ejabberd"
    script = "ejabberd-config.sh"
    needs = ("erl", "ejabberdctl", "sqlite3")

    def argv(self):
        return ["sh", os.path.join(SERVERS, "ejabberd-run.sh"), self.dir]

    def cert_environment(self):
        chain, _key = self.certs.pair(self.cert)
        return {"CERT": os.path.join(self.certs.dir, "server.pem") if self.cert == "good" else chain[:-4] + ".pem"}

    def archive_file(self):
        return os.path.join(self.dir, "spool", "archive.db")

    def _up(self):
        return Server._up(self) and listening(self.http_port)

    def api(self, command, **arguments):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}/api/{command}",
                                         json.dumps(arguments).encode(), {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)

    def add_user(self, user, password="pw"):
        """The server must run."""
        self.api("register", user=user, host=self.domain, password=password)
        return self

    def add_roster(self, user, people):
        for jid, name in people.items():
            common = dict(localuser=user, localhost=self.domain, user=jid.split("@")[0], host=self.domain, nick=name, subs="both")
            try:
                self.api("add_rosteritem", groups=[], **common)
            except urllib.error.HTTPError:      # before ejabberd 24
                self.api("add_rosteritem", group="", **common)

    def seed_archive(self, user, messages):
        """Write seed.Seeded messages into the user's archive, as ejabberd writes them itself (id = microseconds)."""
        rows, last = [], 0
        for m in messages:
            last = max(m.stamp_us, last + 1)
            peer = m.contact if m.outgoing else m.contact + "/desk"
            rows.append((user, last, peer, m.contact, seed.stanza(m, user, self.domain, xmlns=True), m.body))
        db = self.database()
        db.executemany("INSERT INTO archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick) "
                       "VALUES (?, ?, ?, ?, ?, ?, 'chat', '')", rows)
        db.execute("COMMIT")
        db.close()

    def expire(self, user, keep):
        """Forget all but the newest `keep` messages of the user's archive, as the server's retention would."""
        db = self.database()
        db.execute("DELETE FROM archive WHERE username = ? AND id NOT IN (SELECT id FROM archive WHERE username = ? "
                   "ORDER BY timestamp DESC LIMIT ?)", (user, user, keep))
        db.execute("COMMIT")
        db.close()


BY_NAME = {"prosody": Prosody, "ejabberd": Ejabberd}
