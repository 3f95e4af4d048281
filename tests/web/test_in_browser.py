"""Overview, tasks, definitions and rejections in a browser: its console is silent, and nothing is clipped."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no annotations
from playwright.async_api import Browser, Page, expect

from service.api.app import create_app
from service.contracts.problems import Code, FieldError, problem
from service.contracts.replies import CommandReply, Outcome
from service.ports.live import FollowTaskExecutions
from service.ports.read_model import Grouping
from service.queries.answers import TaskExecutionStats
from service.runtime.http import serving_api
from service.settings import Settings
from service.web.routes import page_routes
from tests.api.scripted import (
    COUNTS,
    DEFINITION,
    FAILURE,
    GROUP,
    ID,
    INBOX,
    RUNNING,
    ScriptedCommands,
    ScriptedDefinitions,
    ScriptedQueries,
)
from tests.web.served import HOSTILE

PLACES = (
    "/executions",
    f"/executions/{ID}",
    f"/executions/{ID}/again",
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


class Live:
    """Tells what a test puts there."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[bytes] = asyncio.Queue()
        self.readers = 0

    async def follow(self, wanted: FollowTaskExecutions) -> AsyncGenerator[bytes, None]:  # noqa: ARG002 - of the port
        async def pieces() -> AsyncGenerator[bytes, None]:
            self.readers += 1
            yield b"retry: 100\n\n"
            while piece := await self.told.get():
                yield piece

        return pieces()

    def happens(self, type_: str) -> None:
        self.told.put_nowait(f'event: {type_}\nid: 0:1\ndata: {{"executionId": "{ID}"}}\n\n'.encode())


@asynccontextmanager
async def shown(  # noqa: PLR0913 - what a test may choose
    browser: Browser,
    commands: ScriptedCommands | None = None,
    width: int = 1280,
    scheme: Any = "light",
    *,
    live: Live | None = None,
    queries: ScriptedQueries | None = None,
    scripts: bool = True,
) -> AsyncIterator[tuple[Page, str]]:
    groups = [
        {"key": key, "total": 21, "successRate": 0.5, "runTime": TIMES} | COUNTS for key in (f"{LONG}:{LONG}", "a:b")
    ]
    queries = queries or Queries(
        statistics={"groups": groups, "queueTime": TIMES, "runTime": TIMES, "successRate": 0.5}
    )
    text = {
        "name": "note",
        "type": "string",
        "required": False,
        "defaultValue": HOSTILE[:5_000],
        "description": HOSTILE,
    }
    definitions = ScriptedDefinitions(DEFINITION | {"inputVariables": [*DEFINITION["inputVariables"], text]})
    commands = commands or ScriptedCommands()
    live = live or Live()
    app = create_app(commands, queries, {}, live=live, pages=page_routes(queries, commands, definitions))
    said: list[str] = []
    async with serving_api(Settings(http_port=0), app) as (_, url):
        page = await browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page, url
        await page.close()
        live.told.put_nowait(b"")
    refused = ("422", "ERR_FAILED", "ERR_INCOMPLETE_CHUNKED_ENCODING")  # a form, and requests that a test lets fail
    assert [text for text in said if not any(word in text for word in refused)] == []


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


async def test_an_execution_changes_while_it_is_looked_at(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries(executions=[RUNNING, FAILURE])
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions/{ID}")
        await expect(page.locator("h1 .status")).to_have_text("RUNNING")
        live.happens("TaskExecutionFailed")

        await expect(page.locator("h1 .status")).to_have_text("FAILURE")


async def test_a_list_that_somebody_works_in_is_left_alone_until_they_ask(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        await page.keyboard.press("j")
        live.happens("TaskExecutionCreated")
        await page.get_by_role("button", name="1 change: show").click()

        await expect(page.get_by_role("button", name="change")).to_have_count(0)
        assert len(queries.asked) == 2


async def test_a_service_that_goes_is_told_and_found_again(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        await page.route("**/events?*", lambda route: route.abort())
        live.told.put_nowait(b"")  # the stream ends
        await expect(page.locator("#live")).to_contain_text("Reconnecting")
        await expect(page.locator("tr[data-row]")).to_have_count(2)
        await page.unroute("**/events?*")

        await expect(page.locator("#live")).to_have_text("", timeout=15_000)


async def test_the_keyboard_is_enough(browser: Browser) -> None:
    async with shown(browser) as (page, url):
        await page.goto(f"{url}/executions")
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.name") == "text"
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/executions/{ID}")
        await page.keyboard.press("r")
        await page.wait_for_url("**/rejections")


async def test_values_are_copied_whole(browser: Browser) -> None:
    async with shown(browser, queries=ScriptedQueries(executions=[FAILURE])) as (page, url):
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{url}/executions/{ID}")
        await page.locator("[data-copy=error-text]").click()

        await expect(page.locator("[data-copy=error-text]")).to_have_text("Copied")
        assert await page.evaluate("navigator.clipboard.readText()") == FAILURE["errorMessage"]


async def test_without_scripts_everything_is_read_filtered_and_stopped(browser: Browser) -> None:
    commands = ScriptedCommands()
    async with shown(browser, commands, scripts=False) as (page, url):
        await page.goto(f"{url}/executions")
        await page.get_by_label("Created by").fill("anna")
        await page.get_by_role("button", name="Show").first.click()
        await page.wait_for_url("**/executions?*createdBy=anna*")
        await page.locator("nav[aria-label='Counts by status']").get_by_text("FAILURE").click()
        await page.wait_for_url("**createdBy=anna&status=FAILURE")
        await page.get_by_title("Remove this filter").first.click()
        await page.locator("tr[data-row] code").last.click()
        await page.wait_for_url(f"**/executions/{ID}")
        await page.get_by_text("Stop…").click()
        await page.get_by_label("Why").fill("superseded")
        await page.get_by_role("button", name="Stop it").click()
        await page.wait_for_url("**minPosition=3%3A1207")

        assert await page.locator(".js:visible").count() == 0
    assert len(commands.submitted) == 1
