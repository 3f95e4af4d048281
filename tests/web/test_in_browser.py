"""Overview, tasks, definitions and rejections in a browser: its console is silent, and nothing is clipped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no annotations
from playwright.async_api import Browser, Page, async_playwright, expect

from service.api.app import create_app
from service.contracts.problems import Code, FieldError, problem
from service.contracts.replies import CommandReply, Outcome
from service.ports.read_model import Grouping
from service.queries.answers import TaskExecutionStats
from service.runtime.http import serving_api
from service.settings import Settings
from service.web.routes import page_routes
from tests.api.scripted import COUNTS, DEFINITION, GROUP, INBOX, ScriptedCommands, ScriptedDefinitions, ScriptedQueries
from tests.web.served import HOSTILE

PLACES = (
    "/",
    "/tasks",
    "/tasks/a:b",
    "/definitions",
    "/definitions/sales:daily_report",
    "/rejections",
    "/rejections/3:7",
)
FORM = "/definitions/sales:daily_report/1.2.0"
TIMES = {"p50": 100, "p90": 200, "p95": 1500, "p99": 4000}
LONG = "x" * 120


class Queries(ScriptedQueries):
    async def stats(self, task_id: str | None = None, **given: Any) -> TaskExecutionStats:
        found = await super().stats(task_id, **given)
        if given.get("group_by") is not Grouping.TASK_VERSION or found.groups is None:
            return found
        versions = (group.model_copy(update={"key": f"1.{minor}.0"}) for minor, group in enumerate(found.groups))
        return found.model_copy(update={"groups": tuple(versions)})


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def shown(
    browser: Browser, commands: ScriptedCommands | None = None, width: int = 1280, scheme: Any = "light"
) -> AsyncIterator[tuple[Page, str]]:
    groups = [
        {"key": key, "total": 21, "successRate": 0.5, "runTime": TIMES} | COUNTS for key in (f"{LONG}:{LONG}", "a:b")
    ]
    queries = Queries(statistics={"groups": groups, "queueTime": TIMES, "runTime": TIMES, "successRate": 0.5})
    text = {
        "name": "note",
        "type": "string",
        "required": False,
        "defaultValue": HOSTILE[:5_000],
        "description": HOSTILE,
    }
    definitions = ScriptedDefinitions(DEFINITION | {"inputVariables": [*DEFINITION["inputVariables"], text]})
    commands = commands or ScriptedCommands()
    app = create_app(commands, queries, {}, pages=page_routes(queries, commands, definitions))
    said: list[str] = []
    async with serving_api(Settings(http_port=0), app) as (_, url):
        page = await browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page, url
        await page.close()
    assert [text for text in said if "422" not in text] == []  # a form that was refused


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
async def test_everybody_can_read_it_and_nothing_is_clipped(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, width: int, scheme: str
) -> None:
    monkeypatch.setitem(GROUP, "fingerprint", HOSTILE[:200])
    monkeypatch.setitem(INBOX, "fingerprint", HOSTILE[:200])
    async with shown(browser, width=width, scheme=scheme) as (page, url):
        for place in PLACES:
            await page.goto(url + place)
            found = await Axe().run(page)
            assert found.response["violations"] == [], place
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place


async def test_the_overview_refreshes_itself_and_leaves_the_rest_alone(browser: Browser) -> None:
    async with shown(browser) as (page, url):
        await page.goto(url)
        await page.evaluate("document.querySelector('h1').dataset.mark = 1")
        await page.evaluate("document.querySelector('.tile b').textContent = 'old'")
        await page.evaluate("document.querySelector('[data-refresh]').dataset.refresh = 0")

        await expect(page.locator(".tile b").first).to_have_text("21")
        assert await page.locator("h1").get_attribute("data-mark") == "1"


async def test_whoever_reads_a_table_is_not_disturbed(browser: Browser) -> None:
    async with shown(browser) as (page, url):
        await page.goto(url)
        await page.get_by_text("As a table").first.click()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.evaluate("document.querySelector('[data-refresh]').dataset.refresh = 0")
        await page.wait_for_timeout(2_500)

        assert asked == []


async def test_a_form_that_is_refused_keeps_what_was_typed_and_says_where(browser: Browser) -> None:
    why = problem(Code.INVALID_INPUTS, "See errors.", (FieldError(pointer="#/inputs/day", detail="must match"),))
    commands = ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=why))
    async with shown(browser, commands) as (page, url):
        await page.goto(url + FORM)
        day = page.get_by_label("day")
        await day.fill("yesterday")
        await page.get_by_role("button", name="Start").click()

        assert await day.input_value() == "yesterday"
        assert await day.get_attribute("aria-invalid") == "true"
        assert await page.locator(".flaw").all_inner_texts() == ["must match"]
        assert len(commands.submitted) == 1
