"""Where a proxy says who calls, each principal has idempotency keys of its own."""

from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest
from httpx2 import AsyncClient

from service.api.app import create_app
from tests.api.scripted import ID, ScriptedCommands, ScriptedQueries

EXECUTIONS = "/api/v1/task-executions"
EXECUTE = {"taskId": "sales:daily_report", "taskVersion": "1.2.0", "inputs": {}}
HEADER = "X-Forwarded-User"
PATHS = [EXECUTIONS, f"{EXECUTIONS}/{ID}/stop"]


@pytest.fixture
async def proxied(commands: ScriptedCommands, queries: ScriptedQueries) -> AsyncIterator[AsyncClient]:
    app = create_app(commands, queries, {}, principal_header=HEADER)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def body(path: str) -> object:
    return EXECUTE if path == EXECUTIONS else {}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("principal", "source"),
    [
        ("anna", "/task-execution-service/api/principals/anna"),
        ("a/b@example.org", "/task-execution-service/api/principals/a%2Fb%40example.org"),
        ("CN=Anna, O=Ex", "/task-execution-service/api/principals/CN%3DAnna%2C%20O%3DEx"),
        ("%61nna", "/task-execution-service/api/principals/%2561nna"),
        ("~" * 255, "/task-execution-service/api/principals/" + "~" * 255),
    ],
)
async def test_the_source_names_the_principal(
    proxied: AsyncClient, commands: ScriptedCommands, path: str, principal: str, source: str
) -> None:
    await proxied.post(path, json=body(path), headers={HEADER: principal, "Idempotency-Key": "k"})

    (submitted,) = commands.submitted
    assert (submitted.source, submitted.id) == (source, "k")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [[], [(HEADER, "")], [(HEADER, ""), (HEADER, "")]])
async def test_who_does_not_say_who_calls_is_refused(
    proxied: AsyncClient, commands: ScriptedCommands, path: str, headers: Sequence[tuple[str, str]]
) -> None:
    response = await proxied.post(path, json=body(path), headers=headers)

    assert (response.status_code, response.json()["code"]) == (403, "principal_required")
    assert HEADER in response.json()["detail"]
    assert not commands.submitted


@pytest.mark.parametrize(
    ("values", "flaw"),
    [
        ([b"anna", b"ben"], "given more than once"),
        ([b"anna", b"anna"], "given more than once"),
        (["jürgen".encode()], "must be 1 to 255 printable ASCII characters"),
        ([b"an\tna"], "must be 1 to 255 printable ASCII characters"),
        ([b"x" * 256], "must be 1 to 255 printable ASCII characters"),
    ],
)
async def test_what_names_no_single_principal_is_refused(
    proxied: AsyncClient, commands: ScriptedCommands, values: list[bytes], flaw: str
) -> None:
    response = await proxied.post(EXECUTIONS, json=EXECUTE, headers=[(HEADER.encode(), value) for value in values])

    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": f"#/header/{HEADER}", "detail": flaw}]
    assert not commands.submitted


async def test_queries_need_no_principal(proxied: AsyncClient) -> None:
    assert (await proxied.get(EXECUTIONS)).status_code == 200


async def test_without_the_setting_the_header_means_nothing(http: AsyncClient, commands: ScriptedCommands) -> None:
    await http.post(EXECUTIONS, json=EXECUTE, headers={HEADER: "anna"})

    assert commands.submitted[0].source == "/task-execution-service/api"


async def test_the_document_has_the_header_where_it_is_needed(proxied: AsyncClient, http: AsyncClient) -> None:
    def names(document: dict[str, object]) -> set[str]:
        paths: dict[str, dict[str, dict[str, list[dict[str, str]]]]] = document["paths"]  # type: ignore[assignment]
        return {
            f"{path} {parameter['name']}"
            for path, item in paths.items()
            for parameter in item.get("post", {}).get("parameters", [])
        }

    with_it, without = [names((await client.get("/openapi.json")).json()) for client in (proxied, http)]
    posts = {name.split()[0] for name in with_it}
    assert with_it - without == {f"{path} {HEADER}" for path in posts}
    assert len(posts) == 9
