"""A network of its own for a daemon: a namespace, a cable to this one, and addresses that come and go."""

import asyncio
import itertools
import os
import subprocess

from . import loop

TRY = f"varvetest-try-{os.getpid()}"      # tests run side by side
CABLES_MAX = 1000                         # on this machine at a time: the number is part of the addresses
_names = itertools.count()
_numbers = itertools.count(os.getpid() % 200 * 4)


def ip(*argv):
    subprocess.run(["ip", *argv], check=True, capture_output=True, timeout=10)


def lay_cable(into):
    """The number of a cable that nobody else has: tests run side by side, and one that was killed left its own."""
    for _ in range(CABLES_MAX):
        n = next(_numbers) % CABLES_MAX
        try:
            ip("link", "add", f"vt{n}a", "type", "veth", "peer", "name", f"vt{n}b", "netns", into)
            return n
        except subprocess.CalledProcessError as e:
            if b"exists" not in e.stderr:
                raise
    raise OSError(f"{CABLES_MAX} cables of tests are here: ip link; ip link delete vt0a")


def usable():
    """None, or why there can be no namespaces here."""
    try:
        ip("netns", "add", TRY)
        ip("netns", "delete", TRY)
    except (OSError, subprocess.CalledProcessError) as e:
        return f"no network namespaces: {getattr(e, 'stderr', b'') or e}"
    return None


class Network:
    """.wrap starts a program inside; .near is this side's address, where `forward(port)` leads on to 127.0.0.1."""

    def __init__(self):
        self.name = f"varvetest-{os.getpid()}-{next(_names)}"
        self.wrap = ["ip", "netns", "exec", self.name]
        self._servers = []
        self.address = self._buried = None
        ip("netns", "add", self.name)
        n = lay_cable(self.name)
        self.net = f"10.{70 + n // 250}.{n % 250}"
        self.near = f"{self.net}.1"
        self._outer, self._inner = f"vt{n}a", f"vt{n}b"
        ip("addr", "add", f"{self.near}/24", "dev", self._outer)
        ip("link", "set", self._outer, "up")
        self.inside("link", "set", "lo", "up")

    @property
    def device(self):
        """The daemon's end of the cable."""
        return self._inner

    def inside(self, *argv):
        ip("-n", self.name, *argv)

    def plug(self, host):
        """The daemon's side is up, as ${net}.${host}."""
        self.inside("link", "set", self._inner, "up")
        self.inside("addr", "add", f"{self.net}.{host}/24", "dev", self._inner)
        self.inside("route", "replace", "default", "via", self.near)
        self.address = host

    def unplug(self):
        self.inside("addr", "flush", "dev", self._inner)
        self.inside("link", "set", self._inner, "down")

    def move(self, host):
        """Another network: the old address is gone, there is a new one."""
        self.inside("addr", "flush", "dev", self._inner)
        self.plug(host)

    def silence(self):
        """Nothing gets to the daemon any more, and nobody says so."""
        self._buried = f"{self.net}.{self.address}/32"
        ip("route", "replace", "blackhole", self._buried)

    def forward(self, port):
        """The port on this side of the cable that leads to 127.0.0.1:port."""
        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        async def accept(reader, writer):
            try:
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

        server = loop.run(asyncio.start_server(accept, self.near, 0))
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    def close(self):
        async def stop(server):
            server.close()
        for server in self._servers:
            loop.run(stop(server))
        if self._buried:
            ip("route", "delete", "blackhole", self._buried)
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True)
        subprocess.run(["ip", "link", "delete", self._outer], capture_output=True)
