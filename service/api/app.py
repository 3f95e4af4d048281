"""Builds the HTTP application."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.gzip import GZipMiddleware

from service.api.actions import action_routes
from service.api.claims import claim_routes
from service.api.commands import command_routes
from service.api.definitions import definition_routes
from service.api.describe import EVERY_REQUEST, describe, problems
from service.api.docs import docs_routes
from service.api.errors import translate_errors
from service.api.guard import Guard, Hosts
from service.api.head import HeadAsGet
from service.api.live import live_routes
from service.api.names import PREFIX
from service.api.operations import operation_routes
from service.api.ports import Pages, Queries
from service.api.queries import query_routes
from service.ports.claims import Claims
from service.ports.commands import CommandGateway
from service.ports.definitions import Definitions
from service.ports.live import LiveEvents
from service.ports.readiness import Check

_LEAST_TO_GZIP: Final = 1_000
"""In bytes: below that, it would hardly be less on the wire."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION: Final = """\
The system of record for every run of every task.

- **Sending again is safe** with an `Idempotency-Key`: the same command is carried out once, and always answered alike.
- **Reading what you wrote**: queries are answered from a projection that follows within moments. Every command's answer
  has the header `Task-Execution-Position`; a query given it as `minPosition` waits until the projection has passed it.
- **HEAD** is answered wherever GET is.
- **Every error** is an RFC 9457 problem (`application/problem+json`). Its `code` is stable; `detail` says what was
  wrong and what to do; `errors` lists each flaw with a JSON pointer into the body, `#/query/…`,
  `#/path/…` or `#/header/…`.
- **Bodies are strict JSON**: duplicate keys, NaN, integers over 64 bits and unknown fields are refused.
"""


def create_app(  # noqa: PLR0913 - all that it is made of
    commands: CommandGateway,
    queries: Queries,
    checks: Mapping[str, Check],
    hosts: Hosts = Hosts(),  # noqa: B008 - immutable
    *,
    claims: Claims | None = None,
    definitions: Definitions | None = None,
    live: LiveEvents | None = None,
    pages: Pages | None = None,
    principal_header: str | None = None,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The application: nothing in it is global, and nothing connects before `lifespan` is entered.

    Args:
        commands: where commands go.
        queries: who answers queries.
        checks: by name, the parts that must be ready for `/readyz` to say so; more may come later.
        hosts: the names that it answers to, besides those of loopback.
        claims: who gives work to workers, if anybody does.
        definitions: who tells the task definitions, if anybody does.
        live: who tells of events while they happen, if anybody does.
        pages: what people look at, beside the API.
        principal_header: the request header in which a proxy says who calls, if one does.
        lifespan: opens and closes what the app needs.
    """
    app = FastAPI(
        title="Task execution service",
        version=version("task-execution-service"),
        summary="Starts, follows and counts the executions of tasks.",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=[
            {"name": "Commands", "description": "Change a task execution."},
            {"name": "Workers", "description": "Get executions to run."},
            {"name": "Queries", "description": "Find, follow and count task executions."},
            {"name": "Definitions", "description": "What can be executed."},
            {"name": "Operations", "description": "For those who run the service."},
        ],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problems(*EVERY_REQUEST),
        lifespan=lifespan,
    )
    app.include_router(command_routes(commands, queries, definitions, principal_header), prefix=PREFIX)
    app.include_router(action_routes(commands, queries, principal_header), prefix=PREFIX)
    if claims is not None:
        app.include_router(claim_routes(claims, principal_header), prefix=PREFIX)
    if live is not None:
        app.include_router(live_routes(live), prefix=PREFIX)  # before the paths that take any executionId
    app.include_router(query_routes(queries), prefix=PREFIX)
    if definitions is not None:
        app.include_router(definition_routes(definitions), prefix=PREFIX)
    app.include_router(docs_routes())
    if pages is not None:
        app.include_router(pages.routes)  # first: browsers get a page at `/`, programs what is there besides
    app.include_router(operation_routes(checks))
    _wrap(app, hosts, pages)

    def openapi() -> dict[str, Any]:
        app.openapi_schema = app.openapi_schema or describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def create_operations(checks: Mapping[str, Check], registry: CollectorRegistry, hosts: Hosts) -> FastAPI:
    """The application of a process that has no API: whether it is alive, what it has open, and its metrics."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(operation_routes(checks, registry))
    _wrap(app, hosts)
    return app


def _wrap(app: FastAPI, hosts: Hosts, pages: Pages | None = None) -> None:
    translate_errors(app, pages)
    app.add_middleware(GZipMiddleware, minimum_size=_LEAST_TO_GZIP, compresslevel=4)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Guard, hosts=hosts)  # added last: it comes first
