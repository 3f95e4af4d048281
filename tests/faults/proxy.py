"""A proxy in front of the broker that can keep one request on the wire, to let it arrive later than it was sent."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

END_TXN, TXN_OFFSET_COMMIT = 26, 28
"""The API keys of the requests."""


@dataclass
class Proxy:
    """`hold(key)` keeps the next request of this kind and cuts its client off; `release()` delivers it."""

    host: str
    port: int
    own_port: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    _wanted: int | None = None
    _kept: tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes] | None = None

    def hold(self, api_key: int) -> None:
        self._wanted = api_key
        self.held.clear()

    async def release(self) -> None:
        """Deliver what is held; on return the broker has answered, to nobody."""
        assert self._kept is not None
        reader, writer, request = self._kept
        writer.write(request)
        await _frame(reader)
        writer.close()
        await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        broker_reader, broker_writer = await asyncio.open_connection(self.host, self.port)
        answers = asyncio.create_task(self._forward_answers(broker_reader, writer))
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                request = await _frame(reader)
                if struct.unpack_from(">h", request, 4)[0] == self._wanted:
                    self._wanted = None
                    answers.cancel()
                    await asyncio.wait([answers])
                    self._kept = broker_reader, broker_writer, request
                    self.held.set()
                    break
                broker_writer.write(request)
        if self._kept is None or self._kept[1] is not broker_writer:
            broker_writer.close()
        answers.cancel()
        writer.close()

    async def _forward_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                writer.write(await _frame(reader))
        writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """One request or answer, its length included."""
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack(">i", length)[0])


@asynccontextmanager
async def a_proxy(servers: str) -> AsyncIterator[Proxy]:
    """A proxy of the broker on a free port."""
    host, port = servers.split(":")
    proxy = Proxy(host, int(port))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.own_port = server.sockets[0].getsockname()[1]
    yield proxy
    server.close()
