"""
A network of its own for a daemon: two namespaces, a cable between them, and addresses that come and go.

Nothing of it is in the machine's own network: a cable laid there is a change of network to every daemon of the stories that
run beside this one, and to those of the machine.
"""

import asyncio
import ctypes
import itertools
import os
import socket
import subprocess
import threading

from . import loop

CLONE_NEWNET = 0x40000000
TRY = f"varvetest-try-{os.getpid()}"      # tests run side by side
_names = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*argv):
    subprocess.run(["ip", *argv], check=True, capture_output=True, timeout=10)


def usable():
    """None, or why there can be no namespaces here."""
    try:
        ip("netns", "add", TRY)
        try:
            ip("-n", TRY, "link")       # in a chroot it can be made and not be entered
        finally:
            ip("netns", "delete", TRY)
    except (OSError, subprocess.CalledProcessError) as e:
        return f"no network namespaces: {getattr(e, 'stderr', b'') or e}"
    return None


def socket_in(namespace, kind, address):
    """A socket bound to the address in that namespace. It stays there; the thread that went in is gone with this call."""
    made = []

    def run():
        try:
            with open(f"/run/netns/{namespace}") as f:
                if _libc.setns(f.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"setns {namespace}")
            sock = socket.socket(socket.AF_INET, kind)
            sock.bind(address)
            made.append(sock)
        except OSError as e:
            made.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Network:
    """.wrap starts a program inside; .near is the other end's address, where `forward(port)` leads on to 127.0.0.1."""

    net, near, device = "10.70.0", "10.70.0.1", "inner"

    def __init__(self):
        self.name = f"varvetest-{os.getpid()}-{next(_names)}"
        self._outside = f"{self.name}-near"
        self.wrap = ["ip", "netns", "exec", self.name]
        self._servers = []
        self.address = None
        ip("netns", "add", self.name)
        ip("netns", "add", self._outside)
        self.outside("link", "add", "outer", "type", "veth", "peer", "name", self.device, "netns", self.name)
        self.outside("addr", "add", f"{self.near}/24", "dev", "outer")
        self.outside("link", "set", "outer", "up")
        self.inside("link", "set", "lo", "up")

    def inside(self, *argv):
        """ip(8) on the daemon's side."""
        ip("-n", self.name, *argv)

    def outside(self, *argv):
        """ip(8) on the other end of the cable."""
        ip("-n", self._outside, *argv)

    def plug(self, host):
        """The daemon's side is up, as ${net}.${host}."""
        self.inside("link", "set", self.device, "up")
        self.inside("addr", "add", f"{self.net}.{host}/24", "dev", self.device)
        self.inside("route", "replace", "default", "via", self.near)
        self.address = host

    def unplug(self):
        self.inside("addr", "flush", "dev", self.device)
        self.inside("link", "set", self.device, "down")

    def move(self, host):
        """Another network: the old address is gone, there is a new one."""
        self.inside("addr", "flush", "dev", self.device)
        self.plug(host)

    def silence(self):
        """Nothing gets to the daemon any more, and nobody says so."""
        self.outside("route", "replace", "blackhole", f"{self.net}.{self.address}/32")

    def socket(self, kind, port=0):
        """A socket at .near, which programs inside can reach."""
        return socket_in(self._outside, kind, (self.near, port))

    def forward(self, port):
        """The port at .near that leads to this machine's 127.0.0.1:port."""
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

        server = loop.run(asyncio.start_server(accept, sock=self.socket(socket.SOCK_STREAM)))
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    def close(self):
        async def stop(server):
            server.close()
        for server in self._servers:
            loop.run(stop(server))
        for name in (self.name, self._outside):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
