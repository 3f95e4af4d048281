import pytest
from httpx2 import AsyncClient

from service.contracts.problems import Code, FieldError, reject
from service.contracts.status import Status
from service.queries.requests import GetTaskExecutionStats
from tests.api.scripted import CURED, FAILURE, FRESH, GRAPH, GROUP, ID, INBOX, PENDING, ScriptedQueries

EXECUTIONS = "/api/v1/task-executions"
STATS = "/api/v1/task-execution-stats"


async def test_get_answers_with_the_record_and_its_freshness(http: AsyncClient, queries: ScriptedQueries) -> None:
    response = await http.get(f"{EXECUTIONS}/{ID.upper()}?minPosition=3:1207")

    assert (response.status_code, response.json()) == (200, PENDING | FRESH)
    assert queries.asked == [{"execution_id": ID, "min_position": "3:1207"}]


async def test_list_passes_on_what_was_asked_and_nothing_else(http: AsyncClient, queries: ScriptedQueries) -> None:
    response = await http.get(
        f"{EXECUTIONS}?taskId=sales:daily_report&status=FAILURE&createdBy=anna&pageNumber=2&pageSize=5"
    )

    assert response.json()["items"] == [FAILURE, PENDING]
    assert {"total": 7, "pageNumber": 1, "pageSize": 2, "nextCursor": "bmV4dA"}.items() <= response.json().items()
    assert queries.asked == [
        {
            "task_id": "sales:daily_report",
            "status": (Status.FAILURE,),
            "created_by": "anna",
            "page_number": 2,
            "page_size": 5,
        }
    ]


async def test_history_lists_the_events(http: AsyncClient) -> None:
    response = await http.get(f"{EXECUTIONS}/{ID}/history")

    types = [event["type"] for event in response.json()["items"]]
    assert types == ["TaskExecutionCreated", "TaskExecutionStopped"]


async def test_the_graph_has_nodes_and_edges_and_its_freshness(http: AsyncClient, queries: ScriptedQueries) -> None:
    response = await http.get(f"{EXECUTIONS}/{ID.upper()}/graph?minPosition=3:1207")

    assert (response.status_code, response.json()) == (200, {"executionId": ID} | GRAPH | FRESH)
    assert queries.asked == [{"execution_id": ID, "min_position": "3:1207"}]


async def test_stats_of_one_task_and_of_all(http: AsyncClient, queries: ScriptedQueries) -> None:
    one = await http.get(f"{STATS}?taskId=sales:daily_report")
    every = await http.get(STATS)

    assert one.json() == {"taskId": "sales:daily_report"} | every.json()
    assert [asked["task_id"] for asked in queries.asked] == ["sales:daily_report", None]


async def test_failures_pass_on_what_was_asked(http: AsyncClient, queries: ScriptedQueries) -> None:
    response = await http.get("/api/v1/task-execution-failures?limit=3&taskId=a:b")
    wrong = await http.get("/api/v1/task-execution-failures?limit=0&status=FAILURE")

    assert response.json() == {"items": [GROUP], "total": 9, "groupCount": 3} | FRESH
    assert queries.asked == [{"limit": 3, "task_id": "a:b"}]
    assert {error["pointer"] for error in wrong.json()["errors"]} == {"#/query/limit", "#/query/status"}


async def test_the_inbox_passes_on_what_was_asked(http: AsyncClient, queries: ScriptedQueries) -> None:
    response = await http.get("/api/v1/task-execution-failures/inbox?limit=3&taskId=a:b")
    wrong = await http.get("/api/v1/task-execution-failures/inbox?limit=101")

    assert response.json() == {"items": [INBOX, INBOX | {"curedBy": CURED}], "total": 2} | FRESH
    assert queries.asked == [{"limit": 3, "task_id": "a:b"}]
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["#/query/limit"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("pageSize=0", "#/query/pageSize"),
        ("pageNumber=-1", "#/query/pageNumber"),
        ("pageNumber=two", "#/query/pageNumber"),
        ("status=DONE", "#/query/status/0"),
        ("taskId=daily_report", "#/query/taskId"),
        ("cursor=nonsense", "#/query/cursor"),
        (f"cursor=99999999999999:{ID}", "#/query/cursor"),
        (f"cursor=1:{ID.upper()}", "#/query/cursor"),
        (f"cursor=1:2:3:{ID}", "#/query/cursor"),
        ("sort=age", "#/query/sort"),
        ("minPosition=7", "#/query/minPosition"),
        ("page_size=5", "#/query/page_size"),
        ("taskId=a:b&taskId=c:d", "#/query/taskId"),
        ("createdFrom=yesterday", "#/query/createdFrom"),
        ("minDuration=long", "#/query/minDuration"),
        ("createdBy=%FF", "#/query"),
        ("tag=%ED%A0%80", "#/query"),
    ],
)
async def test_a_wrong_parameter_is_refused(
    http: AsyncClient, queries: ScriptedQueries, query: str, pointer: str
) -> None:
    response = await http.get(f"{EXECUTIONS}?{query}")

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert not queries.asked


async def test_an_unknown_parameter_is_told_which_ones_there_are(http: AsyncClient) -> None:
    response = await http.get(f"{STATS}?task=sales:daily_report")

    assert response.json()["errors"] == [
        {"pointer": "#/query/task", "detail": f"unknown; allowed are: {', '.join(GetTaskExecutionStats.wire_names())}"}
    ]


async def test_an_id_that_is_none_is_refused(http: AsyncClient) -> None:
    response = await http.get(f"{EXECUTIONS}/17")

    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "#/path/executionId")


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [
        (Code.EXECUTION_NOT_FOUND, 404, None),
        (Code.PROJECTION_BEHIND, 503, "1"),
        (Code.UNAVAILABLE, 503, "5"),
    ],
)
async def test_what_the_read_side_refuses_is_answered_as_its_problem(
    http: AsyncClient, queries: ScriptedQueries, code: Code, status: int, retry: str | None
) -> None:
    queries.error = reject(code, "For some reason.")

    response = await http.get(f"{EXECUTIONS}/{ID}")

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers.get("Retry-After") == retry


async def test_what_the_read_side_finds_wrong_is_in_the_query_string(
    http: AsyncClient, queries: ScriptedQueries
) -> None:
    flaw = FieldError(pointer="#/minPosition", detail="there is no partition 9")
    queries.error = reject(Code.INVALID_REQUEST, "For some reason.", (flaw,))

    response = await http.get(f"{STATS}?minPosition=9:1")

    assert response.json()["errors"] == [{"pointer": "#/query/minPosition", "detail": flaw.detail}]
