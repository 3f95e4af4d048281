"""service.api.conditional: a record is sent once, as long as it stays the same."""

import pytest
from httpx2 import AsyncClient

from tests.api.scripted import FAILURE, FRESH, ID, PENDING, ScriptedQueries

ONE = f"/api/v1/task-executions/{ID}"


async def test_a_record_that_is_known_is_not_sent_again(
    http: AsyncClient, queries: ScriptedQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await http.get(ONE)
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "private, no-cache")
    monkeypatch.setitem(FRESH, "lag", 7)  # it is as fresh as it is; the record is the same
    again = await http.get(ONE, headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    queries.executions = [FAILURE]
    changed = await http.get(ONE, headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["status"], changed.json()["lag"]) == (200, "FAILURE", 7)
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    ("sent", "status"), [("*", 304), ("{strong}", 304), ('"other"', 200), ("", 200), ("nonsense, {weak}", 304)]
)
async def test_tags_are_compared_as_the_rfc_says(http: AsyncClient, sent: str, status: int) -> None:
    weak = (await http.get(ONE)).headers["ETag"]
    assert weak.startswith('W/"')
    given = sent.format(weak=weak, strong=weak.removeprefix("W/"))
    assert (await http.get(ONE, headers={"If-None-Match": given})).status_code == status


async def test_head_tells_the_tag(http: AsyncClient) -> None:
    response = await http.head(ONE)
    assert response.headers["ETag"] == (await http.get(ONE)).headers["ETag"]
    assert (await http.head(ONE, headers={"If-None-Match": response.headers["ETag"]})).status_code == 304


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_large_answers_are_compressed_and_small_ones_are_not(
    http: AsyncClient, queries: ScriptedQueries, method: str
) -> None:
    small = await http.request(method, "/healthz")
    assert "content-encoding" not in small.headers
    queries.executions = [PENDING | {"resolvedInputs": {"text": "x" * 200_000}}]
    large = await http.request(method, ONE)
    assert large.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in large.headers["vary"]
    assert int(large.headers.get("content-length", "1000")) < 10_000
    assert len(large.content) > 200_000 or method == "HEAD"
    plain = await http.request(method, ONE, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) > 200_000


async def test_problems_are_problems_when_compressed(http: AsyncClient) -> None:
    response = await http.get("/api/v1/task-executions", params={f"unknown{number}": "1" for number in range(50)})
    assert (response.headers["content-encoding"], response.headers["content-type"]) == (
        "gzip", "application/problem+json",
    )  # fmt: skip
    assert len(response.json()["errors"]) == 50
