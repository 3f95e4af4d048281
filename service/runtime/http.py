"""Serves the HTTP API, and what operators ask of a process that has none."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry

from service.api.app import create_operations
from service.api.guard import Hosts
from service.api.server import MAX_CONNECTIONS, http_server
from service.ports.readiness import Check
from service.runtime.tasks import running_task
from service.settings import Settings

_STOP_SECONDS: Final = 5


@asynccontextmanager
async def serving_api(settings: Settings, app: FastAPI) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    """Serve the API while the context is open: the server's task, and its URL.

    Raises:
        ConnectionError: the port cannot be used.
    """
    _allow_files(2 * MAX_CONNECTIONS)
    hint = "Set another port with TASKEXEC_HTTP_PORT or --http-port (0: any that is free)."
    async with _serving(app, settings.http_host, settings.http_port, hint) as (task, port):
        yield task, f"http://{settings.http_host}:{port}"


@asynccontextmanager
async def serving_operations(
    settings: Settings, port: int, checks: Mapping[str, Check], registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve metrics and readiness, for a process that has no API, while the context is open.

    Raises:
        ConnectionError: the port cannot be used.
    """
    app = create_operations(checks, registry, hosts(settings))
    async with _serving(app, settings.http_host, port, "Set another port with TASKEXEC_METRICS_PORT.") as (task, _):
        yield task


def hosts(settings: Settings) -> Hosts:
    """The names that an HTTP server of this process answers to."""
    return Hosts(frozenset({settings.http_host.lower(), *settings.allowed_hosts}), settings.trust_network)


@asynccontextmanager
async def _serving(app: FastAPI, host: str, port: int, hint: str) -> AsyncIterator[tuple[asyncio.Task[None], int]]:
    """The server's task, and the port it got; `hint` says what to do where there is none."""
    server = http_server(app, host, port)
    with _listen(host, port, hint) as listener:
        async with running_task(server.serve([listener]), "http server") as task:
            try:
                yield task, listener.getsockname()[1]
            finally:
                server.should_exit = True
                await asyncio.wait([task], timeout=_STOP_SECONDS)


def _allow_files(count: int) -> None:
    """Let this process open so many files, as far as the system lets it: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int, hint: str) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConnectionError(f"Nothing can listen on {host}:{port}: {reason}. {hint}") from error
