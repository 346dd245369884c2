"""A TCP proxy that misbehaves on request: delays, cuts, swallows, falls silent, strips STARTTLS."""

import asyncio
import re
import socket
import struct

from . import loop
from .ports import free_port


HEARD_MAX = 1 << 20      # bytes kept of what clients say


class Proxy:
    """Listens on .port, forwards to 127.0.0.1:target. All attributes may be changed while it runs."""

    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.delay = 0.0                # seconds, each way
        self.blackhole = False          # accepts and swallows everything, in both directions
        self.silent_after = None        # bytes towards the client of a connection; then nothing more
        self.cut_after = None           # bytes from now on, in both directions together; then cut(), once
        self.cuts = 0                   # of those
        self.strip_starttls = False
        self.connections = 0            # accepted since the start
        self._buried = 0                # of those
        self.to_client = 0              # bytes
        self.to_server = 0
        self.flights = 0                # of the newest connection: how often its client spoke after having heard something
        self.heard = bytearray()        # the first bytes that clients sent, as they were
        self._pairs = set()
        self._tasks = set()
        self._server = None
        self.resume()

    def resume(self):
        """Accept connections (again)."""
        if self._server is None:
            self._server = loop.run(asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=1 << 20))

    def refuse(self):
        """Close the door: connections are refused until resume()."""
        async def close():
            self._server.close()
        if self._server is not None:
            loop.run(close())
            self._server = None

    def bury(self):
        """What is open now is dead, and does not say so; new connections are whole."""
        self._buried = self.connections

    def cut(self):
        """Reset every connection (RST both ways)."""
        loop.call(self._cut)

    def _cut(self):
        for writer in list(self._pairs):
            try:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except (OSError, AttributeError):
                pass        # closed already
            writer.transport.abort()

    @property
    def open(self):
        """Connections to clients that are open now."""
        return len(self._pairs) // 2

    async def _accept(self, reader, writer):
        self.connections += 1
        self.flights, self._last_client = 0, False
        number = self.connections
        self._tasks.add(asyncio.current_task())
        if self.blackhole and self._pairs is not None:
            self._pairs.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=1 << 20)
        except OSError:
            self._pairs.discard(writer)
            writer.close()
            return
        pair = {writer, up_writer}
        self._pairs |= pair
        try:
            await asyncio.gather(self._pump(reader, up_writer, False, number), self._pump(up_reader, writer, True, number))
        except OSError:
            pass
        finally:
            self._pairs -= pair
            for w in pair:
                w.transport.abort()
            self._tasks.discard(asyncio.current_task())

    async def _pump(self, reader, writer, to_client, number):
        """A long link, not a narrow one: what is on its way does not wait for what went before."""
        way = asyncio.Queue(256)        # (when it arrives, bytes)
        arrivals = asyncio.ensure_future(self._deliver(way, writer, to_client, number))
        try:
            while not arrivals.done():
                data = await reader.read(65536)
                if data:
                    self.flights += not to_client and not self._last_client
                    self._last_client = not to_client
                await way.put((asyncio.get_running_loop().time() + self.delay, data))
                if not data:
                    break
            await arrivals
        finally:
            arrivals.cancel()

    async def _deliver(self, way, writer, to_client, number):
        passed = 0
        while True:
            due, data = await way.get()
            wait = due - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not data and number <= self._buried:
                return
            if not data:
                break
            if self.blackhole or number <= self._buried:
                continue
            if to_client:
                if self.strip_starttls:
                    data = re.sub(rb"<starttls\b[^>]*(/>|>.*?</starttls>)", b"", data, flags=re.S)
                if self.silent_after is not None:
                    data = data[:max(0, self.silent_after - passed)]
                self.to_client += len(data)
            else:
                self.to_server += len(data)
                self.heard += data[:max(0, HEARD_MAX - len(self.heard))]
            cut = self.cut_after is not None and len(data) >= self.cut_after
            if cut:
                data = data[:self.cut_after]
            elif self.cut_after is not None:
                self.cut_after -= len(data)
            passed += len(data)
            if data:
                writer.write(data)
                await writer.drain()
            if cut:
                self.cut_after = None
                self.cuts += 1
                self._cut()
        if not self.blackhole:
            writer.close()

    def close(self):
        self.refuse()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Mute:
    """Listens and never says a word."""

    def __init__(self):
        self.sock = socket.socket()
        self.port = free_port()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", self.port))
        self.sock.listen(16)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
