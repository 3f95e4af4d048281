import pytest
from httpx2 import AsyncClient

from tests.api.scripted import ID

EXECUTIONS = "/api/v1/task-executions"


@pytest.mark.parametrize(
    "path",
    ["/", "/openapi.json", "/healthz", "/readyz", EXECUTIONS, f"{EXECUTIONS}/{ID}", f"{EXECUTIONS}/{ID}/history",
     "/api/v1/task-execution-stats", f"{EXECUTIONS}?pageSize=0", "/nothing"],
)  # fmt: skip
async def test_head_is_answered_as_get_is_but_without_the_body(http: AsyncClient, path: str) -> None:
    asked, got = await http.head(path), await http.get(path)

    assert (asked.status_code, asked.headers) == (got.status_code, got.headers)
    assert got.content
    assert not asked.content


async def test_where_there_is_no_get_there_is_no_head(http: AsyncClient) -> None:
    response = await http.head(f"{EXECUTIONS}/{ID}/stop")

    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
