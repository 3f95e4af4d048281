"""What operators and their tools ask: is it alive, is it ready, its metrics; and where everything is."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from service.api.describe import problems
from service.contracts.problems import Code, FieldError, RejectedError, problem
from service.ports.readiness import Check, ask


class _Metrics(Response):
    media_type = CONTENT_TYPE_LATEST


def operation_routes(checks: Mapping[str, Check], registry: CollectorRegistry = REGISTRY) -> APIRouter:
    """The routes outside of `/api`; `checks` are the parts of this process, each of which must be ready."""
    router = APIRouter(tags=["Operations"])

    @router.get("/", operation_id="Index", summary="What there is")
    async def index() -> dict[str, Any]:
        return {
            "service": "task-execution-service",
            "links": {
                "description": "/openapi.json",
                "reference": "/docs",
                "executions": "/api/v1/task-executions",
                "stats": "/api/v1/task-execution-stats",
                "failures": "/api/v1/task-execution-failures",
                "rejections": "/api/v1/task-command-rejections",
                "projection": "/api/v1/projection",
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
        summary="Which part has what open",
        responses=problems(Code.UNAVAILABLE),
    )
    async def readiness() -> dict[str, Any]:
        asked = dict(checks)
        answers = dict(zip(asked, await asyncio.gather(*map(ask, asked.values())), strict=True))
        flaws = {name: answer.detail for name, answer in answers.items() if not answer.ready}
        errors = tuple(FieldError(pointer=f"#/{name}", detail=flaw) for name, flaw in flaws.items())
        if errors:
            raise RejectedError(problem(Code.UNAVAILABLE, "The service is not ready: see errors.", errors))
        return {"status": "ready", "parts": {name: answer.detail for name, answer in answers.items()}}

    @router.get(
        "/metrics", operation_id="Metrics", summary="Metrics in the Prometheus text format", response_class=_Metrics
    )
    async def metrics() -> Response:
        return _Metrics(generate_latest(registry))

    return router
