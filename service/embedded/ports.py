"""Ports of this machine: which are free, which somebody listens on."""

import asyncio
import errno
import secrets
import socket
import time
from contextlib import closing
from typing import Final

from service.embedded.errors import EmbeddedError

_UNASSIGNED: Final = range(20_000, 32_000)
_PATIENCE_SECONDS: Final = 3
"""A broker whose parent was killed is dying itself, and lets go of its port shortly."""


def free_port(host: str) -> int:
    """Return a port that nobody uses now, of those that no outgoing connection is ever given; nothing reserves it."""
    while True:
        port = secrets.choice(_UNASSIGNED)
        if not _problem(host, port):
            return port


def is_listening(host: str, port: int) -> bool:
    """Tell whether anybody accepts connections."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex((host, port)) == 0


async def wait_until_free(host: str, port: int) -> None:
    """Return as soon as the port can be listened on.

    Raises:
        EmbeddedError: it is still in use after a few seconds, or may not be used at all.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while problem := _problem(host, port):
        if time.monotonic() > deadline:
            advice = "choose another port with --kafka-port"
            raise EmbeddedError(f"Kafka can't listen on {host}:{port} ({problem}): {advice}.")
        await asyncio.sleep(0.05)


def _problem(host: str, port: int) -> str | None:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return "another process uses it" if error.errno == errno.EADDRINUSE else error.strerror
    return None
