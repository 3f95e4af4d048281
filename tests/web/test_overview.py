"""service/web/overview.py: the first page."""

from typing import Any

import pytest

from service.contracts.problems import Code, reject
from service.contracts.timestamps import Timestamp
from tests.api.scripted import COUNTS, GROUP, ScriptedQueries, standing
from tests.web.served import HOSTILE, Page, serving

TIMES = {"p50": 100, "p90": 200, "p95": 1500, "p99": 4000}


async def opened(queries: ScriptedQueries, path: str = "/") -> Page:
    async with serving(queries) as http:
        response = await http.get(path)
    assert response.status_code == 200, response.text
    page = Page(response.text)
    page.check_safety()
    return page


def scripted(**statistics: Any) -> ScriptedQueries:
    return ScriptedQueries(statistics={"queueTime": TIMES, "runTime": TIMES, "successRate": 0.42857} | statistics)


async def test_totals_rates_and_times_are_told() -> None:
    page = await opened(scripted())

    for words in ("21", "42.9 %", "100 ms", "p95 1.5 s", "4 FAILURE", "5 STOPPED", "As of"):
        assert words in page.text


async def test_it_asks_for_the_slots_of_the_period_from_one_moment_on() -> None:
    queries = scripted()
    await opened(queries, "/?period=7d")

    (trend,) = (asked for asked in queries.asked if "group_by" in asked)
    assert trend["group_by"] == "hour"
    begin = trend["created_from"]
    assert isinstance(begin, Timestamp)
    assert (begin.minute, begin.second, begin.microsecond) == (0, 0, 0)
    assert {asked["created_from"] for asked in queries.asked if "created_from" in asked} == {begin}


async def test_every_count_leads_to_its_list() -> None:
    page = await opened(scripted())

    (failures,) = [link for link in page.links if "status=FAILURE" in link and "fingerprint" not in link]
    assert failures.startswith("/executions?createdFrom=")
    (cause,) = [link for link in page.links if "fingerprint=" in link]
    assert "status=FAILURE" in cause


async def test_a_slot_is_drawn_and_leads_to_its_executions() -> None:
    queries = scripted()
    await opened(queries)
    last = next(asked["created_from"] for asked in queries.asked if "group_by" in asked)
    key = f"{last:%Y-%m-%dT%H:%M:%SZ}"
    page = await opened(scripted(groups=[{"key": key, "total": 21, "runTime": TIMES, "successRate": 0.5} | COUNTS]))

    bars = [bar for bar in page.of("rect") if bar.get("class") == "part status-FAILURE"]
    assert bars
    assert any("createdFrom=" in link and "createdTo=" in link for link in page.links)
    assert "21: 4 FAILURE, 5 STOPPED, 6 SKIPPED, 3 SUCCESS, 2 RUNNING, 1 PENDING" in page.text


async def test_a_new_installation_says_how_to_begin() -> None:
    page = await opened(scripted(total=0, successRate=None))

    assert "taskexec definitions publish" in page.text
    assert "/definitions" in page.links


async def test_a_stalled_projection_is_told_first() -> None:
    queries = scripted()
    queries.standing = standing(age_seconds=60)

    assert "The projection is stalled" in (await opened(queries)).text


async def test_a_part_that_fails_takes_no_other_with_it() -> None:
    queries = scripted()
    queries.outages = [reject(Code.UNAVAILABLE, "ClickHouse did not answer.")]
    page = await opened(queries)

    assert page.text.count("ClickHouse did not answer.") == 1
    assert "Failures by cause" in page.text
    assert "disk full" in page.text


async def test_when_all_fails_it_is_still_a_page() -> None:
    page = await opened(ScriptedQueries(error=reject(Code.UNAVAILABLE, "ClickHouse did not answer.")))

    assert page.text.count("ClickHouse did not answer.") == 4


async def test_whatever_a_message_holds_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUP, "fingerprint", HOSTILE)

    assert "<script>alert(1)</script>" in (await opened(scripted())).text


async def test_programs_get_the_index_at_the_same_place() -> None:
    queries = scripted()
    async with serving(queries) as http:
        index = await http.get("/", headers={"Accept": "*/*"})
        page = await http.get("/")

        refreshed = await http.get("/", headers={"Accept": "*/*", "HX-Request": "true"})

    assert "links" in index.json()
    assert page.headers["vary"].startswith("Accept, HX-Request")
    assert 'id="fresh"' in refreshed.text


async def test_a_period_that_there_is_none_of_is_refused() -> None:
    queries = scripted()
    async with serving(queries) as http:
        response = await http.get("/?period=9y")

    assert response.status_code == 422
    assert "#/query/period" in response.text
