import asyncio

import pytest
from httpx2 import AsyncClient

from service.contracts.readiness import Readiness
from service.ports import readiness
from service.ports.readiness import Check


async def fine() -> Readiness:
    return Readiness(ready=True, detail="4 of 4 partitions open")


async def partly() -> Readiness:
    return Readiness(ready=False, detail="1 of 4 partitions open")


async def broken() -> Readiness:
    raise ConnectionError("connection refused")


async def stuck() -> Readiness:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_living_process_says_so_even_if_a_part_is_down(http: AsyncClient, checks: dict[str, Check]) -> None:
    checks["kafka"] = broken

    assert (await http.get("/healthz")).json() == {"status": "alive"}


async def test_it_is_ready_when_all_parts_are_and_says_what_they_have_open(
    http: AsyncClient, checks: dict[str, Check]
) -> None:
    checks.update(kafka=fine, clickhouse=fine)

    response = await http.get("/readyz")

    assert response.status_code == 200
    assert response.json()["parts"] == {
        "kafka": "4 of 4 partitions open", "clickhouse": "4 of 4 partitions open"
    }  # fmt: skip


async def test_it_says_which_part_is_not_ready_and_why(
    http: AsyncClient, checks: dict[str, Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.01)
    checks.update(kafka=broken, clickhouse=stuck, handler=partly, other=fine)

    response = await http.get("/readyz")

    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"] == [
        {"pointer": "#/kafka", "detail": "ConnectionError: connection refused"},
        {"pointer": "#/clickhouse", "detail": "no answer within 0.01 s"},
        {"pointer": "#/handler", "detail": "1 of 4 partitions open"},
    ]


async def test_metrics_are_in_the_prometheus_format(http: AsyncClient) -> None:
    response = await http.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE python_info gauge" in response.text


async def test_the_index_links_only_to_what_is_there(http: AsyncClient) -> None:
    links = (await http.get("/")).json()["links"].values()

    assert [(await http.get(link)).status_code for link in links] == [200] * len(links)
