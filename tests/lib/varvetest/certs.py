"""A CA and server certificates, made by openssl as in tests/servers/mkca.sh, and the bad ones beside them."""

import os
import subprocess

SERVERS = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", "servers"))


class Certs:
    """DIR/ca.crt, and for each kind DIR/KIND.key, DIR/KIND.crt (chain): good expired selfsigned wronghost."""

    def __init__(self, directory, domain):
        self.dir = str(directory)
        self.ca = os.path.join(self.dir, "ca.crt")
        if not os.path.exists(self.ca):
            subprocess.run(["sh", os.path.join(SERVERS, "mkca.sh"), self.dir, domain], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pair(self, kind="good"):
        """(certificate chain, key) for ssl.SSLContext.load_cert_chain or a server's configuration."""
        name = {"good": ("fullchain.crt", "server.key")}.get(kind, (kind + ".crt", kind + ".key"))
        return tuple(os.path.join(self.dir, n) for n in name)
