"""A relay in front of the API that can lose answers: the service has carried out what the client never hears of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Relay:
    """`instead()` is asked for each answer: what the client gets in its place, or None; of b"", the connection ends."""

    url: str
    instead: Callable[[], bytes | None]
    own_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection for each request."""
        address = urlsplit(self.url)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            request = await _message(reader)
            request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            api_reader, api_writer = await asyncio.open_connection(address.hostname, address.port)
            api_writer.write(request)
            answer = await _message(api_reader)
            api_writer.close()
            other = self.instead()
            writer.write(answer if other is None else other)
            await writer.drain()
        writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    return head + await reader.readexactly(length)


@asynccontextmanager
async def a_relay(url: str, instead: Callable[[], bytes | None]) -> AsyncIterator[Relay]:
    """A relay of the API on a free port."""
    relay = Relay(url, instead)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.own_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield relay
    server.close()


@dataclass
class Cutter:
    """Passes everything on; `cut()` ends all connections, wherever they are."""

    url: str
    own_url: str = ""
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        for writer in self.connections:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self.url)
        api_reader, api_writer = await asyncio.open_connection(address.hostname, address.port)
        ends = {writer, api_writer}
        self.connections |= ends
        await asyncio.gather(_pass_on(reader, api_writer), _pass_on(api_reader, writer))
        self.connections -= ends


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def a_cutter(url: str) -> AsyncIterator[Cutter]:
    """A cutter in front of the API, on a free port."""
    cutter = Cutter(url)
    server = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    cutter.own_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield cutter
    server.close()
    cutter.cut()
