from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from jsonschema import Draft202012Validator

from service.contracts.commands import COMMAND_TYPES
from tests.api.scripted import FAILURE, FRESH, ID

EXECUTIONS = "/api/v1/task-executions"


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body in the document, sent and answered."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    yield f"{method} {path} {status} {kind}", content
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{method} {path} body", content


def fits(document: dict[str, Any], name: str, value: object) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return bool(Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(value))


def references(value: object) -> Iterator[str]:
    match value:
        case {"$ref": str(target)}:
            yield target.removeprefix("#/components/schemas/")
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)
        case _:
            pass


async def test_the_document_is_served(http: AsyncClient, document: dict[str, Any]) -> None:
    assert (await http.get("/openapi.json")).json() == document
    assert document["openapi"].startswith("3.1.")


def test_its_schemas_are_schemas_and_none_is_missing_or_unused(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert set(references(document)) == set(schemas)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    examples = [
        (where, content["schema"], example)
        for where, content in contents(document)
        for example in [
            *([content["example"]] if "example" in content else []),
            *(example["value"] for example in content.get("examples", {}).values()),
        ]
    ]
    assert len(examples) > 50
    for where, schema, example in examples:
        assert fits(document, schema["$ref"].rpartition("/")[2], example), where


def test_every_command_has_a_documented_body(document: dict[str, Any]) -> None:
    posts = {item["post"]["operationId"]: item["post"] for item in document["paths"].values() if "post" in item}

    others = {"ClaimTaskExecution", "AwaitTaskExecutions", "ActOnTaskExecutions", "RerunTaskExecution"}
    assert posts.keys() == {*COMMAND_TYPES, *others}
    for name, operation in posts.items():
        assert operation["requestBody"]["required"]
        assert "executionId" not in document["components"]["schemas"][name]["properties"]


def test_every_operation_documents_its_problems(document: dict[str, Any]) -> None:
    for where, content in contents(document):
        if " 4" in where or " 5" in where:
            assert where.endswith("application/problem+json")
            assert content["schema"]["$ref"].endswith("/Problem")
    for path, operations in document["paths"].items():
        if path.startswith("/api"):
            assert all({"422", "500", "503"} <= operation["responses"].keys() for operation in operations.values())


def test_links_lead_to_operations_and_give_them_what_they_take(document: dict[str, Any]) -> None:
    operations = {
        operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()
    }
    links = [
        link
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 20
    for link in links:
        taken = {parameter["name"] for parameter in operations[link["operationId"]]["parameters"]}
        assert link["parameters"].keys() <= taken


def test_nothing_cites_what_readers_do_not_have(document: dict[str, Any]) -> None:
    assert "(spec" not in str(document)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("PUT", "/healthz"), ("GET", f"{EXECUTIONS}?no=1"), ("POST", EXECUTIONS)],
)
async def test_problems_fit_the_schema(http: AsyncClient, document: dict[str, Any], method: str, path: str) -> None:
    assert fits(document, "Problem", (await http.request(method, path)).json())


async def test_answers_fit_the_schema(http: AsyncClient, document: dict[str, Any]) -> None:
    for path, name in (
        (f"{EXECUTIONS}/{ID}", "TaskExecutionAnswer"),
        (EXECUTIONS, "TaskExecutionPage"),
        (f"{EXECUTIONS}?counts=true", "TaskExecutionPage"),
        (f"{EXECUTIONS}/{ID}/history", "TaskExecutionHistory"),
        (f"{EXECUTIONS}/{ID}/graph", "TaskExecutionGraph"),
        ("/api/v1/task-execution-stats", "TaskExecutionStats"),
        ("/api/v1/task-execution-failures", "TaskExecutionFailures"),
    ):
        assert fits(document, name, (await http.get(path)).json()), path


def test_a_field_without_a_value_is_left_out_and_never_null(document: dict[str, Any]) -> None:
    assert fits(document, "TaskExecutionAnswer", FAILURE | FRESH)
    assert not fits(document, "TaskExecutionAnswer", FAILURE | FRESH | {"outputs": None})
