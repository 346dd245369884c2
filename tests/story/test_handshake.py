"""What TCP and TLS use of the last time and of the system: the address, the ticket, the authorities. By a keeper of a few lines
(tests/unit/wire/drive-wire.c)."""

import os
import re
import shutil
import subprocess
import threading
import uuid

import pytest

from varvetest.daemon import build_dir, program
from varvetest.ports import free_port


def drive(port, address="", ticket="", seconds=20, **env):
    """What a wire says that is to connect to `port`, and remembers the rest; its authorities come by `env`."""
    argv = [os.path.join(build_dir(), "tests/unit/wire/drive-wire"), program("varve-wire"), "jid=alice@chat.test", "password=pw",
            "host=127.0.0.1", f"port={port}", "tls=direct", f"address={address}", "commit=auto", f"user_agent={uuid.uuid4()}",
            f"ticket={ticket}"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}) as child:
        said = []
        alarm = threading.Timer(seconds, child.kill)
        alarm.start()
        for line in child.stdout:
            said.append(line)
            if line.startswith("READY"):
                child.stdin.write("stop\n")
                child.stdin.flush()
        alarm.cancel()
        return "".join(said)


def test_address_of_last_time(fast_server, certs, built):
    """It is tried first; where nobody or somebody else is, what the settings or DNS say is."""
    server = fast_server()
    elsewhere = fast_server(cert="wronghost")
    env = {"SSL_CERT_FILE": certs.ca}
    said = drive(elsewhere.tls_port, f"d127.0.0.1:{server.tls_port}", **env)
    assert "READY" in said and not elsewhere.connections, said
    said = drive(server.tls_port, f"d127.0.0.1:{free_port()}", **env)
    assert "READY" in said and f'address="d127.0.0.1:{server.tls_port}"' in said, said
    said = drive(server.tls_port, f"d127.0.0.1:{elsewhere.tls_port}", **env)
    assert "READY" not in said and "authenticate" not in elsewhere.names(), said
    assert "FAILED failure=10" in said and "LOGIN pin=0\n" in said, said


@pytest.mark.parametrize("where", ["file", "directory", "nowhere"])
def test_authorities_of_the_system(fast_server, certs, built, tmp_path, where):
    """The directory, where one is found by its hash, and the file, which is read only when that will not do."""
    server = fast_server()
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    shutil.copy(certs.ca, full / "ca.pem")
    subprocess.run(["openssl", "rehash", str(full)], check=True)
    said = drive(server.tls_port, SSL_CERT_FILE=certs.ca if where == "file" else str(empty / "none"),
                 SSL_CERT_DIR=str(full if where == "directory" else empty))
    assert ("READY" in said) == (where != "nowhere"), said
    assert where != "nowhere" or 'condition="unknown-ca"' in said, said


def test_tls_ticket(fast_server, certs, built):
    """The next handshake is a short one; a ticket of another server, or a broken one, is no harm."""
    server, other = fast_server(), fast_server()
    env = {"SSL_CERT_FILE": certs.ca}
    said = drive(server.tls_port, **env)
    ticket = re.search(r'TICKET ticket="([^"]+)"', said).group(1)
    reused = lambda one: one.connections[-1].writer.get_extra_info("ssl_object").session_reused
    assert not reused(server)
    assert "READY" in drive(server.tls_port, ticket=ticket, **env)
    assert reused(server)
    assert "READY" in drive(other.tls_port, ticket=ticket, **env)
    assert not reused(other)
    assert "READY" in drive(server.tls_port, ticket=ticket[:400], **env)
    assert not reused(server)
