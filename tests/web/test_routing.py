"""service/web/routing.py: what goes wrong is a page for people, and a problem for programs."""

import pytest

from service.web.rendering import NAVIGATION, SECURITY
from tests.api.scripted import ID, ScriptedQueries
from tests.web.served import Page, serving

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""What browsers accept."""


@pytest.mark.parametrize(
    "path", ["/nonsense", "/executions/", "/%3Cscript%3Ealert(1)%3C/script%3E", "/assets/old/page.css"]
)
async def test_a_page_that_does_not_exist_is_a_page_that_leads_on(path: str) -> None:
    async with serving() as http:
        answer = await http.get(path, headers={"Accept": HTML})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    shown = Page(answer.text)
    shown.check_safety()
    assert {url for url, _ in NAVIGATION} <= {*shown.links[-6:]}


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/nonsense", "*/*"),
        ("/nonsense", "application/json"),
        ("/api/v1/nonsense", HTML),  # some programs accept HTML, too
        ("/api/v2/task-executions", HTML),
    ],
)
async def test_programs_get_a_problem_there(path: str, accept: str) -> None:
    async with serving() as http:
        answer = await http.get(path, headers={"Accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


async def test_the_two_are_not_taken_for_each_other_by_caches() -> None:
    async with serving() as http:
        assert (await http.get("/nonsense")).headers["vary"].startswith("Accept, HX-Request")


async def test_a_form_is_not_asked_for() -> None:
    async with serving() as http:
        answer = await http.get(f"/executions/{ID}/stop")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "it supports POST" in Page(answer.text).text


async def test_an_error_that_nobody_foresaw_is_a_page() -> None:
    async with serving(ScriptedQueries(error=ZeroDivisionError())) as http:
        answer = await http.get("/executions")

    assert answer.status_code == 500
    assert "tell its operators" in Page(answer.text).text
