"""What operators and their tools ask: is it alive, is it ready, its metrics; and where everything is."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from service.api.describe import problems
from service.api.ports import Check
from service.contracts.problems import Code, FieldError, RejectedError, problem

CHECK_SECONDS = 3.0
"""How long a part may take to say that it is ready."""


class _Metrics(Response):
    media_type = CONTENT_TYPE_LATEST


def operation_routes(checks: Mapping[str, Check]) -> APIRouter:
    """The routes outside of `/api`; `checks` are the parts that must answer for the service to be ready."""
    router = APIRouter(tags=["Operations"])

    @router.get("/", operation_id="Index", summary="What there is")
    async def index() -> dict[str, Any]:
        return {
            "service": "task-execution-service",
            "links": {
                "description": "/openapi.json",
                "executions": "/api/v1/task-executions",
                "stats": "/api/v1/task-execution-stats",
                "alive": "/healthz",
                "ready": "/readyz",
                "metrics": "/metrics",
            },
        }

    @router.get("/healthz", operation_id="Health", summary="Whether the process is alive")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @router.get(
        "/readyz",
        operation_id="Readiness",
        summary="Whether all that it needs answers",
        responses=problems(Code.UNAVAILABLE),
    )
    async def readiness() -> dict[str, Any]:
        flaws = await asyncio.gather(*(_flaw(check) for check in checks.values()))
        errors = tuple(
            FieldError(pointer=f"#/{name}", detail=flaw) for name, flaw in zip(checks, flaws, strict=True) if flaw
        )
        if errors:
            raise RejectedError(problem(Code.UNAVAILABLE, "The service is not ready: see errors.", errors))
        return {"status": "ready", "parts": list(checks)}

    @router.get(
        "/metrics", operation_id="Metrics", summary="Metrics in the Prometheus text format", response_class=_Metrics
    )
    async def metrics() -> Response:
        return _Metrics(generate_latest(REGISTRY))

    return router


async def _flaw(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the part, it is not ready
        return f"{type(error).__name__}: {error}"
    return None
