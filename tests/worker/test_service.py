"""The service over HTTP, as a worker calls it."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from service.contracts.commands import HeartbeatTaskExecution, SucceedTaskExecution
from service.ports.claims import ClaimTaskExecution
from service.worker.service import HttpService, RefusedError, UnreachableError
from tests.api.scripted import ID, RUNNING

CLAIM = ClaimTaskExecution(owner="w", lease=timedelta(seconds=30), tasks=(), wait=0)


def service(*answers: httpx2.Response | Exception) -> tuple[HttpService, list[httpx2.Request]]:
    """Gives these answers, one after the other."""
    asked: list[httpx2.Request] = []
    left = [*answers]

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    made = HttpService("http://127.0.0.1:8080")
    made._client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://127.0.0.1:8080")
    return made, asked


def problem(status: int, code: str, **more: Any) -> httpx2.Response:
    return httpx2.Response(status, json={"code": code, "detail": "it is not.", "status": status} | more)


async def test_a_report_is_sent_again_under_one_key_until_it_is_answered() -> None:
    made, asked = service(
        httpx2.ConnectError("refused"),
        problem(503, "unavailable"),
        httpx2.Response(500, text="oops"),
        httpx2.Response(200),
    )
    await made.report(SucceedTaskExecution(execution_id=ID, outputs={"a": None, "b": float("nan")}, owner="w"))
    assert {request.url.path for request in asked} == {f"/api/v1/task-executions/{ID}/succeed"}
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert asked[0].content == b'{"outputs":{"a":null,"b":NaN},"owner":"w"}', "the service says what is wrong with it"


async def test_each_report_has_a_key_of_its_own() -> None:
    made, asked = service(httpx2.Response(200), httpx2.Response(200))
    for _ in range(2):
        await made.report(HeartbeatTaskExecution(execution_id=ID, owner="w"))
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 2


async def test_a_refusal_says_what_was_wrong() -> None:
    made, _ = service(problem(422, "invalid_outputs", errors=[{"pointer": "#/outputs/a", "detail": "must be a text"}]))
    with pytest.raises(RefusedError) as caught:
        await made.report(SucceedTaskExecution(execution_id=ID, outputs={}, owner="w"))
    assert (caught.value.code, caught.value.detail) == ("invalid_outputs", "it is not. #/outputs/a: must be a text")


async def test_what_is_no_service_is_told() -> None:
    for answer in (httpx2.Response(404, text="<html>"), httpx2.Response(403, json=[])):
        made, _ = service(answer)
        with pytest.raises(RefusedError, match="check its URL"):
            await made.claim(CLAIM)


async def test_what_a_later_service_adds_is_left_alone() -> None:
    later = RUNNING | {"later": 1, "metadata": RUNNING["metadata"] | {"later": 2}}
    made, asked = service(httpx2.Response(200, json=later), httpx2.Response(204))
    found = await made.claim(CLAIM)
    assert found is not None
    assert (found.id, found.resolved_inputs) == (ID, RUNNING["resolvedInputs"])
    assert await made.claim(CLAIM) is None
    assert json.loads(asked[0].content) == {"owner": "w", "lease": "PT30S", "tasks": [], "wait": 0}


async def test_a_claim_is_not_sent_again_by_itself() -> None:
    made, asked = service(httpx2.ReadError("gone"))
    with pytest.raises(UnreachableError, match="ReadError"):
        await made.claim(CLAIM)
    assert len(asked) == 1


async def test_a_report_that_nobody_waits_for_ends() -> None:
    made, _ = service(*[httpx2.ConnectError("refused")] * 99)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await made.report(HeartbeatTaskExecution(execution_id=ID, owner="w"))
