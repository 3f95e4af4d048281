"""service/web/tasks.py and versions.py: all tasks, and how one fares."""

from typing import Any

import pytest

from service.contracts.problems import Code, reject
from service.queries.answers import TaskExecutionGroup
from service.web.versions import compared
from tests.api.scripted import COUNTS, CURED, INBOX, ScriptedQueries
from tests.web.served import HOSTILE, Page, serving

GROUP = COUNTS | {"total": 21, "successRate": 0.5}


def took(p95: int) -> dict[str, int]:
    return {"p50": 1, "p90": 2, "p95": p95, "p99": p95}


def group(key: str, p95: int | None = None) -> dict[str, Any]:
    return GROUP | {"key": key} | ({} if p95 is None else {"runTime": took(p95), "queueTime": took(p95)})


async def opened(path: str, queries: ScriptedQueries, status: int = 200) -> Page:
    async with serving(queries) as http:
        response = await http.get(path)
    assert response.status_code == status, response.text
    page = Page(response.text)
    page.check_safety()
    return page


async def test_all_tasks_are_listed_and_lead_to_theirs() -> None:
    queries = ScriptedQueries(statistics={"groups": [group("a:b", 1500), group("sales:daily_report")]})
    page = await opened("/tasks?period=7d&text=", queries)

    assert {"/tasks/a:b?period=7d", "/tasks/sales:daily_report?period=7d"} <= set(page.links)
    assert "1.5 s" in page.text
    assert queries.asked[0]["group_by"] == "taskId"


async def test_a_search_and_an_order_are_asked_for() -> None:
    queries = ScriptedQueries(statistics={"groups": [group("sales:daily_report")], "groupCount": 2})
    page = await opened("/tasks?text=DAILY&sort=failure", queries)

    assert {"group_text": "DAILY", "sort": "failure", "limit": 50}.items() <= queries.asked[0].items()
    assert "1 of 2 tasks are listed, those with most failures" in page.text
    assert "/tasks?period=7d&text=DAILY&sort=failure" in page.links


async def test_without_any_it_says_so() -> None:
    assert "No task with this in its id" in (await opened("/tasks?text=x", ScriptedQueries())).text


async def test_a_task_has_its_trend_its_versions_and_its_causes() -> None:
    queries = ScriptedQueries(statistics={"groups": [group("1.2.0", 1000), group("1.10.0", 1500)]})
    page = await opened("/tasks/sales:daily_report", queries)

    assert page.text.index("1.10.0") < page.text.index("1.2.0")
    assert "+50 %" in page.text
    assert "disk full" in page.text
    assert "/definitions/sales:daily_report/1.10.0" in page.links
    assert all(asked["task_id"] == "sales:daily_report" for asked in queries.asked)
    lists = [link for link in page.links if link.startswith("/executions?")]
    assert lists
    assert all("taskId=sales%3Adaily_report" in link for link in lists)


async def test_each_failure_says_what_cured_it() -> None:
    queries = ScriptedQueries()
    page = await opened("/tasks/sales:daily_report", queries)

    assert "not cured yet" in page.text
    assert "the task succeeded later with other inputs" in page.text
    assert f"/executions/{CURED['executionId']}" in page.links
    assert f"/executions/{INBOX['executionId']}" in page.links


async def test_whatever_a_message_holds_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INBOX, "fingerprint", HOSTILE)

    assert "<script>alert(1)</script>" in (await opened("/tasks/sales:daily_report", ScriptedQueries())).text


async def test_a_part_that_fails_takes_no_other_with_it() -> None:
    queries = ScriptedQueries(outages=[reject(Code.UNAVAILABLE, "ClickHouse did not answer.")])
    page = await opened("/tasks/sales:daily_report", queries)

    assert page.text.count("ClickHouse did not answer.") == 1


async def test_what_is_no_task_id_is_refused() -> None:
    page = await opened("/tasks/nonsense", ScriptedQueries(), status=422)

    assert "#/path/taskId" in page.text


@pytest.mark.parametrize(("before", "now", "slower"), [(1000, 1500, 0.5), (1000, 500, -0.5), (0, 5, None)])
def test_a_version_is_compared_with_the_one_before(before: int, now: int, slower: float | None) -> None:
    groups = [TaskExecutionGroup.model_validate(group(*one)) for one in (("1.9.0", before), ("1.10.0", now))]
    newest, oldest = compared(groups)

    assert (newest.version, newest.slower, oldest.slower) == ("1.10.0", slower, None)
    assert max(newest.bar, oldest.bar) == 100


def test_versions_without_runs_have_no_bar() -> None:
    (one,) = compared([TaskExecutionGroup.model_validate(group("draft"))])

    assert (one.bar, one.slower) == (0, None)
