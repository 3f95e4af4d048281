"""service/api/definitions.py and service/definitions/answering.py."""

import pytest
from httpx2 import AsyncClient

from tests.api.scripted import DEFINITION

PLACE = "/api/v1/task-definitions"


async def test_the_list_says_what_there_is(http: AsyncClient) -> None:
    response = await http.get(PLACE)

    assert response.json() == {
        "items": [
            {
                "taskId": "sales:daily_report", "version": "1.2.0", "status": "PUBLISHED", "changed": False,
                "type": "sql", "inputs": 2, "outputs": 1,
            }
        ],
        "total": 1, "pageNumber": 1, "pageSize": 100,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "total"),
    [("namespace=sales", 1), ("namespace=sale", 0), ("taskId=a:b", 0), ("status=DRAFT", 0), ("status=PUBLISHED", 1)],
)
async def test_filters_combine(http: AsyncClient, query: str, total: int) -> None:
    assert (await http.get(f"{PLACE}?{query}&pageSize=1")).json()["total"] == total


async def test_a_version_is_told_as_it_is_executed(http: AsyncClient) -> None:
    answer = (await http.get(f"{PLACE}/sales:daily_report/1.2.0")).json()

    assert (answer["status"], answer["changed"]) == ("PUBLISHED", False)
    assert answer["definition"]["inputVariables"][1]["defaultValue"] == 10
    assert answer["definition"]["taskId"] == DEFINITION["taskId"]


async def test_one_that_there_is_not_is_not_found_and_a_wrong_name_is_refused(http: AsyncClient) -> None:
    missing = await http.get(f"{PLACE}/sales:daily_report/9.9.9")
    wrong = await http.get(f"{PLACE}/sales/latest")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert "There are: 1.2.0." in missing.json()["detail"]
    assert wrong.status_code == 422
    assert {error["pointer"] for error in wrong.json()["errors"]} == {"#/path/taskId", "#/path/version"}
