"""Whatever is wrong with a request, it is said in our words."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.api.scripted import ID

EXECUTIONS = "/api/v1/task-executions"
EXECUTE: dict[str, Any] = {"taskId": "a:b", "taskVersion": "1.0.0", "inputs": {}}
THEIRS = ("should", "Input", "Tuple", "String", "List", "valid ", "unable", "parse", "dictionary", "Value error")
QUERIES = [
    f"{name}={value}"
    for name in ("taskId", "status", "createdBy", "tag", "pageNumber", "pageSize", "cursor", "minPosition", "other")
    for value in ("", "x" * 2_000, "-1", "0", "1.5", "9" * 5_000, "%00", "%FF", "NaN", "true", "%ED%A0%80")
]
BODIES = [
    {**EXECUTE, name: value}
    for name in (*EXECUTE, "createdBy", "tags", "other")
    for value in (None, True, 1, 1.5, "", "x" * 70_000, "\x7f", [], [1] * 99, [""], ["a"] * 99, {}, {"": None})
]
FAILING = [{}, {"errorMessage": 1}, {"errorMessage": ""}, [], 7, "text"]
SKIPPING = [{"reason": reason, "node": node} for reason in ("", "other", 1) for node in ("", 1, "x" * 300)]


def details(problem: dict[str, Any]) -> list[str]:
    return [problem["detail"], *(error["detail"] for error in problem["errors"])]


@pytest.mark.parametrize(
    ("path", "bodies"),
    [(EXECUTIONS, BODIES), (f"{EXECUTIONS}/{ID}/fail", FAILING), (f"{EXECUTIONS}/{ID}/skip", SKIPPING)],
)
async def test_bodies(http: AsyncClient, path: str, bodies: list[Any]) -> None:
    answers = [await http.post(path, json=body) for body in bodies]
    said = {detail for answer in answers if answer.status_code == 422 for detail in details(answer.json())}

    assert {answer.status_code for answer in answers} <= {201, 422}
    assert len(said) > 2
    assert not [detail for detail in said if any(word in detail for word in THEIRS)]


async def test_query_strings_paths_and_headers(http: AsyncClient) -> None:
    answers = [await http.get(f"{EXECUTIONS}?{query}") for query in QUERIES]
    answers.append(await http.get(f"{EXECUTIONS}/no-id"))
    answers.append(await http.post(EXECUTIONS, json=EXECUTE, headers={"Idempotency-Key": "a b"}))
    said = {detail for answer in answers if answer.status_code == 422 for detail in details(answer.json())}

    assert {answer.status_code for answer in answers} <= {200, 422}
    assert len(said) > 12
    assert not [detail for detail in said if any(word in detail for word in THEIRS)]
