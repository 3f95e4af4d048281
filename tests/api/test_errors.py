from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from service.contracts.topics import MAX_COMMAND_BYTES
from tests.api.scripted import ID, ScriptedCommands, ScriptedQueries

EXECUTIONS = "/api/v1/task-executions"
JSON = {"Content-Type": "application/json"}


def is_problem(response: httpx2.Response, status: int, code: str) -> bool:
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    return (response.status_code, answer["status"], answer["code"]) == (status, status, code)


async def test_a_line_feed_after_a_path_is_not_overlooked(http: AsyncClient, commands: ScriptedCommands) -> None:
    for method, path in (("GET", "/healthz%0A"), ("POST", f"{EXECUTIONS}/{ID}/start%0A"), ("POST", f"{EXECUTIONS}%0A")):
        assert is_problem(await http.request(method, path, json={}), 404, "not_found")
    assert not commands.submitted


@pytest.mark.parametrize("path", ["/nothing", "/api/v2/task-executions", f"{EXECUTIONS}/", "/redoc"])
async def test_an_unknown_path_is_not_found(http: AsyncClient, path: str) -> None:
    response = await http.get(path)

    assert is_problem(response, 404, "not_found")
    assert path in response.json()["detail"]


async def test_an_unknown_action_is_not_found(http: AsyncClient) -> None:
    assert is_problem(await http.post(f"{EXECUTIONS}/{ID}/pause"), 404, "not_found")


async def test_a_method_that_is_not_supported_says_which_are(http: AsyncClient) -> None:
    response = await http.delete(f"{EXECUTIONS}/{ID}")

    assert is_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD"
    assert "it supports GET, HEAD" in response.json()["detail"]


async def test_all_methods_of_a_path_are_told(http: AsyncClient) -> None:
    response = await http.options(EXECUTIONS)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"taskId": "a:b", "taskId": "a:c"}',
        b'{"inputs": {"x": NaN}}',
        b'{"inputs": {"x": 123456789012345678901234567890}}',
        b'{"inputs": {"x": "\\u0000"}}',
        b'{"inputs": {"x": "\\ud800"}}',
        b"\xff",
    ],
)
async def test_a_body_that_is_not_strict_json_is_refused(
    http: AsyncClient, commands: ScriptedCommands, body: bytes
) -> None:
    assert is_problem(await http.post(EXECUTIONS, content=body, headers=JSON), 400, "invalid_json")
    assert not commands.submitted


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_a_body_that_is_not_declared_as_json_is_refused(
    http: AsyncClient, commands: ScriptedCommands, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    for path, body in ((EXECUTIONS, b"{}"), (f"{EXECUTIONS}/{ID}/start", b"")):
        response = await http.post(path, content=body, headers=headers)
        assert is_problem(response, 415, "unsupported_media_type")
        assert "Send `Content-Type: application/json`" in response.json()["detail"]
    assert not commands.submitted


async def test_a_body_of_two_types_is_refused(http: AsyncClient, commands: ScriptedCommands) -> None:
    headers = [*JSON.items(), ("Content-Type", "text/plain")]

    assert is_problem(await http.post(EXECUTIONS, content=b"{}", headers=headers), 415, "unsupported_media_type")
    assert not commands.submitted


async def test_a_charset_does_no_harm(http: AsyncClient) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}

    assert is_problem(await http.post(EXECUTIONS, content=b"{}", headers=headers), 422, "invalid_command")


async def test_a_body_that_is_too_large_is_refused(http: AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_COMMAND_BYTES // 1024 + 1):
            yield b" " * 1024

    declared = await http.post(EXECUTIONS, content=b" " * (MAX_COMMAND_BYTES + 1), headers=JSON)
    streamed = await http.post(EXECUTIONS, content=chunks(), headers=JSON)

    assert is_problem(declared, 413, "payload_too_large")
    assert is_problem(streamed, 413, "payload_too_large")
    assert str(MAX_COMMAND_BYTES) in streamed.json()["detail"]


async def test_an_unforeseen_error_shows_nothing_of_the_inside(http: AsyncClient, queries: ScriptedQueries) -> None:
    queries.error = KeyError("secret")

    response = await http.get(f"{EXECUTIONS}/{ID}")

    assert is_problem(response, 500, "internal_error")
    assert "secret" not in response.text


async def test_an_unforeseen_error_reaches_the_server_which_logs_it(app: FastAPI, queries: ScriptedQueries) -> None:
    queries.error = KeyError("secret")
    async with AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as http:
        with pytest.raises(KeyError):
            await http.get(f"{EXECUTIONS}/{ID}")
