"""What a web page that a user's browser has open can make it send: it must reach nothing."""

from collections.abc import Iterable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from service.api.app import create_app
from service.api.guard import MAX_HEAD_BYTES, Hosts
from tests.api.scripted import ID, ScriptedCommands, ScriptedQueries
from tests.api.test_errors import is_problem

EXECUTIONS = "/api/v1/task-executions"
PATHS = ["/", "/openapi.json", "/metrics", "/healthz", "/readyz", f"{EXECUTIONS}/{ID}", "/nothing"]
LOOPBACK = ["localhost", "LocalHost.", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]"]
ADDRESSES = ["10.1.2.3", "[fd00::1]", "0.0.0.0"]  # noqa: S104 - a value of Host
STRANGERS = ["evil.com", "localhost.evil.com", "evillocalhost", "127.0.0.1.evil.com", "2130706433", "127.1", "api"]
EVERY_HOST = Hosts(frozenset({"*"}))


async def ask(app: FastAPI, method: str, path: str, *headers: tuple[str, str], content: bytes = b"") -> httpx2.Response:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://localhost") as http:
        request = http.build_request(method, path, content=content)
    request.headers = httpx2.Headers(headers)
    return await transport.handle_async_request(request)


def an_app(hosts: Hosts, commands: ScriptedCommands | None = None) -> FastAPI:
    return create_app(commands or ScriptedCommands(), ScriptedQueries(), {}, hosts)


async def allowed(hosts: Hosts, names: Iterable[str]) -> list[str]:
    app = an_app(hosts)
    found = {name: (await ask(app, "GET", "/healthz", ("Host", name))).status_code for name in names}
    assert set(found.values()) <= {200, 421}
    return [name for name in names if found[name] == 200]


@pytest.mark.parametrize("port", ["", ":8080", ":"])
async def test_only_names_of_loopback_are_answered_to(port: str) -> None:
    ours = [name + port for name in LOOPBACK]

    assert await allowed(Hosts(), [name + port for name in LOOPBACK + ADDRESSES + STRANGERS]) == ours


async def test_on_a_trusted_network_addresses_are_answered_to_as_well() -> None:
    assert await allowed(Hosts(addresses=True), LOOPBACK + ADDRESSES + STRANGERS) == LOOPBACK + ADDRESSES


async def test_names_that_are_listed_are_answered_to() -> None:
    hosts = Hosts(frozenset({"api", "10.1.2.3", "fd00::1"}))

    assert await allowed(hosts, [*ADDRESSES, *STRANGERS, "API"]) == ["10.1.2.3", "[fd00::1]", "api", "API"]
    assert await allowed(EVERY_HOST, ADDRESSES + STRANGERS) == ADDRESSES + STRANGERS


@pytest.mark.parametrize("path", PATHS)
async def test_no_resource_is_shown_to_a_stranger(path: str) -> None:
    response = await ask(an_app(Hosts()), "GET", path, ("Host", "evil.com"))
    await response.aread()

    assert is_problem(response, 421, "host_not_allowed")
    assert "TASKEXEC_ALLOWED_HOSTS" in response.json()["detail"]


@pytest.mark.parametrize(
    "hosts", [[], ["localhost", "localhost"], ["localhost", "evil.com"], ["a b"], [""], ["u@localhost"]]
)
async def test_there_is_exactly_one_host(hosts: list[str]) -> None:
    response = await ask(an_app(EVERY_HOST), "GET", "/healthz", *(("Host", name) for name in hosts))
    await response.aread()

    assert is_problem(response, 400, "malformed_request")


HOST = ("Host", "localhost:8080")
JSON = ("Content-Type", "application/json")
OWN = ("Origin", "http://localhost:8080")
OTHER = ("Origin", "http://evil.com")


@pytest.mark.parametrize("path", [f"{EXECUTIONS}/{ID}/start", f"{EXECUTIONS}/{ID}/stop", EXECUTIONS])
@pytest.mark.parametrize(
    "sent",
    [
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site"), OWN],
        [("Sec-Fetch-Site", "unknown")],
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        [OTHER],
        [OWN, OTHER],
        [("Origin", "null")],
        [("Origin", "")],
        [("Origin", "http://localhost")],
        [("Origin", "http://localhost:8080@evil.com")],
        [("Origin", "http://[evil")],
    ],
)
async def test_another_origin_changes_nothing(path: str, sent: list[tuple[str, str]]) -> None:
    commands = ScriptedCommands()
    response = await ask(an_app(Hosts(), commands), "POST", path, HOST, JSON, *sent, content=b"{}")
    await response.aread()

    assert is_problem(response, 403, "cross_origin")
    assert not commands.submitted


@pytest.mark.parametrize(
    "sent", [[], [OWN], [("Origin", "https://LOCALHOST:8080")], [("Sec-Fetch-Site", "same-origin"), OTHER],
             [("Sec-Fetch-Site", "none")]],
)  # fmt: skip
async def test_pages_of_ours_and_programs_may_change_something(sent: list[tuple[str, str]]) -> None:
    commands = ScriptedCommands()
    response = await ask(an_app(Hosts(), commands), "POST", f"{EXECUTIONS}/{ID}/start", HOST, JSON, *sent)

    assert response.status_code == 200
    assert len(commands.submitted) == 1


async def test_another_origin_may_ask_for_what_browsers_do_not_show_it() -> None:
    response = await ask(an_app(Hosts()), "GET", "/healthz", HOST, OTHER, ("Sec-Fetch-Site", "cross-site"))

    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("where", ["path", "query", "header"])
async def test_a_head_without_end_is_refused(where: str) -> None:
    more: dict[str, Any] = {"path": "x" * MAX_HEAD_BYTES, "query": "?" + "&".join(["a"] * MAX_HEAD_BYTES)}
    response = await ask(
        an_app(Hosts()),
        "GET",
        "/" + more.get(where, ""),
        HOST,
        ("X", "x" * MAX_HEAD_BYTES if where == "header" else ""),
    )
    await response.aread()

    assert is_problem(response, 431, "head_too_large")
